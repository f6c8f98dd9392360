"""Encoding of a whole frame as one array, with the encoded columns side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.validation import check_choice, check_integer
from .column import IDENTIFIER, SUM, TIED, Column
from .decoding import decode
from .differences import add, order, subtract
from .encoding import Unseen, encode
from .exclusions import Exclusion, exclusions
from .frames import LIBRARIES, read, write
from .learning import learn
from .series import Name, Series
from .summary import lines
from .sums import add_up, check_sum, find_sums
from .ties import follow, labels, merge, tie


@dataclass(frozen=True, repr=False)
class Table:
    """Encoder of frames with mixed columns, and decoder of a model's output.

    A frame is a pandas DataFrame, a polars DataFrame, or a dict of columns. The columns of a dict
    are lists or arrays of equal length, and are decoded as arrays.

    `learn` chooses an encoding from the values of each column, which `summary` lists:

    - Numbers, dates and durations are standardized with the mean and the standard deviation of the
      known values (with divisor n).
    - Numbers with few different values, each in many rows, become ordered categories.
    - Numbers with values that many rows share, with long tails or with several humps become a
      categorical block, which tells whether a value is one of the shared ones, and the normal score
      of its rank among all other values (after Xu et al. 2019, section 4.2).
    - Booleans become 0 and 1, text and categories become one-hot blocks, and counts stay unchanged.
      If there are more than 1,000 categories, the rare ones share one place.
    - A column that never falls below another one becomes the difference of the two. Decoded rows
      keep that order.
    - A column that is a weighted sum of other columns, such as a total, is left out of X, and
      decoded as their sum.
    - A column that follows from another one, as the country follows from the city, is decoded from
      that one. If each follows from the other, one of them is left out of X, like columns with a
      single value and columns that name or number the rows.

    Missing values (None, NaN, NaT, NA, null) become NaN, and a missing category becomes NaN in the
    whole block.

    Decoded values keep the range and the decimals of the learned column: a price comes back with
    two decimals, and a count is never negative. X is float32, so a value comes back exactly if it
    lies within 8 million (2**23) units of its last decimal from the mean of its column; for prices
    with two decimals, within 80,000 of the mean. Other values come back with an error of about 1e-7
    of their distance from the mean.

    Attributes
    ----------
    library : str
        Library of the learned frame: pandas, polars or dict.
    sources : tuple of Column
        Encoding of each column of the frame.
    excluded : tuple of Exclusion, default=()
        Pairs of values that never occur together. `Synthesizer` draws no rows that have them.

    Examples
    --------
    >>> table = Table.learn({"age": [31, 47, 25], "city": ["Rome", "Oslo", "Rome"]})
    >>> table.columns
    [('gaussian', 1), ('categorical', 2)]
    >>> table.names
    ['age', 'city=Oslo', 'city=Rome']
    >>> X = table.encode({"age": [31, 40], "city": ["Rome", "Oslo"]})
    >>> table.decode(X)["age"]
    array([31, 40])
    """

    library: str
    sources: tuple[Column, ...]
    excluded: tuple[Exclusion, ...] = ()

    def __post_init__(self) -> None:
        check_choice(self.library, "library", LIBRARIES)
        if len({source.name for source in self.sources}) < len(self.sources):
            raise ValueError("two columns have the same name")
        by_name = {source.name: source for source in self.sources}
        for source in self.sources:
            if source.tied_to is not None:
                of = by_name.get(source.tied_to)
                values = source.categories if source.likelihood == TIED else source.partners
                if of is None or of.tied_to is not None or len(of.categories) != len(values):
                    raise ValueError(
                        f"column {source.name!r} is tied to a column that does not fit it"
                    )
        in_order(self.sources)
        for source in self.sources:
            for term, _ in source.terms:
                if term not in by_name or by_name[term].likelihood == SUM:
                    raise ValueError(
                        f"column {source.name!r} is a sum of columns that do not fit it"
                    )
        if self.width == 0:
            raise ValueError("every column has one value only, so there is nothing to model")

    @classmethod
    def learn(
        cls,
        frame: Any,
        *,
        likelihoods: Mapping[Name, str] | None = None,
        counts: Iterable[Name] = (),
    ) -> Table:
        """Learn how to encode frames with the columns of this one.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
            Frame with at least one row and one column.
        likelihoods : mapping of column name to str, default=None
            Likelihoods or encodings of columns that replace those that the values suggest.

            Numbers: gaussian, laplace or student_t, which are standardized; modes; ordinal; poisson
            or negative_binomial for counts, bernoulli or continuous_bernoulli for values in [0, 1],
            which stay unchanged; or categorical. Dates and durations: gaussian, laplace, student_t
            or modes. Booleans: bernoulli or categorical. Text and categories: categorical. Text and
            whole numbers: identifier, which leaves the column out. A column that is named here is
            independent of all others: it is neither tied nor a difference, and none of its values
            are excluded.
        counts : iterable of column names, default=()
            Columns that get the likelihood poisson, unless `likelihoods` names them too.

        Returns
        -------
        Table
            The encoder of frames with these columns.

        Raises
        ------
        ValueError
            The frame has no rows or no columns, or every column has a single value. Or a column has
            missing values only, an infinite value, or a likelihood that does not fit; the message
            names the column.
        TypeError
            `frame` is not a frame, or a column holds unsupported values, such as lists.
        """
        if isinstance(counts, str):
            raise TypeError(f"counts={counts!r} must be a list of column names, like [{counts!r}]")
        chosen = dict.fromkeys(counts, "poisson") | dict(likelihoods or {})
        library, columns = read(frame)
        for name in chosen:
            if name not in columns:
                raise ValueError(
                    f"the frame has no column {name!r}, which likelihoods or counts names"
                )
        return _learned(library, columns, chosen, to_fill=False)

    @property
    def columns(self) -> list[tuple[str, int]]:
        """Likelihoods of the blocks of X from left to right, each with a number of columns.

        Adjacent columns with the same likelihood form one block, except for categorical ones.
        """
        blocks: list[tuple[str, int]] = []
        for source in self.sources:
            for likelihood, width in source.blocks:
                if blocks and blocks[-1][0] == likelihood != "categorical":
                    width += blocks.pop()[1]
                blocks.append((likelihood, width))
        return blocks

    @property
    def names(self) -> list[str]:
        """A readable name for each column of X, such as ``age`` or ``city=Oslo``."""
        return [name for source in self.sources for name in source.names]

    @property
    def width(self) -> int:
        """Number of columns of X."""
        return sum(source.width for source in self.sources)

    def summary(self) -> str:
        """Return a text with a line for each column of the frame, on its values and its encoding.

        If some values never occur together, a last line lists them.
        """
        return "\n".join(lines(self.sources, self.excluded))

    def encode(self, frame: Any, *, unseen: Unseen = "error") -> NDArray[np.float32]:
        """Return a frame as numbers for a model.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
            Frame with the learned columns, in any order. Identifiers may be left out. The library
            may differ from that of the learned frame.
        unseen : {"error", "missing"}, default="error"
            Treatment of an unknown category, of a second value in a column that had only one, and
            of values in tied columns that do not go together: error raises ValueError; missing
            encodes them as missing values.

        Returns
        -------
        ndarray of shape (n, width), float32
            The encoded rows, with NaN for missing values.

        Raises
        ------
        ValueError
            The frame lacks a column or has an unknown one. Or a column holds values of another
            kind, an infinite value, an unknown category, or a value outside the domain of the
            likelihood; the message names the column, the row and the value.
        TypeError
            `frame` is not a frame, or a column holds unsupported values, such as lists.
        """
        check_choice(unseen, "unseen", ("error", "missing"))
        columns = read(frame)[1]
        expected = [source.name for source in self.sources]
        for what, names in (
            ("lacks columns that the table learned", [n for n in self.needed if n not in columns]),
            ("has columns that the table did not learn", [n for n in columns if n not in expected]),
        ):
            if names:
                raise ValueError(f"the frame {what}: {', '.join(map(repr, names))}")
        known = {source.name: source for source in self.sources if source.name in columns}
        for tied in known.values():
            if (of := tied.tied_to) is not None:
                columns[of], columns[tied.name] = merge(
                    columns[of], known[of], columns[tied.name], tied, unseen
                )
        for source in self.sources:
            if source.likelihood == SUM:
                check_sum(source, columns, unseen)
        for source in reversed(in_order(self.sources)):  # each one before its lower column
            if source.above is not None:
                series, below = columns[source.name], columns[source.above]
                columns[source.name] = subtract(series, below, source)
        return np.hstack([encode(known[n], columns[n], unseen) for n in expected if n in known])

    def decode(self, X: ArrayLike, *, random_state: int | np.random.Generator | None = None) -> Any:
        """Return the frame that rows of X represent, such as a model's reconstructions or samples.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Rows in the form that `encode` returns. Categorical and bernoulli columns may hold
            probabilities.
        random_state : int, Generator or None, default=None
            Seed for drawing categories and booleans with their probabilities. None draws nothing,
            but takes the most probable category, and True if its probability is at least 1/2.
            Numbers are never drawn.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or dict of arrays
            Frame with the order, names and types of the learned columns. Numbers are rounded to the
            decimals of the learned column, at most six, and dates to its days, hours, minutes or
            seconds. A value outside the learned range becomes the nearest end of the range. NaN
            becomes a missing value.

        Raises
        ------
        ValueError
            X has another shape, an infinite value, a probability outside [0, 1], or NaN in a column
            whose type can't represent missing values.
        ImportError
            The library of the learned frame is not installed.
        """
        return write(self.library, decode_columns(self, X, random_state))

    @property
    def needed(self) -> list[Name]:
        """Columns without which a frame cannot be encoded, which are all except identifiers."""
        return [source.name for source in self.sources if source.likelihood != IDENTIFIER]

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain data, for JSON."""
        data = {"library": self.library, "columns": [s.to_dict() for s in self.sources]}
        if self.excluded:
            data["excluded"] = [each.to_dict() for each in self.excluded]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Table:
        """Return the table that `to_dict` described.

        Parameters
        ----------
        data : mapping
            Plain data in the form that `to_dict` returns.

        Raises
        ------
        ValueError
            `data` does not describe a table.
        """
        try:
            excluded = tuple(map(Exclusion.from_dict, data.get("excluded", ())))
            return cls(data["library"], tuple(map(Column.from_dict, data["columns"])), excluded)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"data does not describe a table: {error!r}") from error

    def __repr__(self) -> str:
        blocks = ", ".join(f"{likelihood} {width}" for likelihood, width in self.columns)
        return f"Table({self.library}, {len(self.sources)} columns as {self.width}: {blocks})"


def learn_to_fill(frame: Any) -> Table:
    """Return the table of a frame whose missing values are to be filled; see `Table.learn`.

    A column becomes a difference only if the difference is narrow. All else is as in `Table.learn`.
    """
    return _learned(*read(frame), {}, to_fill=True)


def _learned(
    library: str, columns: dict[Name, Series], chosen: Mapping[Name, str], *, to_fill: bool
) -> Table:
    learned = {name: learn(name, series, chosen.get(name)) for name, series in columns.items()}
    learned = tie(columns, labels(columns, learned, chosen), chosen)
    learned = order(columns, find_sums(columns, learned, chosen), chosen, to_fill=to_fill)
    sources = tuple(learned.values())
    return Table(library, sources, exclusions(columns, sources, chosen))


def decode_columns(
    table: Table, X: ArrayLike, random_state: int | np.random.Generator | None
) -> dict[Name, Series]:
    """Return the columns of the frame that the rows of X represent; see `Table.decode`."""
    columns = decode_each(table, X, random_state)
    by_name = {source.name: source for source in table.sources}
    for source in in_order(table.sources):
        series = columns[source.name]
        if (of := source.tied_to) is not None:
            columns[source.name] = follow(columns[of], by_name[of], series, source)
        elif source.above is not None:
            columns[source.name] = add(series, columns[source.above], source)
    for source in table.sources:
        if source.likelihood == SUM:
            columns[source.name] = add_up(source, columns)
    return columns


def decode_each(
    table: Table, X: ArrayLike, random_state: int | np.random.Generator | None
) -> dict[Name, Series]:
    """Return the values that the rows of X represent, each column by itself.

    A column that is encoded as a difference stays a difference, and a sum is 0.
    """
    array = np.asarray(X, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != table.width:
        raise ValueError(f"X has shape {array.shape}, expected (n, {table.width})")
    if np.isinf(array).any():
        row, place = np.argwhere(np.isinf(array))[0]
        raise ValueError(
            f"X is infinite in row {row}, column {place} ({table.names[place]}), expected "
            "finite numbers, or NaN for missing values"
        )
    rng = None
    if isinstance(random_state, np.random.Generator):
        rng = random_state
    elif random_state is not None:
        rng = np.random.default_rng(check_integer(random_state, "random_state", low=0))
    columns: dict[Name, Series] = {}
    first = 0
    for source in table.sources:
        columns[source.name] = decode(source, array[:, first : first + source.width], rng)
        first += source.width
    return columns


def in_order(sources: Iterable[Column]) -> list[Column]:
    """Return the columns in an order in which each comes after its lower column.

    Raises
    ------
    ValueError
        Columns form a circle, or the lower column of one of them does not exist.
    """
    waiting, found = list(sources), list[Column]()
    while waiting:
        names = {None, *(source.name for source in found)}
        ready = [source for source in waiting if source.above in names]
        if not ready:
            raise ValueError(f"column {waiting[0].name!r} is above a column that does not fit it")
        found += ready
        waiting = [source for source in waiting if source.above not in names]
    return found
