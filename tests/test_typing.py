"""The code in typed_user.py runs and returns what its types promise."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import typed_user
from vaefast import _core, optimizers, typing


def test_every_public_name_works_as_it_is_typed(tmp_path: Path):
    pytest.importorskip("matplotlib")
    X = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
    vae = typed_user.fit(X, tmp_path)
    typed_user.use(vae, X, tmp_path)
    typed_user.tables()
    typed_user.data()
    typed_user.pictures(vae, np.random.default_rng(0).random((6, 8, 8), dtype=np.float32), tmp_path)


def test_the_literal_types_list_what_the_core_has():
    assert set(get_args(typing.Activation)) == set(_core.ACTIVATIONS)
    assert set(get_args(typing.Likelihood)) == set(_core.LIKELIHOODS)
    assert set(get_args(optimizers.Name)) == set(_core.OPTIMIZERS) == set(optimizers.BY_NAME)
