"""Tables of mixed columns on the command line: CSV and Parquet files in the user's columns."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vaefast
from commands import SMALL, fail, names, read_csv, succeed, vaefast_command
from vaefast import VAE
from vaefast.tables import Table

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

N = 120


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def people() -> pandas.DataFrame:
    """Return a frame with a column of each kind, and gaps."""
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "größe": rng.normal(170, 10, N).round(1),
            "city": rng.choice(["Lima", "Oslo", "Rome"], N),
            "member": rng.random(N) < 0.4,
            "children": rng.poisson(1, N),
            "price": rng.integers(1, 10_000, N) / 100,
            "since": pandas.Timestamp("2020-01-01")
            + pandas.to_timedelta(rng.integers(0, 900, N), "D"),
            "seen": pandas.Timestamp("2024-01-01 08:30")
            + pandas.to_timedelta(rng.integers(0, 900, N), "min"),
            "planet": "Earth",
        }
    ).astype({"member": "boolean", "children": "Int64"})
    for start, name in enumerate(["größe", "city", "member", "children", "since"]):
        frame.loc[start::10, name] = None
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table as CSV and Parquet files, and a model of it."""
    folder = tmp_path_factory.mktemp("people")
    people().to_csv(folder / "people.csv", index=False)
    people().to_parquet(folder / "people.parquet", index=False)
    succeed("train", folder / "people.csv", "--out", folder / "run", *SMALL)
    return folder


def written(path: str) -> pandas.DataFrame:
    dates = ["since", "seen"]
    frame = pandas.read_csv(path, parse_dates=dates, keep_default_na=False, na_values=[""])
    return frame.astype({"member": "boolean", "children": "Int64"})


def assert_like_people(frame: pandas.DataFrame) -> None:
    """Assert that rows look like those of the table: columns, types, decimals and ranges."""
    known = people()
    assert list(frame) == list(known)
    assert set(frame["city"]) <= {"Lima", "Oslo", "Rome"}
    assert set(frame["planet"]) == {"Earth"}
    assert (frame["price"] == frame["price"].round(2)).all()
    assert (frame["größe"] == frame["größe"].round(1)).all()
    for name in ("größe", "children", "price", "since", "seen"):
        assert frame[name].min() >= known[name].min() and frame[name].max() <= known[name].max()


# --- train ---


def test_train_learns_a_table_without_options(folder: Path):
    output = succeed("train", folder / "people.csv", "--out", "run", *SMALL)
    assert "108 rows of 8 columns, 12 for the test\n" in output
    assert (
        "Table numbers größe, children, price; categories city; booleans member; "
        "dates since, seen; one value planet; "
        "60 missing: größe 10 %, city 10 %, member 10 %, children 10 %, since 10 %\n"
    ) in output
    vae = vaefast.load("run")
    assert vae.table_ == Table.learn(
        people()
        .astype({"city": object, "planet": object})
        .astype({"since": "M8[us]", "seen": "M8[us]"})
    )
    assert vae.missing == "mask"
    assert [tuple(block) for block in vae.likelihood] == vae.table_.columns
    assert "model.safetensors" in names(Path("run"))
    assert "table             numbers größe, children, price;" in succeed("info", "run")


def test_a_parquet_file_gives_the_same_rows(folder: Path):
    succeed("train", folder / "people.parquet", "--out", "run", *SMALL)
    one, other = vaefast.load("run"), vaefast.load(folder / "run")
    assert one.table_.columns == other.table_.columns
    for name, tensor in one.model_.weights().items():
        np.testing.assert_array_equal(other.model_.weights()[name], tensor)
    assert one.model_.provenance.data_sha256 == other.model_.provenance.data_sha256


def test_a_table_without_gaps_needs_no_mask():
    people().dropna().to_csv("people.csv", index=False)
    succeed("train", "people.csv", "--out", "run", *SMALL)
    assert vaefast.load("run").missing == "error"
    people().to_csv("gaps.csv", index=False)
    assert "--missing mask" in fail("score", "run", "gaps.csv")


def test_a_likelihood_makes_a_csv_file_a_matrix(folder: Path, table_file: Path):
    succeed("train", table_file, "--likelihood", "gaussian", "--out", "run", *SMALL)
    assert vaefast.load("run").table_ is None
    message = fail("train", folder / "people.csv", "--likelihood", "gaussian")
    assert "expected a number, got 'Lima'" in message or "expected a number, got 'Rome'" in message
    message = fail("train", folder / "people.parquet", "--likelihood", "gaussian", code=2)
    assert "leave --likelihood out" in message


def test_an_interrupted_run_of_a_table_is_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    fit = VAE.fit

    def interrupted_fit(self, *args, **options):
        return fit(
            self, *args, **options, callbacks=[lambda *_: signal.raise_signal(signal.SIGINT)]
        )

    options = [folder / "people.csv", "--out", "run", *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr(VAE, "fit", interrupted_fit)
        every = "--checkpoint-every", "1steps"
        assert vaefast_command("train", *options, *every).exit_code == 130
    one = vaefast.load("run")
    assert one.n_iter_ == 1 and one.table_ is not None
    succeed("train", *options, "--resume")
    resumed, whole = vaefast.load("run"), vaefast.load(folder / "run")
    assert resumed.table_ == whole.table_
    for name, tensor in whole.model_.weights().items():
        np.testing.assert_array_equal(resumed.model_.weights()[name], tensor)


def test_the_commands_of_the_guide_run_as_written():
    page = (Path(__file__).parents[1] / "docs" / "guide" / "tables.md").read_text("utf-8")
    before, _, section = page.partition("## On the command line\n")
    names: dict[str, object] = {}
    for text in (before, section):
        exec(re.search(r"```python\n(.*?)```", text, re.S)[1], names)
    for line in re.search(r"```sh\n(.*?)```", section, re.S)[1].splitlines():
        output = succeed(*line.split()[1:])
        expected = re.search(r"```text\n(.*?)```", section, re.S)[1] if "train" in line else "Wrote"
        assert expected in output
    assert len(read_csv(Path("synthetic.csv"))) == 500


# --- Columns that are not learned ---


def test_names_are_left_out_by_drop():
    frame = people()
    frame.insert(0, "id", range(N))
    frame["full name"] = [f"Person {i}" for i in range(N)]
    frame["nothing"] = None
    frame["weight"] = [str(i / 4) for i in range(N - 1)] + ["80 kg"]
    frame["age"] = [str(18 + i % 30) for i in range(N - 1)] + ["unknown"]
    frame.to_csv("people.csv", index=False)
    message = fail("train", "people.csv")
    assert "column 'age' is text, because row 119 holds 'unknown'" in message
    assert "column 'nothing' holds missing values only" in message
    assert "column 'weight' is text, because row 119 holds '80 kg'" in message
    assert "--drop nothing --drop weight --drop age" in message
    drop = ["--drop", "full name", "--drop", "nothing", "--drop", "weight", "--drop", "age"]
    output = succeed("train", "people.csv", *drop, "--out", "run", *SMALL)
    assert "left out and numbered anew id" in output
    output = succeed("score", "run", "people.csv")
    assert "did not learn these columns of people.csv: full name, nothing, weight, age" in output
    succeed("impute", "run", "people.csv")
    rows = read_csv(Path("imputed.csv"))
    assert list(rows[0]) == list(frame)
    assert [row["full name"] for row in rows] == frame["full name"].tolist()
    assert {row["nothing"] for row in rows} == {""}


@pytest.mark.parametrize(("n", "kinds", "learned"), [(10, 10, 1), (11, 11, 0), (60, 50, 1),
                                                     (90, 51, 0), (200, 51, 1)])  # fmt: skip
def test_a_text_of_many_values_is_no_category(n: int, kinds: int, learned: int):
    rows = [f"{i * i},name {i % kinds}" for i in range(n)]
    Path("data.csv").write_text("\n".join(["x,name", *rows, ""]))
    output = succeed("train", "data.csv", "--out", "run", *SMALL)
    assert ("categories name" if learned else "left out and numbered anew name") in output


def test_names_are_numbered_anew_and_may_be_absent():
    frame = people()
    frame["full name"] = [f"Person {i}" for i in range(N)]
    frame.loc[3, "full name"] = None
    frame.to_csv("people.csv", index=False)
    assert "left out and numbered anew full name" in succeed(
        "train", "people.csv", "--out", "run", *SMALL
    )
    succeed("sample", "run", "-n", 3, "--out", "rows.csv")
    assert [r["full name"] for r in read_csv(Path("rows.csv"))] == [
        f"full name-{i}" for i in (1, 2, 3)
    ]
    succeed("impute", "run", "people.csv", "--out", "filled.csv")
    assert read_csv(Path("filled.csv"))[3]["full name"] == "", "no name is invented"
    people().to_csv("nameless.csv", index=False)
    succeed("score", "run", "nameless.csv")


def test_drop_needs_a_column_of_a_table(folder: Path, digits_file: Path):
    assert "has no such column, only größe, city" in fail(
        "train", folder / "people.csv", "--drop", "x"
    )
    assert "for tables of mixed columns" in fail("train", digits_file, "--drop", "x", code=2)


# --- Rows in the user's columns ---


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_samples_look_like_the_table(folder: Path, suffix: str):
    out = f"rows.{suffix}"
    assert f"Wrote {out}: 50 samples\n" == succeed(
        "sample", folder / "run", "-n", 50, "--seed", 1, "--out", out
    )
    frame = written(out) if suffix == "csv" else pandas.read_parquet(out)
    assert_like_people(frame)
    assert len(set(frame["city"])) > 1  # drawn, not the most probable
    if suffix == "parquet":
        assert frame.dtypes["children"] == "Int64" and frame.dtypes["since"].kind == "M"
    else:
        first = Path(out).read_text("utf-8").splitlines()[1].split(",")
        assert len(first[5]) == len("2020-01-01"), "a date has no time"
        assert first[6].startswith("2024-01-01 ") and first[6].endswith(":00")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_impute_fills_the_gaps_and_keeps_all_other_cells(folder: Path, suffix: str):
    data = folder / f"people.{suffix}"
    output = succeed("impute", folder / "run", data, "--out", f"filled.{suffix}")
    gaps = people().isna()
    assert output == (
        f"Wrote filled.{suffix}: 120 rows of {data}, {gaps.sum().sum()} missing values filled\n"
    )
    after = written("filled.csv") if suffix == "csv" else pandas.read_parquet("filled.parquet")
    before = people()
    assert_like_people(after)
    assert not after.isna().any().any()
    for name in before:
        known = ~gaps[name]
        assert after.loc[known, name].tolist() == before.loc[known, name].tolist()


def test_columns_may_come_in_any_order(folder: Path):
    succeed("score", folder / "run", folder / "people.csv", "--out", "a.csv")
    people()[people().columns[::-1]].to_csv("turned.csv", index=False)
    succeed("score", folder / "run", "turned.csv", "--out", "b.csv")
    succeed("score", folder / "run", folder / "people.parquet", "--out", "c.csv")
    assert Path("a.csv").read_text() == Path("b.csv").read_text() == Path("c.csv").read_text()
    vae = vaefast.load(folder / "run")
    expected = vae.score_samples(vae.table_.encode(people()))
    np.testing.assert_array_equal(
        [float(row["score"]) for row in read_csv(Path("a.csv"))], expected
    )
    people().drop(columns=["city", "price"]).to_csv("less.csv", index=False)
    message = fail("score", folder / "run", "less.csv", "--out", "d.csv")
    assert "less.csv lacks columns that the model learned: city, price" in message


def test_codes_and_scores_are_written_to_any_format(folder: Path):
    run, data = folder / "run", folder / "people.csv"
    vae = vaefast.load(run)
    codes = vae.transform(vae.table_.encode(people()))
    succeed("encode", run, data, "--out", "codes.parquet")
    frame = pandas.read_parquet("codes.parquet")
    assert list(frame) == [f"vae{i}" for i in range(codes.shape[1])]
    np.testing.assert_array_equal(frame.to_numpy(), codes)
    succeed("score", run, data, "--out", "scores.parquet")
    assert list(pandas.read_parquet("scores.parquet")) == ["row", "score"]
    succeed("impute", run, data, "--out", "numbers.npy")
    assert np.load("numbers.npy").shape == (N, vae.n_features_in_)


def test_reconstructions_are_rows_of_the_table(folder: Path):
    run, data = folder / "run", folder / "people.csv"
    succeed("reconstruct", run, data, "--index", 3, 7, "--out", "two.csv")
    assert_like_people(written("two.csv"))
    assert len(written("two.csv")) == 2
    succeed("reconstruct", run, data, "--index", 3, 7, "--draws", 4, "--out", "eight.parquet")
    assert len(pandas.read_parquet("eight.parquet")) == 8


def test_new_categories_are_read_as_missing(folder: Path):
    frame = people()
    frame.loc[[5, 9], "city"] = "Paris"
    frame.to_csv("paris.csv", index=False)
    output = succeed("impute", folder / "run", "paris.csv")
    assert "Note: 2 new values of column 'city', such as 'Paris', read as missing" in output
    assert written("imputed.csv")["city"][[5, 9]].tolist() == ["Paris", "Paris"]
    people().dropna().to_csv("whole.csv", index=False)
    succeed("train", "whole.csv", "--out", "run", *SMALL)
    frame.dropna().to_csv("paris.csv", index=False)
    message = fail("score", "run", "paris.csv")
    assert "paris.csv, column 'city', row" in message
    assert "the model did not learn 'Paris'" in message


def test_a_single_row_is_read_as_the_table_was():
    pandas.DataFrame({"plz": ["01069", "80331"] * 20, "x": np.arange(40) / 7}).to_csv(
        "plz.csv", index=False
    )
    succeed("train", "plz.csv", "--out", "run", *SMALL)
    Path("one.csv").write_text("plz,x\n80331,1\n")  # it looks like a number
    assert "1 rows of one.csv" in succeed("score", "run", "one.csv")


# --- Kinds of files ---


def columns_of(text: str, **options: object) -> dict[str, str]:
    """Train on a CSV file; return the kind of each column."""
    Path("data.csv").write_text(text, "utf-8", **options)
    succeed("train", "data.csv", "--out", "run", "--force", *SMALL)
    return {source.name: source.dtype.kind for source in vaefast.load("run").table_.sources}


def test_the_cells_show_the_kind_of_a_column():
    rows = [
        "a;b;c;d;e;f;g;h;i;j",
        "1;1,5;true;2024-01-31;31.12.2024;12/31/2024 8:30;2024-03-31T01:00:00+01:00;007; x y;1e3",
        "2;2;FALSE;2024-02-28 10:00;01.02.2024;01/02/2024 9:00;2024-03-31T05:00:00+02:00;12;z;-.5",
        ";NA;;NA;;;;;NA;null",
    ]
    assert columns_of("\n".join(rows) + "\n") == {
        "a": "integer", "b": "number", "c": "boolean", "d": "date", "e": "date", "f": "date",
        "g": "instant", "h": "category", "i": "category", "j": "number",
    }  # fmt: skip
    categories = vaefast.load("run").table_.names
    assert "h=007" in categories and "i=x y" in categories
    succeed("impute", "run", "data.csv")
    first = read_csv(Path("imputed.csv"))[0]
    assert first == {
        "a": "1", "b": "1.5", "c": "True", "d": "2024-01-31 00:00:00", "e": "2024-12-31",
        "f": "2024-12-31 08:30:00", "g": "2024-03-31 00:00:00+00:00", "h": "007", "i": "x y",
        "j": "1000.0",
    }  # fmt: skip


def test_a_file_without_a_header():
    assert columns_of("1,x\n3,y\n4,x\n") == {"x0": "integer", "x1": "category"}
    assert "(no header)" in succeed("train", "data.csv", "--out", "run", "--force", *SMALL)


def test_the_index_of_the_rows_is_left_out():
    assert columns_of(",a,b\n1,1,x\n2,3,y\n3,4,x\n") == {"a": "integer", "b": "category"}
    assert columns_of('"","a"\n"Fiat",1\n"Seat",3\n') == {"a": "integer"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "there are no rows below the header ['a', 'b'] on line 1"),
        ("", "the file is empty"),
        ("a,b,a\n1,x,2\n", "two columns are named 'a': rename one of them"),
        ("a,,b\n1,1,x\n2,2,y\n", "line 1: column 2 has no name in the header"),
        ("a,b\n1,x\n2,x,3\n", "line 3: expected 2 values, got 3"),
        ("a,b\n1,x\n2\n", "line 3: expected 2 values, got 1"),
        ("a,b\nx,1\nx,1\n", "every column has one value only"),
        ("a,b\n1,\n2,NA\n", "missing values only. Leave such columns out: --drop b"),
        ('a,b\n1,"1,5"\n2,"2,5"\n', "column 'b' is text such as '1,5' in row 0: write numbers"),
        ('a,b\n1,950\n2,"9,676"\n', "such as '9,676' in row 1: write numbers without thousands"),
        ("a;b\n1;5.123,45\n2;1,5\n", "such as '5.123,45' in row 0: write numbers without"),
        ("a,b,\n1,x,\n2,y,\n", "column 3 has no name in the header. (If all lines end in ','"),
        ("a,b\n1,01/02/2024\n2,02/03/2024\n", "column 'b' holds dates such as '01/02/2024'"),
        ("a,b\n1,inf\n2,3\n", "column 'b', row 0: expected a finite number"),
        ('a,b\n1,"x\n1,y\n', "EOF inside string"),
    ],
)  # fmt: skip
def test_errors_name_the_file_and_the_problem(text: str, message: str):
    Path("data.csv").write_text(text)
    said = fail("train", "data.csv")
    assert said.startswith("Error: data.csv") and message in said
    assert names(Path()) == {"data.csv"}


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("${}.10", "write numbers without units and signs"),
        ("{}.5%", "write numbers without units and signs"),
        ("08:{}", "write times as numbers, such as hours"),
    ],
)
def test_numbers_that_cells_hide_are_named(cell: str, advice: str):
    rows = [f"{i % 7},{cell.format(10 + i % 30)}" for i in range(N)]
    Path("data.csv").write_text("\n".join(["n,price", *rows, ""]))
    first = cell.format(10)
    assert f"column 'price' is text such as {first!r} in row 0: {advice}" in fail(
        "train", "data.csv"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2024/12/31", "2025/1/2"),
        ("31-Dec-2024", "2-Jan-2025"),
        ("May 31, 2024", "June 2, 2025"),
        ("31 December 2024", "2 May 2025"),
    ],
)
def test_dates_may_have_other_forms(first: str, second: str):
    assert columns_of(f'x,day\n1,"{first}"\n2,"{second}"\n')["day"] == "date"


def test_dates_without_a_century_are_named():
    rows = [f"{i % 7},12/{10 + i % 15}/{i % 90 + 10}" for i in range(N)]
    Path("data.csv").write_text("\n".join(["n,day", *rows, ""]))
    said = fail("train", "data.csv")
    assert "column 'day' is text such as '12/10/10' in row 0: write dates as 2024-12-31" in said


def test_a_category_may_have_numbers_among_its_names():
    assert columns_of("x,size\n" + "1.5,1\n2.5,2\n3,3\n4,4+\n" * 10)["size"] == "category"


def test_blanks_around_a_gap_do_not_count():
    assert columns_of("x,y\n1.5,1\nNA ,2\n 2.5 ,\t\n3, null \n") == {"x": "number", "y": "integer"}


def test_a_file_in_another_encoding_says_what_to_do():
    Path("data.csv").write_bytes("a,b\n1,größe\n2,x\n".encode("latin-1"))
    message = fail("train", "data.csv")
    assert "data.csv: not UTF-8 text" in message and message.rstrip().endswith("save it as UTF-8")


@pytest.mark.parametrize("day_first", [False, True])
def test_later_files_have_the_order_of_day_and_month_of_the_training(day_first: bool):
    form = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    days = pandas.date_range("2024-01-01", periods=60)
    text = "".join(f"{day.strftime(form)},{i * i}\n" for i, day in enumerate(days))
    assert columns_of("since,x\n" + text) == {"since": "date", "x": "integer"}
    Path("later.csv").write_text("since,x\n02/01/2024,1\n01/03/2024,4\n")  # it shows no order
    succeed("encode", "run", "later.csv", "--out", "later.npy")
    dates = ["2024-01-02", "2024-03-01"] if day_first else ["2024-02-01", "2024-01-03"]
    Path("iso.csv").write_text("since,x\n{},1\n{},4\n".format(*dates))
    succeed("encode", "run", "iso.csv", "--out", "iso.npy")
    np.testing.assert_array_equal(np.load("later.npy"), np.load("iso.npy"))
    other = "12/31/2024" if day_first else "31/12/2024"
    Path("other.csv").write_text(f"since,x\n{other},1\n")
    message = fail("score", "run", "other.csv")
    assert f"do not begin with the {'day' if day_first else 'month'}, such as {other!r}" in message


def test_columns_that_are_not_learned_are_not_read():
    rows = "".join(f"{i / 3},01/02/2024\n" for i in range(40))
    Path("data.csv").write_text("x,when\n" + rows)
    assert "cannot be told apart" in fail("train", "data.csv")
    succeed("train", "data.csv", "--drop", "when", "--out", "run", "--missing", "mask", *SMALL)
    Path("gaps.csv").write_text("x,when,note\n1,01/02/2024,007\n,02/03/2024,1e3\n")
    succeed("impute", "run", "gaps.csv")
    last = read_csv(Path("imputed.csv"))[1]
    assert last["when"] == "02/03/2024" and last["note"] == "1e3" and last["x"]


def test_a_damaged_parquet_file_is_named():
    Path("data.parquet").write_text("a,b\n")
    assert "data.parquet: not a Parquet file that can be read" in fail("train", "data.parquet")


def test_types_of_parquet_that_csv_lacks():
    import datetime
    import decimal

    days = [datetime.date(2024, 1, 1 + i % 28) for i in range(40)]
    frame = pandas.DataFrame(
        {
            "day": days,
            "price": [decimal.Decimal(f"{i}.25") for i in range(40)],
            "grade": pandas.Categorical(["low", "high"] * 20, ["low", "high"], ordered=True),
        }
    )
    frame.to_parquet("data.parquet", index=False)
    succeed("train", "data.parquet", "--out", "run", *SMALL)
    kinds = [source.dtype.kind for source in vaefast.load("run").table_.sources]
    assert kinds == ["date", "number", "category"]
    frame.loc[3, "grade"] = None
    frame.to_parquet("gap.parquet", index=False)
    assert "--missing mask" in fail("impute", "run", "gap.parquet")
    pandas.DataFrame({"x": [[1], [2]]}).to_parquet("lists.parquet", index=False)
    assert "lists.parquet: column 'x' holds" in fail("train", "lists.parquet")


def test_names_beyond_ascii_in_a_plain_locale(folder: Path):
    def run(*args: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "vaefast", *map(str, args)]
        return subprocess.run(command, capture_output=True, env=os.environ | {"LC_ALL": "C"})

    people().to_csv("größe.csv", index=False)
    done = run("train", "größe.csv", "--drop", "größe", "--out", "less", *SMALL)
    assert done.returncode == 0, done.stderr
    done = run("sample", folder / "run", "-n", 3)
    assert done.returncode == 0, done.stderr
    assert Path("samples.csv").read_text("utf-8").startswith("größe,city,")


# --- Without pandas ---


@pytest.fixture
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("pandas", "pyarrow")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)


def test_numbers_need_no_pandas(without_pandas: None):
    rng = np.random.default_rng(0)
    rows = [f"{a},{'' if i % 4 else b}" for i, (a, b) in enumerate(rng.integers(0, 9999, (60, 2)))]
    prices = [f"{int(row.split(',')[0]) / 100},{row.split(',')[1]}" for row in rows]
    Path("data.csv").write_text("price,n\n" + "\n".join(prices) + "\n")
    succeed("train", "data.csv", "--out", "run", *SMALL)
    succeed("sample", "run", "-n", 20)
    for row in read_csv(Path("samples.csv")):
        assert float(row["price"]) == round(float(row["price"]), 2) and row["n"].isdigit()
    assert "45 missing values filled" in succeed("impute", "run", "data.csv")
    filled = read_csv(Path("imputed.csv"))
    assert all(row["n"].isdigit() for row in filled)
    assert [float(row["price"]) for row in filled] == [float(row.split(",")[0]) for row in prices]
    Path("more.csv").write_text("n,year,price\n,2020,1.5\n7,2021,2\n")
    succeed("impute", "run", "more.csv", "--out", "more_filled.csv")
    first, second = read_csv(Path("more_filled.csv"))
    assert first["n"].isdigit() and first["year"] == "2020" and first["price"] == "1.5"
    assert second == {"n": "7", "year": "2021", "price": "2.0"}


def test_text_and_parquet_say_what_to_install(folder: Path, without_pandas: None):
    message = fail("train", folder / "people.csv")
    assert "expected a number, got" in message and "pip install 'vaefast[tables]'" in message
    message = fail("train", folder / "people.parquet")
    assert "needs pandas and pyarrow: pip install 'vaefast[tables]'" in message
    message = fail("sample", folder / "run", "--out", "rows.parquet")
    assert "pip install" in message


# --- Commands that draw ---


@pytest.mark.parametrize(
    "args",
    [
        ["nearest", "RUN", "DATA"], ["traverse", "RUN", "DATA"], ["morph", "RUN", 1, 2],
        ["breed", "RUN"], ["direction", "RUN", "DATA", "--with-rows", 1],
        ["explore", "RUN", "--no-open"],
    ],
)  # fmt: skip
def test_commands_of_pictures_say_what_to_use_instead(folder: Path, args: list[object]):
    places = {"RUN": folder / "run", "DATA": folder / "people.csv"}
    message = fail(*(places.get(arg, arg) for arg in args))
    assert "is a model of a table of mixed columns. Use sample, reconstruct" in message
    assert names(Path()) == set()


def test_a_map_and_an_export_of_a_table(folder: Path):
    pytest.importorskip("matplotlib")
    succeed("map", folder / "run", folder / "people.csv")
    succeed("export", folder / "run", "--to", "npz")
    output = succeed("evaluate", folder / "run", folder / "people.csv", "--json")
    assert '"elbo"' in output
