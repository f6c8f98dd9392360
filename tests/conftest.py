"""Data sets and trained models shared by the tests of the command line."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from commands import SMALL, succeed
from vaefast import datasets

# A shell ignores SIGINT for background jobs, and the tests of Ctrl-C need it. Restore the handler.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def interactive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session at the prompt, where Ctrl-C ends a training and nothing else."""
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of labelled images with test rows."""
    data = datasets.strokes(300, n_test=50)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, X=data.X, y=data.y, x_test=data.X_test, y_test=data.y_test)
    return path


@pytest.fixture(scope="session")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of two named columns, without test rows."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rows = np.random.default_rng(0).normal(size=(200, 2)).round(3)
    path.write_text("length,width\n" + "\n".join(f"{a},{b}" for a, b in rows) + "\n")
    return path


@pytest.fixture(scope="session")
def digits_run(digits_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    succeed("train", digits_file, "--out", folder, *SMALL)
    return folder


@pytest.fixture(scope="session")
def table_run(table_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "table"
    succeed("train", table_file, "--likelihood", "gaussian", "--out", folder, *SMALL)
    return folder
