"""Sparse rows: the bits of their dense array, the forms that are read, and broken input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import fail, succeed
from vaefast import VAE, AnomalyDetector, _core, datasets, load
from vaefast._input.sparse import SparseMatrix, to_sparse

sparse = pytest.importorskip("scipy.sparse")

N, D = 90, 70
RNG = np.random.default_rng(0)
COUNTS = (RNG.poisson(3, (N, D)) * (RNG.random((N, D)) < 0.1)).astype(np.float32)
COUNTS[5] = 0  # an empty row
COUNTS[:, 40:60] = 0  # empty columns
BINARY = (COUNTS > 0).astype(np.float32)
ONE_HOT = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, N)]
REAL = COUNTS * RNG.standard_normal((N, D)).astype(np.float32)
MIXED = [("poisson", 30), ("multinomial", 40), ("categorical", 4), ("gaussian", 70)]
CASES: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "bernoulli": (BINARY, {"likelihood": "bernoulli"}),
    "gaussian": (REAL, {"likelihood": "gaussian"}),
    "poisson": (COUNTS, {"likelihood": "poisson"}),
    "negative_binomial": (COUNTS, {"likelihood": "negative_binomial", "optimizer": "sgd"}),
    "multinomial": (COUNTS, {"likelihood": "multinomial", "denoising": ("mask", 0.4)}),
    "normalized": (
        COUNTS,
        {"likelihood": "multinomial", "normalize": "l2", "denoising": ("dropout", 0.2)},
    ),
    "mixed": (np.hstack([COUNTS, ONE_HOT, REAL]), {"likelihood": MIXED}),
    "iwae": (COUNTS, {"likelihood": "poisson", "objective": "iwae", "n_samples": 3}),
    "clipped": (BINARY, {"max_grad_norm": 0.1, "optimizer": "adamw"}),
    "bytes": (COUNTS.astype(np.uint8), {"likelihood": "poisson"}),
    "grey bytes": ((20 * COUNTS).astype(np.uint8), {}),
    "missing": (
        np.where(COUNTS == 2, np.float32(np.nan), COUNTS),
        {"likelihood": "poisson", "missing": "mask"},
    ),
}


def small(**params: Any) -> VAE:
    defaults = {"hidden_layer_sizes": (33,), "epochs": 2, "batch_size": 32, "random_state": 0}
    return VAE(2, **{**defaults, "n_threads": 1, "verbose": False, **params})


def assert_same_model(one: VAE, other: VAE) -> None:
    for name, tensor in one.model_.weights().items():
        np.testing.assert_array_equal(other.model_.weights()[name], tensor, err_msg=name)
    assert [one.history_[key] for key in ("elbo", "validation")] == [
        other.history_[key] for key in ("elbo", "validation")
    ]


# ------------------------------------------------------------------ the same bits


@pytest.mark.filterwarnings("ignore:X has columns far from unit variance")  # of the dense rows
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_sparse_rows_give_the_bits_of_dense_ones(case, n_threads):
    X, params = CASES[case]
    S = sparse.csr_matrix(X)
    dense = small(**params).fit(X, validation=X[:20])
    other = small(**params, n_threads=n_threads).fit(S, validation=S[:20])
    assert_same_model(dense, other)
    dense.partial_fit(X[30:])
    other.partial_fit(S[30:])
    assert_same_model(dense, other)
    for method in ("transform", "score_samples", "reconstruct"):
        np.testing.assert_array_equal(getattr(other, method)(S), getattr(dense, method)(X))
        np.testing.assert_array_equal(getattr(dense, method)(S), getattr(dense, method)(X))
    assert other.evaluate(S) == dense.evaluate(X)
    a, b = other.log_likelihood(S, n_samples=8), dense.log_likelihood(X, n_samples=8)
    np.testing.assert_array_equal(a.rows, b.rows)
    rows = [other.model_.reader.read(rows) for rows in (S, X)]
    np.testing.assert_array_equal(*map(other.model_.contributions, rows))


@pytest.mark.parametrize("isa", _core.SUPPORTED)
def test_every_instruction_set_gives_sparse_rows_the_bits_of_dense_ones(isa):
    code = """
import numpy as np, test_sparse
for case in ("poisson", "multinomial", "mixed"):
    test_sparse.test_sparse_rows_give_the_bits_of_dense_ones(case, 2)
"""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    env = {**os.environ, "VAEFAST_ISA": isa, "PYTHONPATH": path}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_belongs_to_the_rows_stays_with_them():
    weights = RNG.integers(0, 3, N).astype(float)
    exposure, y = RNG.uniform(0.5, 2, N), RNG.integers(0, 3, N)
    given = {"exposure": exposure, "sample_weight": weights}
    params = {"likelihood": "negative_binomial", "conditional": True}
    dense = small(**params).fit(COUNTS, y, **given, validation=(COUNTS[:9], y[:9], exposure[:9]))
    S = sparse.csr_array(COUNTS)
    other = small(**params).fit(S, y, **given, validation=(S[:9], y[:9], exposure[:9]))
    assert_same_model(dense, other)


def test_an_automatic_fit_holds_out_the_same_rows():
    X = np.tile(BINARY, (3, 1))
    one_epoch = [lambda vae, record: True]
    dense, other = (
        small(epochs="auto", hidden_layer_sizes=(4,)).fit(rows, callbacks=one_epoch)
        for rows in (X, sparse.csr_matrix(X))
    )
    assert dense.history_["validation"][0] is not None
    assert_same_model(dense, other)


def test_training_resumes_from_a_checkpoint_on_the_same_sparse_rows_alone(tmp_path):
    S, path = sparse.csr_matrix(BINARY), tmp_path / "state"
    whole = small(epochs=3).fit(S)
    small(epochs=3).fit(S, checkpoint=path, max_time=1e-9)  # one epoch
    with pytest.raises(ValueError, match="rows"):
        small(epochs=3).fit(sparse.csr_matrix(BINARY[::-1]), checkpoint=path)
    assert_same_model(small(epochs=3).fit(S, checkpoint=path), whole)


def test_a_detector_reads_sparse_rows():
    S = sparse.csr_matrix(COUNTS)
    dense = AnomalyDetector(small(likelihood="poisson"), 0.1).fit(COUNTS)
    other = AnomalyDetector(small(likelihood="poisson"), 0.1).fit(S)
    np.testing.assert_array_equal(other.decision_function(S), dense.decision_function(COUNTS))
    np.testing.assert_array_equal(other.contributions(S[:5]), dense.contributions(COUNTS[:5]))
    with pytest.raises(TypeError, match=r"AnomalyDetector\(VAE\(likelihood=.poisson.\)\)"):
        AnomalyDetector().fit(S)


# ------------------------------------------------------------------ forms

FORMS = {
    "matrix": sparse.csr_matrix,
    "array": sparse.csr_array,
    "float64": lambda X: sparse.csr_matrix(X.astype(np.float64)),
    "integers": lambda X: sparse.csr_matrix(X.astype(np.int16)),
    "int64 indices": lambda X: with_int64(sparse.csr_array(X)),
    "stored zeros": lambda X: with_stored_zeros(sparse.csr_matrix(X)),
    "unsorted": lambda X: shuffled(sparse.csr_matrix(X)),
    "duplicates": lambda X: split(sparse.csr_matrix(X)),
    "spare room": lambda X: with_spare_room(sparse.csr_matrix(X)),
    "a slice": lambda X: sparse.csr_matrix(np.vstack([X, X]))[N:],
}


def with_int64(S: Any) -> Any:
    S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    return S


def with_stored_zeros(S: Any) -> Any:
    S = S.copy()
    rows = [
        S,
        sparse.csr_matrix((np.zeros(N, np.float32), (np.arange(N), np.arange(N) % D)), S.shape),
    ]
    indices = [
        np.concatenate([s.indices[s.indptr[i] : s.indptr[i + 1]] for s in rows]) for i in range(N)
    ]
    values = [
        np.concatenate([s.data[s.indptr[i] : s.indptr[i + 1]] for s in rows]) for i in range(N)
    ]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in indices])])
    return sparse.csr_matrix((np.concatenate(values), np.concatenate(indices), starts), S.shape)


def shuffled(S: Any) -> Any:
    for i in range(N):
        part = slice(S.indptr[i], S.indptr[i + 1])
        order = np.random.default_rng(i).permutation(S.indptr[i + 1] - S.indptr[i])
        S.indices[part], S.data[part] = S.indices[part][order], S.data[part][order]
    return S


def split(S: Any) -> Any:
    """Return S with each count as the sum of 1 and the rest, far apart."""
    rest = np.maximum(S.data - 1, 0)
    indices = [np.tile(S.indices[S.indptr[i] : S.indptr[i + 1]], 2) for i in range(N)]
    values = [
        np.concatenate(
            [rest[S.indptr[i] : S.indptr[i + 1]], (S.data - rest)[S.indptr[i] : S.indptr[i + 1]]]
        )
        for i in range(N)
    ]
    return sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(indices), 2 * S.indptr), S.shape
    )


def with_spare_room(S: Any) -> Any:
    S.indices, S.data = np.append(S.indices, [999, -1]), np.append(S.data, [np.nan, -7])
    return S


@pytest.mark.parametrize("form", FORMS)
def test_every_csr_is_read(form):
    S = FORMS[form](COUNTS)
    before = S.indices.copy(), S.data.copy()
    dense = small(likelihood="multinomial").fit(COUNTS)
    other = small(likelihood="multinomial").fit(S)
    assert_same_model(dense, other)
    np.testing.assert_array_equal(S.indices, before[0])  # the caller's matrix stays as it is
    np.testing.assert_array_equal(S.data, before[1])


@pytest.mark.parametrize("form", ["csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.filterwarnings("ignore:Constructing a DIA matrix")
def test_other_formats_are_converted_with_a_warning(form):
    dense, S = small(likelihood="poisson").fit(COUNTS), sparse.csr_matrix(COUNTS).asformat(form)
    with pytest.warns(UserWarning, match=rf"X is sparse in the format {form} .* X\.tocsr\(\)") as w:
        codes = dense.transform(S)
    np.testing.assert_array_equal(codes, dense.transform(COUNTS))
    assert w[0].filename == __file__


def test_matrices_that_need_no_change_are_not_copied():
    S = sparse.csr_matrix(COUNTS)
    rows = to_sparse(S)
    assert np.shares_memory(rows.values, S.data) and np.shares_memory(rows.indices, S.indices)
    assert np.shares_memory(rows[10:20].values, S.data)


def test_sparse_frames_are_read_and_keep_their_names():
    pandas = pytest.importorskip("pandas")
    names = [f"gene{i}" for i in range(D)]
    frame = pandas.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(COUNTS), columns=names)
    vae = small(likelihood="poisson").fit(frame)
    assert_same_model(small(likelihood="poisson").fit(COUNTS), vae)
    assert vae.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="gene0"):
        vae.transform(frame[names[::-1]])
    assert isinstance(vae.model_.reader.read(frame), SparseMatrix)
    gaps = frame.astype(pandas.SparseDtype(float, np.nan))  # NaN where a value is absent
    np.testing.assert_array_equal(vae.transform(gaps), vae.transform(frame))


def test_rows_are_taken_by_slice_number_and_mask():
    rows = to_sparse(sparse.csr_matrix(COUNTS))
    mask = RNG.random(N) < 0.4
    for index in (
        slice(3, 9),
        slice(50, 20),
        slice(None, None, 7),
        [8, 0, 8],
        mask,
        slice(85, 999),
    ):
        np.testing.assert_array_equal(rows[index].toarray(), COUNTS[index])
    assert sum(len(part) for _, part in rows.chunks()) == N


# ------------------------------------------------------------------ refused


def test_what_would_fill_the_zeros_is_refused():
    S = sparse.csr_matrix(REAL)
    with pytest.raises(ValueError, match="X is sparse, and standardize=True would turn its zeros"):
        small(likelihood="gaussian", standardize=True).fit(S)
    for noise in (("gaussian", 0.3), ("salt_and_pepper", 0.1)):
        with pytest.raises(ValueError, match=r"denoising=\('.*would fill its zeros: use .*mask"):
            small(likelihood="gaussian", denoising=noise).fit(S)
    dense = small(likelihood="gaussian", standardize=True).fit(REAL)
    with pytest.raises(ValueError, match="X is sparse, and standardize=True"):
        dense.transform(S)
    noisy = small(likelihood="bernoulli", denoising=("gaussian", 0.1)).fit(BINARY)
    np.testing.assert_array_equal(
        noisy.transform(sparse.csr_matrix(BINARY)), noisy.transform(BINARY)
    )
    with pytest.raises(ValueError, match="would fill its zeros"):
        noisy.partial_fit(sparse.csr_matrix(BINARY))
    masked = small(likelihood="poisson", missing="mask").fit(COUNTS)
    with pytest.raises(TypeError, match="impute needs a dense array"):
        masked.impute(sparse.csr_matrix(COUNTS))


def broken(**parts: Any) -> Any:
    """Return a CSR matrix with parts replaced, unseen by SciPy's own checks."""
    S = sparse.csr_matrix(COUNTS)
    for name, part in parts.items():
        setattr(S, name, part)
    return S


GOOD = sparse.csr_matrix(COUNTS)
AT = GOOD.indptr[7]


def changed(array: np.ndarray, at: int, value: Any) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


BROKEN = {
    "a column too far": (
        broken(indices=changed(GOOD.indices, AT, D)),
        f"row 7 .*column {D}.*0 to {D - 1}",
    ),
    "a negative column": (
        broken(indices=changed(GOOD.indices, AT, -1)),
        "row 7 has a value in column -1",
    ),
    "a column that wraps": (
        broken(indices=changed(GOOD.indices.astype(np.int64), AT, 2**32)),
        "row 7 has a value in column 4294967296",
    ),
    "starts that decrease": (
        broken(indptr=changed(GOOD.indptr, 8, 0)),
        "indptr decreases after row 7",
    ),
    "starts beyond the values": (
        broken(indptr=changed(GOOD.indptr, N, 10**6)),
        "indptr ends with 1000000",
    ),
    "starts within": (
        broken(indptr=changed(GOOD.indptr, 50, 10**6)),
        "indptr decreases after row 50",
    ),
    "negative starts": (broken(indptr=changed(GOOD.indptr, N, -3)), "indptr ends with -3"),
    "a late start": (broken(indptr=changed(GOOD.indptr, 0, 1)), "indptr does not start with 0"),
    "too few starts": (broken(indptr=GOOD.indptr[:-1]), rf"indptr has shape \({N},\)"),
    "too few values": (broken(data=GOOD.data[:-5]), "values"),
    "too few columns": (broken(indices=GOOD.indices[:-5]), "indices"),
    "columns in halves": (broken(indices=GOOD.indices + 0.5), "indices of X holds float64"),
    "complex values": (broken(data=GOOD.data * 1j), "Complex data not supported"),
    "NaN": (broken(data=changed(GOOD.data, AT, np.nan)), "nan in row 7, column"),
    "infinity": (broken(data=changed(GOOD.data, AT, np.inf)), "inf in row 7, column"),
    "beyond float32": (broken(data=changed(GOOD.data.astype(float), AT, 1e300)), "inf in row 7"),
    "a negative count": (broken(data=changed(GOOD.data, AT, -2)), r"-2 in row 7, .*counts: 0, 1"),
    "half a count": (broken(data=changed(GOOD.data, AT, 0.5)), r"0\.5 in row 7, .*counts: 0, 1"),
    "no rows": (GOOD[:0], r"0 sample\(s\)"),
    "no columns": (GOOD[:, :0], r"0 feature\(s\)"),
    "another width": (sparse.hstack([GOOD, GOOD]).tocsr(), "features"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score_samples"])
@pytest.mark.parametrize("case", BROKEN)
def test_broken_matrices_are_refused_and_leave_the_model(case, method):
    X, message = BROKEN[case]
    if case == "another width" and method == "fit":
        pytest.skip("another model")
    vae = small(likelihood="multinomial", epochs=1).fit(GOOD)
    before = vae.score_samples(GOOD)
    with pytest.raises(ValueError, match=message):
        getattr(vae, method)(X)
    np.testing.assert_array_equal(vae.score_samples(GOOD), before)


def test_ranges_are_checked_as_those_of_dense_rows():
    X = BINARY * np.float32(1 + 1e-7)  # as scalers round
    small().fit(sparse.csr_matrix(X))
    X[8, 3] = 1.5
    with pytest.raises(ValueError, match="X ranges from 0 to 1.5, but likelihood='bernoulli'"):
        small().fit(sparse.csr_matrix(X))
    X[8, 3] = np.nan
    with pytest.raises(ValueError, match="X holds nan in row 8, column 3"):
        small().fit(sparse.csr_matrix(X))
    small().fit(sparse.csr_matrix((9, 4)))  # no stored value at all


def test_text_is_refused():
    S = sparse.csr_matrix(COUNTS)
    S.data = S.data.astype(object)
    with pytest.raises(TypeError, match="X holds object, expected numbers"):
        small(likelihood="poisson").fit(S)


@pytest.mark.parametrize(
    ("columns", "X", "message"),
    [
        ([("categorical", 4)], ONE_HOT * 0, "0 ones in row 0, columns 0 to 3"),
        ([("categorical", 4)], np.vstack([ONE_HOT, np.ones((1, 4))]), f"4 ones in row {N}"),
        ([("gaussian", 2), ("poisson", 2)], np.diag([-1.0, -1, 1, -2]), "-2 in row 3, column 3"),
        ([("bernoulli", 3), ("gaussian", 1)], np.diag([0, 1.5, 1, 1]), r"1\.5 in row 1, column 1"),
    ],
)
def test_values_are_checked_by_their_columns(columns, X, message):
    with pytest.raises(ValueError, match=message):
        small(likelihood=columns).fit(sparse.csr_matrix(X))


def test_a_variable_may_be_missing_as_a_whole_alone():
    X = COUNTS.copy()
    X[3] = np.nan
    X[3, ::2] = 0
    with pytest.raises(ValueError, match="NaN in only a part of row 3, columns 0 to 69"):
        small(likelihood="multinomial", missing="mask").fit(sparse.csr_matrix(X))
    X[3] = np.nan
    dense, other = (
        small(likelihood="multinomial", missing="mask").fit(rows)
        for rows in (X, sparse.csr_matrix(X))
    )
    assert_same_model(dense, other)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([0, 2], [0, 5], [1.0, 1]), "column 5 of 4"),
        (([0, 2], [1, 1], [1.0, 1]), "do not increase"),
        (([0, 2, 1], [0], [1.0]), "decrease"),
        (([0, 3], [0], [1.0]), "from 0 to the number of values"),
        (([0, 1], [0], [1.0, 2]), "one column for each value"),
        (([], [], []), "a start for each row and one more"),
    ],
)
def test_the_core_checks_what_memory_safety_needs(arrays, message):
    starts, columns, values = arrays
    with pytest.raises(ValueError, match=message):
        _core.Sparse(
            np.array(starts, np.int64), np.array(columns, np.int32), np.array(values, np.float32), 4
        )


def test_indices_that_change_after_the_check_write_nowhere_else():
    S = sparse.csr_matrix(COUNTS)
    vae = small(likelihood="poisson").fit(S)
    rows = vae.model_.reader.read(S)
    S.indices[:] = 10**9
    np.testing.assert_array_equal(
        vae.model_.core.encode(rows)[0], vae.transform(np.zeros_like(COUNTS))
    )


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("form", ["csr", "coo"])
def test_the_command_line_reads_files_of_scipy(form, tmp_path):
    path, out = tmp_path / "counts.npz", tmp_path / "run"
    sparse.save_npz(path, sparse.csr_matrix(COUNTS).asformat(form))
    options = ["--likelihood", "multinomial", "--epochs", "2", "--seed", "0", "--latent-dim", "3"]
    said = succeed("train", path, *options, "--out", out)
    assert "81 rows of 70 columns, 9 for the test" in said
    vae = load(out)
    assert f"Data  rows of {path}: 90 rows of 70 columns" in succeed("evaluate", out, path)
    scores, codes = tmp_path / "scores.npy", tmp_path / "codes.npy"
    succeed("score", out, path, "--out", scores)
    np.testing.assert_array_equal(np.load(scores), vae.score_samples(COUNTS))
    succeed("encode", out, path, "--out", codes)
    np.testing.assert_array_equal(np.load(codes), vae.transform(COUNTS))
    succeed("reconstruct", out, path, "--index", 3, 5, "--out", tmp_path / "rows.csv")
    rows = np.loadtxt(tmp_path / "rows.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(rows, vae.reconstruct(COUNTS[[3, 5]]), rtol=1e-6)
    np.save(tmp_path / "dense.npy", COUNTS)
    judging = ("anomalies", tmp_path / "dense.npy", "--new", path)
    for command in (("impute", out, path), ("anomalies", path), judging):
        said = fail(*command, "--out", tmp_path / "new.csv")
        assert "holds a sparse matrix, but this command needs dense rows" in said


def test_a_sparse_file_loads_as_a_matrix_of_scipy(tmp_path):
    path = tmp_path / "counts.npz"
    sparse.save_npz(path, sparse.csc_matrix(COUNTS))
    dataset = datasets.load(path)
    assert dataset.X.format == "csr" and f"X: float32 ({N}, {D})" in repr(dataset)
    np.testing.assert_array_equal(dataset.X.toarray(), COUNTS)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"counts\.npz: .*corrupt"):
        datasets.load(path)
    np.savez(path, format="csr", shape=[3, 4], data=[1.0])
    with pytest.raises(ValueError, match=r"counts\.npz: truncated, corrupt, or not a sparse"):
        datasets.load(path)
