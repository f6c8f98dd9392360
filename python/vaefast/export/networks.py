"""The parts of a fitted model that every export reads: layers, columns and a description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._core import COUNTS
from .._engine.fitted import FittedModel
from .._input.likelihoods import Columns
from .._input.standardization import Standardization
from .._version import __version__
from ..vae import VAE

LINEAR_UP_TO = 10.0  # logvar is the raw output r of its head where |r| is at most this
BOUND_WIDTH = 10.0  # beyond, it is sign(r) (10 + 10 tanh((|r| - 10) / 10))

# Larger log rates count as this one, so that rates stay finite in float32. The core's exp stops
# here with AVX-512, and at 88.723 with other instruction sets.
LARGEST_LOG_RATE = 88.376


def fitted(vae: VAE, function: str) -> FittedModel:
    """Return the fitted model of `vae`.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    TypeError
        `vae` is not a VAE.
    """
    if not isinstance(vae, VAE):
        raise TypeError(
            f"{function} needs a fitted VAE, got {type(vae).__name__}; vaefast.load reads a model "
            "from its file"
        )
    return vae.model_


def describe(vae: VAE) -> dict[str, Any]:
    """Return the description of a model that the ONNX files and the .npz file carry.

    Parameters
    ----------
    vae : VAE
        A fitted model.

    Returns
    -------
    dict
        Values that JSON can hold:

        - `vaefast_version`: the version that wrote the export.
        - `latent_dim`, `activation`, `objective`, `missing`, `df`: the model's parameters.
        - `feature_shape`: shape of one row, such as [784] or [28, 28].
        - `feature_names`: names of the features, or None.
        - `likelihood`: a pair [name, number of columns] for each block of columns.
        - `byte_divisor`: 255 if the core divides rows of bytes by 255, otherwise 1.
        - `exposure`: whether the fit had an exposure; rates are then those of one unit.
        - `condition_width`: width of y; 0 for a model that is not conditional.
        - `condition_labels`: labels in the order of the one-hot columns of y, or None.
        - `condition_means`, `condition_scales`: means and scales by which numbers y are
          standardized; empty lists for labels.
        - `standardize`: whether the encoder starts by mapping x to (x - means) / scales, and the
          decoder ends with the inverse map.
        - `normalize`: "l2" if the encoder reads x divided by its length, or None.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    TypeError
        `vae` is not a VAE.
    """
    model = fitted(vae, "describe")
    reader, conditions = model.reader, model.conditions
    labels = None if conditions is None else conditions.classes
    return {
        "vaefast_version": __version__,
        "latent_dim": model.latent_dim,
        "feature_shape": list(model.feature_shape),
        "feature_names": None if model.names is None else list(model.names),
        "likelihood": [list(block) for block in model.columns],
        "activation": model.params["activation"],
        "objective": model.params["objective"],
        "missing": model.params["missing"],
        "df": float(model.params["df"]),
        "byte_divisor": int(model.reader.divisor),
        "exposure": reader.exposed,
        "condition_width": reader.width,
        "condition_labels": None if labels is None else list(labels),
        "condition_means": [] if conditions is None else list(conditions.means),
        "condition_scales": [] if conditions is None else list(conditions.scales),
        "standardize": reader.standardization is not None,
        "normalize": model.params["normalize"],
    }


@dataclass(frozen=True)
class Layer:
    """A dense layer, h -> h @ weight + bias.

    Attributes
    ----------
    weight : ndarray of shape (in, out), float32
    bias : ndarray of shape (out,), float32
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Networks:
    """Encoder and decoder of a fitted model.

    Attributes
    ----------
    layers : mapping of str to Layer
        All layers by name, as in `FittedModel.weights`.
    encoder, decoder : tuple of str
        Names of the hidden layers, in order. The heads are mu, logvar and output.
    activation : str
        Activation of the hidden layers.
    columns : Columns
        Likelihoods of the features.
    missing : bool
        Whether NaN stands for a missing value.
    width : int
        Number of conditions of one row; 0 for a model that is not conditional.
    means, scales : ndarray of shape (width,), float32, or (0,)
        Mean and standard deviation by which numbers y are standardized; empty for labels.
    normalized : bool
        Whether the first layer reads x divided by its length.
    standardization : Standardization or None
        The map from x to what the first layer reads, and from the last layer to E[x|z].
    """

    layers: Mapping[str, Layer]
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    activation: str
    columns: Columns
    missing: bool
    width: int
    means: NDArray[np.float32]
    scales: NDArray[np.float32]
    normalized: bool
    standardization: Standardization | None

    @classmethod
    def of(cls, model: FittedModel) -> Networks:
        """Return the networks of a fitted model, with copies of the weights."""
        tensors = model.weights()
        names = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
        return cls(
            {name: Layer(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names},
            tuple(name for name in names if name.startswith("encoder.")),
            tuple(name for name in names if name.startswith("decoder.")),
            model.params["activation"],
            model.columns,
            model.reader.missing,
            model.reader.width,
            np.array(getattr(model.conditions, "means", ()), np.float32),
            np.array(getattr(model.conditions, "scales", ()), np.float32),
            model.params["normalize"] is not None,
            model.reader.standardization,
        )

    @property
    def features(self) -> int:
        """Number of features of one row."""
        return len(self.layers["output"].bias)

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions."""
        return len(self.layers["mu"].bias)

    @property
    def reads_counts(self) -> bool:
        """Whether the encoder replaces any column x by log(1 + x)."""
        return any(likelihood in COUNTS for likelihood, _ in self.columns)
