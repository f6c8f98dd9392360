"""Column names: scikit-learn's feature_names_in_ and get_feature_names_out."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vaefast
from vaefast import VAE

NAMES = ["length", "width", "height"]


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 1, "likelihood": "gaussian"}
    return VAE(**{**defaults, "verbose": False, "random_state": 0, **params})


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


MAKERS = ["pandas.DataFrame", "polars.DataFrame", "pyarrow.Table", "pyarrow.RecordBatch"]


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], Any]:
    """Return a function that makes a frame of columns."""
    library, _, kind = request.param.partition(".")
    of = getattr(pytest.importorskip(library), kind)
    return getattr(of, "from_pydict", of)


@pytest.fixture
def frame(make: Callable[[dict[str, Any]], Any], X: np.ndarray) -> Any:
    return make(dict(zip(NAMES, X.T, strict=True)))


def choose(frame: Any, names: list[str]) -> Any:
    """Return some columns of a frame."""
    return frame.select(names) if hasattr(frame, "select") else frame[names]


def test_the_names_of_a_frame_are_kept(frame, X, tmp_path: Path):
    vae = small().fit(frame)
    vae.save(tmp_path / "model.safetensors")
    for model in (
        vae,
        vaefast.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(vae)),
    ):
        assert model.feature_names_in_.tolist() == NAMES
        np.testing.assert_array_equal(model.transform(frame), small().fit(X).transform(X))


def test_columns_in_another_order_are_refused(frame):
    vae = small().fit(frame)
    swapped = choose(frame, ["width", "length", "height"])
    calls = [vae.transform, vae.score_samples, vae.partial_fit, vae.evaluate]
    for call in [*calls, lambda given: vae.partial_fit(frame, validation=given)]:
        with pytest.raises(ValueError, match=r"column 0 of \w+ is 'width'.* 'length' there: put"):
            call(swapped)
    assert vae.n_iter_ == 1


def test_other_columns_are_refused(frame, make, X):
    vae = small().fit(frame)
    other = make(dict(zip(["length", "width", "depth"], X.T, strict=True)))
    with pytest.raises(ValueError, match="column 2 of X is 'depth'.*pass the columns of the fit"):
        vae.transform(other)
    with pytest.raises(ValueError, match="X lacks columns of the fit: height"):
        vae.transform(choose(frame, ["length", "width"]))
    more = make({**{name: frame[name] for name in NAMES}, "id": frame["length"]})
    with pytest.raises(ValueError, match="X has columns that the model was not fitted on: id"):
        vae.transform(more)


def test_arrays_have_no_names_and_fit_any_model(frame, X):
    vae = small().fit(frame)
    np.testing.assert_array_equal(vae.transform(X), vae.transform(frame))
    unnamed = small().fit(X)
    np.testing.assert_array_equal(unnamed.transform(frame), vae.transform(frame))
    for model in (unnamed, small(), vae.fit(X)):
        assert not hasattr(model, "feature_names_in_")


def test_numbers_are_no_names(X):
    pandas = pytest.importorskip("pandas")
    assert not hasattr(small().fit(pandas.DataFrame(X)), "feature_names_in_")


def test_the_latent_features_have_names(X):
    vae = small(latent_dim=3).fit(X).set_params(latent_dim=7)
    assert vae.get_feature_names_out().tolist() == ["vae0", "vae1", "vae2"]
    with pytest.raises(vaefast.NotFittedError):
        small().get_feature_names_out()


def test_a_pipeline_names_what_it_returns(X):
    pipeline = pytest.importorskip("sklearn.pipeline")
    scale = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    pipe = pipeline.make_pipeline(scale, small()).fit(X)
    assert pipe.get_feature_names_out().tolist() == ["vae0", "vae1"]
