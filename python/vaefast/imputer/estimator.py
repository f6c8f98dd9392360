"""The imputer of tables, with the methods of scikit-learn's imputers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._bundle import Bundle, read_bundle, write_bundle
from .._engine.display import say
from .._estimator import Transformer
from .._input.feature_names import FeatureNames, check_names, strings_only
from .._input.seeds import seed_from
from .._input.validation import check_features, check_integer
from .._shared import Shared, fitting, publish, reading
from ..errors import not_fitted
from ..tables import Table
from ..tables.frames import is_mixed
from ..tables.table import learn_to_fill
from ..typing import RandomState
from ..vae import VAE
from . import mixed
from .blend import Blend
from .files import blend_from, ranges_from, to_bundle
from .fitting import choose_for, fit_blend, fit_vaes
from .reading import names_out, ranges_of, read

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VAEImputer"]

MOST_SAMPLES = 10**6


class VAEImputer(Shared, Transformer):
    """Imputer that fills missing values with their means given the known values of the row.

    X is a table of numbers, with NaN where a value is missing, or a frame of mixed columns.

    **Numbers.** A VAE is trained on all rows, and estimates the means by importance sampling
    (Mattei & Frellsen 2019, eq. 12). Two normal distributions join it: one of the columns, and one
    of their normal scores, which are the quantiles of a standard normal distribution at the ranks
    of the values. The normal distributions describe linear relations and are quick to learn
    (expectation maximization; Dempster, Laird & Rubin 1977). The imputer fills in a weighted mean
    of the three answers, which stays within the range of the known values of the column.

    The weights are learned from the table. A twentieth of the known values, but at least 50 and at
    most 2,000, are hidden from the models. The weights minimize the squared error of the weighted
    mean at these values, in standard deviations of their columns (stacking; Breiman 1996). The VAE
    sees the columns, or their normal scores if the normal distribution of the scores has the
    smaller error. If a table has fewer than 500 known values, no value is hidden and the models
    have equal weights. If a table has more than 200 columns, the VAE alone fills it. With
    `n_models` above 1, the mean of several VAEs takes the place of the VAE.

    **Mixed columns.** A frame of pandas or polars with text, categories, dates, durations or
    booleans that may be missing, or a dict of columns, is encoded by a `vaefast.tables.Table`. A
    VAE with the likelihoods of the table is trained on the encoded rows, in which a missing value
    adds nothing to the likelihood (Nazabal et al. 2020), and estimates the means in the same way.
    The mean of a category is its probability, and the most probable category is filled in. Numbers
    and dates stay within the range of their column, and keep its decimals or its unit. With
    `n_models` above 1, the answers of the VAEs are averaged. No normal distribution joins them.

    Parameters
    ----------
    vae : VAE or None, default=None
        Unfitted model with missing="mask" that gives the imputer's VAEs their parameters; it is not
        trained itself. "auto" stands for the same values as in `VAE`, but training uses all rows
        for the whole budget and holds out none. With a model, the VAEs see the columns as they are,
        no value is hidden, no normal distribution is learned, and the mean of the VAEs' answers is
        filled in. For mixed columns, `likelihood` and `standardize` of the model are ignored,
        because the table gives the likelihoods and standardizes numbers. None is a gaussian VAE
        with standardize=True, or one with the likelihoods of the table; sizes and budget depend on
        X.
    n_models : int, default=1
        Number of VAEs. More VAEs take longer, and fill in slightly better values.
    n_samples : int, default=100
        Samples of z for each row with missing values and each VAE.
    random_state : int, Generator, RandomState or None, default=None
        Seed s of the first VAE; the others have s + 1, s + 2 and so on. The same seed gives the
        same bits for any number of threads. By default, every fit has a fresh seed.
    n_threads : int or None, default=None
        Number of threads. The VAEs are trained side by side, each on one thread. None is the number
        of CPUs that this process may use.
    verbose : bool, default=False
        Whether `fit` prints what it trains.

    Attributes
    ----------
    models_ : list of VAE
        The fitted VAEs.
    normal_scores_ : bool
        Whether the VAEs see normal scores of the columns.
    weights_ : dict of str to float
        Weights of the answers, which add up to 1: "gaussian" for the normal distribution of the
        columns, "gaussian_scores" for that of their normal scores, and "vae" for the mean of the
        VAEs.
    table_ : Table or None
        Encoder of mixed columns; ``print(table_.summary())`` shows how it encodes each of them.
        None after a fit on numbers.
    ranges_ : ndarray of shape (2, n_features), float64, or None
        Smallest and largest known value of each column of numbers. None after a fit on mixed
        columns.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns. This attribute exists only if X was a frame whose column names are all
        text.

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
    >>> frame = {"city": ["Oslo", "Rome", None] * 50, "sunny": [False, True, True] * 50}
    >>> filled = VAEImputer(random_state=0).fit_transform(frame)
    >>> filled["city"][:3]
    ['Oslo', 'Rome', 'Rome']
    """

    _METADATA = {}

    ranges_: NDArray[np.float64] | None
    _names: FeatureNames | None
    _blend: Blend

    def __init__(
        self,
        vae: VAE | None = None,
        *,
        n_models: int = 1,
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

    def fit(self, X: ArrayLike | Mapping[Any, Any], y: Any = None) -> Self:
        """Learn the distribution of the rows.

        Parameters
        ----------
        X : array-like of shape (n, d), frame, or dict of columns
            Numbers, with NaN where a value is missing, or mixed columns, where None, NaN, NaT, NA
            and null are missing values.
        y : ignored, default=None
            Present for scikit-learn's pipelines.

        Returns
        -------
        VAEImputer
            This estimator.

        Raises
        ------
        TypeError
            An array holds text, or a column of a frame holds lists or other values that
            `vaefast.tables.Table` does not encode; the message names the column.
        ValueError
            A parameter can't be used, X is not a table, or a column has no known value; the message
            names it.
        DivergenceError
            The loss became infinite or NaN.
        """
        with fitting(self):
            self._fit(X)
        return self

    def _fit(self, X: Any) -> None:
        n_models = check_integer(self.n_models, "n_models")
        self._n_samples()
        table = learn_to_fill(X) if is_mixed(X) else None
        if table is None:
            values, names = read(X)
            ranges = ranges_of(values, names)
        else:
            names = strings_only(source.name for source in table.sources)
            values, ranges = table.encode(X), None
        choice = choose_for(self.vae, table, values)
        if self.verbose:
            number = "1 VAE" if n_models == 1 else f"{n_models} VAEs"
            say(f"VAEImputer trains {number}: {choice.text}")
        params = {**choice.params, "n_threads": self.n_threads, "verbose": False}
        seed = seed_from(self.random_state)
        if self.vae is None and table is None:
            rows = values.astype(np.float64)
            blend = fit_blend(rows, params, n_models, self.n_samples, seed, self.n_threads)
        else:
            vaes = fit_vaes([values] * n_models, params, seed, self.n_threads)
            blend = Blend(vaes, False, None, (), np.ones(1))
            for vae in vaes:
                vae.table_ = table
        publish(self, ranges_=ranges, _names=names, _blend=blend)

    @reading
    def transform(self, X: ArrayLike | Mapping[Any, Any]) -> Any:
        """Fill the missing values of X.

        Parameters
        ----------
        X : array-like of shape (n, d), frame, or dict of columns
            The columns of the fit. Mixed columns may be in any order.

        Returns
        -------
        ndarray of shape (n, d), frame, or dict of columns
            X with its missing values filled; known values keep their bits.

            Numbers: an array, of float32 if float32 holds all numbers of the types in X, and of
            float64 otherwise. After `set_output`, the result is a frame.

            Mixed columns: a copy of X of the same library, with the same columns, order, index and
            types. Filled values fit the known ones where ``table_.summary()`` names a relation
            between columns. A known category that the fit did not have is kept, and the model reads
            it as missing. Columns that the table leaves out as identifiers, such as names of the
            rows, keep their missing values.

        Raises
        ------
        NotFittedError
            The imputer is not fitted yet.
        ValueError, TypeError
            X has other columns than the rows of the fit, or `set_output` asks for a frame of
            another library than that of mixed columns.
        """
        if self.table_ is not None:
            mixed.check_container(X, self._container())
            return mixed.transform(self.table_, self._blend, X, self._n_samples())
        values, count = self._read_to_fill(X)
        gaps = np.isnan(values).any(axis=1)
        filled = values.copy()
        if gaps.any():
            rows = values[gaps]
            guess = self._blend.means(rows.astype(np.float64), count)
            filled[gaps] = self._filled(rows, guess)
        return self._in_output(filled, X)

    @reading
    def sample(
        self, X: ArrayLike | Mapping[Any, Any], n: int = 5, *, random_state: RandomState = None
    ) -> NDArray[Any] | list[Any]:
        """Return several completions of X that reflect the uncertainty of the missing values.

        Each row of a completion comes from one model, which is chosen at random by the weights. The
        mean of many completions is therefore what `transform` fills in. The missing values of a row
        are drawn together, given its known values. A VAE draws a code from n_samples samples of z
        by their importance weights, and the values from p(x|z) (Mattei & Frellsen 2019).

        Parameters
        ----------
        X : array-like of shape (rows, d), frame, or dict of columns
            The columns of the fit. Mixed columns may be in any order.
        n : int, default=5
            Number of completions.
        random_state : int, Generator, RandomState or None, default=None
            Seed of the draws.

        Returns
        -------
        ndarray of shape (n, rows, d), or list of n frames
            Completions, for multiple imputation: an array of numbers, or for mixed columns a list
            of frames like that of `transform`. Known values keep their bits, and drawn ones stay
            within the range of their column.

        Raises
        ------
        NotFittedError
            The imputer is not fitted yet.
        ValueError, TypeError
            X has other columns than the rows of the fit, an argument can't be used, or the VAEs are
            plain autoencoders, which have no distribution to draw from.
        """
        self._fitted()
        n, rng = check_integer(n, "n"), np.random.default_rng(seed_from(random_state))
        if self.table_ is not None:
            return mixed.sample(self.table_, self._blend, X, n, self._n_samples(), rng)
        values, count = self._read_to_fill(X)
        gaps = np.isnan(values).any(axis=1)
        out = np.repeat(values[None], n, axis=0)
        if gaps.any():
            rows = values[gaps]
            drawn = self._blend.draws(rows.astype(np.float64), n, count, rng)
            out[:, gaps] = [self._filled(rows, each) for each in drawn]
        return out

    def fit_transform(self, X: ArrayLike | Mapping[Any, Any], y: Any = None) -> Any:
        """Learn the distribution of the rows, and fill the missing values of the same rows.

        Parameters
        ----------
        X : array-like of shape (n, d), frame, or dict of columns
            Numbers or mixed columns with missing values, as in `fit`.
        y : ignored, default=None
            Present for scikit-learn's pipelines.

        Returns
        -------
        ndarray of shape (n, d), frame, or dict of columns
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
    def models_(self) -> list[VAE]:
        """The fitted VAEs."""
        return list(self._fitted().vaes)

    @property
    def table_(self) -> Table | None:
        """Encoder of mixed columns, or None after a fit on numbers."""
        return self.models_[0].table_

    @property
    def normal_scores_(self) -> bool:
        """Whether the VAEs see normal scores of the columns."""
        return self._fitted().sees_scores

    @property
    def weights_(self) -> dict[str, float]:
        """Weights of the answers of the normal distributions and of the VAEs."""
        blend = self._fitted()
        names = ("gaussian", "gaussian_scores", "vae")[-len(blend.weights) :]
        return dict(zip(names, map(float, blend.weights), strict=True))

    @property
    def n_features_in_(self) -> int:
        """Number of columns."""
        vae = self.models_[0]
        return vae.n_features_in_ if vae.table_ is None else len(vae.table_.sources)

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of the frame that the imputer was fitted on."""
        self._fitted()
        if self._names is None:
            raise AttributeError("feature_names_in_: the columns of the fit had no names")
        return np.array(self._names, dtype=object)

    @reading
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns, the same as in the fit.

        Parameters
        ----------
        input_features : sequence of str or None, default=None
            Names of the columns, if the columns of the fit had no names. None is x0, x1, ...

        Raises
        ------
        NotFittedError
            The imputer is not fitted yet.
        ValueError
            The names differ from those of the fit, or their number differs from that of the
            columns.
        """
        return names_out(self._names, self.n_features_in_, input_features)

    @reading
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
        ValueError
            An attribute was edited so that the file could not be loaded again.
        OSError
            The file can't be written.
        """
        blend, own = self._fitted(), {"default_vae": self.vae is None, "n_samples": self.n_samples}
        bundle = to_bundle(blend, {**own, "names": self._names}, self.ranges_)
        write_bundle(path, "imputer", bundle, self._of)

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
            The file is truncated or edited, comes from a later version, or does not hold an
            imputer.
        """
        return read_bundle(path, "imputer", cls._of)

    @classmethod
    def _of(cls, found: Bundle) -> Self:
        """Return the imputer that a file holds."""
        first, fields = found.models[0], found.fields
        vae = None if fields["default_vae"] else VAE(**first.get_params())
        imputer = cls(vae, n_models=len(found.models), n_samples=fields["n_samples"])
        names = None if fields["names"] is None else tuple(fields["names"])
        publish(imputer, ranges_=ranges_from(found), _names=names, _blend=blend_from(found))
        return imputer

    def __sklearn_tags__(self) -> Any:
        """Return the tags by which scikit-learn knows the estimator as an imputer of tables."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = False
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_blend")

    def _read_to_fill(self, X: Any) -> tuple[NDArray[Any], int]:
        """Return the numbers of a table with the columns of the fit, and n_samples, checked."""
        self._fitted()
        values, names = read(X)
        check_names(names, self._names)
        check_features(values, values.shape[1:], self.models_[0].feature_shape_)
        return values, self._n_samples()

    def _n_samples(self) -> int:
        return check_integer(self.n_samples, "n_samples", high=MOST_SAMPLES)

    def _filled(self, values: NDArray[Any], guess: NDArray[Any]) -> NDArray[Any]:
        """Return rows with guesses for missing values, clipped to the range of their columns."""
        assert self.ranges_ is not None
        within = np.clip(guess, *self.ranges_).astype(values.dtype)
        return np.where(np.isnan(values), within, values)

    def _fitted(self) -> Blend:
        if not hasattr(self, "_blend"):
            raise not_fitted("VAEImputer")
        return self._blend
