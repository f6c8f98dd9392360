"""`AnomalyDetector`, with the methods of the outlier detectors of scikit-learn."""

from __future__ import annotations

import os
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._bundle import Bundle, read_bundle, write_bundle
from .._input.seeds import seed_from
from .._input.sparse import is_scipy_sparse
from .._input.validation import check_integer, check_number
from .._shared import fitting, publish, reading
from ..typing import RandomState
from ..vae import VAE
from .conventions import OutlierDetector, unfrozen
from .ensemble import Ensemble
from .files import bundle_of, ensemble_from
from .thresholds import automatic_threshold, p_values

if TYPE_CHECKING:
    from typing_extensions import Self


__all__ = ["AnomalyDetector"]


class AnomalyDetector(OutlierDetector):
    """Detector of unusual rows, by an ensemble of small VAEs or by your own VAE.

    Without a VAE, `fit` trains an ensemble of 24 small VAEs, each on up to 1,024 random rows of a
    table of numbers or of mixed columns. Columns need no scaling, and NaN is a missing value. A row
    is unusual if it lies far from other rows in the space of reconstructions and residuals, or if
    its values are unlikely. With a VAE, a row is unusual if its ELBO or log p(x) is low.

    Parameters
    ----------
    vae : VAE or None, default=None
        None trains the ensemble. A VAE takes the place of the ensemble. If the VAE is fitted, `fit`
        only sets the threshold, preferably on rows that the VAE was not trained on. If it is not
        fitted, `fit` also trains a copy of it.
    contamination : float or "auto", default="auto"
        Share of the rows of `fit` that count as anomalies, above 0 and at most 0.5. With "auto",
        the anomalies are the rows whose scores lie more than 3.5 robust standard deviations below
        the median, so their number depends on the data. Even if no row is truly anomalous, a few
        percent of the rows are flagged.
    n_samples : int or None, default=None
        Number of importance samples for each row, for a VAE only. The score is then an estimate of
        log p(x) (Burda et al. 2016, eq. 8), which is closer to log p(x) than the ELBO and takes
        this many times as long. None scores rows by the ELBO.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the ensemble. The same seed gives the same bits for any number of threads. A VAE
        uses its own seed.
    n_threads : int or None, default=None
        Number of members of the ensemble that train or score at once. None is the number of CPUs
        that this process may use. A VAE uses its own number of threads.

    Attributes
    ----------
    vae_ : VAE
        The fitted model, if a VAE was given.
    offset_ : float
        Threshold. Rows with a lower score are anomalies.
    decision_scores_ : ndarray of shape (n,), float64
        Scores of the rows of `fit`, with the sign reversed as in PyOD: higher is more abnormal.
    threshold_ : float
        Threshold of `decision_scores_`, equal to -offset_. Rows with a higher score are anomalies.
    labels_ : ndarray of shape (n,), int64
        1 for the anomalies among the rows of `fit` and 0 for the others, as in PyOD. `predict`
        returns -1 and 1 instead.
    n_features_in_ : int
        Number of features of one row, or of columns of a frame.
    feature_names_in_ : ndarray of str
        Names of the columns, if the rows of the fit had any.

    Notes
    -----
    Scores of the ensemble have no unit; a usual row scores about 0. Scores of a VAE are in nats.

    Examples
    --------
    >>> import numpy as np
    >>> from vaefast import AnomalyDetector
    >>> X = np.random.default_rng(0).normal(size=(500, 4))
    >>> X[0] = [5, -5, 5, -5]
    >>> detector = AnomalyDetector(contamination=0.02, random_state=0).fit(X)
    >>> int((detector.predict(X) == -1).sum()), int(detector.score_samples(X).argmin())
    (10, 0)

    >>> from vaefast import VAE, datasets
    >>> X = datasets.strokes(2000).X
    >>> vae = VAE(epochs=5, random_state=0, verbose=False).fit(X[:1500])
    >>> detector = AnomalyDetector(vae, contamination=0.02).fit(X[1500:])
    >>> int((detector.predict(X[1500:]) == -1).sum())
    10
    """

    _scorer: VAE | Ensemble
    _scores_of_new: NDArray[np.float64] | None  # of rows new to the models

    def __init__(
        self,
        vae: VAE | None = None,
        contamination: float | Literal["auto"] = "auto",
        *,
        n_samples: int | None = None,
        random_state: RandomState = None,
        n_threads: int | None = None,
    ) -> None:
        self.vae = vae
        self.contamination = contamination
        self.n_samples = n_samples
        self.random_state = random_state
        self.n_threads = n_threads

    def fit(self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None) -> Self:
        """Train the ensemble, or a VAE that is not fitted, and set the threshold.

        The ensemble also takes frames of pandas or polars, and dicts of columns, with text,
        categories, booleans, dates and durations. Text, categories, booleans and whole numbers with
        at most two values become one-hot columns: one for each of the 100 most frequent values, and
        one for all others, values that are new to the detector included. Dates and durations count
        as numbers. Text that names the rows or consists of remarks is ignored, and so are whole
        numbers that count the rows of such a frame.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows that set the threshold. They may include a few percent of anomalies.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if a fitted VAE was trained with one.

        Returns
        -------
        AnomalyDetector
            This estimator.

        Raises
        ------
        ValueError, TypeError
            A parameter or the data can't be used.
        DivergenceError
            The loss became infinite or NaN while the VAE was trained.
        """
        with fitting(self):
            self._fit(X, y, exposure)
        return self

    def _fit(self, X: ArrayLike, y: Any, exposure: ArrayLike | None) -> None:
        share = _check_contamination(self.contamination)
        if self.n_samples is not None:
            check_integer(self.n_samples, "n_samples", high=10**6)
        scorer: VAE | Ensemble
        scores_of_new: NDArray[np.float64] | None
        if self.vae is None:
            if self.n_samples is not None:
                raise ValueError(
                    f"n_samples={self.n_samples!r} is for the log p(x) of a VAE: "
                    "AnomalyDetector(vae, n_samples=...)"
                )
            _refuse_exposure(exposure)
            _refuse_sparse(X)
            seed = seed_from(self.random_state)
            scorer, scores, scores_of_new = Ensemble.fit(X, seed, self.n_threads)
        else:
            scorer = unfrozen(self.vae)
            is_fitted = hasattr(scorer, "model_")
            if not is_fitted:
                scorer = deepcopy(scorer).fit(X, y, exposure=exposure)
            scores = self._scores(scorer, X, y, exposure)
            scores_of_new = scores if is_fitted else None
        if share is None:
            offset = automatic_threshold(scores if scores_of_new is None else scores_of_new)
        else:
            offset = float(np.percentile(scores, 100 * share))
        publish(
            self,
            offset_=offset,
            decision_scores_=-scores,
            _scores_of_new=scores_of_new,
            _scorer=scorer,
        )

    @reading
    def score_samples(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each row: higher is more normal.

        The ensemble's scores have no unit. Each score is minus the sum of two views of the row, its
        distance and minus its ELBO. Each view is centred on its median over the rows of the fit and
        divided by its range from the 10th to the 90th percentile. The ELBO counts half, or as much
        as the distance if a frame has categories. A usual row therefore scores about 0. With a VAE,
        the score is the ELBO, or log p(x) with `n_samples`, in nats.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one.

        Returns
        -------
        ndarray of shape (n,), float64
            Scores. Lower is more abnormal.

        Raises
        ------
        NotFittedError
            The detector is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model.
        """
        return self._scores(self._fitted(), X, y, exposure)

    @reading
    def p_values(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return a p-value for each row, which tells how rare rows as unusual as this one are.

        The conformal p-value of Bates et al. (2023) is p = (1 + number of known rows with at most
        this score) / (1 + number of known rows). The known rows are those of the fit, at most
        10,000. They are scored as new rows are: each by the members of the ensemble that were not
        trained on it. With a fitted VAE, the known rows are those of `fit`, on which the VAE must
        not have been trained.

        For a new row from the same source as the rows of the fit, p is at most q with a probability
        of about q, whatever the distribution. Among usual new rows, a share of about q therefore
        has p <= q. No p-value is below 1 / (1 + number of known rows). Anomalies among the rows of
        the fit raise p-values: if 2 % of the known rows are more unusual than a new row, the
        p-value of that row is above 0.02. To get small p-values, fit on rows that are as clean as
        possible. The p-values of the rows of the fit themselves are mere ranks, and small ones
        prove nothing.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            New rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one.

        Returns
        -------
        ndarray of shape (n,), float64
            p-values, above 0 and at most 1. Lower is more abnormal.

        Raises
        ------
        NotFittedError
            The detector is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model; or `fit` trained the VAE on all of its rows, so
            no other rows are left to compare with.
        """
        scorer = self._fitted()
        if self._scores_of_new is None:
            raise ValueError(
                "p_values needs rows that the VAE was not trained on, but fit trained it on all of "
                "its rows: AnomalyDetector(vae.fit(X_train)).fit(X_other).p_values(X_new)"
            )
        return p_values(self._scores(scorer, X, y, exposure), self._scores_of_new)

    @reading
    def contributions(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Return the contribution of each feature to how unusual each row is.

        The features of usual rows contribute, too, so compare contributions with those of usual
        rows: ``contributions(X) - contributions(X_usual).mean(axis=0)``.

        With the ensemble, a feature contributes to the distance and to -log p(x|z), in the unit of
        the score. The sum of the contributions of a row is minus its score, before both views are
        centred and without the KL divergence. A missing value contributes as much as its column
        does in usual rows. In a frame of mixed columns, each column has one contribution.

        With a VAE, the contributions of a row add up to -log p(x|z) at the posterior mean of z, in
        nats. A missing value contributes 0. A categorical variable contributes in the column of the
        row's category.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one.

        Returns
        -------
        ndarray of shape (n, d) or images, float32
            Contributions. Higher is more abnormal.

        Raises
        ------
        NotFittedError
            The detector is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model.
        """
        scorer = self._fitted()
        if isinstance(scorer, Ensemble):
            _refuse_exposure(exposure)
            return scorer.contributions(X)
        return scorer.model_.contributions(scorer.model_.reader.read_to_score(X, y, exposure))

    @property
    def vae_(self) -> VAE:
        """The fitted model, if a VAE was given."""
        scorer = self._fitted()
        if isinstance(scorer, Ensemble):
            raise AttributeError("vae_: the scores are those of an ensemble, not of one VAE")
        return scorer

    @property
    def n_features_in_(self) -> int:
        """Number of features of one row."""
        return self._fitted().n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns, if the rows of the fit had any."""
        return self._fitted().feature_names_in_

    @reading
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the models and the threshold to one file; `AnomalyDetector.load` reads it.

        The file of an ensemble contains rows of the fit, with which other rows are compared: up to
        256 for each member.

        Parameters
        ----------
        path : path
            The file. It is replaced as a whole or not at all. If the detector has a VAE,
            `vaefast.load` reads that alone.

        Raises
        ------
        NotFittedError
            The detector is not fitted yet.
        ValueError
            An attribute was edited so that the file could not be loaded again.
        OSError
            The file can't be written.
        """
        scorer = self._fitted()
        is_vae = isinstance(scorer, VAE)
        bundle = Bundle([scorer]) if isinstance(scorer, VAE) else bundle_of(scorer)
        seed = self.random_state  # a file can't hold the state of a generator
        bundle.fields |= {
            "contamination": _check_contamination(self.contamination),
            "n_samples": self.n_samples,
            "random_state": int(seed) if isinstance(seed, int | np.integer) else None,
            "offset": self.offset_,
        }
        bundle.tensors["decision_scores"] = self.decision_scores_
        if self._scores_of_new is not None:
            bundle.tensors["scores_of_new"] = self._scores_of_new
        write_bundle(path, "detector", bundle, self._of, leading=is_vae)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a detector that `save` wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        AnomalyDetector
            A fitted detector.

        Raises
        ------
        FileNotFoundError
            The file does not exist.
        ValueError
            The file is truncated or edited, comes from a later version, or does not hold a
            detector.
        """
        return read_bundle(path, "detector", cls._of)

    @classmethod
    def _of(cls, found: Bundle) -> Self:
        """Return the detector that a file holds."""
        fields, tensors = found.fields, found.tensors
        is_ensemble = "ensemble" in fields
        scorer = ensemble_from(found) if is_ensemble else found.models[0]
        share = fields["contamination"]
        detector = cls(
            scorer if isinstance(scorer, VAE) else None,
            "auto" if share is None else share,
            n_samples=fields["n_samples"],
            random_state=fields["random_state"],
        )
        publish(
            detector,
            offset_=float(fields["offset"]),
            decision_scores_=tensors["decision_scores"],
            _scores_of_new=tensors.get("scores_of_new"),
            _scorer=scorer,
        )
        return detector

    def _fitted(self) -> VAE | Ensemble:
        self._check_fitted()
        return self._scorer

    def _scores(
        self, scorer: VAE | Ensemble, X: ArrayLike, y: Any, exposure: ArrayLike | None
    ) -> NDArray[np.float64]:
        if isinstance(scorer, Ensemble):
            _refuse_exposure(exposure)
            return scorer.score(X, self.n_threads)
        if self.n_samples is None:
            return scorer.score_samples(X, y, exposure=exposure)
        return scorer.log_likelihood(
            X, y, exposure=exposure, n_samples=self.n_samples, verbose=False
        ).rows


def _refuse_sparse(X: Any) -> None:
    if is_scipy_sparse(X):
        raise TypeError(
            "X is sparse, and AnomalyDetector() scales the columns of dense tables: pass a VAE for "
            "sparse rows, such as AnomalyDetector(VAE(likelihood='poisson')), or X.toarray()"
        )


def _refuse_exposure(exposure: ArrayLike | None) -> None:
    if exposure is not None:
        raise ValueError(
            "exposure is for a VAE of counts: AnomalyDetector(VAE(likelihood='poisson'))"
        )


def _check_contamination(contamination: Any) -> float | None:
    """Return the share of anomalies, or None for "auto"."""
    if isinstance(contamination, str) and contamination == "auto":
        return None
    if isinstance(contamination, str):
        raise ValueError(f'contamination={contamination!r} must be "auto" or a number up to 0.5')
    share = check_number(contamination, "contamination", above=0)
    if share > 0.5:
        raise ValueError(f"contamination={share!r} must be at most 0.5")
    return share
