"""One command-line option for each parameter of `VAE`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from .. import VAE, optimizers, schedules
from .._engine.automatic import AUTO, CHOOSABLE
from ..typing import Auto
from .types import (
    auto_or,
    integers,
    name_and_number,
    name_or_columns,
    name_or_number,
    value_or_spec,
)

Function = TypeVar("Function", bound=Callable[..., Any])
PARAMETERS = dict(inspect.signature(VAE).parameters)
GROUPS = {  # the parameters of each section of the help
    "Network": ("latent_dim", "hidden_layer_sizes", "decoder_layer_sizes", "activation"),
    "Data": ("likelihood", "sigma", "df", "missing", "standardize", "normalize", "conditional"),
    "Objective": (
        "objective",
        "n_samples",
        "gradient_estimator",
        "beta",
        "free_bits",
        "capacity",
    ),
    "Regularization": ("dropout", "denoising", "max_grad_norm"),
    "Training": (
        "optimizer",
        "learning_rate",
        "batch_size",
        "window",
        "epochs",
        "patience",
        "components",
        "random_state",
        "n_threads",
        "verbose",
    ),
}


DEFAULTS = {  # defaults of the command that differ from those of `VAE`
    "standardize": "standardize for tables of gaussian, laplace or student_t columns",
    **dict.fromkeys(CHOOSABLE, AUTO),
}


def vae_options(command: Function) -> Function:
    """Give a command one option for each parameter of `VAE`, with its description as the help text.

    The command receives each option under the parameter's name, or None if the option is absent.
    """
    annotations = get_type_hints(VAE.__init__)
    descriptions = _descriptions(inspect.getdoc(VAE) or "")
    for name in reversed(PARAMETERS):
        kind, metavar = _click_type(annotations[name])
        flag = "--" + name.replace("_", "-")
        text, default = descriptions[name], PARAMETERS[name].default
        if kind is bool:
            flag += "/--no-" + name.replace("_", "-")
            default = name if default else f"no-{name}"
        default = DEFAULTS.get(name, default)
        if default is not None:
            text += f"  [default: {_spelled(default)}]"
        # Other commands call the seed --seed, so --random-state has this second name.
        flags = (flag, "--seed") if name == "random_state" else (flag,)
        option = click.option(*flags, name, type=kind, default=None, metavar=metavar, help=text)
        command = option(command)
    return command


def _click_type(annotation: Any) -> tuple[Any, str | None]:
    """Return the type of an option and the placeholder of its value, from an annotation."""
    kinds = _members(annotation)
    if Auto in kinds:
        kind, metavar = _click_type(Union[tuple(kind for kind in kinds if kind != Auto)])  # noqa: UP007
        return auto_or(kind), f"{metavar or kind.__name__.upper()}|auto"
    texts = any(get_origin(kind) is Literal for kind in kinds)
    if any(get_origin(kind) is tuple and str not in get_args(kind) for kind in kinds):
        return name_and_number, "NAME,X"
    if Sequence[tuple[str, int]] in kinds:
        return name_or_columns, "NAME|NAME:N,..."
    if Sequence[int] in kinds:
        return integers, "N,N,..."
    if found := [kind for kind in kinds if kind in optimizers.KINDS]:
        return value_or_spec(found), "NAME|NAME:..."
    if found := [kind for kind in kinds if kind in schedules.KINDS]:
        return value_or_spec(found), "FLOAT|NAME:..."
    if texts:
        return (name_or_number, "NAME|FLOAT") if float in kinds else (str, "NAME")
    return next(kind for kind in (bool, float, int) if kind in kinds), None


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union and of the unions within it."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _spelled(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _descriptions(docstring: str) -> dict[str, str]:
    """Return the first paragraph on each parameter of a NumPy style docstring, by name."""
    # The section Parameters comes first.
    _, section, *_ = re.split(r"^\w+\n-+\n", docstring, flags=re.MULTILINE)
    found = {}
    for names, body in re.findall(r"^(\w.*?) ?:.*\n((?:(?: .*)?\n)+)", section, re.MULTILINE):
        paragraph = body.strip().split("\n\n")[0]
        text = " ".join(paragraph.replace("`", "").split())
        found.update(dict.fromkeys(names.split(", "), text))
    return found
