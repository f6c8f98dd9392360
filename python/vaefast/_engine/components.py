"""Training on the principal components of the rows, and folding the result into a full network.

Photographs differ in far fewer ways than they have pixels. The network is trained on the
coordinates of the rows along a few hundred principal components. Its first and last layers are then
multiplied by the components, which gives an ordinary network from pixels to pixels. With one fixed
sigma, this network has the loss of the small one plus a constant, because components are
orthonormal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._core import permutation
from .._input.reader import Reader
from .._input.rows import AnyRows, RowData, Rows, matrix_of, parts_of, select
from .._input.sources import Source
from .._input.sparse import SparseMatrix
from .._input.stream import Stream
from .._input.validation import check_integer
from ..typing import Record
from . import training
from .building import Params
from .fit import Fit
from .fitted import FittedModel
from .processes import ALONE, Processes

Floats = NDArray[np.float32]

LEARNED_FROM = 2_048  # most rows to learn from; variance that these do not show is noise
CHUNK = 1 << 23  # numbers converted to float32 at a time: 32 MB
LARGEST = 0.7  # standard deviation of the first component, as the network sees it
FITTING = "components need likelihood='gaussian' and a sigma that is a number"


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of rows.

    Attributes
    ----------
    mean : ndarray of shape (features,), float32
    axes : ndarray of shape (features, count), float32
        Orthonormal columns, from the largest variance to the smallest.
    scale : float
        Factor of the coordinates, which gives those along the first axis a standard deviation of
        LARGEST.
    """

    mean: Floats
    axes: Floats
    scale: float

    @classmethod
    def learn(cls, rows: AnyRows, count: int, seed: int) -> Components:
        """Return at most `count` components, or fewer if fewer rows or features differ."""
        n = len(rows)
        chosen = np.sort(permutation(n, seed, 0, min(n, LEARNED_FROM)))
        some = _floats(rows[chosen])
        mean = some.mean(axis=0, dtype=np.float64).astype(np.float32)
        some -= mean
        tall = len(some) > some.shape[1]
        gram = (some.T @ some if tall else some @ some.T).astype(np.float64)
        variances, vectors = np.linalg.eigh(gram)
        largest = max(float(variances[-1]), 1e-12)
        kept = np.flatnonzero(variances > 1e-9 * largest)[::-1][:count]
        if not len(kept):  # all rows are equal
            kept = np.array([len(variances) - 1])
        axes = vectors[:, kept]
        if not tall:
            axes = some.T @ (axes / np.sqrt(np.maximum(variances[kept], 1e-12))).astype(np.float32)
        deviation = math.sqrt(largest / len(some))
        return cls(mean, np.ascontiguousarray(axes, np.float32), LARGEST / deviation)

    def project(self, rows: AnyRows) -> tuple[Rows, float]:
        """Return the scaled coordinates of rows with their weights, and the part that is left out.

        The second result is the weighted mean over the rows of the squared distance that the
        components leave out.
        """
        n, features = matrix_of(rows).shape
        coordinates = np.empty((n, self.axes.shape[1]), np.float32)
        left = np.empty(n)
        step = max(1, CHUNK // features)
        for first in range(0, n, step):
            part = _floats(rows[first : first + step]) - self.mean
            found = part @ self.axes
            coordinates[first : first + step] = found
            lengths = np.einsum("ij,ij->i", part, part) - np.einsum("ij,ij->i", found, found)
            left[first : first + step] = np.maximum(lengths, 0)
        coordinates *= np.float32(self.scale)
        parts = parts_of(rows)
        if all(part is None for part in parts):
            return coordinates, float(left.mean())
        return RowData(coordinates, 1.0, False, *parts), float(np.average(left, weights=parts[2]))

    def outside(self, sigma: float, left: float) -> float:
        """Return the nats of -log p(x|z) per row that the components leave out.

        Parameters
        ----------
        sigma : float
            Scale of the gaussian likelihood.
        left : float
            Mean squared distance that the components leave out, as `project` returns it.
        """
        density = math.log(sigma) + 0.5 * math.log(2 * math.pi)
        features, count = self.axes.shape
        outside = (features - count) * density - count * math.log(self.scale)
        return float(left / (2 * sigma**2) + outside)

    def fold(self, tensors: dict[str, Floats]) -> dict[str, Floats]:
        """Return the weights of the same network on whole rows."""
        folded = dict(tensors)
        count = self.axes.shape[1]
        reading = self.scale * self.axes.astype(np.float64)
        first = ["encoder.0"] if "encoder.0.weight" in tensors else ["mu", "logvar"]
        for name in first:
            weight = tensors[f"{name}.weight"]
            seen = reading @ weight[:count]
            folded[f"{name}.weight"] = np.concatenate([seen, weight[count:]]).astype(np.float32)
            folded[f"{name}.bias"] = (tensors[f"{name}.bias"] - self.mean @ seen).astype(np.float32)
        writing = self.axes.T.astype(np.float64) / self.scale
        folded["output.weight"] = (tensors["output.weight"] @ writing).astype(np.float32)
        log_sigma = tensors["log_sigma"].flat[0] - math.log(self.scale)
        folded["log_sigma"] = np.full(len(self.mean), log_sigma, np.float32)
        folded["output.bias"] = (self.mean + tensors["output.bias"] @ writing).astype(np.float32)
        return folded


def train(
    fit: Fit, callbacks: Sequence[Callable[[Record], object]], publish: Callable[[], None]
) -> None:
    """Train a model as `training.train` does, on principal components if it has any.

    Only a `whole` fit, which starts from fresh weights, uses components. Later training uses the
    folded network. `publish` is called after the first epoch, when others may see the model. With
    components, it is called when a callback needs the model, because folding takes as long as an
    epoch of few rows.
    """
    model = fit.model
    if model.params["components"] is None or not fit.whole:
        training.train(fit, [lambda record: publish(), *callbacks])
        return
    components, inner = _inside(fit)

    def forward(callback: Callable[[Record], object]) -> Callable[[Record], object]:
        def call(_: Record) -> object:
            _adopt(inner.model, components, model)
            publish()
            return callback({key: deepcopy(values[-1]) for key, values in model.history.items()})

        return call

    try:
        training.train(inner, [forward(callback) for callback in callbacks])
    finally:
        _adopt(inner.model, components, model)
        model.interrupted = inner.model.interrupted


def _inside(fit: Fit) -> tuple[Components, Fit]:
    """Return the components of the rows of a fit, and the fit of the network that sees them."""
    model = fit.model
    used = fit.rows if fit.chosen is None else select(fit.rows, fit.chosen)
    components = Components.learn(used, model.params["components"], model.seed)
    sigma, watched, watched_left = float(model.params["sigma"]), None, 0.0
    rows, left = components.project(used)
    if fit.validation is not None:
        watched, watched_left = components.project(fit.validation)
    outside = components.outside(sigma, left), components.outside(sigma, watched_left)
    params = {**model.params, "components": None}
    reader = Reader.of({**params, "sigma": sigma}, (components.axes.shape[1],))
    small = FittedModel.start(
        {**params, "sigma": sigma * components.scale},
        replace(reader, conditions=model.conditions),
        rows,
        model.seed,
    )
    config = replace(fit.config, outside=outside)
    return components, Fit(small, rows, config, watched, state=fit.state)


def _adopt(inner: FittedModel, components: Components, model: FittedModel) -> None:
    """Give a model the weights and the history of the network of its components."""
    tensors, history = components.fold(inner.weights()), deepcopy(inner.history)
    with model.access.changing:  # others may read a model that a callback has published
        model.core.set_tensors(tensors)
        model.core.optimizer_steps = inner.core.optimizer_steps
        model.history = history


def check_components(
    params: Params, rows: AnyRows | Source, has_checkpoint: bool, processes: Processes = ALONE
) -> None:
    """Raise ValueError or TypeError unless the model can be trained on these components."""
    if params["components"] is None:
        return
    if isinstance(rows, Stream | Source):
        raise ValueError(
            "components need rows in memory: pass an array, or train on all features with "
            "components=None"
        )
    if isinstance(matrix_of(rows), SparseMatrix):
        raise ValueError(
            "components need dense rows: pass X.toarray(), or train on all features with "
            "components=None"
        )
    if processes.size > 1:
        raise ValueError(
            "training on principal components takes minutes in one process and can't be shared: "
            "leave comm out, or train on all features with components=None"
        )
    if has_checkpoint:
        raise ValueError(
            "training on principal components takes minutes and has no checkpoint: leave the "
            "checkpoint out, or train on all features with components=None"
        )
    check_integer(params["components"], "components")
    if params["likelihood"] != "gaussian" or isinstance(params["sigma"], str):
        raise ValueError(
            f"{FITTING}, such as sigma=0.08, got likelihood={params['likelihood']!r} and "
            f"sigma={params['sigma']!r}"
        )
    for name, value in (("missing", "error"), ("standardize", False), ("normalize", None)):
        if params[name] != value:
            raise ValueError(f"components needs {name}={value!r}, got {params[name]!r}")


def _floats(rows: Rows) -> Floats:
    """Return the numbers that a network sees, as a new matrix."""
    matrix = matrix_of(rows)
    if isinstance(matrix, SparseMatrix):  # validation rows
        matrix = matrix.toarray()
    floats: Floats = matrix.astype(np.float32)
    if matrix.dtype != np.uint8:
        return floats
    divisor = rows.divisor if isinstance(rows, RowData) else 255.0
    return floats / np.float32(divisor)
