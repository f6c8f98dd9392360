"""Comparison of the reference's gradients with finite differences of its loss."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

import reference as ref


def assert_gradients_match_differences(
    params: ref.Params,
    x: ref.Array,
    eps: ref.Array,
    *,
    fixed: Collection[str] = (),
    shared: Collection[str] = (),
    **model: Any,
) -> None:
    """Assert that every gradient equals the central difference of the loss.

    ``fixed`` names the parameters that must have no gradient. ``shared`` names the tensors whose
    entries are copies of one number, so the difference moves all entries at once.
    """
    grads = ref.gradients(params, x, eps, **model)
    assert grads.keys() == params.keys() - set(fixed)
    value_of_loss = ref.loss(params, x, eps, **model)
    for name, grad in grads.items():
        value = params[name]
        step = 1e-5 * (min(1.0, abs(value).max()) or 1.0)
        differences = np.empty_like(value)
        for at in np.ndindex(value.shape):
            where = slice(None) if name in shared else at
            moved = {sign: value.copy() for sign in (1, -1)}
            for sign, array in moved.items():
                array[where] += sign * step
            up, down = (ref.loss({**params, name: moved[s]}, x, eps, **model) for s in (1, -1))
            differences[at] = (up - down) / (2 * step)
        rounding = 4 * np.finfo(float).eps * abs(value_of_loss) / step
        atol = rounding + 1e-8 * max(1.0, abs(differences).max())
        np.testing.assert_allclose(grad, differences, rtol=1e-6, atol=atol, err_msg=name)
