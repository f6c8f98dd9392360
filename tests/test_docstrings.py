"""Docstrings of public functions and classes: every optional parameter is described."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import get_origin

import pytest

from test_architecture import public_modules


def documented() -> Iterator[tuple[str, object]]:
    """Yield public functions, classes and methods by name; classes of results have attributes."""
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if get_origin(thing):  # Python 3.10 takes an alias such as dict[str, Any] for a class
                continue
            if inspect.isclass(thing) and not issubclass(thing, tuple | BaseException):
                yield f"{module.__name__}.{name}", thing
                for member in (m for m in dir(thing) if not m.startswith("_")):
                    if inspect.isroutine(getattr(thing, member)):
                        yield f"{module.__name__}.{name}.{member}", getattr(thing, member)
            elif inspect.isroutine(thing):
                yield f"{module.__name__}.{name}", thing


def is_described(thing: object) -> bool:
    """Return whether a docstring has parameters; those of results have attributes instead."""
    doc = thing.__doc__ or ""
    return "Parameters" in doc or "Attributes" not in doc


DOCUMENTED = {name: thing for name, thing in documented() if is_described(thing)}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_an_optional_parameter_says_its_default(name):
    thing = DOCUMENTED[name]
    doc = inspect.getdoc(thing) or ""
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.default is inspect.Parameter.empty:
            continue
        line = re.search(rf"^(?:\w+, )*{parameter.name}(?:, \w+)* : (.*)$", doc, re.M)
        assert line, f"{parameter.name} is not described"
        assert "default=" in line[1], f"{parameter.name}: {line[1]}"
