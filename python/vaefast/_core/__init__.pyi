from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from . import kernels as kernels

VARIABLE: str
ISA: str
SUPPORTED: tuple[str, ...]
ACTIVATIONS: tuple[str, ...]
LIKELIHOODS: tuple[str, ...]
OPTIMIZERS: tuple[str, ...]
EIGEN_VERSION: str

def choose(supported: tuple[str, ...], forced: str | None) -> str: ...
def permutation(n: int, seed: int, epoch: int) -> NDArray[np.int64]: ...

class Core:
    def __init__(
        self,
        features: int,
        encoder: Sequence[int],
        latent_dim: int,
        decoder: Sequence[int],
        activation: str,
        likelihood: str,
        learn_sigma: bool,
        n_threads: int,
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
    def tensors(self, slot: str = "value") -> dict[str, NDArray[np.float32]]: ...
    def set_tensors(
        self, values: Mapping[str, NDArray[np.float32]], slot: str = "value"
    ) -> None: ...
    def step(
        self,
        x: NDArray[np.float32] | NDArray[np.uint8],
        index: NDArray[np.int64],
        learning_rate: float,
        beta: float,
        seed: int,
        step: int,
        eps: NDArray[np.float32] | None = None,
    ) -> tuple[float, float]: ...
    def gradients(
        self, x: NDArray[np.float32] | NDArray[np.uint8], eps: NDArray[np.float32], beta: float
    ) -> dict[str, NDArray[np.float32]]: ...
    def encode(
        self, x: NDArray[np.float32] | NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
    def decode(self, z: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def score(
        self,
        x: NDArray[np.float32] | NDArray[np.uint8],
        seed: int,
        eps: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    optimizer_steps: int
    @property
    def latent_dim(self) -> int: ...
    @property
    def n_threads(self) -> int: ...
