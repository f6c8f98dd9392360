"""The conventions of scikit-learn and PyOD for a detector, beyond its scores."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._estimator import Estimator
from .._shared import Shared, reading
from ..errors import not_fitted
from ..vae import VAE

if TYPE_CHECKING:
    from typing_extensions import Self

FREE = ("n_threads", "verbose")  # parameters that may be set on a fitted VAE
OF_VAE = "vae__"  # prefix of the parameters of the VAE


class OutlierDetector(Shared, Estimator, ABC):
    """Base of a detector with scores, a threshold and an optional VAE."""

    _METADATA = {
        "fit": ("exposure",),
        "predict": ("y", "exposure"),
        "decision_function": ("y", "exposure"),
    }

    vae: VAE | None
    offset_: float
    decision_scores_: NDArray[np.float64]

    @abstractmethod
    def fit(self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None) -> Self:
        """Set `offset_` and `decision_scores_`."""

    @abstractmethod
    def score_samples(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each row: higher is more normal."""

    @reading
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

    @reading
    def predict(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Return -1 for each row that is an anomaly, and 1 for all other rows.

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
        """Fit on X, and return -1 for each row that is an anomaly and 1 for all other rows.

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

    @property
    def threshold_(self) -> float:
        """Threshold of `decision_scores_`. Rows with a higher score are anomalies."""
        self._check_fitted()
        return -self.offset_

    @property
    @reading
    def labels_(self) -> NDArray[np.int64]:
        """1 for the anomalies among the rows of `fit` and 0 for the others."""
        self._check_fitted()
        return (self.decision_scores_ > self.threshold_).astype(np.int64)

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
            No parameter has such a name.
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

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted detector with the same VAE if it is fitted, else with a clone of it.

        scikit-learn's own clone would drop the weights of a fitted VAE, and `fit` would train the
        VAE again, on the rows that set the threshold.
        """
        from sklearn.base import clone

        as_it_is = self.vae is None or hasattr(unfrozen(self.vae), "model_")
        vae = self.vae if as_it_is else clone(self.vae)
        twin = type(self)(**{**self.get_params(deep=False), "vae": vae})
        for name in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, name):
                setattr(twin, name, deepcopy(getattr(self, name)))
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Any:
        """Return the tags by which scikit-learn knows the estimator as an outlier detector."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type="outlier_detector",
            target_tags=TargetTags(required=False),
            input_tags=InputTags(
                three_d_array=True, allow_nan=self.vae is None, sparse=self.vae is not None
            ),
        )

    def _check_fitted(self) -> None:
        if not hasattr(self, "offset_"):
            raise not_fitted(type(self).__name__)


def unfrozen(vae: Any) -> VAE:
    """Return a VAE, taken out of scikit-learn's FrozenEstimator if it is in one."""
    frozen = sys.modules.get("sklearn.frozen")
    inner = vae.estimator if frozen and isinstance(vae, frozen.FrozenEstimator) else vae
    if not isinstance(inner, VAE):
        raise TypeError(f"vae={vae!r} must be a VAE")
    return inner
