"""Files and calls that mean harm, or that the machine can't carry out: one clear error each."""

from __future__ import annotations

import gzip
import io
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import vaefast
from commands import SMALL, fail, succeed
from vaefast import VAE, datasets
from vaefast._engine.container import Part, pack, parts_from, unpack
from vaefast._input.mapped import check_mapped
from vaefast._system.files import output_folder
from vaefast.datasets import limits

X = np.random.default_rng(0).random((60, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> bytes:
    vae = VAE(2, (4,), batch_size=16, epochs=2, random_state=0, verbose=False)
    return vae.fit(X).to_bytes()


def signed_again(data: bytes, edit: Callable[[dict[str, Part]], object]) -> bytes:
    """Return an edited file with the right checksum, as an attacker would write it."""
    _, header, tensors = unpack(data, "the file")
    parts = parts_from(header, {name: tensor.copy() for name, tensor in tensors.items()})
    edit(parts)
    return pack(parts)


# ------------------------------------------------------------------ model files


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", -3),
        ("batch_size", "many"),
        ("epochs", -1),
        ("learning_rate", -1.0),
        ("learning_rate", float("inf")),
        ("patience", -1),
        ("beta", -1.0),
        ("capacity", -2.0),
        ("random_state", -5),
    ],
)
def test_a_parameter_that_training_would_refuse_is_refused_by_load(model, name, value):
    def edit(parts: dict[str, Part]) -> None:
        parts["model"].fields["params"][name] = value

    with pytest.raises(ValueError, match=f"usable model: {name}"):
        vaefast.from_bytes(signed_again(model, edit))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(model, value):
    def edit(parts: dict[str, Part]) -> None:
        next(iter(parts["weights"].tensors.values())).flat[0] = value

    with pytest.raises(ValueError, match="are not finite"):
        vaefast.from_bytes(signed_again(model, edit))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("elbo", np.nan),
        ("kl", np.inf),
        ("beta", np.nan),
        ("learning_rate", np.inf),
        ("seconds", -1),
        ("active_units", -9),
        ("active_units", 3),
    ],
)
def test_an_impossible_history_is_refused(model, key, value):
    def edit(parts: dict[str, Part]) -> None:
        parts["history"].tensors[key][...] = value

    with pytest.raises(ValueError, match=f"the history holds .*{key.replace('_', '.')}"):
        vaefast.from_bytes(signed_again(model, edit))


@pytest.mark.parametrize("fields", [{"version": [{}]}, {"data_shape": ["x", {}]}])
def test_an_impossible_provenance_is_refused(model, fields):
    with pytest.raises(ValueError, match="does not hold a usable model"):
        vaefast.from_bytes(
            signed_again(model, lambda parts: parts["provenance"].fields.update(fields))
        )


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(model, tmp_path):
    path = tmp_path / "model.safetensors"

    def edit(parts: dict[str, Part]) -> None:
        parts["model"].fields["feature_names"] = ["\x1b[31mred", *"bcdefgh"]
        parts["provenance"].fields["isa"] = "\x1b[2J"

    path.write_bytes(signed_again(model, edit))
    printed = succeed("info", path)
    assert "\x1b" not in printed and "\\x1b[31mred" in printed


def test_a_long_history_is_stored_and_read():
    vae = VAE(1, (2,), epochs=1, random_state=0, verbose=False).fit(X[:4, :2])
    history = vae.model_.history
    for key in history:
        history[key] = history[key] * 80_000
    history["epoch"] = list(range(1, 80_001))
    assert vaefast.from_bytes(vae.to_bytes()).history_ == history


# ------------------------------------------------------------------ data files


def header_of(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def test_a_member_that_is_no_array_is_named(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", b"no array")
    assert "x.npz, array 'X': not an array in the .npy format" in fail("train", path)


def test_an_archive_that_unpacks_to_more_than_there_is_memory_for(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", header_of((10_000, 1000)) + bytes(10**7))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(limits, "available_memory", lambda: 10**6)
    with pytest.raises(ValueError, match=r"bomb\.npz.*when unpacked: 0\.0 GB are needed"):
        datasets.load(path)


@pytest.mark.parametrize("shape", [(9, 9), (10**9, 9)])
def test_a_sparse_matrix_that_needs_more_than_there_is_memory_for(shape, tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    stored = 10**6 if shape[0] == 9 else 1
    parts = np.zeros(stored, np.float32), (np.zeros(stored, np.int32), np.zeros(stored, np.int32))
    sparse.save_npz(path, sparse.coo_array(parts, shape=shape))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(limits, "available_memory", lambda: 10**6)
    with pytest.raises(ValueError, match=r"bomb\.npz.* GB are needed"):
        datasets.load(path)


@pytest.mark.parametrize("zipped", [False, True])
def test_an_idx_file_that_announces_more_than_it_can_hold(tmp_path, zipped):
    content = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (3_000_000, 40, 25))
    path = tmp_path / "x-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(ValueError, match="3000000 x 40 x 25 .* the file is too small for that"):
        datasets.load(path)


def test_an_idx_file_that_unpacks_to_more_than_there_is_memory_for(tmp_path, monkeypatch):
    content = bytes([0, 0, 8, 2, 0, 0, 0x27, 0x10, 0, 0, 3, 0xE8]) + bytes(10**7)
    path = tmp_path / "x-idx2-ubyte.gz"
    path.write_bytes(gzip.compress(content))
    monkeypatch.setattr(limits, "available_memory", lambda: 10**6)
    with pytest.raises(ValueError, match="of memory are available"):
        datasets.load(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux' accounting")
def test_available_memory_respects_the_limit_of_the_process():
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31));"
        "from vaefast.datasets.limits import available_memory; print(available_memory())"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 0 < int(out.stdout) < 2**31


# ------------------------------------------------------------------ memory and threads


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of memory")
@pytest.mark.parametrize(
    "options",
    [
        ["--hidden-layer-sizes", "1000000,1000000"],
        ["--hidden-layer-sizes", "200000", "--batch-size", "3000"],
    ],
)
def test_a_net_beyond_the_memory_is_one_line(options, tmp_path):
    command = [sys.executable, "-m", "vaefast", "train", "strokes", "--epochs", "1", *options]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9))

    result = subprocess.run(
        [*command, "--out", tmp_path / "run"], preexec_fn=limit, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: not enough memory: ")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of memory")
def test_threads_that_cannot_be_started_are_one_line(tmp_path):
    command = [sys.executable, "-m", "vaefast", "train", "strokes", "--epochs", "1"]

    def limit() -> None:  # too little for the stacks of 1,000 threads
        resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9))

    result = subprocess.run(
        [*command, "--n-threads", "1000", "--out", tmp_path / "run"],
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "the system starts no more threads" in result.stderr.splitlines()[-1], result.stderr


def test_more_samples_in_a_batch_than_the_core_can_number(monkeypatch):
    vae = VAE(2, (4,), batch_size=60, n_samples=1000, epochs=1, verbose=False)
    monkeypatch.setattr("vaefast._engine.building.MAX_SAMPLES", 59_999)
    with pytest.raises(ValueError, match="batch_size=60 times n_samples=1000"):
        vae.fit(X)


def test_misaligned_rows_are_aligned_first():
    buffer = bytearray(X.nbytes + 1)
    shifted = np.ndarray(X.shape, np.float32, buffer=buffer, offset=1)
    shifted[:] = X
    assert not shifted.flags.aligned
    vae = VAE(2, (4,), epochs=1, random_state=0, verbose=False)
    same = VAE(2, (4,), epochs=1, random_state=0, verbose=False).fit(X)
    np.testing.assert_array_equal(vae.fit(shifted).transform(shifted), same.transform(X))


# ------------------------------------------------------------------ files that others change


@pytest.fixture
def mapped(tmp_path: Path) -> tuple[Path, Any]:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).random((500, 100)).astype(np.float32))
    return path, np.load(path, mmap_mode="r")


def test_a_mapped_file_that_is_cut_short_during_training_is_an_error(mapped):
    path, rows = mapped

    def cut(vae: VAE, record: dict[str, Any]) -> None:
        os.truncate(path, 4096)

    vae = VAE(2, (4,), epochs=3, random_state=0, verbose=False)
    with pytest.raises(OSError, match=r"x\.npy was cut short while it was read: it has 4,096"):
        vae.fit(rows, callbacks=[cut])
    with pytest.raises(OSError, match="cut short"):
        vae.transform(rows[10:])


def mapped_csr(rows: Any, folder: Path) -> Any:
    """Return sparse rows whose arrays are memory maps; that of the values is values.npy."""
    whole, arrays = sparse.csr_array(rows), []
    for name in ("data", "indices", "indptr"):
        path = folder / ("values.npy" if name == "data" else f"{name}.npy")
        np.save(path, getattr(whole, name))
        arrays.append(np.load(path, mmap_mode="r"))
    return sparse.csr_array(tuple(arrays), shape=whole.shape)


def test_mapped_sparse_rows_that_are_cut_short_are_an_error(mapped, tmp_path):
    rows = mapped_csr((mapped[1] > 0.5).astype(np.float32), tmp_path)

    def cut(vae: VAE, record: dict[str, Any]) -> None:
        os.truncate(tmp_path / "values.npy", 4096)

    vae = VAE(2, (4,), epochs=3, random_state=0, verbose=False)
    with pytest.raises(OSError, match=r"values\.npy was cut short while it was read"):
        vae.fit(rows, callbacks=[cut])
    for again in (rows, sparse.coo_array((rows.data, (rows.indices, rows.indices)))):
        with pytest.raises(OSError, match="cut short"):
            vae.transform(again)


def test_a_mapped_file_that_was_renamed_or_removed_is_read_on(mapped):
    path, rows = mapped
    path.unlink()
    check_mapped(rows)
    assert len(VAE(2, (4,), epochs=1, verbose=False).fit(rows).transform(rows[5:])) == 495


# ------------------------------------------------------------------ folders


@pytest.mark.skipif(os.name != "posix", reason="no locks on folders")
def test_a_folder_that_another_run_writes_to_is_refused(digits_file, tmp_path):
    folder = tmp_path / "run"
    with output_folder(folder, ["model.safetensors"]):
        message = fail("train", digits_file, "--out", folder, *SMALL)
    assert f"another run is writing to {folder}" in message
    assert not list(folder.iterdir())
