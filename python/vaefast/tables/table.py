"""A whole frame as one array: the blocks of its columns side by side."""

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
    """How a frame of mixed columns is written as numbers for a model, and read back from them.

    A frame is a pandas or polars DataFrame, or a dict of columns (lists or arrays of equal
    length; they come back as arrays).

    Numbers, dates and durations are standardised by the mean and standard deviation of the values
    that are there. Booleans become 0 and 1, text and categories one-hot blocks, counts stay as
    they are. A column of only one value takes no part in X: there is nothing to model. Missing
    values (None, NaN, NaT, NA, null) become NaN, for categories in the whole block.

    Attributes
    ----------
    library : str
        Where the frame came from: pandas, polars or dict.
    sources : tuple of Column
        What was learned of each column of the frame.

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
        """Learn from a frame how to write frames like it.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
            At least one row and one column.
        likelihoods : mapping of column name to str, optional
            For numbers: gaussian (the default), laplace or student_t, standardised; poisson or
            negative_binomial for counts, bernoulli or continuous_bernoulli for values in [0, 1],
            as they are; or categorical. For dates and durations: gaussian, laplace or student_t.
            For booleans: bernoulli or categorical.
        counts : iterable of column names, optional
            Short for the likelihood poisson; one in `likelihoods` goes first.

        Raises
        ------
        ValueError
            No columns or rows, nothing but missing values in a column, infinite values, more than
            1,000 categories, a likelihood that doesn't fit; the message names the column.
        TypeError
            It is no frame, or a column holds something else, such as lists.
        """
        if isinstance(counts, str):
            raise TypeError(f"counts={counts!r} must be a list of column names: [{counts!r}]")
        chosen = dict.fromkeys(counts, "poisson") | dict(likelihoods or {})
        library, columns = read(frame)
        for name in chosen:
            if name not in columns:
                raise ValueError(f"there is no column {name!r} to choose a likelihood for")
        return cls(
            library,
            tuple(Column.learn(name, series, chosen.get(name)) for name, series in columns.items()),
        )

    @property
    def columns(self) -> list[tuple[str, int]]:
        """The likelihoods of the blocks of X in order, each with its number of columns.

        Neighbours of one likelihood are one block, but for categorical ones.
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
        """A readable name for each column of X: ``age``, ``city=Oslo``, ``city=Rome``."""
        return [name for source in self.sources for name in source.names]

    @property
    def width(self) -> int:
        """The number of columns of X."""
        return sum(source.width for source in self.sources)

    def encode(self, frame: Any, *, unseen: Unseen = "error") -> NDArray[np.float32]:
        """Write a frame as numbers.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
            The columns that the table was learned from, in any order, of any of these libraries.
        unseen : {"error", "missing"}
            What a category is that the table didn't learn.

        Returns
        -------
        ndarray of shape (n, width), float32

        Raises
        ------
        ValueError
            Columns are missing or not known; a column holds another kind of values than the
            table learned, an infinite one, an unseen category, or one that its likelihood can't
            have. The message names column, row and value.
        TypeError
            As for `learn`.
        """
        check_choice(unseen, "unseen", ("error", "missing"))
        columns = read(frame)[1]
        expected = [source.name for source in self.sources]
        for what, names in (
            ("lacks columns that the table learned", [n for n in expected if n not in columns]),
            ("has columns that the table doesn't know", [n for n in columns if n not in expected]),
        ):
            if names:
                raise ValueError(f"the frame {what}: {', '.join(map(repr, names))}")
        return np.hstack([source.encode(columns[source.name], unseen) for source in self.sources])

    def decode(self, X: ArrayLike, *, random_state: int | np.random.Generator | None = None) -> Any:
        """Read a frame from numbers, such as a model's reconstructions or samples.

        Parameters
        ----------
        X : array-like of shape (n, width)
            As `encode` writes them; where a block is categorical or bernoulli, probabilities.
        random_state : int, Generator or None
            None: the most probable category, and True from a probability of 1/2 on. Otherwise
            both are drawn by their probabilities. Numbers are never drawn.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or dict of arrays
            Like the frame learned from: order, names and types of its columns. Whole numbers are
            rounded, and what is beyond a type's range becomes its end. NaN becomes a missing
            value.

        Raises
        ------
        ValueError
            X has another shape, infinite values, probabilities outside [0, 1], or NaN for a
            column whose type has no missing values.
        ImportError
            The library of the frame is not installed.
        """
        array = np.asarray(X, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.width:
            raise ValueError(f"X has shape {array.shape}, expected (n, {self.width})")
        if np.isinf(array).any():
            row, place = np.argwhere(np.isinf(array))[0]
            raise ValueError(f"X is infinite in row {row}, column {place} ({self.names[place]})")
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
        """The table as plain data, for JSON."""
        return {"library": self.library, "columns": [s.to_dict() for s in self.sources]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Table:
        """The table that `to_dict` wrote.

        Raises
        ------
        ValueError
            It is something else.
        """
        try:
            return cls(data["library"], tuple(map(Column.from_dict, data["columns"])))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no table that to_dict wrote: {error!r}") from error

    def __repr__(self) -> str:
        blocks = ", ".join(f"{likelihood} {width}" for likelihood, width in self.columns)
        return f"Table({self.library}, {len(self.sources)} columns as {self.width}: {blocks})"
