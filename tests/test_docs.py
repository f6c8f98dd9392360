"""What the documents say: examples that run as they stand, links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("benchmarks/papers/*.md")]


def examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)


def anchors(page: Path) -> set[str]:
    """Those of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    titles = re.findall(r"^#+ (.*)", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("number", range(len(examples("docs/models.md"))))
def test_every_example_of_the_models_runs(number: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(examples("docs/models.md")[number], f"models.md, example {number}", "exec"), {})


@pytest.mark.parametrize("page", ["evaluation", "explore", "likelihoods", "tables"])
def test_the_examples_run_one_after_the_other(page: str, tmp_path: Path, monkeypatch) -> None:
    if page == "tables":
        pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in examples(f"docs/{page}.md"):
        if "exponential" not in example:  # a likelihood that the page shows how to add
            exec(compile(example, f"{page}.md", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        if re.match(r"[a-z]+:", link):  # of the web
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            target = (page.parent / link).resolve()
            if target.suffix == ".md":
                todo.append(target)
            elif target.is_dir() and (target / "README.md").exists():
                todo.append(target / "README.md")
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= {page.name for page in seen}
