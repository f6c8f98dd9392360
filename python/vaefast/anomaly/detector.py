"""`AnomalyDetector`, with the methods of the outlier detectors of scikit-learn."""

from __future__ import annotations

import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.container import Part, pack
from .._engine.storage import check_known, parts_of, read_parts
from .._estimator import Estimator
from .._input.seeds import seed_from
from .._input.validation import check_integer, check_number
from .._system.files import atomic_write
from ..errors import not_fitted
from ..typing import RandomState
from ..vae import VAE, from_bytes
from .ensemble import Ensemble

if TYPE_CHECKING:
    from typing_extensions import Self


__all__ = ["AnomalyDetector"]

FREE = ("n_threads", "verbose")  # parameters of a fitted VAE that may be set
OF_VAE = "vae__"  # prefix of the parameters of the VAE


class AnomalyDetector(Estimator):
    """Detector of unusual rows, by an ensemble of small VAEs or by one VAE of yours.

    Without a VAE, `fit` trains an ensemble of 24 small VAEs, each on up to 1,024 random rows of a
    table of numbers. Columns need no scaling, and NaN is a missing value. A row is unusual if it
    lies far from others in the space of reconstructions and residuals, or if its columns are
    unlikely by themselves. With a VAE, a row is unusual if its ELBO or log p(x) is low.

    Parameters
    ----------
    vae : VAE or None, default=None
        None trains the ensemble. A VAE scores rows by itself: if it is fitted, `fit` only sets the
        threshold, preferably on rows that the model was not trained on. If it is not fitted, `fit`
        also trains a copy of it.
    contamination : float, default=0.01
        Share of the rows of `fit` that count as anomalies, above 0 and at most 0.5.
    n_samples : int or None, default=None
        Number of importance samples for each row, with a VAE only. The score is then an estimate of
        log p(x) (Burda et al. 2016, eq. 8): closer than the ELBO, at this many times the cost. None
        scores rows by the ELBO.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the ensemble. The same seed gives the same bits for any number of threads. A VAE has
        a seed of its own.
    n_threads : int or None, default=None
        Number of members of the ensemble that train or score at once. The default is the number of
        CPUs that this process may use. A VAE has a number of its own.

    Attributes
    ----------
    vae_ : VAE
        The fitted model, if a VAE was given.
    offset_ : float
        Threshold. Rows with a lower score are anomalies.
    decision_scores_ : ndarray of shape (n,), float64
        Scores of the rows of `fit` with the opposite sign, as in PyOD: higher is more abnormal.
    threshold_ : float
        Threshold of `decision_scores_`, -offset_: rows above it are anomalies.
    labels_ : ndarray of shape (n,), int64
        1 for the anomalies among the rows of `fit` and 0 for the others, as PyOD has them. The
        labels of `predict` are -1 and 1.
    n_features_in_ : int
        Number of features of one row.
    feature_names_in_ : ndarray of str
        Names of the columns, if the rows of the fit had any.

    Notes
    -----
    Scores of the ensemble have no unit: 0 is a usual row. Scores with a VAE are in nats.

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

    _METADATA = {
        "fit": ("exposure",),
        "predict": ("y", "exposure"),
        "decision_function": ("y", "exposure"),
    }

    offset_: float
    decision_scores_: NDArray[np.float64]
    _scorer: VAE | Ensemble

    def __init__(
        self,
        vae: VAE | None = None,
        contamination: float = 0.01,
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

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows that set the threshold. The share `contamination` of them, the least likely, lies
            below it.
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
        share = check_number(self.contamination, "contamination", above=0)
        if share > 0.5:
            raise ValueError(f"contamination={share!r} must be at most 0.5")
        if self.n_samples is not None:
            check_integer(self.n_samples, "n_samples")
        scorer: VAE | Ensemble
        if self.vae is None:
            if self.n_samples is not None:
                raise ValueError(
                    f"n_samples={self.n_samples!r} is for the log p(x) of a VAE: "
                    "AnomalyDetector(vae, n_samples=...)"
                )
            _refuse_exposure(exposure)
            scorer, scores = Ensemble.fit(X, seed_from(self.random_state), self.n_threads)
        else:
            scorer = _unfrozen(self.vae)
            if not hasattr(scorer, "model_"):
                scorer = deepcopy(scorer).fit(X, y, exposure=exposure)
            scores = self._scores(scorer, X, y, exposure)
        self.offset_ = float(np.percentile(scores, 100 * share))
        self.decision_scores_ = -scores
        self._scorer = scorer
        return self

    def score_samples(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each row: higher is more normal.

        The ensemble's scores have no unit. 0 is a usual row, the median of the fit in both views,
        and the weights of the views are those of their 10..90 % ranges. With a VAE, the score is
        the ELBO, or log p(x) with `n_samples`, in nats.

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

    def decision_function(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each row minus the threshold.

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
            Differences in the unit of `score_samples`. Anomalies are below 0.

        Raises
        ------
        NotFittedError
            The detector is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model.
        """
        return self.score_samples(X, y, exposure=exposure) - self.offset_

    def predict(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Return which rows are anomalies.

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
        ndarray of shape (n,), int64
            -1 for anomalies and 1 for all other rows.

        Raises
        ------
        NotFittedError
            The detector is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model.
        """
        return np.where(self.decision_function(X, y, exposure=exposure) < 0, -1, 1)

    def fit_predict(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Fit on X and return which of the rows are anomalies.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows that set the threshold. The share `contamination` of them, the least likely, lies
            below it.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if a fitted VAE was trained with one.

        Returns
        -------
        ndarray of shape (n,), int64
            -1 for anomalies and 1 for all other rows.

        Raises
        ------
        ValueError, TypeError
            A parameter or the data can't be used.
        DivergenceError
            The loss became infinite or NaN while the VAE was trained.
        """
        return self.fit(X, y, exposure=exposure).predict(X, y, exposure=exposure)

    def contributions(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Return the contribution of each feature to how unusual each row is.

        Features of usual rows contribute too, so look at the difference from usual rows:
        ``contributions(X) - contributions(X_usual).mean(axis=0)``.

        The ensemble's contributions are those of a feature to the distance and to -log p(x|z), in
        the unit of the score. Their sum over a row is minus the score, before both views are
        centred and without the KL divergence. A missing value contributes by its reconstruction
        alone.

        With a VAE, the sum over a row is -log p(x|z) at the posterior mean of z, in nats. A missing
        value contributes nothing. The contribution of a categorical variable appears in the column
        of the category that the row has.

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

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Parameters
        ----------
        **params : object
            New values. vae__NAME sets the parameter NAME of the VAE.

        Returns
        -------
        AnomalyDetector
            This estimator.

        Raises
        ------
        ValueError
            There is no parameter of such a name.
        """
        of_vae = {name: value for name, value in params.items() if name.startswith(OF_VAE)}
        super().set_params(**{name: params[name] for name in params.keys() - of_vae.keys()})
        if not of_vae:
            return self
        if not isinstance(self.vae, VAE):
            raise ValueError(f"vae={self.vae!r} must be a VAE for {next(iter(of_vae))} to be set")
        fixed = [name for name in of_vae if name.removeprefix(OF_VAE) not in FREE]
        if hasattr(self.vae, "model_") and fixed:
            raise ValueError(
                f"{fixed[0]} can't be set: the VAE of this detector is fitted and stays as it is. "
                "Pass a VAE that is not fitted: AnomalyDetector(clone(vae))."
            )
        self.vae.set_params(**{k.removeprefix(OF_VAE): value for k, value in of_vae.items()})
        return self

    def set_predict_request(self, **requests: Any) -> Self:
        """Choose the arguments of `predict` that meta-estimators pass on, such as exposure=True."""
        return self._request("predict", requests)

    def set_decision_function_request(self, **requests: Any) -> Self:
        """Choose the arguments of `decision_function` that meta-estimators pass on."""
        return self._request("decision_function", requests)

    @property
    def vae_(self) -> VAE:
        """The fitted model, if a VAE was given."""
        scorer = self._fitted()
        if isinstance(scorer, Ensemble):
            raise AttributeError("vae_: the scores are those of an ensemble, not of one VAE")
        return scorer

    @property
    def threshold_(self) -> float:
        """Threshold of `decision_scores_`: rows above it are anomalies."""
        self._fitted()
        return -self.offset_

    @property
    def labels_(self) -> NDArray[np.int64]:
        """1 for the anomalies among the rows of `fit` and 0 for the others."""
        self._fitted()
        return (self.decision_scores_ > self.threshold_).astype(np.int64)

    @property
    def n_features_in_(self) -> int:
        """Number of features of one row."""
        return self._fitted().n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns, if the rows of the fit had any."""
        return self._fitted().feature_names_in_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the models and the threshold to one file; `AnomalyDetector.load` reads it.

        The file of an ensemble holds rows of the fit, those that others are compared with: up to
        128 or 256 of each member.

        Parameters
        ----------
        path : path
            The file. It is replaced as a whole or not at all. `vaefast.load` reads a VAE alone.

        Raises
        ------
        NotFittedError
            The detector is not fitted yet.
        OSError
            The file can't be written.
        """
        scorer = self._fitted()
        if isinstance(scorer, Ensemble):
            parts = {"ensemble": scorer.to_part()}
        else:
            parts = parts_of(scorer.model_, training=False)
        seed = self.random_state  # a generator's state does not belong to the file
        parts["detector"] = Part(
            version=1,
            fields={
                "contamination": float(self.contamination),
                "n_samples": self.n_samples,
                "random_state": int(seed) if isinstance(seed, int | np.integer) else None,
                "offset": self.offset_,
            },
            tensors={"decision_scores": self.decision_scores_},
        )
        with atomic_write(path) as temporary:
            temporary.write_bytes(pack(parts))

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
            The file is truncated, edited, of a later version, or no detector.
        """
        data = Path(path).expanduser().read_bytes()
        parts = read_parts(data, str(path))
        if "detector" not in parts:
            raise ValueError(f"{path} is a model, but not a detector: vaefast.load reads it")
        fields = parts["detector"].fields
        try:
            check_known(parts)
            ensemble = "ensemble" in parts
            scorer = Ensemble.from_part(parts["ensemble"]) if ensemble else from_bytes(data)
            detector = cls(
                scorer if isinstance(scorer, VAE) else None,
                fields["contamination"],
                n_samples=fields["n_samples"],
                random_state=fields.get("random_state"),
            )
            detector.offset_ = float(fields["offset"])
            detector.decision_scores_ = parts["detector"].tensors["decision_scores"]
            detector._scorer = scorer
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold a usable detector: {error}") from error
        return detector

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted detector with the same VAE if it is fitted, else with a clone of it.

        scikit-learn's own clone would drop what a fitted VAE has learned, and `fit` would train it
        again on the rows of the threshold.
        """
        from sklearn.base import clone

        as_it_is = self.vae is None or hasattr(_unfrozen(self.vae), "model_")
        vae = self.vae if as_it_is else clone(self.vae)
        twin = type(self)(**{**self.get_params(deep=False), "vae": vae})
        for name in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, name):
                setattr(twin, name, deepcopy(getattr(self, name)))
        return twin

    def __sklearn_tags__(self) -> Any:
        """Return the tags by which scikit-learn knows the estimator as an outlier detector."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type="outlier_detector",
            target_tags=TargetTags(required=False),
            input_tags=InputTags(three_d_array=True, allow_nan=self.vae is None),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_scorer")

    def _fitted(self) -> VAE | Ensemble:
        if not hasattr(self, "_scorer"):
            raise not_fitted("AnomalyDetector")
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


def _refuse_exposure(exposure: ArrayLike | None) -> None:
    if exposure is not None:
        raise ValueError(
            "exposure is for a VAE of counts: AnomalyDetector(VAE(likelihood='poisson'))"
        )


def _unfrozen(vae: Any) -> VAE:
    """Return a VAE, taken out of scikit-learn's FrozenEstimator if it is in one."""
    frozen = sys.modules.get("sklearn.frozen")
    inner = vae.estimator if frozen and isinstance(vae, frozen.FrozenEstimator) else vae
    if not isinstance(inner, VAE):
        raise TypeError(f"vae={vae!r} must be a VAE")
    return inner
