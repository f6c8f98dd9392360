"""What a long computation shows: a bar, lines in a log, what a long fit takes, or nothing."""

from __future__ import annotations

import io
import itertools
import logging
import re
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest

from vaefast import VAE, DivergenceError
from vaefast._engine import display, progress
from vaefast.errors import ConvergenceWarning


def small(**params: Any) -> VAE:
    """Return an unfitted model that trains quickly."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 3, "batch_size": 16, "random_state": 0}
    return VAE(**{**defaults, **params})


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).random((40, 6)).astype(np.float32)


class Stderr(io.StringIO):
    """A stream that collects what is written."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


def replace_stderr(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> Stderr:
    """Replace stderr; not in a fixture, because pytest replaces it before each test."""
    stderr = Stderr(terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    return stderr


def tick(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let so many seconds pass between two looks at the clock, which each step takes."""
    for module in (display, progress):
        times = itertools.count(0.0, seconds)
        monkeypatch.setattr(module, "perf_counter", times.__next__)


def figures(vae: VAE, epoch: int = -1) -> str:
    elbo, reconstruction, kl = (vae.history_[k][epoch] for k in ("elbo", "reconstruction", "kl"))
    return f"elbo {elbo:.2f} = -({reconstruction:.2f} + {kl:.2f})"


# ------------------------------------------------------------------ a terminal


def test_a_bar_shows_epoch_elbo_its_parts_and_rows(X, capfd, monkeypatch):
    terminal = replace_stderr(monkeypatch, terminal=True)
    vae = small().fit(X, validation=X)
    last = terminal.getvalue().rstrip("\n").split("\r")[-1]
    assert "epoch 3/3" in last
    assert figures(vae) in last
    assert f"validation {vae.history_['validation'][-1]:.2f}" in last
    assert "120/120" in last
    assert "rows/s" in last
    assert terminal.getvalue().endswith("\n")
    assert capfd.readouterr() == ("", "")


def test_a_bar_counts_epochs_on(X, monkeypatch):
    terminal = replace_stderr(monkeypatch, terminal=True)
    small().fit(X).partial_fit(X)
    last = terminal.getvalue().rstrip("\n").split("\r")[-1]
    assert "epoch 4/4" in last
    assert "40.0/40.0" in last


def test_a_bar_is_redrawn_each_half_second(X, monkeypatch):
    replace_stderr(monkeypatch, terminal=True)
    drawn: list[int] = []
    monkeypatch.setattr(display.Display, "_draw", lambda self, bar: drawn.append(self.done))
    tick(monkeypatch, 0.25)
    small(epochs=20, batch_size=40).fit(X)
    rows = np.diff(drawn[:-1])  # before the last time, which is the end
    assert len(rows) > 1 and (rows == 2 * 40).all()


def test_a_bar_that_a_callback_ends_is_complete(X, monkeypatch):
    terminal = replace_stderr(monkeypatch, terminal=True)
    small(epochs=9).fit(X, callbacks=[lambda vae, record: record["epoch"] == 2])
    last = terminal.getvalue().rstrip("\n").split("\r")[-1]
    assert "epoch 2/9: 100%" in last and "80.0/80.0" in last


def test_a_bar_is_closed_by_ctrl_c_and_by_an_error(X, monkeypatch, interactive):
    terminal = replace_stderr(monkeypatch, terminal=True)

    def interrupt(vae: VAE, record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    small().fit(X, callbacks=[interrupt])
    assert terminal.getvalue().endswith("\n")
    with pytest.raises(DivergenceError):
        small(likelihood="gaussian", learning_rate=1e30).fit(X)
    assert terminal.getvalue().endswith("\n")


def test_a_notebook_without_widgets_has_a_bar_of_text_and_no_warning(X, monkeypatch):
    stderr = replace_stderr(monkeypatch, terminal=False)
    notebook: Any = types.ModuleType("IPython")
    shell = types.SimpleNamespace(kernel=object(), config={"IPKernelApp": {}})
    notebook.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", types.ModuleType("zmqshell"))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # can't be imported
    for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):  # chosen at their import
        monkeypatch.delitem(sys.modules, name, raising=False)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        small().fit(X)
    assert {warning.category for warning in shown} <= {ConvergenceWarning}
    assert "120/120" in stderr.getvalue()


# ------------------------------------------------------------------ a log


def test_a_log_gets_a_line_at_the_end(X, monkeypatch):
    log = replace_stderr(monkeypatch, terminal=False)
    vae = small().fit(X, validation=X)
    (line,) = log.lines()
    assert line.startswith(f"epoch 3/3: {figures(vae)}, validation ")
    assert re.search(r", after \d+ s$", line)


def test_a_log_gets_a_line_each_ten_seconds(X, monkeypatch):
    log = replace_stderr(monkeypatch, terminal=False)
    tick(monkeypatch, 4)
    small(epochs=8, batch_size=40).fit(X)
    lines = [line for line in log.lines() if line.startswith("epoch")]
    assert [line.partition(":")[0] for line in lines] == ["epoch 3/8", "epoch 6/8", "epoch 8/8"]
    ends = [line.rpartition(", ")[2] for line in lines]
    assert ends == ["20 s left", "8 s left", "after 36 s"]


def test_a_training_that_ends_early_says_where(X, monkeypatch):
    log = replace_stderr(monkeypatch, terminal=False)
    vae = small(epochs=9).fit(X, callbacks=[lambda vae, record: record["epoch"] == 2])
    assert log.lines()[-1].startswith(f"epoch 2/9: {figures(vae)}, after")


def test_lines_go_to_the_logger_where_logging_is_configured(X, caplog, monkeypatch):
    log = replace_stderr(monkeypatch, terminal=False)
    with caplog.at_level(logging.INFO, logger="vaefast"):
        small().fit(X)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("vaefast", "INFO")
    assert record.message.startswith("epoch 3/3: elbo")
    assert log.getvalue() == ""


class Plain:
    """An object that replaces stderr and can do nothing but take text."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)


@pytest.mark.parametrize("kind", ["none", "plain", "closed"])
def test_without_a_stderr_nothing_is_shown(kind, X, monkeypatch, capfd):
    stream: Any = {"none": None, "plain": Plain(), "closed": Stderr(terminal=True)}[kind]
    if kind == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    vae = small().fit(X)
    assert np.isfinite(vae.log_likelihood(X, n_samples=2).mean)
    assert getattr(stream, "text", "") == ""
    assert capfd.readouterr() == ("", "")


def test_without_verbose_nothing_is_written(X, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    vae = small(verbose=False).fit(X, validation=X)
    vae.partial_fit(X).evaluate(X)
    vae.sample(3)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


# ------------------------------------------------------------------ what a long fit takes


def test_a_long_fit_says_what_it_takes_once(X, monkeypatch):
    log = replace_stderr(monkeypatch, terminal=False)
    tick(monkeypatch, 0.2)
    vae = small(epochs=100).fit(X)
    said = [line for line in log.lines() if "features" in line]
    assert len(said) == 1 and log.lines()[0] == said[0]
    count = sum(tensor.size for tensor in vae.model_.weights().values())
    assert said[0].startswith(f"40 rows x 6 features, {count} weights, 300 steps, about 1 MB and ")
    assert 30 < int(said[0].partition(" MB and ")[2].removesuffix(" s")) < 60  # 300 steps, 0.2 s


def test_a_long_fit_says_it_above_the_bar(X, monkeypatch):
    terminal = replace_stderr(monkeypatch, terminal=True)
    tick(monkeypatch, 0.2)
    small(epochs=100).fit(X)
    before, line, after = terminal.getvalue().partition("40 rows x 6 features")
    assert line and before.endswith("\r") and after.partition("\n")[0].endswith(" s")


def test_a_long_fit_that_has_a_limit_of_time_says_nothing_of_it(X, monkeypatch):
    log = replace_stderr(monkeypatch, terminal=False)
    tick(monkeypatch, 0.2)
    small(epochs=100).fit(X, max_time=20)
    assert "features" not in log.getvalue()


def test_a_short_fit_says_nothing_of_it(X, monkeypatch):
    log = replace_stderr(monkeypatch, terminal=False)
    tick(monkeypatch, 0.2)
    small(epochs=10).fit(X)
    assert "features" not in log.getvalue()


def test_the_memory_is_that_of_rows_weights_optimizer_and_units(monkeypatch):
    """A batch of all rows and wide layers, so that each part matters."""
    log = replace_stderr(monkeypatch, terminal=False)
    X = np.random.default_rng(0).random((500, 2000)).astype(np.float32)
    tick(monkeypatch, 100)
    sizes: dict[str, int] = {}
    for optimizer in ("adam", "sgd"):
        vae = VAE(2, (500,), optimizer=optimizer, batch_size=250, epochs=2, random_state=0)
        vae.set_params(learning_rate=1e-6).fit(X)
        line = next(line for line in reversed(log.lines()) if "features" in line)
        sizes[optimizer] = int(line.partition("about ")[2].partition(" MB")[0])
    weights = sum(tensor.size for tensor in vae.model_.weights().values())
    units = 2 * 2000 + 2 * 500 + 3 * 2
    exact = (X.nbytes + 4 * (6 * weights + 3 * 250 * units)) / 1e6
    assert sizes["adam"] == round(exact)
    assert sizes["sgd"] == round(exact - 4 * weights / 1e6)


def test_the_bits_do_not_depend_on_what_is_shown(X, monkeypatch):
    replace_stderr(monkeypatch, terminal=False)
    tick(monkeypatch, 0.2)
    loud, quiet = (small(epochs=100, verbose=v).fit(X) for v in (True, False))
    for name, tensor in quiet.model_.weights().items():
        np.testing.assert_array_equal(loud.model_.weights()[name], tensor)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (99, "99 s"), (100, "2 min"), (5900, "98 min"), (7e3, "1.9 h")],
)
def test_times_have_the_unit_that_suits_them(seconds, text):
    assert display.duration(seconds) == text
