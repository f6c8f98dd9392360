"""Learning of the encoding of a column from its values."""

from __future__ import annotations

import re
from dataclasses import replace

from .choices import choose
from .column import (
    CONSTANT,
    COUNTS,
    DENSITIES,
    IDENTIFIER,
    LIKELIHOODS,
    MODES,
    ORDINAL,
    Column,
)
from .facts import categories_of, check_finite, decimals_of, step_of
from .modes import Modes
from .series import KINDS, Array, Name, Series

AMOUNT = re.compile(r"^\s*-?[€$£¥₹]\s*-?\d|\d\s*[€$£¥₹%]\s*$")  # such as $5 or 12 %
MONTH = r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
DATE = re.compile(  # 2024-12-31, 31.12.2024, 12/31/24, 31 Dec 2024 or Dec 31, 2024
    r"\s*([0-9]{4}([-/.])[0-9]{1,2}\2[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\3[0-9]{4}"
    rf"|[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{2}}|[0-9]{{1,2}}[- ]{MONTH}[- ][0-9]{{2,4}}"
    rf"|{MONTH} [0-9]{{1,2}},? [0-9]{{4}})([T ].*)?"
)
HUGE = 1e100  # largest absolute value that is standardized; 1e-100 is the smallest range
_NUMERIC = (*DENSITIES, *COUNTS, "continuous_bernoulli")  # decoded within the learned range


def learn(name: Name, series: Series, likelihood: str | None) -> Column:
    """Return the encoding of a column, learned from its values.

    Parameters
    ----------
    name : str or int
        Name of the column.
    series : Series
        Values of the column.
    likelihood : str or None
        Likelihood of the column. None chooses one that suits the values; see `choose`.

    Raises
    ------
    ValueError
        The values cannot be encoded, or the likelihood does not fit them.
    """
    called, kind = f"column {name!r}", series.dtype.kind
    there = series.values[~series.missing]
    if len(there) == 0:
        raise ValueError(f"{called} holds missing values only: drop the column")
    check_finite(name, series)
    choices = LIKELIHOODS[kind]
    if likelihood is None:
        likelihood = choose(series)
        if likelihood == IDENTIFIER and kind == "category":
            _refuse_numbers_and_dates(name, there)
    if likelihood not in choices:
        raise ValueError(
            f"{called}: likelihood {likelihood!r} does not fit {KINDS[kind]}; allowed: "
            f"{', '.join(choices)}"
        )
    if likelihood in ("categorical", ORDINAL):
        categories, others, counts = categories_of(series, there, likelihood == "categorical")
        likelihood = likelihood if len(categories) + len(others) > 1 else CONSTANT
        return Column(
            name, series.dtype, likelihood, categories=categories, others=others, counts=counts
        )
    if likelihood == IDENTIFIER:
        first = None if kind == "category" else float(there.min())
        return Column(name, series.dtype, likelihood, low=first)
    low, high = float(there.min()), float(there.max())
    if likelihood not in (*DENSITIES, MODES):
        column = Column(name, series.dtype, likelihood)
        column.check_domain(series.values)
        if likelihood not in _NUMERIC:
            return column
        return replace(column, decimals=decimals_of(series.dtype, there), low=low, high=high)
    if low == high:
        return Column(name, series.dtype, CONSTANT, categories=(low,))
    spread = high - low
    if spread < 1 / HUGE or max(-low, high) > HUGE:
        raise ValueError(
            f"{called} ranges from {low:g} to {high:g} and cannot be standardized: rescale it"
        )
    within = (there - low) / spread  # in [0, 1], so that no square overflows or underflows
    mean, scale = low + spread * within.mean(), spread * within.std()
    return Column(
        name,
        series.dtype,
        likelihood,
        float(mean) if likelihood != MODES else 0.0,
        float(scale) if likelihood != MODES else 1.0,
        modes=Modes.learn(there) if likelihood == MODES else None,
        step=step_of(kind, there),
        decimals=decimals_of(series.dtype, there),
        low=low,
        high=high,
    )


def _refuse_numbers_and_dates(name: Name, texts: Array) -> None:
    """Raise ValueError if text that seems to name the rows holds amounts or dates."""
    for pattern, what, types in (
        (AMOUNT.search, "amounts", "numbers"),
        (DATE.fullmatch, "dates", "dates, for example with pandas.to_datetime"),
    ):
        if all(map(pattern, texts)):
            raise ValueError(
                f"column {name!r} holds {what} as text, such as {texts[0]!r}: convert them to "
                f"{types}; or leave them out: drop the column, or pass "
                f"likelihoods={{{name!r}: 'identifier'}}"
            )
