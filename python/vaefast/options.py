"""What the commands share: one-line errors, `--index 7 42 99`, the options made from `VAE`."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from vaefast import VAE, DivergenceError, schedules

Function = TypeVar("Function", bound=Callable[..., Any])
Number = TypeVar("Number", int, float)
EXPECTED = ValueError, OSError, ImportError, DivergenceError
PARAMETERS = dict(inspect.signature(VAE).parameters)


data_argument = click.argument("data")
model_argument = click.argument("model", type=click.Path(path_type=Path))
force_option = click.option("--force", is_flag=True, help="Replace what is there already.")
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help="For the same result each time."
)
temperature_option = click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Below 1 more typical samples, above 1 stranger ones.",
)


def split_option(default: str) -> Callable[[Function], Function]:
    return click.option(
        "--split",
        type=click.Choice(["train", "test"]),
        help=f"Which rows of DATA.  [default: {default} rows where DATA has test rows, else all]",
    )


def out_option(default: str) -> Callable[[Function], Function]:
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        help=f"The file to write.  [default: {default}]",
    )


def output_file(out: Path | None, stem: str, vae: VAE, force: bool) -> Path:
    """The file to write, found to be free before any work is done."""
    from vaefast import images

    of_images = images.is_image_shape(vae.feature_shape_)
    if out is None:
        out = Path(stem + (".png" if of_images else ".csv"))
    elif not of_images and out.suffix != ".csv":
        raise click.ClickException(f"The rows of a table are written to a .csv file, not {out}.")
    return free_file(out, force)


def free_file(out: Path, force: bool) -> Path:
    """The file to write; an error if there is one already, or no folder for it."""
    if not out.parent.is_dir():
        raise click.ClickException(f"{out.parent}: there is no such folder.")
    if out.is_dir():
        raise click.ClickException(f"{out}: is a folder, not a file.")
    if out.exists() and not force:
        raise click.ClickException(f"{out} is there already. Replace it with --force.")
    return out


def load_model(model: Path, conditional: bool = False) -> VAE:
    """The model; an error if it is conditional, and the command not made for that."""
    from vaefast import load

    vae = load(model)
    if vae.conditional and not conditional:
        raise click.ClickException(
            f"{model} is a conditional model, and this command knows no y. reconstruct, sample, "
            "evaluate, encode, score and impute do, and the functions of Python, such as "
            "vae.transform(X, y)."
        )
    return vae


def condition(vae: VAE, text: str | None) -> Any:
    """What new rows are to be, 3 or 0.5,1.2 on the command line, as the model's y."""
    conditions = vae._reader.conditions
    if conditions is None:
        if text is not None:
            raise click.UsageError("--label is for a model that was trained with --conditional.")
        return None
    if text is None:
        raise click.UsageError(f"The model is conditional: add --label, {conditions.form()}.")
    if conditions.classes is None:
        numbers = floats(text)
        return numbers[0] if len(numbers) == 1 else numbers
    for label in conditions.classes:
        if str(label) == text:
            return label
    raise click.BadParameter(f"{text!r} is no label of the model, expected {conditions.form()}.")


def load_of_images(model: Path, command: str) -> VAE:
    """The model; an error unless its rows are images."""
    from vaefast import images

    vae = load_model(model)
    if not images.is_image_shape(vae.feature_shape_):
        raise click.ClickException(
            f"{command} makes pictures, but the rows of this model, of the shape "
            f"{vae.feature_shape_}, are no images. In Python vaefast.latent works on such rows too."
        )
    return vae


def signed(value: float) -> str:
    """A number with its sign and at most one digit after the point; 0 as it is."""
    text = f"{value:+.1f}".removesuffix(".0")
    return "0" if float(f"{value:.1f}") == 0 else text


def as_options(message: str) -> str:
    """A message for Python's users in the words of the command line: likelihood='poisson' becomes
    --likelihood poisson."""

    def spell(match: re.Match[str]) -> str:
        name, quoted, pair, plain = match.groups()
        return f"--{name.replace('_', '-')} {quoted or pair and pair.replace(' ', '') or plain}"

    names = "|".join([*PARAMETERS, "image_size"])
    value = r"(?:'([^']+)'|\((\d+, \d+)\)|([\w.+-]*\w))"
    return re.sub(rf"(?<![\w/\\])({names})={value}", spell, message)  # not within a path


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {as_options(str(message))}", err=True)


class Group(click.Group):
    """Commands whose expected errors are one line for people, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except EXPECTED as error:
            message = as_options(str(error))
            if isinstance(error, OSError) and error.filename and error.strerror:
                message = f"{error.filename}: {error.strerror}"
            raise click.ClickException(message) from error


class Command(click.Command):
    """A command whose help shows the options made from `VAE` apart from its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Model and training": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                title = "Model and training" if param.name in PARAMETERS else "Options"
                sections[title].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class IndexCommand(Command):
    """A command whose options for numbers take all that follow: --index 7 42 99."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {
            flag
            for param in self.params
            if isinstance(param, click.Option) and param.multiple and param.type is click.INT
            for flag in param.opts
        }
        spread: list[str] = []
        within: str | None = None  # the option whose numbers these are
        for arg in args:
            number = re.fullmatch(r"-?\d+", arg) is not None
            if within and number and spread[-1] != within:
                spread.append(within)
            spread.append(arg)
            flag = arg.split("=")[0]
            within = flag if flag in flags else within if number else None
        return super().parse_args(ctx, spread)


def integers(text: str) -> tuple[int, ...]:
    """400,200 or 400 on the command line, as (400, 200) or (400,)."""
    return _numbers(text, int, "whole numbers such as 400,200 or 400")


def floats(text: str) -> tuple[float, ...]:
    return _numbers(text, float, "numbers such as 0.9,0.999")


def height_and_width(text: str) -> tuple[int, int]:
    sides = integers(text)
    if len(sides) > 2 or not sides or min(sides) < 1:
        raise click.BadParameter(f"expected a size in pixels such as 64 or 48,64, got {text!r}.")
    return sides[0], sides[-1]


def number_or_schedule(kinds: Sequence[type]) -> Callable[[str], Any]:
    """4 or linear:10 on the command line, as 4.0 or LinearWarmup(10)."""

    def convert(text: str) -> Any:
        try:
            return schedules.parse(text, kinds)
        except (TypeError, ValueError) as error:
            raise click.BadParameter(f"{error}.") from None

    return convert


def name_and_number(text: str) -> tuple[str, float]:
    """mask,0.3 on the command line, as ("mask", 0.3)."""
    name, _, number = text.partition(",")
    try:
        return name, float(number)
    except ValueError:
        raise click.BadParameter(
            f"expected a name and a number such as mask,0.3, got {text!r}."
        ) from None


def name_or_columns(text: str) -> str | list[tuple[str, int]]:
    """gaussian:3,categorical:5 on the command line, as [("gaussian", 3), ("categorical", 5)]."""
    if ":" not in text:
        return text
    try:
        return [(name, int(count)) for name, count in (part.split(":") for part in text.split(","))]
    except ValueError:
        raise click.BadParameter(
            f"expected names and numbers of columns such as gaussian:3,categorical:5, got {text!r}."
        ) from None


def name_or_number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(text: str, kind: Callable[[str], Number], expected: str) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"expected {expected}, got {text!r}.") from None


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
    """The command line's type for a parameter's annotation, and the placeholder for its value."""
    is_union = get_origin(annotation) in (Union, UnionType)
    kinds = get_args(annotation) if is_union else (annotation,)
    if tuple[str, float] in kinds:
        return name_and_number, "NAME,X"
    if Sequence[tuple[str, int]] in kinds:
        return name_or_columns, "NAME|NAME:N,..."
    if str in kinds and float not in kinds:
        return str, None
    for kind in kinds:
        if get_origin(kind):  # Sequence[int], tuple[float, float]
            return (integers, "N,N,...") if int in get_args(kind) else (floats, "X,X,...")
    if found := [kind for kind in kinds if kind in schedules.KINDS]:
        return number_or_schedule(found), "FLOAT|NAME:..."
    if str in kinds and float in kinds:
        return name_or_number, "TEXT|FLOAT"
    return next(kind for kind in (bool, str, float, int) if kind in kinds), None


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
