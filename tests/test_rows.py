"""Rows with what belongs to each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cores import grey, noise
from vaefast._input.rows import RowData

N = 6


@pytest.mark.parametrize("index", [slice(1, 4), [5, 0, 0, 2], np.arange(N) % 2 == 0])
def test_an_index_takes_everything_that_belongs_to_the_rows(index: Any) -> None:
    x, conditions, log_exposure = grey(0, N, 3), noise(0, N, 2), noise(1, N)
    weights = np.exp(noise(2, N))
    rows = RowData(x, 100.0, True, conditions, log_exposure, weights)
    part = rows[index]
    assert len(part) == len(x[index])
    assert (part.divisor, part.missing) == (100.0, True)
    np.testing.assert_array_equal(part.x, x[index])
    np.testing.assert_array_equal(part.conditions, conditions[index])
    np.testing.assert_array_equal(part.log_exposure, log_exposure[index])
    np.testing.assert_array_equal(part.weights, weights[index])


def test_rows_have_no_weights_by_default() -> None:
    rows = RowData(noise(0, N, 3), 255.0, False, None, None)
    assert rows.weights is None and rows[:2].weights is None


def test_weights_must_be_positive() -> None:
    with pytest.raises(ValueError, match="in row 2, expected finite, positive numbers"):
        RowData(noise(0, N, 3), 255.0, False, None, None, np.float32([1, 1, 0, 1, 1, 1]))
