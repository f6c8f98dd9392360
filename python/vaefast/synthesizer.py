"""Synthetic tables: a `Synthesizer` learns a frame and draws frames like it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._bundle import Bundle, read_bundle, write_bundle
from ._engine.container import Tensors
from ._engine.priors import Mixture, Posteriors, mixture
from ._engine.recipe import recipe
from ._engine.row_codes import draw_posteriors, nearest, settle
from ._engine.sampling import draw_rows
from ._engine.weighting import codes_given
from ._estimator import Estimator
from ._input.seeds import seed_from
from ._input.validation import check_choice, check_integer
from ._shared import Shared, fitting, publish, reading
from .errors import not_fitted
from .tables import Table
from .tables.column import SUM
from .tables.conditions import Conditions
from .tables.constraints import Constraint
from .tables.decoding import decode
from .tables.frames import read, write
from .tables.series import Name, Series
from .tables.sums import adds_up
from .tables.table import decode_columns
from .typing import RandomState
from .vae import VAE

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Synthesizer"]

CODES = 8_192  # codes to which the mixture is fitted
KEPT = 50_000  # largest number of rows of the fit whose posteriors are kept
CHUNK = 10_000  # rows drawn at a time
MOST_DRAWN = 100  # rows drawn for each requested row, at most
LEAST_DRAWN = 20_000  # rows drawn before the constraints may be called too narrow


class Synthesizer(Shared, Estimator):
    """Learner of a frame, which draws synthetic frames like it.

    A `Table` encodes the frame, and a `VAE` learns the rows. A synthetic row starts from a code z,
    drawn as `codes` says, and its values are drawn from p(x|z). Its values are missing where those
    of a row of the fit with a similar code are missing. The table finds columns that follow from
    another one, that never fall below another one, or that are sums of others, and values that
    never occur together. Synthetic rows keep these rules. They are drawn anew rather than copied,
    but they are not anonymous either.

    Parameters
    ----------
    vae : VAE or None, default=None
        An unfitted model, of which `fit` trains a copy with the likelihoods of the table. None is a
        built-in recipe, whose width and training depend on the numbers of rows and of encoded
        columns.
    likelihoods : mapping of column name to str, default=None
        Likelihoods or encodings of columns that replace those that `Table.learn` would choose.
    constraints : sequence, default=()
        Conditions that every synthetic row satisfies. Each is one of three: a comparison of two
        columns, or of a column and a number, as text, such as ``"start <= end"``; a tuple of column
        names, such as ``("city", "country")``, whose combinations of values must occur in the fit;
        or a function that takes a frame and returns a boolean for each row. Missing values satisfy
        a comparison. Rows that break a constraint are drawn again.
    codes : {"mixture", "rows"}, default="mixture"
        Distribution of the codes. With mixture, codes come from a mixture of Gaussians that is
        fitted to the codes of the rows. Two steps of the chain z -> x -> z of decoder and encoder
        then lead them to where the model has rows. With rows, codes come from the posteriors of the
        rows of the fit. The synthetic rows are then more like the data, but also lie closer to
        individual rows of the fit.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the training.
    n_threads : int or None, default=None
        Number of threads. None is the number of CPUs that this process may use.
    verbose : bool, default=True
        Whether training shows its progress.

    Attributes
    ----------
    table_ : Table
        Encoder of the frame. ``print(table_.summary())`` shows how it encodes each column.
    vae_ : VAE
        The fitted model, which also fills missing values and scores rows.

    Examples
    --------
    >>> from vaefast import Synthesizer
    >>> frame = {"city": ["Oslo", "Rome"] * 100, "age": [30, 40, 50, 60] * 50}
    >>> synthesizer = Synthesizer(random_state=0, verbose=False).fit(frame)
    >>> synthetic = synthesizer.sample(3, {"city": "Oslo"}, random_state=0)
    >>> synthetic["city"].tolist()
    ['Oslo', 'Oslo', 'Oslo']
    """

    table_: Table
    vae_: VAE
    _constraints: Sequence[Constraint]
    _mu: NDArray[np.float32]
    _logvar: NDArray[np.float32]
    _gaps: NDArray[np.uint8]  # whether each column of the kept rows is missing
    _mixture: Mixture | None = None  # fitted when codes are first drawn

    def __init__(
        self,
        vae: VAE | None = None,
        *,
        likelihoods: Mapping[Name, str] | None = None,
        constraints: Sequence[str | tuple[Name, ...] | Callable[[Any], Any]] = (),
        codes: str = "mixture",
        random_state: RandomState = None,
        n_threads: int | None = None,
        verbose: bool = True,
    ) -> None:
        self.vae = vae
        self.likelihoods = likelihoods
        self.constraints = constraints
        self.codes = codes
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, frame: Any, y: Any = None) -> Self:
        """Learn a frame.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
            Frame of numbers, text, categories, booleans, dates and durations. Values may be
            missing.
        y : None, default=None
            Ignored. Present for scikit-learn.

        Returns
        -------
        Synthesizer
            This estimator.

        Raises
        ------
        ValueError, TypeError
            A parameter or the frame can't be used; the message names the column.
        DivergenceError
            The loss became infinite or NaN.
        """
        with fitting(self):
            self._fit(frame)
        return self

    def _fit(self, frame: Any) -> None:
        check_choice(self.codes, "codes", ("mixture", "rows"))
        if isinstance(self.constraints, str):
            raise TypeError(f"constraints={self.constraints!r} must be a list of constraints")
        table = Table.learn(frame, likelihoods=self.likelihoods)
        columns = read(frame)[1]
        constraints = [Constraint.of(given, columns) for given in self.constraints]
        X = table.encode(frame)
        seed = seed_from(self.random_state)
        vae = self._model(*X.shape).set_params(
            likelihood=table.columns, random_state=seed, verbose=self.verbose
        )
        if self.n_threads is not None:
            vae.set_params(n_threads=self.n_threads)
        if np.isnan(X).any():
            vae.set_params(missing="mask")
        vae.fit(X)
        vae.table_ = table
        rng = np.random.default_rng(seed)
        kept = np.sort(rng.choice(len(X), min(len(X), KEPT), replace=False))
        mu, logvar = vae.encode(X[kept])
        if vae.objective == "autoencoder":
            logvar = np.full_like(mu, -np.inf)
        gaps = np.stack([columns[source.name].missing[kept] for source in table.sources], axis=1)
        publish(
            self,
            table_=table,
            vae_=vae,
            _constraints=constraints,
            _mu=mu,
            _logvar=logvar,
            _gaps=gaps.astype(np.uint8),
            _mixture=None,
        )

    @reading
    def sample(
        self,
        n: int = 1,
        conditions: Mapping[Name, Any] | None = None,
        *,
        random_state: RandomState = None,
    ) -> Any:
        """Return a synthetic frame.

        Parameters
        ----------
        n : int, default=1
            Number of rows.
        conditions : mapping of column name to value, default=None
            Values that every row has, such as ``{"city": "Oslo"}``. All other values are drawn from
            their distribution given these.
        random_state : int, Generator, RandomState or None, default=None
            Seed of the rows.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or dict of arrays
            Frame of the library of the fit, with the same columns and types.

        Raises
        ------
        NotFittedError
            The synthesizer is not fitted yet.
        ValueError
            A condition names an unknown column or value, too few codes fit the conditions, or too
            few rows satisfy the constraints.
        """
        self._check_fitted()
        count = check_integer(n, "n", low=1)
        rng = np.random.default_rng(seed_from(random_state))
        given = Conditions.of(self.table_, conditions or {})
        excluded = [e for e in self.table_.excluded if not set(e.names) <= given.columns.keys()]
        sums = [source for source in self.table_.sources if source.likelihood == SUM]
        parts: list[dict[Name, Series]] = []
        found = drawn = 0
        while found < count:
            size = min(
                max(count - found, 1) + (count - found) // 4 * bool(self._constraints or given),
                CHUNK,
            )
            columns = self._draw(size, given, rng)
            keep = given.hold(columns)
            for each in excluded:
                keep &= each.holds(columns)
            for source in sums:
                keep &= adds_up(source, columns)
            for constraint in self._constraints:
                keep &= constraint.holds(self.table_.library, columns)
            parts.append({name: _rows(series, keep) for name, series in columns.items()})
            found, drawn = found + int(keep.sum()), drawn + size
            if found < count and drawn >= max(LEAST_DRAWN, MOST_DRAWN * count):
                raise ValueError(
                    f"only {found:,} of {drawn:,} drawn rows can be kept, expected {count:,}: "
                    f"{self._rules(conditions, excluded)}, or ask for fewer rows"
                )
        columns = {
            name: replace(series, values=np.concatenate([p[name].values for p in parts])[:count])
            for name, series in parts[0].items()
        }
        for source in self.table_.sources:
            if source.likelihood == "identifier":  # numbered consecutively from the start
                columns[source.name] = decode(source, np.empty((count, 0)), None)
        return write(self.table_.library, columns)

    @reading
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one file; `Synthesizer.load` reads it.

        Parameters
        ----------
        path : path
            The file. It is replaced as a whole or not at all. `vaefast.load` reads the VAE alone.

        Raises
        ------
        NotFittedError
            The synthesizer is not fitted yet.
        ValueError
            A constraint is a function, which a file can't hold; or an attribute was edited so that
            the file could not be loaded again.
        OSError
            The file can't be written.
        """
        self._check_fitted()
        fields = {
            "codes": self.codes,
            "constraints": [constraint.as_data() for constraint in self._constraints],
        }
        tensors: Tensors = {"mu": self._mu, "logvar": self._logvar, "gaps": self._gaps}
        write_bundle(path, "synthesizer", Bundle([self.vae_], fields, tensors), self._of)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a synthesizer that `save` wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Synthesizer
            A fitted synthesizer.

        Raises
        ------
        FileNotFoundError
            The file does not exist.
        ValueError
            The file is truncated or edited, comes from a later version, or does not hold a
            synthesizer.
        """
        return read_bundle(path, "synthesizer", cls._of)

    @classmethod
    def _of(cls, found: Bundle) -> Self:
        """Return the synthesizer that a file holds."""
        vae, fields = found.models[0], found.fields
        constraints = [Constraint.from_data(data) for data in fields["constraints"]]
        loaded = cls(codes=fields["codes"], constraints=[c.given for c in constraints])
        mu, logvar, gaps = (found.tensors[name] for name in ("mu", "logvar", "gaps"))
        if vae.table_ is None or gaps.shape != (len(mu), len(vae.table_.sources)):
            raise ValueError("the gaps do not fit the table")
        if mu.shape != logvar.shape or mu.shape[1:] != (vae.latent_dim,) or not len(mu):
            raise ValueError("the codes do not fit the model")
        publish(
            loaded,
            table_=vae.table_,
            vae_=vae,
            _constraints=constraints,
            _mu=mu,
            _logvar=logvar,
            _gaps=gaps,
        )
        return loaded

    def _rules(self, conditions: Mapping[Name, Any] | None, excluded: Sequence[Any]) -> str:
        """Return advice on how to loosen the rules that reject rows."""
        rules = []
        if self._constraints:
            rules.append(f"loosen the constraints {[c.given for c in self._constraints]}")
        if conditions:
            rules.append(f"give fewer conditions than {dict(conditions)}")
        if excluded:
            pairs = [" and ".join(map(repr, each.names)) for each in excluded]
            rules.append(f"keep to values of {', '.join(pairs)} that occur together in the table")
        if sums := [s.name for s in self.table_.sources if s.likelihood == SUM]:
            likelihoods = dict.fromkeys(sums, "gaussian")
            rules.append(f"fit with likelihoods={likelihoods}, so that these need not be sums")
        return ", ".join(rules)

    def __sklearn_tags__(self) -> Any:
        """Return the tags by which scikit-learn knows the estimator."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "vae_")

    def _check_fitted(self) -> None:
        if not hasattr(self, "vae_"):
            raise not_fitted("Synthesizer")

    def _model(self, n: int, width: int) -> VAE:
        """Return the model to train: a copy of the user's, or the recipe."""
        if self.vae is None:
            return VAE(**recipe(n, width))
        if not isinstance(self.vae, VAE):
            raise TypeError(f"vae={self.vae!r} must be a VAE, or None for the built-in recipe")
        if self.vae.conditional:
            raise ValueError("vae has conditional=True: conditions of a synthesizer are columns")
        return VAE(**deepcopy(self.vae.get_params()))

    def _codes(
        self, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return n codes, and the kept rows from which they take their missing values."""
        if self.codes == "rows":
            rows = rng.integers(len(self._mu), size=n)
            return draw_posteriors(self._mu[rows], self._logvar[rows], rng), rows
        if self._mixture is None:
            self._mixture = mixture(Posteriors(self._mu, self._logvar), CODES)
        drawn = self._mixture.draw(n, rng, 1.0).astype(np.float32)
        return drawn, nearest(drawn, self._mu)

    def _draw(self, n: int, conditions: Conditions, rng: np.random.Generator) -> dict[Name, Series]:
        """Return n rows as columns."""
        model, sources = self.vae_.model_, self.table_.sources
        if conditions.features is None:
            z, rows = self._codes(n, rng)
        else:
            z, rows = codes_given(model, conditions.features, self._codes, n, rng)
        gaps = self._gaps[rows].astype(bool)
        gaps[:, [source.name in conditions.columns for source in sources]] = False
        hidden = np.repeat(gaps, [source.width for source in sources], axis=1)

        def known(X: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.where(hidden, np.float32(np.nan), conditions.in_features(X))

        if self.codes != "rows":
            z = settle(model, z, known, rng)
        X = conditions.in_features(draw_rows(model, model.decode(z), rng).reshape(n, -1))
        columns = decode_columns(self.table_, X, rng)
        conditions.in_columns(self.table_, columns)
        for place, source in enumerate(sources):
            if gaps[:, place].any():
                columns[source.name] = columns[source.name].with_gaps(gaps[:, place])
        return columns


def _rows(series: Series, keep: NDArray[np.bool_]) -> Series:
    return replace(series, values=series.values[keep])
