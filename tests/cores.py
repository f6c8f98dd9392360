"""Cores for the tests, and tolerances of float32 against the float64 of ``reference.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from vaefast import _core

Floats = NDArray[np.float32]
Rows = NDArray[np.float32] | NDArray[np.uint8]
Tensors = dict[str, Floats]

EPSILON = float(np.finfo(np.float32).eps)
SLOTS = ("value", "m", "v")


@dataclass(frozen=True)
class Net:
    features: int
    encoder: tuple[int, ...]
    latent_dim: int
    decoder: tuple[int, ...]
    activation: str = "relu"
    likelihood: str = "bernoulli"
    learn_sigma: bool = True

    def core(self, n_threads: int = 1, seed: int = 0, optimizer: str = "adam") -> _core.Core:
        """Return a core with initial weights and an optimizer."""
        core = _core.Core(
            self.features,
            self.encoder,
            self.latent_dim,
            self.decoder,
            self.activation,
            [(self.likelihood, self.features)],
            "per_feature" if self.learn_sigma else "fixed",
            n_threads,
        )
        core.initialize(seed)
        set_optimizer(core, optimizer)
        return core

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of the functions in ``reference.py``."""
        return {"activation": self.activation, "likelihood": self.likelihood}


def set_optimizer(core: _core.Core, name: str) -> None:
    core.set_optimizer(name, momentum=0.9, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.01)


def noise(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def grey(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def sparse(seed: int, n: int, features: int) -> Floats:
    """Return rows of zeros with runs of other numbers.

    The first row and the first quarter of the columns are all zero.
    """
    rng = np.random.default_rng(seed)
    x = np.zeros((n, features), np.float32)
    for row in x[1:]:
        for first in rng.integers(features // 4, features, 3):
            run = row[first : first + rng.integers(1, 9)]
            run[:] = rng.random(len(run))
    x[-1, -1] = -0.0
    return x


def as_floats(x: Rows) -> Floats:
    """Convert rows as the core does: a byte becomes byte / 255, rounded once."""
    floats = x.astype(np.float32)
    return floats / np.float32(255) if x.dtype == np.uint8 else floats


def params_of(core: _core.Core) -> reference.Params:
    """Return the core's weights as parameters of the reference, in float64."""
    return {name: value.astype(np.float64) for name, value in core.tensors().items()}


@dataclass(frozen=True)
class Expected:
    """Exact tensors by name, and the error that NumPy makes in each in float32."""

    exact: Mapping[str, Any]
    slip: Mapping[str, float]


def expected(function: Callable[..., Mapping[str, Any]], *arguments: Any) -> Expected:
    """Return the function's result in float64, and the error of the same formulas in float32.

    The function runs four times in float32, each time with all arguments perturbed in their last
    place. The error of a tensor is the largest error of any element in any run, so it grows only
    with the length of the sums behind the tensor. One unit in the last place of the largest
    element is added, because a tensor may happen to be exact.
    """
    rng = np.random.default_rng(0)

    def cast(value: Any, dtype: type[np.floating[Any]]) -> Any:
        if isinstance(value, dict):
            return {name: cast(inner, dtype) for name, inner in value.items()}
        if dtype is np.float64:
            return np.asarray(value, dtype)
        return (value * (1 + EPSILON * rng.uniform(-1, 1, value.shape))).astype(dtype)

    exact = function(*(cast(a, np.float64) for a in arguments))
    with np.errstate(under="ignore", over="ignore"):
        runs = [function(*(cast(a, np.float32) for a in arguments)) for _ in range(4)]
    slip = {
        name: max(float(np.max(np.abs(run[name] - want))) for run in runs)
        + EPSILON * float(np.max(np.abs(want)))
        for name, want in exact.items()
    }
    return Expected(exact, slip)


def assert_close(got: Mapping[str, Any], expected: Expected, factor: float = 8) -> None:
    """Assert that each tensor's error is at most ``factor`` times that of NumPy in float32."""
    assert sorted(got) == sorted(expected.exact)
    for name, want in expected.exact.items():
        assert got[name].shape == want.shape, name
        error, slip = np.max(np.abs(got[name] - want)), expected.slip[name]  # NaN in got gives NaN
        assert error <= factor * slip, (
            f"{name} is off by {error:.3g} = {error / slip:.3g} times float32's {slip:.3g}; "
            f"its largest element is {np.max(np.abs(want)):.3g}"
        )


def state(core: _core.Core) -> dict[str, bytes]:
    """Return the bits of all tensors in all slots: the weights and the optimizer's moments."""
    return {
        f"{slot} of {name}": tensor.tobytes()
        for slot in SLOTS
        for name, tensor in core.tensors(slot).items()
    }


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a separate interpreter, so that a crash does not end the tests."""
    path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment},
        timeout=120,
    )
