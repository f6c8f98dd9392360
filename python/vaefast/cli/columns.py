"""Columns of text, as CSV files have them, with the types that their cells show."""

from __future__ import annotations

from typing import Any

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|Inf|infinity|Infinity)"
COMMA = r"[+-]?[0-9]+(,[0-9]+)?"  # a number with a decimal comma
WHOLE = r"[+-]?[0-9]+"
CODE = r"[+-]?0[0-9]|[+-]?[0-9]{19}"  # 007 and numbers beyond int64 name something
ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?"
TIME = r"( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?"
DOTS = r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}" + TIME
SLASHES = r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}" + TIME


def typed(pandas: Any, cells: Any, text: bool, comma: bool) -> Any:
    """Return a column with the type that all known cells have.

    Parameters
    ----------
    pandas : module
        The package.
    cells : pandas.Series of str
        Cells of a column, with NaN where a value is missing.
    text : bool
        Whether the column is text, whatever it looks like.
    comma : bool
        Whether 1,5 is a number.

    Returns
    -------
    pandas.Series
        Whole numbers, numbers, booleans, dates or text. The types can hold missing values where
        there are any.

    Raises
    ------
    ValueError
        The day and the month of dates such as 01/02/2024 cannot be told apart.
    """
    objects = cells.astype(object).where(cells.notna(), None)
    known = cells.dropna().str.strip()
    if text or known.empty:
        objects[known.index] = known
        return objects
    gaps = len(known) < len(cells)
    if comma and known.str.fullmatch(COMMA).all():
        known = known.str.replace(",", ".")
    if known.str.fullmatch(NUMBER).all() and not known.str.match(CODE).any():
        if not known.str.fullmatch(WHOLE).all():
            return known.astype("float64").reindex(cells.index)
        return known.astype("int64").astype("Int64" if gaps else "int64").reindex(cells.index)
    if known.str.fullmatch("true|false|True|False|TRUE|FALSE").all():
        return (
            (known.str.lower() == "true").astype("boolean" if gaps else "bool").reindex(cells.index)
        )
    dates = _dates(pandas, known)
    if dates is not None:
        return dates.reindex(cells.index)
    objects[known.index] = known
    return objects


def _dates(pandas: Any, known: Any) -> Any:
    """Return text as dates, or None if it is something else."""

    def parsed(form: str, **options: Any) -> Any:
        try:
            return pandas.to_datetime(known, format=form, **options)
        except ValueError:
            return None

    time = ["", " %H:%M", " %H:%M:%S"][min(known.iloc[0].count(":"), 2)]
    if known.str.fullmatch(ISO).all():
        dates = parsed("ISO8601")
        return parsed("ISO8601", utc=True) if dates is None else dates  # several time zones
    if known.str.fullmatch(DOTS).all():
        return parsed("%d.%m.%Y" + time)
    if not known.str.fullmatch(SLASHES).all():
        return None
    american, british = parsed("%m/%d/%Y" + time), parsed("%d/%m/%Y" + time)
    if american is None or british is None:
        return british if american is None else american
    if not american.equals(british):
        raise ValueError(
            f"column {known.name!r} holds dates such as {known.iloc[0]!r}, whose day and month "
            "cannot be told apart: write them as 2024-12-31"
        )
    return american
