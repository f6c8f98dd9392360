"""The provenance of a model: version, instruction set, data and date of the fit."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._input.rows import AnyRows, LazyRows, matrix_of
from .._input.sparse import SparseMatrix
from .._input.stream import Stream
from .._version import __version__

_CHUNK = 1 << 24  # bytes hashed at a time; Ctrl-C is polled in between


@dataclass(frozen=True)
class Provenance:
    """Facts about a fit beyond its parameters.

    Attributes
    ----------
    version : str
        Version of vaefast.
    isa : str
        Instruction set of the compiled core. Other instruction sets round differently.
    date : str
        Start of the fit, ISO 8601, UTC.
    data_sha256 : str
        SHA-256 of the rows of X as float32 or uint8, in C order. For a float array, it is that of
        ``hashlib.sha256(X.astype("float32").tobytes())``. For sparse rows, that of indptr as int64,
        then indices as int32, then the values, in order.
    data_shape : tuple of int
        Number of rows and of features.
    data_dtype : str
        float32 or uint8.
    """

    version: str
    isa: str
    date: str
    data_sha256: str
    data_shape: tuple[int, ...]
    data_dtype: str

    @classmethod
    def of(cls, rows: AnyRows) -> Provenance:
        """Return the provenance of a fit on these rows that starts now."""
        matrix = matrix_of(rows)
        return cls(
            version=__version__,
            isa=_core.ISA,
            date=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            data_sha256=sha256_of(matrix),
            data_shape=matrix.shape,
            data_dtype=str(matrix.dtype),
        )


def sha256_of(matrix: NDArray[Any] | SparseMatrix | LazyRows) -> str:
    """Return the SHA-256 of the values of an array, in C order, or of the arrays of sparse rows."""
    if isinstance(matrix, Stream) and matrix.learned is not None:
        return matrix.learned.sha256
    digest = hashlib.sha256()
    arrays: tuple[Any, ...]
    if isinstance(matrix, SparseMatrix):
        arrays = (matrix.starts, matrix.indices, matrix.values)
    else:
        arrays = (matrix,)
    for array in arrays:
        step = max(1, _CHUNK // max(array[:1].nbytes, 1))
        for first in range(0, len(array), step):
            digest.update(np.ascontiguousarray(array[first : first + step]).data)
    return digest.hexdigest()
