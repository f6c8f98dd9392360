"""Missing values of a table of numbers, filled by several VAEs together.

`VAEImputer` has the methods of the imputers of scikit-learn.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._bundle import Bundle, read_bundle, write_bundle
from ._engine import completions
from ._engine.automatic import choose_without_watching
from ._engine.display import say
from ._estimator import Transformer
from ._input.feature_names import FeatureNames, check_names, names_of
from ._input.matrix import to_float64, to_matrix
from ._input.normal_scores import NormalScores
from ._input.rows import RowData
from ._input.seeds import seed_from
from ._input.validation import check_features, check_integer
from .ensembles import fit_all, run_side_by_side
from .errors import not_fitted
from .typing import RandomState
from .vae import VAE

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VAEImputer"]

MOST_SAMPLES = 10**6
HIDDEN_SHARE, LEAST_HIDDEN, MOST_HIDDEN = 10, 50, 20_000  # known values that a trial hides
TRIAL_STEPS = 4_000


class VAEImputer(Transformer):
    """Imputer that fills missing values (NaN) with their means given the known values of the row.

    Several VAEs are trained on all rows, and the mean of their answers is filled in. The answer of
    each is estimated by importance sampling (Mattei & Frellsen 2019, eq. 12). A filled value stays
    within the range of the known values of its column.

    The VAEs see the columns as they are or, where skewed columns ask for it, as normal scores: the
    quantiles of a standard normal distribution at the ranks of the values. A trial decides. It
    hides a tenth of the known values, at most 20,000, trains one VAE of at most 4,000 steps each
    way, and takes the way with the smaller root mean square error, in standard deviations of the
    columns. Tables of fewer than 500 known values stay as they are.

    Parameters
    ----------
    vae : VAE or None, default=None
        Model whose parameters the VAEs have, with missing="mask"; it is not trained itself. "auto"
        stands for the same values as in `VAE`, but all rows are trained on for the whole budget,
        and none is watched. Columns stay as they are. None is a gaussian VAE with standardize=True
        and auto for sizes, learning rate, batch size and epochs.
    n_models : int, default=3
        Number of VAEs. More of them take longer and fill a little better.
    n_samples : int, default=100
        Samples of z for each row with missing values and each VAE.
    random_state : int, Generator, RandomState or None, default=None
        Seed s of the first VAE; the others have s + 1, s + 2 and so on. The same seed gives the
        same bits for any number of threads. By default, every fit has a fresh seed.
    n_threads : int or None, default=None
        Number of threads. The VAEs are trained side by side, one thread for each. The default is
        the number of CPUs that this process may use.
    verbose : bool, default=False
        Whether `fit` says what is trained.

    Attributes
    ----------
    models_ : list of VAE
        The fitted VAEs.
    normal_scores_ : bool
        Whether the VAEs see normal scores of the columns.
    ranges_ : ndarray of shape (2, n_features), float64
        Smallest and largest known value of each column of the fit.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns. It exists only if X was a frame whose column names are all text.

    Examples
    --------
    >>> import numpy as np
    >>> from vaefast import VAEImputer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 1)) * [1.0, -2.0, 3.0]
    >>> X[rng.random(X.shape) < 0.2] = np.nan
    >>> filled = VAEImputer(n_models=1, random_state=0).fit_transform(X)
    >>> bool(np.isnan(filled).any())
    False
    """

    _METADATA = {}

    models_: list[VAE]
    ranges_: NDArray[np.float64]
    _names: FeatureNames | None
    _scores: NormalScores | None

    def __init__(
        self,
        vae: VAE | None = None,
        *,
        n_models: int = 3,
        n_samples: int = 100,
        random_state: RandomState = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.vae = vae
        self.n_models = n_models
        self.n_samples = n_samples
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train the VAEs on all rows.

        Parameters
        ----------
        X : array-like of shape (n, d), or frame
            Numbers, with NaN where a value is missing.
        y : ignored, default=None
            Present for scikit-learn's pipelines.

        Returns
        -------
        VAEImputer
            This estimator.

        Raises
        ------
        TypeError
            A column holds text, categories or dates. Encode the frame by `vaefast.tables.Table` and
            fill it by `VAE.impute`.
        ValueError
            A parameter can't be used, X is not a table, or a column has no known value.
        DivergenceError
            The loss became infinite or NaN.
        """
        n_models = check_integer(self.n_models, "n_models")
        check_integer(self.n_samples, "n_samples", high=MOST_SAMPLES)
        values, names = _read(X)
        ranges = _ranges(values, names)
        choice = choose_without_watching(_parameters(self.vae), *values.shape)
        seed = seed_from(self.random_state)
        params = {**choice.params, "n_threads": self.n_threads, "verbose": False}
        scores = None
        if self.vae is None and _prefers_scores(values, params, seed, self.n_samples):
            scores = NormalScores.learn(values)
        if self.verbose:
            way = "as they are" if scores is None else "as normal scores"
            say(f"VAEImputer trains {n_models} models on the columns {way}: {choice.text}")
        rows = values if scores is None else scores.apply(values)
        models = [_model(params, seed + k) for k in range(n_models)]
        self.models_ = fit_all(models, rows, n_threads=self.n_threads)
        self.ranges_, self._names, self._scores = ranges, names, scores
        return self

    def transform(self, X: ArrayLike) -> Any:
        """Fill the missing values of X.

        Parameters
        ----------
        X : array-like of shape (n, d), or frame
            Numbers in the columns of the fit, with NaN where a value is missing.

        Returns
        -------
        ndarray of shape (n, d) or frame
            X with its missing values filled; known values keep their bits. It is float32 if that
            holds all numbers of the types in X, else float64. `set_output` makes it a frame.

        Raises
        ------
        NotFittedError
            The imputer is not fitted yet.
        ValueError, TypeError
            X has other columns than the rows of the fit.
        """
        values, count = self._read_to_fill(X)
        guess = np.mean([_fill(vae, values, self._scores, count) for vae in self.models_], axis=0)
        return self._in_output(self._filled(values, guess), X)

    def sample(self, X: ArrayLike, n: int = 5, *, random_state: RandomState = None) -> NDArray[Any]:
        """Return several completions of X that differ as much as the missing values are uncertain.

        The missing values of a row are drawn together given its known ones: a code from the
        n_samples samples of z by their importance, and the values from p(x|z) (Mattei & Frellsen
        2019). The VAEs take turns.

        Parameters
        ----------
        X : array-like of shape (rows, d), or frame
            Numbers in the columns of the fit, with NaN where a value is missing.
        n : int, default=5
            Number of completions.
        random_state : int, Generator, RandomState or None, default=None
            Seed of the draws.

        Returns
        -------
        ndarray of shape (n, rows, d)
            Completions, for multiple imputation. Known values keep their bits, and drawn ones stay
            within the range of their column. The type is that of `transform`.

        Raises
        ------
        NotFittedError
            The imputer is not fitted yet.
        ValueError, TypeError
            X has other columns than the rows of the fit, an argument can't be used, or the VAEs are
            plain autoencoders, which have no distribution to draw from.
        """
        values, count = self._read_to_fill(X)
        n, rng = check_integer(n, "n"), np.random.default_rng(seed_from(random_state))
        rows = values if self._scores is None else self._scores.apply(values)
        out = np.empty((n, *values.shape), values.dtype)
        for k, vae in enumerate(self.models_[:n]):
            vae.model_.require_posterior("draw")
            turn = slice(k, n, len(self.models_))
            drawn = completions.draws(
                vae.model_, _rows_of(vae, rows), len(out[turn]), count, rng
            ).astype(np.float64)
            out[turn] = self._filled(
                values, drawn if self._scores is None else self._scores.undo(drawn)
            )
        return out

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Any:
        """Train the VAEs on all rows, and fill the missing values of the same rows.

        Parameters
        ----------
        X : array-like of shape (n, d), or frame
            Numbers, with NaN where a value is missing.
        y : ignored, default=None
            Present for scikit-learn's pipelines.

        Returns
        -------
        ndarray of shape (n, d) or frame
            X with its missing values filled, as from `transform`.

        Raises
        ------
        ValueError, TypeError
            A parameter or X can't be used; see `fit`.
        DivergenceError
            The loss became infinite or NaN.
        """
        return self.fit(X).transform(X)

    @property
    def normal_scores_(self) -> bool:
        """Whether the VAEs see normal scores of the columns."""
        self._fitted()
        return self._scores is not None

    @property
    def n_features_in_(self) -> int:
        """Number of columns."""
        return self._fitted()[0].n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of the frame that the imputer was fitted on."""
        self._fitted()
        if self._names is None:
            raise AttributeError("feature_names_in_: the columns of the fit had no names")
        return np.array(self._names, dtype=object)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns, which are those of the fit.

        Parameters
        ----------
        input_features : sequence of str or None, default=None
            Names of the columns, if the fit knew none. None is x0, x1, ...

        Raises
        ------
        NotFittedError
            The imputer is not fitted yet.
        ValueError
            The names are not those of the fit, or not as many as there are columns.
        """
        n = self.n_features_in_
        if input_features is None:
            given = self._names or tuple(f"x{i}" for i in range(n))
        else:
            given = tuple(input_features)
        if len(given) != n:
            raise ValueError(
                f"input_features should have length equal to number of features ({n}), "
                f"got {len(given)}"
            )
        if self._names is not None and given != self._names:
            raise ValueError("input_features is not equal to feature_names_in_")
        return np.array(given, dtype=object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the imputer to one file; `VAEImputer.load` reads it.

        Parameters
        ----------
        path : path
            The file. It is replaced as a whole or not at all. `vaefast.load` reads the first VAE
            alone.

        Raises
        ------
        NotFittedError
            The imputer is not fitted yet.
        OSError
            The file can't be written.
        """
        models = self._fitted()
        fields = {
            "default_vae": self.vae is None,
            "n_samples": self.n_samples,
            "names": self._names,
        }
        scores = {} if self._scores is None else vars(self._scores)
        write_bundle(path, "imputer", Bundle(models, fields, {"ranges": self.ranges_, **scores}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an imputer that `save` wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        VAEImputer
            A fitted imputer.

        Raises
        ------
        FileNotFoundError
            The file does not exist.
        ValueError
            The file is truncated, edited, of a later version, or no imputer.
        """
        with read_bundle(path, "imputer") as found:
            first, fields, tensors = found.models[0], found.fields, found.tensors
            vae = None if fields["default_vae"] else VAE(**first.get_params())
            imputer = cls(vae, n_models=len(found.models), n_samples=fields["n_samples"])
            imputer.models_ = list(found.models)
            imputer.ranges_ = tensors["ranges"].reshape(2, first.n_features_in_)
            knots = tensors.get("knots")
            imputer._scores = None if knots is None else NormalScores(knots)
            imputer._names = None if fields["names"] is None else tuple(fields["names"])
        return imputer

    def __sklearn_tags__(self) -> Any:
        """Return the tags by which scikit-learn knows the estimator as an imputer of tables."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = False
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "models_")

    def _read_to_fill(self, X: ArrayLike) -> tuple[NDArray[Any], int]:
        """Return the numbers of a table with the columns of the fit, and the samples of a row."""
        self._fitted()
        values, names = _read(X)
        check_names(names, self._names)
        check_features(values, values.shape[1:], self.models_[0].feature_shape_)
        return values, check_integer(self.n_samples, "n_samples", high=MOST_SAMPLES)

    def _filled(self, values: NDArray[Any], guess: NDArray[Any]) -> NDArray[Any]:
        """Return rows whose missing values are guesses, within the range of their columns."""
        within = np.clip(guess, *self.ranges_).astype(values.dtype)
        return np.where(np.isnan(values), within, values)

    def _fitted(self) -> list[VAE]:
        if not hasattr(self, "models_"):
            raise not_fitted("VAEImputer")
        return self.models_


def _parameters(vae: VAE | None) -> dict[str, Any]:
    """Return the parameters of the VAEs, some of which may be "auto"."""
    if vae is None:
        return VAE(
            "auto", "auto", likelihood="gaussian", missing="mask", standardize=True,
            batch_size="auto", learning_rate="auto",
        ).get_params()  # fmt: skip
    if not isinstance(vae, VAE):
        raise TypeError(f"vae={vae!r} must be a VAE or None")
    if vae.missing != "mask":
        raise ValueError(f"vae has missing={vae.missing!r}, but VAEImputer needs missing='mask'")
    if vae.conditional:
        raise ValueError("vae has conditional=True, but VAEImputer knows no y: use VAE.impute")
    return vae.get_params()


def _read(X: ArrayLike) -> tuple[NDArray[Any], FeatureNames | None]:
    """Return the numbers of a table, float32 if that holds them all, else float64, and names."""
    matrix, shape = to_matrix(X)
    if len(shape) != 1:
        raise ValueError(f"X has rows of shape {shape}, expected a table: (n, features)")
    values: NDArray[Any] = matrix.astype(np.float32)
    if (exact := to_float64(X)) is not None:
        # What the mask of a masked array hides is NaN in the matrix only.
        values = np.where(np.isnan(values), np.nan, exact)
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = infinite[0]
        raise ValueError(
            f"X holds {values[row, column]:g} in row {row}, column {column}, expected finite "
            "numbers, or NaN where a value is missing"
        )
    return values, names_of(X)


def _ranges(values: NDArray[Any], names: FeatureNames | None) -> NDArray[np.float64]:
    """Return the smallest and the largest known value of each column, (2, d)."""
    low = np.fmin.reduce(values, axis=0)
    empty = np.flatnonzero(np.isnan(low))
    if len(empty):
        called = f" ({names[empty[0]]})" if names else ""
        raise ValueError(
            f"column {empty[0]}{called} of X has no known value, so nothing can be filled: drop it"
        )
    return np.array([low, np.fmax.reduce(values, axis=0)], np.float64)


def _model(params: Mapping[str, Any], seed: int) -> VAE:
    return VAE(**{**deepcopy(dict(params)), "random_state": seed % 2**64})


def _fill(
    vae: VAE, values: NDArray[Any], scores: NormalScores | None, n_samples: int
) -> NDArray[Any]:
    """Return rows (n, d) whose missing values are filled; known ones may be anything."""
    if scores is None:
        return vae.impute(values, n_samples=n_samples)
    filled, gaps = values.copy(), np.isnan(values).any(axis=1)
    if gaps.any():
        rows = _rows_of(vae, scores.apply(values[gaps]))
        filled[gaps] = completions.means_of(vae.model_, rows, scores.undo, n_samples)
    return filled


def _rows_of(vae: VAE, values: NDArray[Any]) -> RowData:
    rows = vae.model_.reader.read_to_score(values)
    assert isinstance(rows, RowData)
    return rows


def _prefers_scores(
    values: NDArray[Any], params: Mapping[str, Any], seed: int, n_samples: int
) -> bool:
    """Return whether a model of normal scores fills hidden values better than one of the values."""
    known = np.argwhere(~np.isnan(values))
    count = min(MOST_HIDDEN, len(known) // HIDDEN_SHARE)
    if count < LEAST_HIDDEN:
        return False
    row, column = np.random.default_rng(seed).choice(known, count, replace=False).T
    rest = values.astype(np.float64)
    rest[row, column] = np.nan
    if np.isnan(rest).all(axis=0).any():
        return False
    scales = np.nanstd(rest, axis=0)[column]
    varies = scales > 0
    if not varies.any():
        return False
    epochs = max(1, round(TRIAL_STEPS / -(-len(values) // params["batch_size"])))
    short = {**params, "epochs": min(epochs, params["epochs"])}

    def error_with(scores: NormalScores | None) -> Callable[[threading.Event], float]:
        def run(stop: threading.Event) -> float:
            rows = rest if scores is None else scores.apply(rest)
            ends = [lambda vae, record: stop.is_set()]
            (vae,) = fit_all([_model(short, seed)], rows, n_threads=1, callbacks=ends)
            missed = _fill(vae, rest, scores, n_samples)[row, column] - values[row, column]
            return float(np.mean((missed[varies] / scales[varies]) ** 2))

        return run

    ways = [error_with(None), error_with(NormalScores.learn(rest))]
    plain, scored = run_side_by_side(ways, params["n_threads"])
    return scored < plain
