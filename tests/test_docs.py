"""The documentation: examples run, links lead somewhere, pages are reachable, lines are short."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from vaefast.errors import MissingExtraError

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
FOLDERS = (".github", "benchmarks", "cpp", "examples", "python", "tests")
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS, *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))]
WITH_EXAMPLES = [README, *(p for p in DOCS if p.parent.name in ("guide", "internals"))]
MAX_LINE = 120  # characters
MAX_README = 900  # words

FENCE = re.compile(r" *(`{3,}|~{3,})([^`]*)")
NOT_RUN = re.compile(r" *<!-- not run: \S.* -->")
CODE_AND_FORMULAS = re.compile(r"`(?:[^`\n]|\n(?!\n))*`|\$\$[^$]+\$\$|\$[^$\n]+\$")  # not links
LINK = re.compile(r'\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|^ *\[[^\]^]+\]: (\S+)', re.M)
SOURCE = re.compile(r'(?:src|srcset|href)="([^"]+)"')
MAY_BE_LONG = re.compile(r" *(\||\[[^\]]+\]: \S+$|([-*>] )?<?https?://\S+$)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def parse(page: Path) -> tuple[list[str], list[tuple[str, str, str]]]:
    """The lines, empty in fenced code; and each fence: the line before it, its title, its code."""
    lines, fences = [""], []
    before, title, code, fence = "", "", [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        mark = FENCE.fullmatch(line)
        if fence and mark and mark[1].startswith(fence) and not mark[2].strip():
            fences.append((before, title, textwrap.dedent("\n".join(code))))
            fence = ""
        elif fence:
            code.append(line)
        elif mark:
            before, fence, title, code = lines[-1], mark[1], mark[2].strip(), []
        else:
            lines.append(line)
            continue
        lines.append("")
    assert not fence, f"{name(page)}: the last fence is not closed"
    return lines, fences


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them, and those that are set in HTML."""
    text = "\n".join(parse(page)[0])
    found = re.findall(r'<a (?:id|name)="([^"]+)"', text)
    for title in re.findall(r"^#+ +(.*?) *#*$", text, re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        earlier = sum(re.sub(r"-\d+$", "", other) == slug for other in found)
        found.append(f"{slug}-{earlier}" if slug in found else slug)
    return set(found)


def links(page: Path) -> list[str]:
    """The links and pictures, without those of the web."""
    text = CODE_AND_FORMULAS.sub("", "\n".join(parse(page)[0]))
    found = [inline or reference for inline, reference in LINK.findall(text)]
    return [link for link in found + SOURCE.findall(text) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_the_examples_run_one_after_the_other(page: Path, tmp_path: Path, monkeypatch) -> None:
    blocks = [(before, code) for before, title, code in parse(page)[1] if title.startswith("py")]
    excluded = [before for before, _ in blocks if NOT_RUN.fullmatch(before)]
    markers = page.read_text(encoding="utf-8").count("<!-- not run")
    assert len(excluded) == markers, "<!-- not run: reason --> stands on the line before a block"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for number, (before, code) in enumerate(blocks, 1):
        try:
            if before not in excluded:
                exec(compile(code, f"{name(page)}, example {number}", "exec"), names)
        except (ModuleNotFoundError, MissingExtraError) as error:
            if (error.name or "").startswith("vaefast"):
                raise
            pytest.skip(str(error))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme_or_the_index() -> None:
    seen, todo = set(), [README, ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop().resolve()
        page = page / "README.md" if page.is_dir() else page
        if page.suffix == ".md" and page.exists() and page not in seen:
            seen.add(page)
            todo += [page.parent / link.partition("#")[0] for link in links(page) if link[0] != "#"]
    assert [name(page) for page in DOCS if page.resolve() not in seen] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_line_of_prose_is_long(page: Path) -> None:
    lines = enumerate(parse(page)[0])
    assert [n for n, line in lines if len(line) > MAX_LINE and not MAY_BE_LONG.match(line)] == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= MAX_README


def test_each_test_that_a_promise_names_exists():
    named = re.findall(
        r"`([\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/promises.md").read_text("utf-8")
    )
    assert len(named) > 20
    for path, function in named:
        file = ROOT / "tests" / path.removeprefix("tests/")
        assert file.is_file(), path
        assert f"def {function}" in file.read_text("utf-8"), f"{path}::{function}"
