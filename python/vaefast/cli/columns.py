"""Conversion of columns of text, as in CSV files, to the types that their cells show."""

from __future__ import annotations

from typing import Any

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|Inf|infinity|Infinity)"
COMMA = r"[+-]?[0-9]+(,[0-9]+)?"  # a number with a decimal comma
THOUSANDS = r"[+-]?[0-9]{1,3}([,.' ][0-9]{3})+([.,][0-9]+)?"  # 9,676 and 5.123,45
CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?"
SIGNED = r"[+-]?[^\w\s]? ?[+-]?[0-9][0-9.,' ]*[^\w\s]?"  # $43.10, 12.5%, 3 €
WHOLE = r"[+-]?[0-9]+"
CODE = r"[+-]?0[0-9]|[+-]?[0-9]{19}"  # 007 and numbers beyond int64 are names
ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?"
TIME = r"( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?"
YEAR_FIRST = r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}" + TIME
DOTS = r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}" + TIME
NAMED = (
    r"([0-9]{1,2}[- ][A-Za-z]+[- ]|[A-Za-z]+ [0-9]{1,2},? )[0-9]{4}"  # 31-Dec-2024, Dec 31, 2024
)
SLASHES = r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}" + TIME


def typed(pandas: Any, cells: Any, comma: bool, day_first: bool | None) -> tuple[Any, bool | None]:
    """Return a column with the type that all known cells have, and the order of its dates.

    Parameters
    ----------
    pandas : module
        The package.
    cells : pandas.Series of str
        Cells of a column without blanks around them, with NaN where a value is missing.
    comma : bool
        Whether 1,5 is a number, with a decimal comma.
    day_first : bool or None
        Whether 01/02/2024 is the first of February. None means that the cells decide.

    Returns
    -------
    column : pandas.Series
        Whole numbers, numbers, booleans, dates or text, of types that can hold any missing values.
    day_first : bool or None
        The order of day and month in dates with slashes, or None if the cells do not show it.

    Raises
    ------
    ValueError
        The day and the month of dates such as 01/02/2024 cannot be told apart, or are not in the
        given order.
    """
    known = cells.dropna()
    if known.empty:
        return as_text(cells), None
    if known.str.fullmatch(SLASHES).all():
        dates, day_first = _dates_with_slashes(pandas, known, day_first)
        return as_text(cells) if dates is None else dates.reindex(cells.index), day_first
    return _typed(pandas, cells, known, comma), None


def as_text(cells: Any) -> Any:
    """Return a column of text, with None where a value is missing."""
    return cells.astype(object).where(cells.notna(), None)


def _typed(pandas: Any, cells: Any, known: Any, comma: bool) -> Any:
    """Return a column with the type that the known cells show, except dates with slashes."""
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
    return as_text(cells) if dates is None else dates.reindex(cells.index)


def _parsed(pandas: Any, known: Any, form: str, **options: Any) -> Any:
    """Return text in a given format as dates, or None if it has another format."""
    try:
        return pandas.to_datetime(known, format=form, **options)
    except ValueError:
        return None


def _time_of(known: Any) -> str:
    """Return the format of the time of day after the first date."""
    colons: int = known.iloc[0].count(":")
    return ["", " %H:%M", " %H:%M:%S"][colons]


def _dates(pandas: Any, known: Any) -> Any:
    """Return text as dates, or None if it is something else."""
    if known.str.fullmatch(ISO).all():
        dates = _parsed(pandas, known, "ISO8601")
        if dates is None:  # several time zones
            dates = _parsed(pandas, known, "ISO8601", utc=True)
        return dates
    if known.str.fullmatch(YEAR_FIRST).all():
        return _parsed(pandas, known, "%Y/%m/%d" + _time_of(known))
    if known.str.fullmatch(DOTS).all():
        return _parsed(pandas, known, "%d.%m.%Y" + _time_of(known))
    if known.str.fullmatch(NAMED).all():
        spaced = known.str.replace("-", " ").str.replace(",", "")
        forms = ("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y")
        parsed = (_parsed(pandas, spaced, form) for form in forms)
        return next((dates for dates in parsed if dates is not None), None)
    return None


def _dates_with_slashes(pandas: Any, known: Any, day_first: bool | None) -> tuple[Any, bool | None]:
    """Return text as dates, or None if it is something else, and the order of day and month."""
    time = _time_of(known)
    by_order = {
        first: _parsed(pandas, known, form + time)
        for first, form in ((False, "%m/%d/%Y"), (True, "%d/%m/%Y"))
    }
    possible = [first for first, dates in by_order.items() if dates is not None]
    if day_first is not None and possible and day_first not in possible:
        order = "day" if day_first else "month"
        raise ValueError(
            f"column {known.name!r} holds dates that do not begin with the {order}, such as "
            f"{known.iloc[0]!r}, as those of the training do: write them as 2024-12-31"
        )
    if day_first is not None or len(possible) < 2:
        first = possible[0] if day_first is None and possible else day_first
        return (None if first is None else by_order[first]), first
    if not by_order[False].equals(by_order[True]):
        raise ValueError(
            f"column {known.name!r} holds dates such as {known.iloc[0]!r}, whose day and month "
            "cannot be told apart: write them as 2024-12-31"
        )
    return by_order[False], None
