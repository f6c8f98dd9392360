"""Anomalies: the rows that a VAE finds least likely, with scikit-learn's manners of outliers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import NotFittedError
from .vae import VAE
from .validation import check_choice, check_number, check_rows

SMALLEST = 2.0**-25  # of 1 - p: half of the last bit of a float32 just below 1


class AnomalyDetector:
    """Tells the rows apart whose ELBO is unusually low.

    Parameters
    ----------
    vae : VAE
        A fitted one is used as it is, and `fit` sets the threshold alone: best on rows that it was
        not trained on. Of one that is not fitted, `fit` trains a copy.
    contamination : float
        Share of the rows of `fit` that count as anomalies, at most 0.5.

    Attributes
    ----------
    vae_ : VAE
        The fitted model.
    offset_ : float
        The threshold: rows with a lower ELBO are anomalies, nats.

    Examples
    --------
    >>> from vaefast import VAE, AnomalyDetector, datasets
    >>> X = datasets.strokes(2000).X
    >>> vae = VAE(epochs=5, random_state=0, verbose=False).fit(X[:1500])
    >>> detector = AnomalyDetector(vae, contamination=0.02).fit(X[1500:])
    >>> int((detector.predict(X[1500:]) == -1).sum())
    10
    """

    vae_: VAE
    offset_: float

    def __init__(self, vae: VAE, contamination: float = 0.01) -> None:
        self.vae = vae
        self.contamination = contamination

    def fit(self, X: ArrayLike, y: object = None) -> AnomalyDetector:
        """Set the threshold so that the least likely rows of X lie below it; `y` is ignored.

        Raises
        ------
        ValueError, TypeError
            A parameter or the data is not usable.
        """
        share = check_number(self.contamination, "contamination", above=0)
        if share > 0.5:
            raise ValueError(f"contamination={share!r} must be at most 0.5")
        if not isinstance(self.vae, VAE):
            raise TypeError(f"vae={self.vae!r} must be a VAE")
        vae = self.vae if self.vae._is_fitted() else deepcopy(self.vae).fit(X)
        self.offset_ = float(np.percentile(vae.score_samples(X), 100 * share))
        self.vae_ = vae
        return self

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the ELBO of each row, (n,), in nats: the lower, the more abnormal."""
        return self._fitted().score_samples(X)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return how far above the threshold each row is, (n,), in nats: anomalies are below 0."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return -1 for anomalies and 1 for all other rows, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.int64]:
        """Fit on X and return what `predict` says of its rows."""
        return self.fit(X).predict(X)

    def contributions(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return what each feature adds to the reconstruction term, (n, d) or images, in nats.

        The sum over a row is -log p(x|z) at the mean z of its posterior. A feature also costs
        something in a usual row, so what stands out is the difference from usual rows:
        ``contributions(X) - contributions(X_usual).mean(axis=0)``.

        Of likelihood='bernoulli' a feature adds at most 17.3 nats where x is 0. A missing value
        adds nothing.

        Raises
        ------
        ValueError
            The model has another likelihood than bernoulli or gaussian, or X is not usable.
        """
        vae = self._fitted()
        likelihood = vae._fitted["likelihood"]
        if not isinstance(likelihood, str) or likelihood not in _LOSSES:
            raise ValueError(
                "contributions are known of likelihood='bernoulli' and 'gaussian' alone, but that "
                f"of this model is {likelihood!r}"
            )
        mean = vae.reconstruct(X).reshape(-1, vae.n_features_in_).astype(np.float64)
        rows = check_rows(X)[0]
        x = rows / 255.0 if rows.dtype == np.uint8 else rows.astype(np.float64)
        losses = np.where(np.isnan(x), 0, _LOSSES[likelihood](x, mean, vae))
        return losses.reshape(-1, *vae.feature_shape_)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, and with `deep` those of the VAE as vae__NAME."""
        params = {"vae": self.vae, "contamination": self.contamination}
        if deep and hasattr(self.vae, "get_params"):
            params |= {f"vae__{name}": value for name, value in self.vae.get_params().items()}
        return params

    def set_params(self, **params: Any) -> AnomalyDetector:
        """Set parameters by name; vae__NAME is one of the VAE."""
        for name, value in params.items():
            owner, _, inner = name.partition("__")
            if owner == "vae" and inner:
                self.vae.set_params(**{inner: value})
            else:
                check_choice(name, "parameter", tuple(self.get_params(deep=False)))
                setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"AnomalyDetector({self.vae!r}, contamination={self.contamination!r})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn, where it is installed, wants to know of an estimator."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type="outlier_detector",
            target_tags=TargetTags(required=False),
            input_tags=InputTags(three_d_array=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "vae_")

    def _fitted(self) -> VAE:
        if not hasattr(self, "vae_"):
            raise NotFittedError("this AnomalyDetector is not fitted yet: call fit(X) first")
        return self.vae_


def _bernoulli(x: NDArray[Any], p: NDArray[Any], vae: VAE) -> NDArray[np.float64]:
    on = np.log(np.maximum(p, np.finfo(np.float32).tiny))
    return np.asarray(-x * on - (1 - x) * np.log(np.maximum(1 - p, SMALLEST)))


def _gaussian(x: NDArray[Any], mean: NDArray[Any], vae: VAE) -> NDArray[np.float64]:
    log_sigma = vae._core.tensors()["log_sigma"].astype(np.float64)
    residual = (x - mean) / np.exp(log_sigma)
    return np.asarray(residual**2 / 2 + log_sigma + np.log(2 * np.pi) / 2)


_LOSSES = {"bernoulli": _bernoulli, "gaussian": _gaussian}
