"""Inputs that trials found: the smallest that went wrong, and what is right."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vaefast
from commands import SMALL, fail, succeed
from vaefast import VAE


def small(**params: Any) -> VAE:
    defaults = {"latent_dim": 2, "hidden_layer_sizes": (16,), "epochs": 3, "random_state": 0}
    return VAE(**{**defaults, "verbose": False, **params})


# ------------------------------------------------------------------ what a byte means


def test_bytes_of_0_and_1_train_as_floats_do():
    B = np.random.default_rng(0).integers(0, 2, (80, 6), dtype=np.uint8)
    of_bytes, of_floats = small().fit(B), small().fit(B.astype(np.float32))
    for name, tensor in of_floats.model_.weights().items():
        np.testing.assert_array_equal(tensor, of_bytes.model_.weights()[name])
    np.testing.assert_array_equal(of_bytes.transform(B), of_floats.transform(B.astype(float)))
    again = vaefast.from_bytes(of_bytes.to_bytes())
    np.testing.assert_array_equal(again.transform(B), of_bytes.transform(B))


def test_a_model_fitted_on_floats_does_not_divide_bytes():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 91, (80, 6)).astype(np.float64)
    with pytest.warns(UserWarning, match="far from unit variance"):
        vae = small(likelihood="gaussian").fit(X)
    np.testing.assert_array_equal(vae.transform(X.astype(np.uint8)), vae.transform(X))
    with pytest.raises(ValueError, match=r"bytes up to 90, but .* pass X / 255"):
        small().fit(X / 255).transform(X.astype(np.uint8))


def test_a_model_fitted_on_images_still_divides_bytes():
    X = np.random.default_rng(0).integers(0, 256, (80, 3, 2), dtype=np.uint8)
    vae = small().fit(X)
    np.testing.assert_array_equal(vae.transform(X), vae.transform(X / np.float32(255)))
    np.testing.assert_array_equal(vae.transform(X[:1] // 255), vae.transform(X[:1] // 255 / 255.0))


# ------------------------------------------------------------------ masks, rounding, conditions


def test_a_mask_is_a_missing_value():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)).astype(np.float32)
    hidden = rng.random(X.shape) < 0.2
    masked, gaps = np.ma.array(X, mask=hidden), np.where(hidden, np.nan, X)
    params = {"likelihood": "gaussian", "missing": "mask"}
    one, other = small(**params).fit(masked), small(**params).fit(gaps)
    np.testing.assert_array_equal(one.transform(masked), other.transform(gaps))
    with pytest.raises(ValueError, match="X holds nan in row"):
        small(likelihood="gaussian").fit(masked)
    unmasked = np.ma.array(X, mask=False)
    assert small(likelihood="gaussian").fit(unmasked).n_iter_ == 3


def test_rounding_noise_at_the_ends_of_the_range_is_accepted():
    X = np.random.default_rng(0).random((60, 4)).astype(np.float32)
    X[3, 1], X[4, 2] = np.float32(1.0000001), np.float32(-1e-7)
    assert np.isfinite(small().fit(X).score(X))
    X[3, 1] = 1.00001
    with pytest.raises(ValueError, match="to 1.00001, but"):
        small().fit(X)


def test_large_numbers_condition_a_model_as_standardized_ones_do():
    rng = np.random.default_rng(0)
    y = rng.normal(50_000, 8_000, 300)
    X = (np.outer((y - 50_000) / 8_000, [1.0, -1.0]) + 0.1 * rng.normal(size=(300, 2))).astype("f4")
    params = {"likelihood": "gaussian", "conditional": True, "epochs": 30, "batch_size": 32}
    raw, standardized = small(**params).fit(X, y), small(**params).fit(X, (y - y.mean()) / y.std())
    assert raw.score(X, y) == pytest.approx(
        standardized.score(X, (y - y.mean()) / y.std()), abs=0.01
    )
    again = vaefast.from_bytes(raw.to_bytes())
    np.testing.assert_array_equal(again.transform(X, y), raw.transform(X, y))
    assert again.sample(2, 0, y=50_000.0).shape == (2, 2)


# ------------------------------------------------------------------ threads, streams, encodings


def test_threads_that_are_set_after_a_load_are_used(tmp_path):
    X = np.random.default_rng(0).random((60, 4)).astype(np.float32)
    small(n_threads=3).fit(X).save(tmp_path / "model.safetensors", training=True)
    vae = vaefast.load(tmp_path / "model.safetensors").set_params(n_threads=1)
    assert vae.model_.core.n_threads == 1
    expected = vaefast.load(tmp_path / "model.safetensors").partial_fit(X)
    assert expected.model_.core.n_threads == 3
    np.testing.assert_array_equal(vae.partial_fit(X).transform(X), expected.transform(X))


def test_names_beyond_ascii_survive_any_locale(tmp_path: Path):
    path = tmp_path / "table.csv"
    rows = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    text = "größe,高さ\n" + "\n".join(f"{a},{b}" for a, b in rows) + "\n"
    path.write_text(text, encoding="utf-8")
    succeed("train", path, "--likelihood", "gaussian", "--out", tmp_path / "run", *SMALL)
    command = [sys.executable, "-X", "utf8=0", "-m", "vaefast", "sample", str(tmp_path / "run")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "new.csv")],
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PATH": "/usr/bin"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new.csv").read_text(encoding="utf-8").startswith("größe,高さ\n")


# ------------------------------------------------------------------ numbers at the ends


def test_degrees_of_freedom_beyond_use_are_refused():
    X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    with pytest.raises(ValueError, match="df=1e.30 must be at most 1e.06"):
        small(likelihood="student_t", df=1e30).fit(X)
    close = small(likelihood="student_t", df=1e6).fit(X).score(X)
    assert close == pytest.approx(small(likelihood="gaussian").fit(X).score(X), abs=1e-3)


def test_one_importance_sample_has_no_error_of_its_own():
    X = np.random.default_rng(0).random((20, 4)).astype(np.float32)
    found = small().fit(X).log_likelihood(X, n_samples=1)
    assert np.isfinite(found.mean)
    assert found.standard_error == np.inf
    assert "+- inf" in str(found)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_draws_of_enormous_rates_stay_finite(likelihood):
    from vaefast._input.likelihoods import draw

    mean = np.full((3, 2), 1e30, np.float32)
    scales = {0: np.zeros(2, np.float32)} if likelihood == "negative_binomial" else {}
    drawn = draw(mean, ((likelihood, 2),), scales, 4.0, np.random.default_rng(0))
    assert np.isfinite(drawn).all()
    assert (drawn > 0).any()


# ------------------------------------------------------------------ scale


@pytest.mark.parametrize(
    ("likelihood", "factor"),
    [
        ("gaussian", 1e-5),
        ("gaussian", 0.05),
        ("laplace", 20.0),
        ("student_t", 1e4),
        ([("gaussian", 4)], 500.0),
    ],
    ids=str,
)
def test_columns_far_from_unit_variance_are_named(likelihood, factor):
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    X[:, 2] *= factor
    with pytest.warns(UserWarning, match=r"column 2 \(mean .*, sd .*standardize=True") as caught:
        small(likelihood=likelihood).fit(X)
    (message,) = [str(w.message) for w in caught if "far from" in str(w.message)]
    assert "column 1" not in message


def test_only_real_valued_columns_need_a_scale():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(80, 2)), rng.poisson(300, (80, 2))]).astype(np.float32)
    small(likelihood=[("gaussian", 2), ("poisson", 2)]).fit(X)
    constant = np.hstack([X[:, :2], np.zeros((80, 1), np.float32)])
    small(likelihood="gaussian").fit(constant)
    small(likelihood="gaussian").fit(np.full((80, 3, 2), 0.5) + 1e-3 * rng.normal(size=(80, 3, 2)))


# ------------------------------------------------------------------ data as it lies on disks


def write_images(folder: Path, count: int, level: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((6, 5), level + i, np.uint8)).save(folder / f"{i}.png")


@pytest.mark.parametrize("classes", [(), ("cats", "dogs")])
def test_folders_named_train_and_test_are_splits(classes, tmp_path):
    for split, count in (("train", 4), ("test", 2)):
        for i, name in enumerate(classes or ("",)):
            write_images(tmp_path / split / name, count, 50 * i)
    data = vaefast.datasets.load(tmp_path)
    k = max(1, len(classes))
    assert data.X.shape == (4 * k, 6, 5)
    assert data.X_test is not None and data.X_test.shape == (2 * k, 6, 5)
    if classes:
        assert data.y.tolist() == ["cats"] * 4 + ["dogs"] * 4
        assert data.y_test.tolist() == ["cats"] * 2 + ["dogs"] * 2
    else:
        assert data.y is None and data.y_test is None
    write_images(tmp_path / "valid", 1, 0)  # three sub-folders are classes
    assert set(vaefast.datasets.load(tmp_path).y) <= {"train", "test", "valid"}


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.mark.parametrize("place", ["", "raw", "MNIST/raw"])
@pytest.mark.parametrize("dotted", [False, True])
def test_idx_files_are_found_where_other_programs_put_them(place, dotted, tmp_path):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, n in (("train", 5), ("t10k", 3)):
        for name, array in (
            ("images-idx3-ubyte", np.zeros((n, 4, 4), np.uint8)),
            ("labels-idx1-ubyte", np.arange(n, dtype=np.uint8)),
        ):
            spelled = f"{prefix}-{name}".replace("-idx", ".idx" if dotted else "-idx")
            (folder / spelled).write_bytes(idx(array))
    data = vaefast.datasets.load(tmp_path)
    assert data.X.shape == (5, 4, 4)
    assert data.y_test is not None and data.y_test.tolist() == [0, 1, 2]


def test_a_gzipped_csv_is_read_and_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    cells = [f"{a},{'' if i % 5 == 0 else b}" for i, (a, b) in enumerate(rows)]
    with gzip.open("table.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(["länge,breite", *cells, ""]))
    data = vaefast.datasets.load("table.csv.gz")
    assert data.columns == ("länge", "breite")
    assert np.isnan(data.X[::5, 1]).all()
    options = ["--likelihood", "gaussian", "--missing", "mask", "--out", "run", *SMALL]
    succeed("train", "table.csv.gz", *options)
    assert "12 missing values filled" in succeed("impute", "run", "table.csv.gz")
    assert Path("imputed.csv").read_text("utf-8").startswith("länge,breite\n")


def test_a_column_of_labels_is_labels(tmp_path):
    X = np.random.default_rng(0).random((60, 4)).astype(np.float32)
    y = np.arange(60) % 3
    one = small(conditional=True).fit(X, y[:, None])
    np.testing.assert_array_equal(one.transform(X, y[:, None]), one.transform(X, y))
    np.savez(tmp_path / "data.npz", X=X, y=y[:, None])
    assert vaefast.datasets.load(tmp_path / "data.npz").y.shape == (60,)


# ------------------------------------------------------------------ manners of training


@pytest.mark.filterwarnings("ignore::vaefast.CollapseWarning")  # of rows of noise
def test_a_limit_of_time_ends_training():
    X = np.random.default_rng(0).random((400, 20)).astype(np.float32)
    vae = small(epochs=10**6).fit(X, max_time=0.3)
    assert 1 <= vae.n_iter_ < 10**6
    assert small().fit(X, max_time=1e-9).n_iter_ == 1
    with pytest.raises(ValueError, match="max_time=0 must be greater than 0"):
        small().fit(X, max_time=0)


def test_the_history_is_a_frame():
    pytest.importorskip("pandas")
    X = np.random.default_rng(0).random((60, 4)).astype(np.float32)
    vae = small().fit(X, validation=X[:9])
    frame = vae.history_frame()
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["validation"].tolist() == vae.history_["validation"]
    assert frame[["kl_0", "kl_1"]].sum(axis=1).iloc[-1] == pytest.approx(
        sum(vae.history_["kl_per_dimension"][-1])
    )
    assert np.isnan(small().fit(X).history_frame()["validation"]).all()


def test_classes_that_a_first_batch_lacks_are_declared():
    X = np.random.default_rng(0).random((60, 4)).astype(np.float32)
    y = np.repeat(["a", "b", "c"], 20)
    vae = small(conditional=True).partial_fit(X[:40], y[:40], classes=["c", "b", "a"])
    assert vae.model_.conditions.classes == ("a", "b", "c")
    vae.partial_fit(X[40:], y[40:])
    assert vae.sample(2, 0, y="c").shape == (2, 4)
    with pytest.raises(ValueError, match="y holds 'c', which is not among the classes"):
        small(conditional=True).partial_fit(X, y, classes=["a", "b"])


def test_bytes_that_stay_dark_are_mentioned():
    X = np.random.default_rng(0).integers(0, 17, (60, 4, 4), dtype=np.uint8)
    with pytest.warns(UserWarning, match="bytes up to 16.*no value exceeds 0.06.*pass X / 16"):
        small().fit(X)
    X[0, 0, 0] = 200
    small().fit(X)
    small(likelihood="poisson").fit(X // 13)


# ------------------------------------------------------------------ what a new user tried


def test_a_path_that_is_none_is_refused():
    with pytest.raises(TypeError, match="path=None must be a path or a binary stream"):
        vaefast.load(None)  # type: ignore[arg-type]


def test_a_file_without_rows_is_named_as_such(table_run, tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((0, 2), np.float32))
    assert "0 sample(s)" in fail("score", table_run, tmp_path / "none.npy")


def test_a_negative_seed_is_refused_by_name(digits_file):
    assert "--random-state -1 must be at least 0" in fail("train", digits_file, "--seed", -1)
