"""A whole frame as one array: the encoded columns side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._input.validation import check_choice, check_integer
from .column import Column, Unseen
from .frames import LIBRARIES, read, write
from .series import Name, Series


@dataclass(frozen=True, repr=False)
class Table:
    """Encoder of frames with mixed columns, and decoder of the numbers that a model returns.

    A frame is a pandas DataFrame, a polars DataFrame, or a dict of columns. The columns of a dict
    are lists or arrays of equal length, and are decoded as arrays.

    Numbers, dates and durations are standardized with the mean and the standard deviation of the
    known values (with divisor n). Booleans become 0 and 1, text and categories become one-hot
    blocks, and counts stay unchanged. A column with a single value is left out of X, because there
    is nothing to model. Missing values (None, NaN, NaT, NA, null) become NaN, and a missing
    category becomes NaN in the whole block.

    Decoded values keep the range and the decimals of the learned column: a price comes back with
    two decimals, and a count is never negative. X is float32, so a value comes back exactly if
    less than 8 million (2**23) units of its last decimal separate it from the mean of its column:
    cents within 80,000 of the mean. Other values come back to within some 1e-7 of their distance
    from the mean.

    Attributes
    ----------
    library : str
        Library of the frame that was learned: pandas, polars or dict.
    sources : tuple of Column
        Encoding of each column of the frame.

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

    def __post_init__(self) -> None:
        check_choice(self.library, "library", LIBRARIES)
        if len({source.name for source in self.sources}) < len(self.sources):
            raise ValueError("two columns have the same name")
        if self.width == 0:
            raise ValueError("every column has one value only: there is nothing to model")

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
            Likelihoods of columns, for those that should not have the default.

            Numbers: gaussian (the default), laplace or student_t, which are standardized; poisson
            or negative_binomial for counts, bernoulli or continuous_bernoulli for values in
            [0, 1], which stay unchanged; or categorical. Dates and durations: gaussian (the
            default), laplace or student_t. Booleans: bernoulli (the default) or categorical. Text
            and categories: categorical.
        counts : iterable of column names, default=()
            Columns that get the likelihood poisson. An entry of `likelihoods` takes precedence.

        Returns
        -------
        Table
            The encoder of such frames.

        Raises
        ------
        ValueError
            The frame has no rows or no columns, or every column has a single value. Or a column
            has only missing values, an infinite value, more than 1,000 categories, or a likelihood
            that does not fit; the message names the column.
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
        return cls(
            library,
            tuple(Column.learn(name, series, chosen.get(name)) for name, series in columns.items()),
        )

    @property
    def columns(self) -> list[tuple[str, int]]:
        """Likelihoods of the blocks of X from left to right, each with a number of columns.

        Adjacent columns with the same likelihood form one block, except for categorical ones.
        """
        blocks: list[tuple[str, int]] = []
        for source in self.sources:
            likelihood, width = source.likelihood, source.width
            if width == 0:
                continue
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

    def encode(self, frame: Any, *, unseen: Unseen = "error") -> NDArray[np.float32]:
        """Return a frame as numbers for a model.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
            Frame with the columns that the table learned, in any order. The library may differ
            from that of the learned frame.
        unseen : {"error", "missing"}, default="error"
            Treatment of a category that the table did not learn, and of a second value in a column
            that had only one: error raises ValueError; missing encodes it as a missing value.

        Returns
        -------
        ndarray of shape (n, width), float32
            The encoded rows, with NaN for missing values.

        Raises
        ------
        ValueError
            The frame lacks a column or has an unknown one. Or a column holds another kind of
            values than before, an infinite value, an unseen category, or a value that the
            likelihood cannot have; the message names the column, the row and the value.
        TypeError
            `frame` is not a frame, or a column holds unsupported values, such as lists.
        """
        check_choice(unseen, "unseen", ("error", "missing"))
        columns = read(frame)[1]
        expected = [source.name for source in self.sources]
        for what, names in (
            ("lacks columns that the table learned", [n for n in expected if n not in columns]),
            ("has columns that the table did not learn", [n for n in columns if n not in expected]),
        ):
            if names:
                raise ValueError(f"the frame {what}: {', '.join(map(repr, names))}")
        return np.hstack([source.encode(columns[source.name], unseen) for source in self.sources])

    def decode(self, X: ArrayLike, *, random_state: int | np.random.Generator | None = None) -> Any:
        """Return the frame that rows of X represent, such as reconstructions or samples of a model.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Rows in the form that `encode` returns. Categorical and bernoulli columns may hold
            probabilities.
        random_state : int, Generator or None, default=None
            Seed for drawing categories and booleans with their probabilities. None draws nothing:
            it takes the most probable category, and True if its probability is at least 1/2.
            Numbers are never drawn.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or dict of arrays
            Frame with the order, names and types of the learned columns. Numbers are rounded to the
            decimals of the learned column, at most six, and dates to its days, hours, minutes or
            seconds. A value outside the range of the learned values becomes the nearest end of this
            range. NaN becomes a missing value.

        Raises
        ------
        ValueError
            X has another shape, an infinite value, a probability outside [0, 1], or NaN in a
            column whose type has no missing values.
        ImportError
            The library of the learned frame is not installed.
        """
        array = np.asarray(X, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.width:
            raise ValueError(f"X has shape {array.shape}, expected (n, {self.width})")
        if np.isinf(array).any():
            row, place = np.argwhere(np.isinf(array))[0]
            raise ValueError(
                f"X is infinite in row {row}, column {place} ({self.names[place]}), expected "
                "finite numbers, or NaN for missing values"
            )
        rng = None
        if isinstance(random_state, np.random.Generator):
            rng = random_state
        elif random_state is not None:
            rng = np.random.default_rng(check_integer(random_state, "random_state", low=0))
        columns: dict[Name, Series] = {}
        first = 0
        for source in self.sources:
            columns[source.name] = source.decode(array[:, first : first + source.width], rng)
            first += source.width
        return write(self.library, columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain data, for JSON."""
        return {"library": self.library, "columns": [s.to_dict() for s in self.sources]}

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
            return cls(data["library"], tuple(map(Column.from_dict, data["columns"])))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"data does not describe a table: {error!r}") from error

    def __repr__(self) -> str:
        blocks = ", ".join(f"{likelihood} {width}" for likelihood, width in self.columns)
        return f"Table({self.library}, {len(self.sources)} columns as {self.width}: {blocks})"
