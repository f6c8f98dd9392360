"""The commands that write a result for each row, and their use of column names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import vaefast
from commands import SMALL, fail, names, read_csv, succeed
from vaefast import AnomalyDetector, datasets


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def column(path: str, name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in read_csv(Path(path))])


@pytest.fixture
def gaps_file(table_file: Path, tmp_path: Path) -> Path:
    """The table, with an empty cell in every third row."""
    lines = table_file.read_text().splitlines()
    lines[1::3] = [line.split(",")[0] + "," for line in lines[1::3]]
    path = tmp_path / "gaps.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_encode_writes_latent_features(table_run: Path, table_file: Path):
    said = succeed("encode", table_run, table_file)
    assert said == f"Wrote latent.csv: 2 latent features of 200 rows of {table_file}\n"
    expected = vaefast.load(table_run).transform(datasets.load(table_file).X)
    for i in (0, 1):
        written = column("latent.csv", f"vae{i}").astype(np.float32)
        np.testing.assert_array_equal(written, expected[:, i])
    succeed("encode", table_run, table_file, "--out", "latent.npy")
    np.testing.assert_array_equal(np.load("latent.npy"), expected)


def test_score_writes_the_elbo_of_each_row(digits_run: Path, digits_file: Path):
    said = succeed("score", digits_run, digits_file)
    expected = vaefast.load(digits_run).score_samples(datasets.load(digits_file).X_test)
    np.testing.assert_array_equal(column("scores.csv", "score"), expected)
    np.testing.assert_array_equal(column("scores.csv", "row"), range(50))
    assert f"50 test rows of {digits_file}. The lowest score is" in said
    assert f"nats, at row {expected.argmin()}; the mean is" in said
    succeed("score", digits_run, digits_file, "--split", "train", "--out", "scores.npy")
    assert np.load("scores.npy").shape == (300,)


def test_score_adds_p_values_among_known_rows(table_run: Path, table_file: Path, tmp_path: Path):
    rows = datasets.load(table_file).X
    rows[0] += 8
    np.save("new.npy", rows)
    said = succeed("score", table_run, "new.npy", "--known", table_file)
    detector = AnomalyDetector(vaefast.load(table_run)).fit(datasets.load(table_file).X)
    np.testing.assert_array_equal(column("scores.csv", "p_value"), detector.p_values(rows))
    flags = np.array([row["anomaly"] == "True" for row in read_csv(Path("scores.csv"))])
    np.testing.assert_array_equal(flags, detector.predict(rows) == -1)
    assert flags[0] and f"{flags.sum()} rows are anomalies compared with the 200 known." in said
    succeed("score", table_run, "new.npy", "--known", table_file, "--out", "scores.npy")
    expected = np.column_stack([detector.score_samples(rows), detector.p_values(rows), flags])
    np.testing.assert_array_equal(np.load("scores.npy"), expected)


def test_anomalies_are_found_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vaefast.anomaly.ensemble.MEMBERS", 12)
    monkeypatch.setattr("vaefast.anomaly.member.STEPS", 20)
    known = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    known[7, 1] = 30
    new = known[:5] + np.float32([0, 0, 40])
    for name, rows in (("known", known), ("new", new)):
        np.savetxt(f"{name}.csv", rows, fmt="%.9g", delimiter=",", header="a,b,c", comments="")
    said = succeed("anomalies", "known.csv", "--seed", "0", "--contamination", "0.03")
    assert "100 rows of known.csv, 3 of them anomalies. The most unusual one is row 7." in said
    detector = AnomalyDetector(contamination=0.03, random_state=0).fit(known)
    np.testing.assert_array_equal(column("anomalies.csv", "score"), detector.score_samples(known))
    row = read_csv(Path("anomalies.csv"))[7]
    assert (row["anomaly"], row["column"], "p_value" in row) == ("True", "b", False)
    said = succeed("anomalies", "known.csv", "--new", "new.csv", "--seed", "0", "--force")
    assert "5 rows of new.csv, 5 of them anomalies" in said
    np.testing.assert_array_equal(column("anomalies.csv", "p_value"), detector.p_values(new))
    assert {row["column"] for row in read_csv(Path("anomalies.csv"))} == {"c"}


def test_anomalies_says_what_it_can_not_read(tmp_path: Path):
    Path("known.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    Path("swapped.csv").write_text("b,a\n1,2\n")
    Path("text.csv").write_text("a,b\n1,x\n")
    assert "already exists" in fail("anomalies", "known.csv", "--out", "text.csv")
    assert "a .csv or .parquet file" in fail("anomalies", "known.csv", "--out", "out.txt")
    assert "column 0 of swapped.csv is 'b'" in fail(
        "anomalies", "known.csv", "--new", "swapped.csv"
    )
    assert "X has 1 sample (row), expected at least 2" in fail("anomalies", "text.csv")
    assert "expected a number, got 'x'" in fail("anomalies", "known.csv", "--new", "text.csv")


def test_anomalies_reads_tables_of_mixed_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pd = pytest.importorskip("pandas")
    monkeypatch.setattr("vaefast.anomaly.ensemble.MEMBERS", 12)
    monkeypatch.setattr("vaefast.anomaly.member.STEPS", 20)
    rng = np.random.default_rng(0)
    known = pd.DataFrame(
        {
            "shop": rng.choice(["baker", "grocer", "kiosk"], 100),
            "zip": rng.choice(["0150", "0250"], 100),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, 100), "D"),
            "online": rng.random(100) < 0.5,
            "amount": rng.normal(50, 5, 100).round(2),
        }
    )
    known.loc[3, "amount"] = -4000.0
    new = known.head(5).assign(zip="7777")
    frames = {"known": known, "new": new, "lacks": new[["shop"]]}
    for name, frame in frames.items():
        written = (
            frame.assign(day=frame["day"].dt.strftime("%d.%m.%Y")) if "day" in frame else frame
        )
        written.to_csv(f"{name}.csv", index=False)
    said = succeed("anomalies", "known.csv", "--seed", "0", "--contamination", "0.01")
    assert "100 rows of known.csv, 1 of them anomalies. The most unusual one is row 3." in said
    detector = AnomalyDetector(random_state=0).fit(known)
    np.testing.assert_array_equal(column("anomalies.csv", "score"), detector.score_samples(known))
    assert read_csv(Path("anomalies.csv"))[3]["column"] == "amount"
    succeed("anomalies", "known.csv", "--new", "new.csv", "--seed", "0", "--force")
    np.testing.assert_array_equal(column("anomalies.csv", "score"), detector.score_samples(new))
    np.testing.assert_array_equal(column("anomalies.csv", "p_value"), detector.p_values(new))
    said = fail("anomalies", "known.csv", "--new", "lacks.csv", "--force")
    assert "lacks.csv lacks columns of the fit: zip, day, online, amount" in said
    np.save("rows.npy", np.zeros((3, 5)))
    said = fail("anomalies", "known.csv", "--new", "rows.npy", "--force")
    assert "rows.npy must be a CSV or Parquet file" in said
    Path("euros.csv").write_text("shop,price\n" + "a,1.50 €\nb,2.50 €\n" * 30)
    said = succeed("anomalies", "euros.csv", "--seed", "0", "--force")
    assert "anomalies" in said


def test_anomalies_notes_numbers_that_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pandas")
    monkeypatch.setattr("vaefast.anomaly.ensemble.MEMBERS", 3)
    monkeypatch.setattr("vaefast.anomaly.member.STEPS", 5)
    rows = [f"{'ab'[i % 2]},{i}.5 €,{i % 7}" for i in range(60)]
    Path("prices.csv").write_text("\n".join(["kind,price,size", *rows]))
    said = succeed("anomalies", "prices.csv", "--seed", "0")
    assert "Note: prices.csv: column 'price' is text such as '0.5 €' in row 0: write" in said


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("command", ["score", "encode", "evaluate"])
def test_rows_far_from_those_of_the_training_are_warned_of(
    command, table_run: Path, table_file: Path
):
    Path("raw.csv").write_text("length,width\n1,2\n41000,3\n")
    said = succeed(command, table_run, "raw.csv")
    assert "Warning: raw.csv has columns far from the rows of the training, such as length" in said
    succeed("train", table_file, "--likelihood", "gaussian", "--no-standardize", "--out", "run",
            *SMALL)  # fmt: skip
    said = succeed(command, "run", "raw.csv", *([] if command == "evaluate" else ["--force"]))
    assert "Warning: raw.csv has columns far from unit variance" in said
    assert "train the model with --standardize" in said


def test_rows_of_a_conditional_model_go_with_their_labels(digits_file: Path):
    succeed("train", digits_file, "--conditional", "--out", "run", *SMALL)
    data = datasets.load(digits_file)
    succeed("encode", "run", digits_file, "--out", "codes.npy")
    expected = vaefast.load("run").transform(data.X_test, data.y_test)
    np.testing.assert_array_equal(np.load("codes.npy"), expected)
    np.savez("unlabelled.npz", X=data.X)
    for command in ("score", "encode", "evaluate", "reconstruct"):
        message = fail(command, "run", "unlabelled.npz")
        assert "needs labels, but unlabelled.npz has none. A .npz" in message


def test_impute_fills_gaps_and_nothing_else(gaps_file: Path):
    args = ["--likelihood", "gaussian", "--missing", "mask", "--out", "run"]
    succeed("train", gaps_file, *args, *SMALL)
    said = succeed("impute", "run", gaps_file)
    assert said == f"Wrote imputed.csv: 200 rows of {gaps_file}, 67 missing values filled\n"
    X = datasets.load(gaps_file).X
    written = np.stack([column("imputed.csv", "length"), column("imputed.csv", "width")], axis=1)
    assert np.isfinite(written).all()
    known = ~np.isnan(X)
    np.testing.assert_array_equal(written[known].astype(np.float32), X[known])
    succeed("impute", "run", gaps_file, "--out", "filled.npy")
    np.testing.assert_array_equal(np.load("filled.npy"), written.astype(np.float32))


@pytest.mark.filterwarnings("ignore:most filled values of column gap lie outside")
@pytest.mark.filterwarnings("default")
def test_impute_keeps_the_cells_there_are_as_they_are_written(tmp_path: Path):
    ids = [f"12345{i:04}" for i in range(40)]  # more digits than float32 can hold
    rows = [f"{number};0.1000000001;{'' if i % 4 else i}" for i, number in enumerate(ids)]
    (tmp_path / "ids.csv").write_text("\n".join(["id;share;gap", *rows, ""]))
    args = ["--likelihood", "laplace", "--missing", "mask", "--no-standardize", "--out", "run"]
    assert "far from unit variance" in succeed("train", "ids.csv", *args, *SMALL)
    assert "30 missing values filled" in succeed("impute", "run", "ids.csv")
    written = read_csv(Path("imputed.csv"))
    assert [row["id"] for row in written] == ids
    assert {row["share"] for row in written} == {"0.1000000001"}
    assert [row["gap"] for row in written[::4]] == [str(i) for i in range(0, 40, 4)]
    assert all(np.isfinite(float(row["gap"])) for row in written)


@pytest.mark.filterwarnings("default")
def test_impute_warns_of_what_the_model_has_not_learned(tmp_path: Path):
    heights = [f"{'' if i % 3 == 0 else 160 + i % 20},{i % 2}" for i in range(60)]
    (tmp_path / "people.csv").write_text("\n".join(["height,sex", *heights, ""]))
    args = ["--likelihood", "laplace", "--missing", "mask", "--no-standardize", "--out", "run"]
    succeed("train", "people.csv", *args, *SMALL)
    output = " ".join(succeed("impute", "run", "people.csv").split())
    assert "Warning: most filled values of column height lie outside the range of" in output


def test_rows_of_any_shape_are_written_flat(tmp_path: Path):
    np.save("blocks.npy", np.random.default_rng(0).random((40, 3, 4, 2), np.float32))
    succeed("train", "blocks.npy", "--missing", "mask", "--out", "run", *SMALL)
    succeed("sample", "run", "-n", 3)
    succeed("reconstruct", "run", "blocks.npy", "--index", 0, 5)
    succeed("impute", "run", "blocks.npy")
    for path, n in (("samples.csv", 3), ("reconstruction.csv", 2), ("imputed.csv", 40)):
        rows = read_csv(Path(path))
        assert len(rows) == n
        assert list(rows[0]) == [f"x{i}" for i in range(24)]
        assert all(0 <= float(cell) <= 1 for row in rows for cell in row.values())


def test_impute_needs_a_model_for_gaps(table_run: Path, table_file: Path, tmp_path: Path):
    message = fail("impute", table_run, table_file)
    assert "fitted with --missing mask" in message
    assert names(tmp_path) == set()


@pytest.mark.parametrize("command", ["encode", "score", "impute"])
def test_only_tables_and_arrays_are_written(command, table_run, table_file, tmp_path: Path):
    assert ".csv, .parquet or .npy" in fail(command, table_run, table_file, "--out", "rows.txt")
    (tmp_path / "rows.csv").write_text("precious")
    assert "--force" in fail(command, table_run, table_file, "--out", "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == "precious"


# --- Names of columns ---


def test_samples_have_the_columns_of_the_table(table_run: Path):
    succeed("sample", table_run, "-n", 5)
    assert list(read_csv(Path("samples.csv"))[0]) == ["length", "width"]


def test_columns_in_another_order_are_refused(table_run: Path, table_file: Path, tmp_path: Path):
    lines = table_file.read_text().splitlines()
    swapped = tmp_path / "swapped.csv"
    swapped.write_text("\n".join(["width,length", *lines[1:]]) + "\n")
    message = fail("evaluate", table_run, swapped)
    assert f"column 0 of {swapped} is 'width'" in message
    unnamed = tmp_path / "unnamed.csv"
    unnamed.write_text("\n".join(lines[1:]) + "\n")
    assert succeed("evaluate", table_run, unnamed, "--json") == succeed(
        "evaluate", table_run, table_file, "--json"
    )


# --- `vaefast info` of a model ---


def test_info_tells_what_a_model_is(table_run: Path, digits_run: Path):
    output = succeed("info", table_run)
    vae = vaefast.load(table_run)
    assert "2-16-2-16-2, relu, gaussian, adam" in output
    assert "length, width" in output
    assert "2 epochs" in output
    assert f"ELBO {vae.history_['elbo'][-1]:.2f}" in output
    assert repr(vae) in output
    assert "28x28" in succeed("info", digits_run / "model.safetensors")
    assert "no such file" in fail("info", "nothing")


def test_info_prints_the_provenance(table_run: Path, table_file: Path):
    output = succeed("info", table_run)
    lines = dict(re.split(r" {2,}", line, maxsplit=1) for line in output.splitlines())
    provenance = vaefast.load(table_run).model_.provenance
    assert lines["version"] == vaefast.__version__
    assert lines["isa"] == vaefast.info()["isa"]
    assert lines["date"] == provenance.date
    assert lines["data"] == f"{provenance.data_shape[0]} rows of 2 features, float32"
    assert lines["data SHA-256"] == provenance.data_sha256


def test_info_leaves_out_a_provenance_that_is_not_known():
    model = Path(__file__).parent / "files" / "version_1" / "plain.safetensors"
    output = succeed("info", model)
    assert "SHA-256" not in output and "unknown" not in output


def test_info_tells_of_a_single_layer_given_as_a_number(tmp_path: Path):
    X = np.random.default_rng(0).random((20, 4), np.float32)
    vae = vaefast.VAE(2, 8, epochs=1, verbose=False).fit(X)
    vae.save(tmp_path / "model.safetensors")
    assert "4-8-2-8-4" in succeed("info", "model.safetensors")
