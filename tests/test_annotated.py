"""AnnData objects as X: the counts, the names of genes and cells, and columns of obs as y."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, AnomalyDetector

pd = pytest.importorskip("pandas")

N = 40
GENES = ["CD3", "CD8", "MS4A1"]
CELLS = [f"cell{i}" for i in range(N)]
BATCH = np.array(["a", "b"])[np.arange(N) % 2]


class StandIn:
    """The part of AnnData that vaefast reads."""

    def __init__(self, X: Any, obs: Any, var: Any) -> None:
        self.X, self.obs, self.var = X, obs, var
        self.obs_names, self.var_names = obs.index, var.index

    def __getitem__(self, index: tuple[slice, slice]) -> StandIn:
        rows, columns = index
        return StandIn(self.X[index], self.obs.iloc[rows], self.var.iloc[columns])


@pytest.fixture(params=["a stand-in", "anndata"], autouse=True)
def AnnData(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a class that vaefast knows as AnnData."""
    if request.param == "anndata":
        return pytest.importorskip("anndata").AnnData
    module = ModuleType("anndata")
    module.AnnData = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "anndata", module)
    return StandIn


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(3.0, (N, 3)).astype(np.float32)


@pytest.fixture
def adata(AnnData: Any, counts: np.ndarray) -> Any:
    obs = pd.DataFrame({"batch": pd.Categorical(BATCH), "age": np.linspace(0, 1, N)}, index=CELLS)
    return AnnData(counts, obs=obs, var=pd.DataFrame(index=GENES))


def small(**params: Any) -> VAE:
    settings = {"likelihood": "negative_binomial", "epochs": 2, "random_state": 0}
    return VAE(2, (8,), **{"conditional": True, "verbose": False, **settings, **params})


def test_a_column_of_obs_is_y(adata, counts):
    vae, same = small().fit(adata, y="batch"), small().fit(counts, BATCH)
    assert vae.feature_names_in_.tolist() == GENES
    assert vae.model_.conditions.classes == ("a", "b")
    for method in ("transform", "reconstruct", "score_samples", "score"):
        expected = getattr(same, method)(counts, BATCH)
        np.testing.assert_array_equal(getattr(vae, method)(adata, y="batch"), expected)
    drawn = vae.reconstruct(adata, "batch", n=2, random_state=0)
    np.testing.assert_array_equal(drawn, same.reconstruct(counts, BATCH, n=2, random_state=0))
    assert vae.sample(3, y="a").shape == (3, 3)


def test_numbers_of_obs_are_numbers(adata, counts):
    vae = small().fit(adata, y="age")
    same = small().fit(counts, adata.obs["age"].to_numpy())
    assert vae.score(adata, "age") == same.score(counts, adata.obs["age"].to_numpy())


def test_validation_and_more_epochs_take_the_column(adata, counts):
    vae = small().fit(adata, "batch", validation=(adata[:10, :], "batch"))
    assert vae.history_["validation"][-1] == vae.score(counts[:10], BATCH[:10])
    assert vae.partial_fit(adata, "batch").n_iter_ == 3


def test_a_detector_takes_the_column(adata, counts):
    detector = AnomalyDetector(small(), 0.1).fit(adata, "batch")
    scores = detector.score_samples(counts, BATCH)
    np.testing.assert_array_equal(detector.score_samples(adata, "batch"), scores)


def test_gaps_are_filled_for_the_column(adata, counts):
    rows = counts.astype(np.float64) / 3
    rows[3, 1] = np.nan
    adata.X = rows
    vae = small(likelihood="gaussian", missing="mask").fit(adata, "batch")
    filled = vae.impute(adata, "batch")
    assert filled.dtype == np.float64 and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled, vae.impute(rows, BATCH))


def test_a_model_without_conditions_ignores_the_name(adata, counts):
    vae = small(conditional=False).fit(adata, "anything")
    assert vae.score(adata, "anything") == vae.score(counts)
    assert vae.reconstruct(adata, "anything").shape == counts.shape


def test_the_names_of_cells_are_the_index(adata):
    codes = small().set_output(transform="pandas").fit_transform(adata, "batch")
    assert codes.index.tolist() == CELLS


def test_errors_name_the_column_the_genes_and_the_matrix(adata, counts):
    sparse = pytest.importorskip("scipy.sparse")
    vae = small().fit(adata, y="batch")
    with pytest.raises(ValueError, match="y='Batch' names no column of obs.* 'batch', 'age'"):
        vae.transform(adata, "Batch")
    with pytest.raises(ValueError, match="column 0 of X is 'MS4A1'.*fitted with 'CD3' there"):
        vae.transform(adata[:, ::-1], "batch")
    broken = sparse.csr_matrix(counts)
    broken.indices[0] = 99
    adata.X = broken
    with pytest.raises(ValueError, match=r"X\.X is a broken CSR matrix: row 0 .*column 99"):
        vae.fit(adata, y="batch")


def test_sparse_counts_give_the_same_model(adata, counts):
    sparse = pytest.importorskip("scipy.sparse")
    codes = small().fit(adata, y="batch").transform(adata, "batch")
    adata.X = sparse.csr_matrix(counts)
    np.testing.assert_array_equal(small().fit(adata, y="batch").transform(adata, "batch"), codes)


def test_a_name_stays_a_label_beside_other_rows(counts):
    vae = small().fit(counts, BATCH)
    np.testing.assert_array_equal(vae.transform(counts, "a"), vae.transform(counts, ["a"] * N))
