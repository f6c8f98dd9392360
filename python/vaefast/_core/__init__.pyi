from collections.abc import Callable, Mapping, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from . import kernels as kernels

VARIABLE: str
ISA: str
SUPPORTED: tuple[str, ...]
ACTIVATIONS: tuple[str, ...]
LIKELIHOODS: tuple[str, ...]
COUNTS: tuple[str, ...]
SCALES: dict[str, str]
OPTIMIZERS: tuple[str, ...]
EIGEN_VERSION: str

def choose(supported: tuple[str, ...], forced: str | None) -> str: ...
def value_range(x: NDArray[np.float32]) -> tuple[float, float]: ...
def permutation(n: int, seed: int, epoch: int, count: int | None = None) -> NDArray[np.int64]: ...

class Sparse:
    def __init__(
        self,
        starts: NDArray[np.int64],
        columns: NDArray[np.int32],
        values: NDArray[np.float32] | NDArray[np.uint8],
        features: int,
    ) -> None: ...

class Data:
    def __init__(
        self,
        x: NDArray[np.float32] | NDArray[np.float64] | NDArray[np.uint8] | Sparse,
        divisor: float = 255.0,
        missing: bool = False,
        conditions: NDArray[np.float32] | None = None,
        log_exposure: NDArray[np.float32] | None = None,
        weights: NDArray[np.float32] | None = None,
    ) -> None: ...

Rows = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.uint8] | Sparse | Data
Limits = tuple[float, float]

class Core:
    def __init__(
        self,
        features: int,
        encoder: Sequence[int],
        latent_dim: int,
        decoder: Sequence[int],
        activation: str,
        columns: Sequence[tuple[str, int]],
        scale: str,
        n_threads: int,
        df: float = 4.0,
        conditions: int = 0,
        normalized: bool = False,
    ) -> None: ...
    def initialize(self, seed: int) -> None: ...
    def set_optimizer(
        self,
        name: str,
        momentum: float,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
    ) -> None: ...
    def set_objective(
        self,
        bound: str = "elbo",
        gradient: str = "standard",
        samples: int = 1,
        free_bits: float = 0.0,
        dropout: float = 0.0,
        corruption: str = "none",
        corruption_amount: float = 0.0,
        max_norm: float = 0.0,
    ) -> None: ...
    def set_standardization(
        self, mean: NDArray[np.float32], scale: NDArray[np.float32]
    ) -> None: ...
    def tensors(self, slot: str = "value") -> dict[str, NDArray[np.float32]]: ...
    def set_tensors(
        self, values: Mapping[str, NDArray[np.float32]], slot: str = "value"
    ) -> None: ...
    # The losses of step and steps are reconstruction, KL and bound, as weighted sums over the rows
    # of the batch.
    def step(
        self,
        x: Rows,
        index: NDArray[np.int64],
        learning_rate: float,
        beta: float,
        seed: int,
        step: int,
        eps: NDArray[np.float32] | None = None,
        capacity: float | None = None,
    ) -> tuple[float, float, float]: ...
    def steps(
        self,
        x: Rows,
        index: NDArray[np.int64],
        batch_size: int,
        learning_rates: NDArray[np.float64],
        betas: NDArray[np.float64],
        seed: int,
        step: int,
        capacities: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]: ...
    # all_gather(buffer, starts): process r has filled bytes starts[r] to starts[r + 1] of its
    # buffer, and gets the bytes of the others. Without arguments, steps are those of one process.
    def set_exchange(
        self,
        rank: int = 0,
        size: int = 1,
        all_gather: Callable[[memoryview, NDArray[np.int64]], None] | None = None,
    ) -> None: ...
    def gather_moments(self) -> None: ...
    def phase_seconds(self) -> tuple[float, float]: ...
    def gradients(
        self,
        x: Rows,
        eps: NDArray[np.float32] | None,
        beta: float,
        capacity: float | None = None,
        seed: int = 0,
        step: int = 0,
    ) -> dict[str, NDArray[np.float32]]: ...
    # With limits, these return None if a value of x lies outside of them. Bytes are not checked.
    @overload
    def encode(
        self, x: Rows, limits: None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
    @overload
    def encode(
        self, x: Rows, limits: Limits | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None: ...
    @overload
    def encode_mean(self, x: Rows, limits: None = None) -> NDArray[np.float32]: ...
    @overload
    def encode_mean(self, x: Rows, limits: Limits | None) -> NDArray[np.float32] | None: ...
    def decode(self, z: NDArray[np.float32]) -> NDArray[np.float32]: ...
    @overload
    def score(
        self,
        x: Rows,
        seed: int,
        eps: NDArray[np.float32] | None = None,
        deterministic: bool = False,
        limits: None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    @overload
    def score(
        self,
        x: Rows,
        seed: int,
        eps: NDArray[np.float32] | None = None,
        deterministic: bool = False,
        *,
        limits: Limits | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None: ...
    def contributions(self, x: Rows) -> NDArray[np.float32]: ...
    def log_likelihood(
        self, x: Rows, samples: int, seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def impute(self, x: Rows, samples: int, seed: int) -> NDArray[np.float32]: ...
    def importance_samples(
        self, x: Rows, samples: int, seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]: ...
    optimizer_steps: int
    @property
    def latent_dim(self) -> int: ...
    @property
    def n_threads(self) -> int: ...
