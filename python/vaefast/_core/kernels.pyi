from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def product(
    a: NDArray[np.float32], b: NDArray[np.float32], split: int = 0
) -> NDArray[np.float32]: ...
def weights_product(a: NDArray[np.float32], d: NDArray[np.float32]) -> NDArray[np.float32]: ...
def activation(
    name: str, x: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
def likelihood(
    name: str,
    out: NDArray[np.float32],
    x: NDArray[np.float32],
    log_scale: NDArray[np.float32],
    df: float = 4.0,
) -> tuple[
    NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]
]: ...
def uniforms(
    seed: int, stream: int, word: int, block: int, count: int
) -> NDArray[np.float32]: ...
def philox(counter: Sequence[int], key: Sequence[int]) -> list[int]: ...
def normals(seed: int, word: int, block: int, count: int) -> NDArray[np.float32]: ...
