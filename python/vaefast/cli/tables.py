"""Tables of mixed columns: learning the encoding of a file, and rows in the user's columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import VAE
from ..datasets import Dataset
from ..tables import Table
from ..tables.column import CONSTANT, IDENTIFIER, SUM, TIED
from ..tables.frames import read
from ..tables.learning import DATE
from ..tables.series import Series
from .columns import CLOCK, COMMA, NUMBER, SIGNED, THOUSANDS
from .commands import printable
from .frames import read_frame

FEW = 10  # different values up to which unusual text counts as categories
SHOWN = 8  # most names that a line lists

# Patterns of text cells that stand for numbers, the number of different values above which such
# cells are not categories, and the advice to the user.
UNREADABLE = (
    (THOUSANDS, 0, "write numbers without thousands separators, and with a decimal point"),
    (COMMA, 0, "write numbers with a decimal point"),
    (CLOCK, FEW, "write times as numbers, such as hours"),
    (DATE.pattern, FEW, "write dates as 2024-12-31"),
    (SIGNED, FEW, "write numbers without units and signs"),
)

# Names of the kinds of columns, in the order in which they are listed.
WORDS = {
    "number": "numbers",
    "integer": "numbers",
    "category": "categories",
    "boolean": "booleans",
    "date": "dates",
    "instant": "dates",
    "duration": "durations",
}
LEFT_OUT = {  # names for columns that the model does not see
    CONSTANT: "one value",
    TIED: "following from others",
    SUM: "sums of others",
    IDENTIFIER: "left out and numbered anew",
}


@dataclass(frozen=True, eq=False, repr=False)
class TableRows(Dataset):
    """Rows of a table of mixed columns as numbers.

    Attributes
    ----------
    table : Table
        Encoder of the rows.
    frame : pandas.DataFrame or dict of arrays
        The content of the file.
    """

    _: KW_ONLY
    table: Table
    frame: Any


def learn(data: str, drop: Collection[str]) -> TableRows:
    """Return the rows of a file of mixed columns, and their encoder.

    Parameters
    ----------
    data : str
        Path of a CSV or Parquet file.
    drop : collection of str
        Columns to leave out.

    Raises
    ------
    ValueError
        A column of `drop` does not exist, or a column cannot be learned; the message names all such
        columns.
    """
    frame, day_first = read_frame(Path(data).expanduser(), lambda name: name in drop, {})
    names = list(frame)
    for name in drop:
        if name not in names:
            raise ValueError(f"--drop {name}: {data} has no such column, only {_listed(names)}")
    frame = _select(frame, [name for name in names if name not in drop])
    columns = _read(frame, data)
    problems = {name: problem for name, c in columns.items() if (problem := _problem(name, c))}
    if problems:
        options = " ".join(f"--drop {shlex.quote(str(name))}" for name in problems)
        raise ValueError(
            f"{data}: {'; '.join(problems.values())}. Leave such columns out: {options}"
        )
    try:
        table = Table.learn(frame)
        sources = (replace(s, day_first=day_first.get(s.name)) for s in table.sources)
        table = replace(table, sources=tuple(sources))
        X = table.encode(frame)
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from error
    return TableRows(data, X, columns=tuple(table.names), table=table, frame=frame)


def rows_of(vae: VAE, table: Table, data: str) -> TableRows:
    """Return the rows of a file as the numbers that a model of a table takes.

    Columns that the model did not learn are ignored. If the model takes missing values, new
    categories are read as missing. A line on the standard error reports both.

    Raises
    ------
    ValueError
        The file lacks columns of the model, or has values that the model cannot take.
    """
    names = [source.name for source in table.sources]
    typed = {source.name for source in table.sources if source.dtype.kind != "category"}
    frame, _ = read_frame(
        Path(data).expanduser(),
        lambda name: name not in typed,
        {source.name: source.day_first for source in table.sources},
    )
    lacking = [name for name in table.needed if name not in frame]
    if lacking:
        raise ValueError(f"{data} lacks columns that the model learned: {_listed(lacking)}")
    extra = [name for name in frame if name not in names]
    if extra:
        click.echo(
            f"Note: the model did not learn these columns of {data}: {_listed(extra)}", err=True
        )
    learned = _select(frame, [name for name in names if name in frame])
    columns = _read(learned, data)
    try:
        X = table.encode(learned, unseen="missing")
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from error
    first = 0
    for source in table.sources:
        if source.categories and source.width and source.above is None:
            column = columns[source.name]
            _tell_of_new(vae, data, source.name, column, np.isnan(X[:, first]) & ~column.missing)
        first += source.width
    return TableRows(data, X, columns=tuple(table.names), table=table, frame=frame)


def fill(rows: TableRows, X: Any) -> tuple[Any, int]:
    """Return the frame of rows with its missing cells filled from encoded rows, and their number.

    Columns that the table lacks stay as they are, and so do identifiers, because names can't be
    imputed.
    """
    frame, decoded = rows.frame, rows.table.decode(X)
    names = [source.name for source in rows.table.sources if source.likelihood != IDENTIFIER]
    filled = _select(decoded, names)
    columns = {n: column.missing for n, column in read(_select(frame, list(filled)))[1].items()}
    total = sum(int(missing.sum()) for missing in columns.values())
    if isinstance(frame, Mapping):
        done = {n: np.where(missing, filled[n], frame[n]) for n, missing in columns.items()}
        return {**frame, **done}, total
    frame = frame.copy()
    for name, missing in columns.items():
        if missing.any():
            before = frame[name]
            values = before.astype(object)
            values[missing] = np.asarray(filled[name], dtype=object)[missing]
            values = values.infer_objects()
            same = before.dtype == getattr(filled[name], "dtype", None)
            frame[name] = values.astype(before.dtype) if same else values
    return frame, total


def describe(table: Table) -> str:
    """Return a text such as "numbers age, height; categories city; dates since"."""
    groups: dict[str, list[str]] = {word: [] for word in (*WORDS.values(), *LEFT_OUT.values())}
    for source in table.sources:
        word = LEFT_OUT.get(source.likelihood, WORDS[source.dtype.kind])
        groups[word].append(str(source.name))
    return "; ".join(f"{word} {_listed(names)}" for word, names in groups.items() if names)


def describe_gaps(frame: Any) -> str:
    """Return a text such as "; 647 missing: note 60 %, country 20 %", or "" if none are missing."""
    missing = {name: column.missing for name, column in read(frame)[1].items()}
    shares = {name: gaps.mean() for name, gaps in missing.items() if gaps.any()}
    if not shares:
        return ""
    total = sum(int(gaps.sum()) for gaps in missing.values())
    most = sorted(shares, key=lambda name: -shares[name])
    percent = {name: f"{100 * share:.0f}" for name, share in shares.items()}
    listed = [f"{name} {percent[name] if shares[name] >= 0.005 else '<1'} %" for name in most]
    return f"; {total:,} missing: {_listed(listed)}"


def _read(frame: Any, data: str) -> dict[Any, Series]:
    try:
        return read(frame)[1]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{data}: {error}") from error


def _select(frame: Any, names: Sequence[Any]) -> Any:
    return {name: frame[name] for name in names} if isinstance(frame, Mapping) else frame[names]


def _problem(name: Any, column: Series) -> str | None:
    """Return why a column cannot be learned, or None."""
    if column.missing.all():
        return f"column {name!r} holds missing values only"
    return numbers_as_text(name, column)


def numbers_as_text(name: Any, column: Series) -> str | None:
    """Return advice on a column of text whose cells stand for numbers or dates, or None."""
    known = column.values[~column.missing]
    if column.dtype.kind != "category" or not len(known):
        return None
    different = len(set(known))
    numbers = np.array([bool(re.fullmatch(NUMBER, str(value))) for value in known])
    if not numbers.all():
        odd = np.flatnonzero(~column.missing)[numbers.argmin()]
        such = f"such as {column.values[odd]!r} in row {odd}"
        strange = list(map(str, known[~numbers]))
        for pattern, least, advice in UNREADABLE:
            fits = any(re.fullmatch(pattern, cell) for cell in strange) and all(
                re.fullmatch(f"{pattern}|{COMMA}", cell) for cell in strange
            )
            if different > least and fits:
                return f"column {name!r} is text {such}: {advice}"
        if numbers.mean() > 0.5 and different > FEW:
            return f"column {name!r} is text, because row {odd} holds {column.values[odd]!r}"
    return None


def _tell_of_new(vae: VAE, data: str, name: Any, column: Series, new: Any) -> None:
    """Report how many values of a column the model did not learn, or raise ValueError."""
    if not new.any():
        return
    row = int(new.argmax())
    value = column.values[row]
    if vae.missing != "mask":
        raise ValueError(
            f"{data}, column {name!r}, row {row}: the model did not learn {value!r}. A model that "
            "was trained with --missing mask reads new values as missing."
        )
    count = int(new.sum())
    what = f"{count:,} new values" if count > 1 else "1 new value"
    click.echo(f"Note: {what} of column {name!r}, such as {value!r}, read as missing", err=True)


def _listed(names: Sequence[Any]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return printable(", ".join(map(str, names[:SHOWN]))) + more
