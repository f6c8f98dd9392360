"""The structure of the package: what is public, what is private, who imports whom."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args, get_origin

import pytest

import vaefast

PACKAGE = Path(vaefast.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
SURFACE = Path(__file__).parent / "files" / "public_names.txt"


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = ["vaefast", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text("utf-8")) for path in SOURCES}
MODULES = {path.stem for pattern in ("*.py", "*.pyi") for path in PACKAGE.rglob(pattern)} | {
    path.name for path in PACKAGE.iterdir() if path.is_dir()
}
PACKAGES = {module_name(path) for path in SOURCES if path.name == "__init__.py"}


# ------------------------------------------------------------------ the public surface


def public_modules() -> list[ModuleType]:
    """Return the modules whose dotted names have no part that begins with an underscore."""
    names = [info.name for info in pkgutil.walk_packages([str(PACKAGE)], "vaefast.")]
    public = [name for name in names if not any(part[0] == "_" for part in name.split("."))]
    return [vaefast, *(importlib.import_module(name) for name in sorted(public))]


def signature(thing: object) -> str:
    """Return the parameters of a function or a class with their defaults, or nothing."""
    if get_origin(thing) is Literal:
        return f" = {', '.join(get_args(thing))}"
    if not (inspect.isclass(thing) or inspect.isroutine(thing)) or is_error(thing):
        return ""
    parameters = inspect.signature(thing).parameters.values()
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(plain))


def is_error(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception)


def surface() -> Iterator[str]:
    """Yield a line for each public name: where it is, and its signature."""
    seen: list[object] = []
    for module in public_modules():
        for name in sorted(getattr(module, "__all__", ())):
            thing = getattr(module, name)
            # Python 3.10 takes an alias such as dict[str, Any] for a class.
            alias = get_origin(thing) not in (None, Literal)
            if inspect.ismodule(thing) or isinstance(thing, str) or alias:
                yield f"{module.__name__}.{name}"
                continue
            yield f"{module.__name__}.{name}{signature(thing)}"
            if not inspect.isclass(thing) or is_error(thing) or thing in seen:
                continue
            seen.append(thing)
            for member in sorted(name for name in dir(thing) if not name.startswith("_")):
                value = inspect.getattr_static(thing, member)
                if isinstance(value, property):
                    yield f"    {member}: property"
                elif inspect.isroutine(getattr(thing, member)) and thing.__bases__ != (tuple,):
                    yield f"    {member}{signature(getattr(thing, member))}"


def test_the_public_names_and_signatures_are_those_on_record():
    found = "\n".join(surface()) + "\n"
    assert found == SURFACE.read_text("utf-8"), (
        "the public surface changed; to record that: python tests/test_architecture.py"
    )


# ------------------------------------------------------------------ private members


def private_attributes(tree: ast.Module) -> Iterator[ast.Attribute]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and node.attr[1] != "_":
            yield node


def is_own(node: ast.Attribute) -> bool:
    """Return whether a member is one of self, inherited ones included."""
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def own_names(tree: ast.Module) -> set[str]:
    """Return the private names that a file defines: functions, fields, attributes of self."""
    names = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    names |= {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    return names | {a.attr for a in private_attributes(tree) if isinstance(a.ctx, ast.Store)}


@pytest.mark.parametrize("name", TREES)
def test_no_module_reaches_into_private_members_of_another(name):
    tree = TREES[name]
    own = own_names(tree) | MODULES
    reached = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in private_attributes(tree)
        if node.attr not in own and not is_own(node)
    ]
    imported = [
        f"line {node.lineno}: {alias.name} of {node.module}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "")[:7] == "vaefast")
        for alias in node.names
        if alias.name[0] == "_" and alias.name[:2] != "__" and alias.name not in own
    ]
    assert not reached + imported


# ------------------------------------------------------------------ imports


def imports_of(name: str) -> set[str]:
    """Return the modules of the package that a module imports, for types too."""
    package = name if name in PACKAGES else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = node.module or ""
        if node.level:
            anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*anchor, base] if base else anchor)
        for alias in node.names:
            full = f"{base}.{alias.name}"
            found.add(full if full in TREES else base)
    return {module for module in found if module in TREES and module != name}


def test_imports_have_no_circle():
    above: dict[str, set[str]] = {name: imports_of(name) for name in TREES}
    while above:
        free = {name for name, needed in above.items() if not needed & above.keys()}
        assert free, f"these modules import each other: {sorted(above)}"
        above = {name: needed for name, needed in above.items() if name not in free}


LAYERS = [  # each may import those before it
    {"vaefast.errors", "vaefast.typing", "vaefast._version", "vaefast._core", "vaefast.datasets"},
    {"vaefast._system", "vaefast._input"},
    {"vaefast._estimator", "vaefast._shared", "vaefast.checkpoint", "vaefast.metrics"}
    | {"vaefast.optimizers", "vaefast.schedules", "vaefast.tables"},
    {"vaefast._engine"},
    {"vaefast.vae"},
    {"vaefast._bundle", "vaefast.ensembles", "vaefast.recipes"},
    {"vaefast.anomaly", "vaefast.export", "vaefast.imputer", "vaefast.latent"}
    | {"vaefast.pictures", "vaefast.report", "vaefast.synthesizer"},
    {"vaefast", "vaefast.explore", "vaefast.darkroom"},
    {"vaefast.cli"},
    {"vaefast.__main__"},
]


@pytest.mark.parametrize("name", TREES)
def test_a_layer_imports_only_those_below(name):
    def layer(module: str) -> int:
        top = ".".join(module.split(".")[:2])
        return next(i for i, names in enumerate(LAYERS) if top in names)

    for imported in imports_of(name):
        same = imported.split(".")[:2] == name.split(".")[:2]
        assert same or layer(imported) < layer(name) or imported == "vaefast", imported


if __name__ == "__main__":
    SURFACE.write_text("\n".join(surface()) + "\n", "utf-8")
