"""One option of the command line for each parameter of `VAE`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from .. import VAE, optimizers, schedules
from .types import integers, name_and_number, name_or_columns, name_or_number, value_or_spec

Function = TypeVar("Function", bound=Callable[..., Any])
PARAMETERS = dict(inspect.signature(VAE).parameters)
GROUPS = {  # sections of the help
    "Network": ("latent_dim", "hidden_layer_sizes", "decoder_layer_sizes", "activation"),
    "Data": ("likelihood", "sigma", "df", "missing", "conditional"),
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
        "epochs",
        "patience",
        "random_state",
        "n_threads",
        "verbose",
    ),
}


def vae_options(command: Function) -> Function:
    """Give a command one option for each parameter of `VAE`, described in `VAE`'s own words.

    What was given on the command line arrives under the parameter's name, what was not as None.
    """
    annotations = get_type_hints(VAE.__init__)
    descriptions = _descriptions(inspect.getdoc(VAE) or "")
    for name in reversed(PARAMETERS):
        kind, metavar = _click_type(annotations[name])
        flag = "--" + name.replace("_", "-")
        text, default = descriptions[name], PARAMETERS[name].default
        if kind is bool:
            flag += "/--no-" + name.replace("_", "-")
            default = name if default else f"no {name}"
        if default is not None:
            text += f"  [default: {_spelled(default)}]"
        flags = (flag, "--seed") if name == "random_state" else (flag,)  # as other commands say
        option = click.option(*flags, name, type=kind, default=None, metavar=metavar, help=text)
        command = option(command)
    return command


def _click_type(annotation: Any) -> tuple[Any, str | None]:
    """Return the option's type for a parameter's annotation, and the placeholder of its value."""
    kinds = _members(annotation)
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
    """Return the members of a union, of those within it too."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _spelled(value: Any) -> str:
    """A value as one writes it on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _descriptions(docstring: str) -> dict[str, str]:
    """The first paragraph of each parameter's description in a NumPy style docstring."""
    section = re.split(r"^\w+\n-+\n", docstring, flags=re.MULTILINE)[1]  # Parameters comes first
    found = {}
    for names, body in re.findall(r"^(\w.*?) ?:.*\n((?:(?: .*)?\n)+)", section, re.MULTILINE):
        paragraph = body.strip().split("\n\n")[0]
        text = " ".join(paragraph.replace("`", "").split())
        found.update(dict.fromkeys(names.split(", "), text))
    return found
