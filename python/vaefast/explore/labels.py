"""Labels of the map's points: classes of a few kinds, or a scale of numbers."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

CLASSES = 20  # more different numbers are a scale, of more different words the rarest are "other"


def page_labels(labels: ArrayLike, n: int, chosen: NDArray[Any]) -> dict[str, Any]:
    """Return the labels of the chosen of n rows, in the page's form."""
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
        place = np.full(len(names), CLASSES - 1)
        place[kept] = np.arange(CLASSES - 1)
        texts, index = [*(texts[i] for i in kept), "other"], place[index]
    return {"names": texts, "index": _base64(index.astype(np.uint8))}


def _scale(values: NDArray[np.float32]) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    values = np.where(np.isfinite(values), values, np.float32(np.nan)).astype("<f4")
    low, high = float(finite.min()), float(finite.max())
    return {
        "low": low,
        "high": high if high > low else low + 1,  # float32 may see no difference
        "values": {"type": "float32", "base64": _base64(values)},
    }


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
