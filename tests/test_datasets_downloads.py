"""Data sets by name: found in a folder, or downloaded from a server on this machine."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pooch
import pytest

from vaefast import datasets
from vaefast.datasets import downloads
from vaefast.datasets.idx import FILES, find_idx_files

IMAGES = np.arange(2 * 28 * 28).reshape(2, 28, 28).astype(np.uint8)
CONTENTS = {
    "X": struct.pack(">4I", 2051, 2, 28, 28) + IMAGES.tobytes(),
    "y": struct.pack(">2I", 2049, 2) + bytes([7, 2]),
    "X_test": struct.pack(">4I", 2051, 1, 28, 28) + IMAGES[:1].tobytes(),
    "y_test": struct.pack(">2I", 2049, 1) + bytes([9]),
}
ZIPPED = {role: gzip.compress(content, mtime=0) for role, content in CONTENTS.items()}


def put(folder, *, zipped, roles=tuple(FILES)):
    folder.mkdir(parents=True, exist_ok=True)
    for role in roles:
        name = FILES[role] + (".gz" if zipped else "")
        (folder / name).write_bytes((ZIPPED if zipped else CONTENTS)[role])


def check(data, name):
    assert data.name == name
    np.testing.assert_array_equal(data.X, IMAGES)
    np.testing.assert_array_equal(data.X_test, IMAGES[:1])
    assert data.y.tolist() == [7, 2] and data.y_test.tolist() == [9]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty user cache, with VAEFAST_DATA unset and no server to reach."""
    monkeypatch.delenv("VAEFAST_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    serve_from(monkeypatch, "http://127.0.0.1:9/")  # nothing answers on this port
    return tmp_path / "cache" / "vaefast"


def serve_from(monkeypatch, url):
    files = {
        role: downloads._File(len(data), hashlib.sha256(data).hexdigest())
        for role, data in ZIPPED.items()
    }
    sources = dict.fromkeys(["mnist", "fashion-mnist"], downloads._Source(url, files))
    monkeypatch.setattr(downloads, "_SOURCES", sources)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Start a web server for the files and return its folder."""
    folder = tmp_path / "served"
    put(folder, zipped=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        serve_from(monkeypatch, f"http://127.0.0.1:{running.server_port}/")
        yield folder
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("zipped", [True, False])
def test_found_under_vaefast_data(tmp_path, monkeypatch, name, zipped):
    put(tmp_path / "data" / name, zipped=zipped)
    monkeypatch.setenv("VAEFAST_DATA", str(tmp_path / "data"))
    check(datasets.load(name), name)


@pytest.mark.parametrize("zipped", [True, False])
def test_found_in_the_cache(cache, zipped):
    put(cache / "mnist", zipped=zipped)
    check(datasets.mnist(), "mnist")


def test_vaefast_data_comes_before_the_cache(tmp_path, cache, monkeypatch):
    put(tmp_path / "data" / "mnist", zipped=True)
    put(cache / "mnist", zipped=True)
    (cache / "mnist" / (FILES["X"] + ".gz")).write_bytes(b"broken")
    monkeypatch.setenv("VAEFAST_DATA", str(tmp_path / "data"))
    check(datasets.mnist(), "mnist")


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    put(tmp_path / "mnist", zipped=True)
    (tmp_path / "mnist" / (FILES["y"] + ".gz")).write_bytes(ZIPPED["y"][:-3])
    monkeypatch.setenv("VAEFAST_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte\.gz: truncated or corrupt gzip"):
        datasets.mnist()


def test_downloaded_with_a_progress_bar_into_the_cache(server, cache, capfd):
    check(datasets.fashion_mnist(), "fashion-mnist")
    assert "100%" in capfd.readouterr().err
    assert len(find_idx_files(cache / "fashion-mnist")) == 4

    for path in server.iterdir():
        path.unlink()
    check(datasets.fashion_mnist(), "fashion-mnist")  # from the cache, without the server


def test_what_is_in_the_cache_is_not_downloaded_again(server, cache):
    put(cache / "mnist", zipped=True, roles=["X", "y"])
    (server / (FILES["X"] + ".gz")).unlink()
    (server / (FILES["y"] + ".gz")).unlink()
    check(datasets.mnist(), "mnist")


def test_another_checksum_is_an_error_and_leaves_no_file(server, cache):
    (server / (FILES["X"] + ".gz")).write_bytes(ZIPPED["y"])
    with pytest.raises(OSError, match="could not be downloaded.*hash"):
        datasets.mnist()
    assert not find_idx_files(cache / "mnist")


@pytest.mark.parametrize("data", [None, "data"])
def test_without_a_network_the_error_says_which_files_to_put_where(
    tmp_path, cache, monkeypatch, data
):
    places = [str(cache / "mnist")]
    if data:
        monkeypatch.setenv("VAEFAST_DATA", str(tmp_path / data))
        places.append(str(tmp_path / data / "mnist"))
    else:
        places.append("VAEFAST_DATA")
    with pytest.raises(OSError) as error:
        datasets.load("mnist")
    for part in (*FILES.values(), *places, "http://127.0.0.1:9/train-images-idx3-ubyte.gz"):
        assert part in str(error.value)


REAL = Path(os.environ.get("VAEFAST_DATA", "no folder")).absolute()


@pytest.mark.skipif(len(find_idx_files(REAL / "mnist")) < 4, reason="no MNIST under VAEFAST_DATA")
def test_the_real_mnist(monkeypatch):
    monkeypatch.setenv("VAEFAST_DATA", str(REAL))
    data = datasets.load("mnist")
    assert data.X.shape == (60_000, 28, 28) and data.X.dtype == np.uint8
    assert data.X_test.shape == (10_000, 28, 28)
    assert data.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(data.y_test)[0] == 980
    assert round(data.X.mean() / 255, 4) == 0.1307
