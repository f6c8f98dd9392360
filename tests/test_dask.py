"""Models in Dask: blocks of an array and partitions of a frame, in other processes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, from_bytes

distributed = pytest.importorskip("distributed", reason="needs dask[distributed]")
array = pytest.importorskip("dask.array")


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(500, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def vae(X: np.ndarray) -> VAE:
    return VAE(3, (32,), likelihood="gaussian", epochs=2, random_state=0, verbose=False).fit(X)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_blocks_of_an_array_have_the_codes_and_scores_of_the_whole(client, vae, X):
    blocks = array.from_array(X, chunks=(150, -1))
    codes = blocks.map_blocks(
        vae.transform, dtype=np.float32, chunks=(blocks.chunks[0], (3,)), meta=X[:0, :3]
    )
    scores = blocks.map_blocks(vae.score_samples, dtype=np.float64, drop_axis=1, meta=np.empty(0))
    np.testing.assert_array_equal(codes.compute(), vae.transform(X))
    np.testing.assert_array_equal(scores.compute(), vae.score_samples(X))


def test_partitions_of_a_frame_have_the_scores_of_the_whole(client, vae, X):
    pandas = pytest.importorskip("pandas")
    dataframe = pytest.importorskip("dask.dataframe")
    frame = pandas.DataFrame(X)

    def scores_of(part: Any) -> Any:
        return pandas.Series(vae.score_samples(part), part.index)

    parts = dataframe.from_pandas(frame, npartitions=3)
    scores = parts.map_partitions(scores_of, meta=pandas.Series(dtype=np.float64)).compute()
    np.testing.assert_array_equal(scores.to_numpy(), vae.score_samples(X))


def test_a_worker_gets_the_weights_and_no_threads(client, vae):
    loaded = from_bytes(vae.to_bytes())
    weights = sum(tensor.nbytes for tensor in loaded.model_.weights().values())
    codes = sum(codes.nbytes for codes in vars(loaded.model_.posteriors).values())
    assert len(pickle.dumps(loaded)) < weights + codes + 10_000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).sample(3, 0), vae.sample(3, 0))

    def threads_of(model: VAE) -> tuple[int, int]:
        import os

        before = len(os.listdir("/proc/self/task"))
        copy = pickle.loads(pickle.dumps(model))
        return len(os.listdir("/proc/self/task")) - before, copy.model_.core.n_threads

    assert client.submit(threads_of, vae).result() == (0, 1)
