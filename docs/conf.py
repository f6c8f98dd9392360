"""Configuration of the site: ``sphinx-build -W --keep-going -b html docs build/site``."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext import autosummary
from sphinx.util import logging

import vaefast
from vaefast import typing as types
from vaefast.cli import main

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/vaefast/vaefast"
SUMMARY = "Variational autoencoders on the CPU: fast, small, and right"
HELP_WIDTH = 80  # characters
logger = logging.getLogger(__name__)

project = "vaefast"
author = "The vaefast developers"
project_copyright = author
version = release = vaefast.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_static"]
smartquotes = False  # docstrings contain code such as default="relu"
mathjax3_config = {"chtml": {"matchFontHeight": False, "scale": 1.1}}

# ---------------------------------------------------------------- pages

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 6  # the anchors of GitHub
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 300  # seconds, for each cell
nb_merge_streams = True

# ---------------------------------------------------------------- reference

default_role = "py:obj"  # `VAE.fit` in a docstring is a link
autodoc_typehints = "none"  # docstrings give the types
autodoc_member_order = "bysource"
autosummary_generate = False
autosummary.WELL_KNOWN_ABBREVIATIONS += ("eq.",)  # do not end a summary
numpydoc_show_class_members = False

# ---------------------------------------------------------------- appearance

html_theme = "furo"
html_title = "vaefast"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
    "light_css_variables": {"color-brand-primary": "#b3301b", "color-brand-content": "#b3301b"},
    "dark_css_variables": {"color-brand-primary": "#ff6a4d", "color-brand-content": "#ff8a70"},
}
copybutton_exclude = ".linenos, .gp, .go"
pygments_style = "friendly"
pygments_dark_style = "monokai"

# ---------------------------------------------------------------- links

LINK = re.compile(r"(\]\()([^)\s#:]+)(?=[)\s#])")  # the path of a relative link
FILE_NAME = re.compile(r"\[[\w/-]+\.md\]\((?!https:)")  # as the text of a link
PICTURE = re.compile(r'<picture>\s*<source[^>]*srcset="([^"]+)">\s*<img ([^>]*)>\s*</picture>')


def move_links(text: str, source: Path, page: Path) -> str:
    """Rewrite links of a file in the folder `source` for a page in the folder `page`.

    Links within docs/ lead to pages of the site; links to other files lead to GitHub.
    """

    def move(match: re.Match[str]) -> str:
        target = (source / match[2]).resolve()
        if target.is_relative_to(DOCS):
            return match[1] + os.path.relpath(target, page)
        if target.is_relative_to(ROOT):
            return f"{match[1]}{REPOSITORY}/blob/main/{target.relative_to(ROOT).as_posix()}"
        return match[0]

    return LINK.sub(move, text)


def split_pictures(text: str) -> str:
    """Replace a <picture> with one image for the light theme and one for the dark theme."""

    def split(match: re.Match[str]) -> str:
        found = dict(re.findall(r'(\w+)="([^"]*)"', match[2]))
        alt = " ".join(found["alt"].split())
        return "\n\n".join(
            f"```{{image}} {path}\n:alt: {alt}\n:class: only-{theme}\n```"
            for theme, path in (("light", found["src"]), ("dark", match[1]))
        )

    return PICTURE.sub(split, text)


def read_page(app: Sphinx, docname: str, content: list[str]) -> None:
    """Prepare the Markdown of a page, which is written for GitHub, for the site."""
    folder = (DOCS / docname).parent
    text = split_pictures(move_links(content[0], folder, folder))
    text = FILE_NAME.sub("[](", text)  # the title of the page becomes the text
    if docname in GENERATED:
        app.env.note_reread()
        text += "".join(GENERATED[docname]())
    content[0] = text


def read_included(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """Prepare a file that a page at the top of docs/ includes."""
    content[0] = move_links(content[0], (DOCS / path).resolve().parent, DOCS)


# ---------------------------------------------------------------- generated text


def command_help() -> Iterator[str]:
    """Yield the help of each command of `vaefast`, in the order of `vaefast --help`."""
    context = click.Context(main, info_name="vaefast")
    for name in main.list_commands(context):
        command = main.commands[name]
        inner = click.Context(command, context, name, terminal_width=HELP_WIDTH)
        yield f"\n## {name}\n\n```text\n{command.get_help(inner)}\n```\n"


def type_aliases() -> Iterator[str]:
    """Yield the definition of each name of `vaefast.typing`."""
    for name in types.__all__:
        value = str(getattr(types, name)).replace("typing.", "")
        value = re.sub(r"numpy\.random\.(_generator|mtrand)\.", "numpy.random.", value)
        yield f"\n```{{py:type}} {name}\n:canonical: {value}\n```\n"


GENERATED = {"reference/command-line": command_help, "reference/typing": type_aliases}

# ---------------------------------------------------------------- public names

MODULES = ["vaefast"] + [
    module.name
    for module in pkgutil.iter_modules(vaefast.__path__, "vaefast.")
    if not module.name.startswith("vaefast._")
]


def public_names() -> Iterator[tuple[str, Any]]:
    """Yield the name and the value of every public name, and of the members of public classes."""
    for module in map(importlib.import_module, MODULES):
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                for member in members(value):
                    # getattr would make a new bound method of a class method at each call.
                    static = inspect.getattr_static(value, member)
                    yield f"{module.__name__}.{name}.{member}", static


def members(cls: type) -> list[str]:
    """Return the methods and properties of a class and of its bases in vaefast."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("vaefast.")]
    kinds = (property, classmethod, staticmethod)
    return sorted(
        name
        for name, value in {k: v for base in own for k, v in vars(base).items()}.items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
    )


PUBLIC = dict(public_names())
UNLINKED = (addnodes.pending_xref, nodes.reference, nodes.title)  # code in these stays as it is
VARIABLES = {"VAE": "vae", "AnomalyDetector": "detector", "tables.Table": "table"}  # in examples


def spellings() -> Iterator[tuple[str, str]]:
    """Yield spellings of public names, such as `Table` and `table.encode`, each with the name."""
    for name, value in PUBLIC.items():
        short = name.removeprefix("vaefast.")
        yield name, name
        if "." in short:
            yield short, name
        if inspect.isclass(value):
            yield value.__name__, name
        cls, _, member = short.rpartition(".")
        if cls in VARIABLES:
            yield f"{VARIABLES[cls]}.{member}", name


NAMES = dict(reversed([*spellings()])) | dict(zip(MODULES[1:], MODULES[1:], strict=True))


def check_reference(app: Sphinx, env: Any) -> None:
    """Warn of public names that no page documents; another name of the same object will do."""
    documented = env.domaindata["py"]["objects"].keys()
    known = [PUBLIC[name] for name in documented if name in PUBLIC]
    for name, value in PUBLIC.items():
        if name not in documented and not any(value is other for other in known):
            logger.warning("docs/reference does not document %s", name)


def link_code(app: Sphinx, doctree: nodes.document) -> None:
    """Link code in the text that is a public name, such as `latent.morph` or `vae.fit(X)`."""
    for literal in list(doctree.findall(nodes.literal)):
        name = NAMES.get(literal.astext().partition("(")[0])
        around = literal.parent, literal.parent.parent
        if name and not any(isinstance(node, UNLINKED) for node in around):
            link = addnodes.pending_xref(refdomain="py", reftype="obj", reftarget=name)
            literal.replace_self(link)
            link += literal


def hide_private_modules(app: Sphinx, doctree: nodes.document) -> None:
    """Show the name of `VAE.model_`'s class alone: users reach it through the attribute."""
    for module in list(doctree.findall(addnodes.desc_addname)):
        if "._" in module.astext():
            module.parent.remove(module)


def resolve_name(app: Sphinx, env: Any, link: addnodes.pending_xref, text: nodes.Node) -> Any:
    """Link a public name that is documented under another name, or spelled without its module."""
    name = NAMES.get(link["reftarget"])
    if link.get("refdomain") != "py" or name is None:
        return None
    python = env.domaindata["py"]["objects"]
    found = next((other for other in python if PUBLIC.get(other, python) is PUBLIC.get(name)), name)
    domain = env.get_domain("py")
    return domain.resolve_xref(env, link["refdoc"], app.builder, "obj", found, link, text)


# ---------------------------------------------------------------- plain text for language models


def signature(value: Any) -> str:
    """Return the parameters without their types, which the docstring gives."""
    try:
        given = inspect.signature(value)
    except ValueError:  # of an exception
        return ""
    untyped = [p.replace(annotation=p.empty) for p in given.parameters.values()]
    return str(inspect.Signature(untyped))


def write_llms(app: Sphinx, error: Exception | None) -> None:
    """Write llms.txt, an index of the pages, and llms-full.txt, all of their text."""
    if error or app.builder.name != "html":
        return
    index, full = [f"# {project}\n\n> {SUMMARY}\n"], []
    for toctree in app.env.get_doctree("index").findall(addnodes.toctree):
        index.append(f"\n## {toctree['caption']}\n\n")
        for title, docname in toctree["entries"]:
            title = title or app.env.titles[docname].astext()
            index.append(f"- [{title}](_sources/{docname}.md.txt)\n")
            full.append((DOCS / f"{docname}.md").read_text(encoding="utf-8"))
    once = {id(value): (name, value) for name, value in reversed(PUBLIC.items())}
    for name, value in reversed(once.values()):
        value = getattr(value, "__func__", value)  # of a class method
        if inspect.isfunction(value) or inspect.isclass(value):
            full.append(f"## {name}{signature(value)}\n\n{inspect.getdoc(value)}\n")
    Path(app.outdir, "llms.txt").write_text("".join(index), encoding="utf-8")
    Path(app.outdir, "llms-full.txt").write_text("\n\n".join(full), encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    app.connect("doctree-read", link_code)
    app.connect("doctree-read", hide_private_modules)
    app.connect("missing-reference", resolve_name)
    app.connect("env-check-consistency", check_reference)
    app.connect("build-finished", write_llms)
