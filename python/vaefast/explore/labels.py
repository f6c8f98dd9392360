"""The labels of the map's points: a few classes, or numbers on a scale."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# With more distinct labels than this, numbers become a scale, and the rarest texts become "other".
CLASSES = 20


def page_labels(labels: ArrayLike, n: int, chosen: NDArray[Any]) -> dict[str, Any]:
    """Return the labels of the chosen rows, out of n, as the page reads them."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"labels must have the shape ({n},), one for each row, got {array.shape}")
    array = array[chosen] if array.dtype != object else array[chosen].astype(str)
    names, index, counts = np.unique(array, return_inverse=True, return_counts=True)
    if len(names) > CLASSES and array.dtype.kind in "iuf":
        return _scale(array.astype(np.float32))
    texts = [str(name) for name in names.tolist()]
    if len(names) > CLASSES:
        kept = np.sort(np.argsort(-counts, kind="stable")[: CLASSES - 1])
        new_index = np.full(len(names), CLASSES - 1)
        new_index[kept] = np.arange(CLASSES - 1)
        texts, index = [*(texts[i] for i in kept), "other"], new_index[index]
    return {"names": texts, "index": _base64(index.astype(np.uint8))}


def _scale(values: NDArray[np.float32]) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    values = np.where(np.isfinite(values), values, np.float32(np.nan)).astype("<f4")
    low, high = float(finite.min()), float(finite.max())
    return {
        "low": low,
        "high": high if high > low else low + 1,  # the page divides by high - low
        "values": {"type": "float32", "base64": _base64(values)},
    }


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
