"""Anomalies: the rows that a VAE finds least likely, with scikit-learn's manners of outliers.

Of a conditional model y goes with X everywhere, and of rates per unit their exposure.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._estimator import Estimator
from ._input.validation import check_integer, check_number
from .errors import NotFittedError
from .vae import VAE

if TYPE_CHECKING:
    from typing_extensions import Self


OF_VAE = "vae__"  # begins a parameter of the VAE


class AnomalyDetector(Estimator):
    """Tells the rows apart whose score, the ELBO or log p(x), is unusually low.

    Parameters
    ----------
    vae : VAE
        A fitted one is used as it is, and `fit` sets the threshold alone: best on rows that it was
        not trained on. Of one that is not fitted, `fit` trains a copy.
    contamination : float
        Share of the rows of `fit` that count as anomalies, at most 0.5.
    n_samples : int or None
        None scores rows by their ELBO; a number by log p(x), estimated from so many importance
        samples: closer, and so many times slower (see `VAE.log_likelihood`).

    Attributes
    ----------
    vae_ : VAE
        The fitted model.
    offset_ : float
        The threshold: rows with a lower score are anomalies, nats.

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

    def __init__(
        self, vae: VAE, contamination: float = 0.01, *, n_samples: int | None = None
    ) -> None:
        self.vae = vae
        self.contamination = contamination
        self.n_samples = n_samples

    def fit(self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None) -> Self:
        """Set the threshold so that the least likely rows of X lie below it.

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
        if self.n_samples is not None:
            check_integer(self.n_samples, "n_samples")
        fitted = hasattr(self.vae, "model_")
        vae = self.vae if fitted else deepcopy(self.vae).fit(X, y, exposure=exposure)
        self.offset_ = float(np.percentile(self._scores(vae, X, y, exposure), 100 * share))
        self.vae_ = vae
        return self

    def score_samples(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each row, (n,), in nats: the lower, the more abnormal."""
        return self._scores(self._fitted(), X, y, exposure)

    def decision_function(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return how far above the threshold each row is, (n,), in nats: anomalies are below 0."""
        return self.score_samples(X, y, exposure=exposure) - self.offset_

    def predict(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Return -1 for anomalies and 1 for all other rows, (n,)."""
        return np.where(self.decision_function(X, y, exposure=exposure) < 0, -1, 1)

    def fit_predict(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Fit on X and return what `predict` says of its rows."""
        return self.fit(X, y, exposure=exposure).predict(X, y, exposure=exposure)

    def contributions(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Return what each feature adds to the reconstruction term, (n, d) or images, in nats.

        The sum over a row is -log p(x|z) at the mean z of its posterior. A feature also costs
        something in a usual row, so what stands out is the difference from usual rows:
        ``contributions(X) - contributions(X_usual).mean(axis=0)``.

        A missing value adds nothing. What a categorical variable adds stands at the column of the
        row's own category.
        """
        model = self._fitted().model_
        return model.contributions(model.reader.read_to_score(X, y, exposure))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, and with `deep` those of the VAE as vae__NAME."""
        params = super().get_params()
        if deep and isinstance(self.vae, VAE):
            params |= {f"{OF_VAE}{name}": value for name, value in self.vae.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; vae__NAME is one of the VAE."""
        of_vae = {name: value for name, value in params.items() if name.startswith(OF_VAE)}
        super().set_params(**{name: params[name] for name in params.keys() - of_vae.keys()})
        self.vae.set_params(**{k.removeprefix(OF_VAE): value for k, value in of_vae.items()})
        return self

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

    def _scores(
        self, vae: VAE, X: ArrayLike, y: Any, exposure: ArrayLike | None
    ) -> NDArray[np.float64]:
        if self.n_samples is None:
            return vae.score_samples(X, y, exposure=exposure)
        return vae.log_likelihood(
            X, y, exposure=exposure, n_samples=self.n_samples, verbose=False
        ).rows
