"""Published results at a tiny size: a training that is stopped resumes to the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.io import savemat

import vaefast

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks.papers import data, iwae, rezende_mohamed, runner  # noqa: E402
from benchmarks.papers.__main__ import RECIPES, main  # noqa: E402
from benchmarks.papers.recipe import Data, Recipe, Training  # noqa: E402

EPOCHS = 6


def pixels(n: int, seed: int, width: int = 12) -> data.Pixels:
    return np.random.default_rng(seed).integers(256, size=(n, width), dtype=np.uint8)


def tiny_data(seed: int) -> Data:
    """Dark training rows and lighter validation rows, so that the best epoch is not the last."""
    dark = data.Binarization(pixels(90, 0) // 2)
    validation = pixels(20, 2) // 3 * 2
    return Data(lambda epoch: dark.draw(seed, epoch), pixels(20, 1), validation)


def tiny_figures(vae: vaefast.VAE, rows: Data, samples: int) -> dict[str, float]:
    likelihood = vae.log_likelihood(rows.test, n_samples=samples, verbose=False)
    return {"NLL": -likelihood.mean, "epochs": vae.n_iter_}


TINY = Recipe(
    source="nowhere",
    departures=(),
    trainings=(
        Training(
            "tiny",
            {"hidden_layer_sizes": (8,), "learning_rate": 0.03, "batch_size": 30},
            {"NLL": "1.5"},
        ),
    ),
    epochs=EPOCHS,
    data=tiny_data,
    figures=tiny_figures,
    samples=5,
    keep_best=True,
)


def run(
    folder: Path,
    epochs: int = EPOCHS,
    recipe: Recipe = TINY,
    echo: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    return runner.run(recipe, recipe.trainings[0], 0, epochs, 5, folder, echo)


def content(folder: Path) -> dict[str, Any]:
    """Return what must not change: weights, moments, history without times, best weights."""
    found: dict[str, Any] = {}
    for path in folder.glob("*.safetensors"):
        vae = vaefast.load(path)
        for slot, tensors in {"value": vae.model_.weights(), **vae.model_.moments()}.items():
            for name, tensor in tensors.items():
                found[f"{path.name} {slot} {name}"] = tensor.tobytes()
        found[path.name] = {k: v for k, v in vae.history_.items() if k != "seconds"}
        found[f"{path.name} steps"] = vae.model_.core.optimizer_steps
    (result,) = folder.glob("after-*.json")
    found["figures"] = json.loads(result.read_text())["ours"]
    log = (folder / runner.LOG).read_text().splitlines()
    found["log"] = [line.rsplit("\t", 1)[0] for line in log]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The content of a folder after a training without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return content(folder)


# ------------------------------------------------------------------ stopping and resuming


class Stop(BaseException):
    """Stands for a kill: no code catches it."""


def stop_at(number: int) -> Callable[..., None]:
    """Return a function that raises at its call number `number`."""
    calls = 0

    def call(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Stop

    return call


@pytest.mark.parametrize("seconds", [0, 1e9], ids=["checkpoints", "no checkpoint"])
@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_a_run_that_is_killed_resumes_to_the_same_bits(
    seconds, epoch, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(runner, "SECONDS", seconds)
    with pytest.raises(Stop):
        run(tmp_path, echo=stop_at(epoch))
    run(tmp_path)
    assert content(tmp_path) == whole


@pytest.mark.parametrize("number", range(1, 11))  # the log, 2 best and 6 checkpoints, the result
def test_a_run_that_is_killed_while_it_writes_resumes_to_the_same_bits(
    number, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(runner, "SECONDS", 0)
    with monkeypatch.context() as patched, pytest.raises(Stop):
        stop, replace_file = stop_at(number), os.replace
        patched.setattr(os, "replace", lambda *paths: (stop(), replace_file(*paths)))
        run(tmp_path)
    run(tmp_path)
    assert content(tmp_path) == whole


def test_a_process_that_is_killed_resumes_to_the_same_bits(whole, tmp_path):
    code = (
        "import os, signal, sys; sys.path[:0] = sys.argv[1:3]\n"
        "import test_papers as t; from benchmarks.papers import runner; from pathlib import Path\n"
        "runner.SECONDS = 0\n"
        "def echo(line):\n"
        "    if '4/6' in line: os.kill(os.getpid(), signal.SIGKILL)\n"
        "t.run(Path(sys.argv[3]), echo=echo)\n"
    )
    arguments = [str(ROOT), str(ROOT / "tests"), str(tmp_path)]
    killed = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines: list[str] = []
    run(tmp_path, echo=lines.append)
    assert lines[0].endswith("resumes after epoch 3")
    assert content(tmp_path) == whole


def test_ctrl_c_within_an_epoch_loses_only_that_epoch(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SECONDS", 0)
    train = runner.VAE.partial_fit

    def interrupted(vae: vaefast.VAE, *args: Any, **kwargs: Any) -> vaefast.VAE:
        if getattr(vae, "n_iter_", 0) == 3:
            os.kill(os.getpid(), signal.SIGINT)  # the training loop polls for it
        return train(vae, *args, **kwargs)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(runner.VAE, "partial_fit", interrupted)
        run(tmp_path)
    assert vaefast.load(tmp_path / runner.CHECKPOINT).n_iter_ == 3
    run(tmp_path)
    assert content(tmp_path) == whole


def test_more_epochs_resume_from_fewer(whole, tmp_path):
    first = run(tmp_path, epochs=2)
    assert (first["epochs"], first["of_epochs"]) == (2, EPOCHS)
    run(tmp_path)
    assert run(tmp_path, epochs=2) == first, "the result was kept"
    (tmp_path / "after-2-epochs-5-samples.json").unlink()
    assert content(tmp_path) == whole
    with pytest.raises(runner.RunError, match="6 epochs already, more than 2"):
        run(tmp_path, epochs=2)


def test_a_result_is_not_computed_twice(tmp_path):
    first = run(tmp_path, epochs=1)
    (tmp_path / runner.CHECKPOINT).unlink()
    assert run(tmp_path, epochs=1) == first


def test_another_recipe_in_the_same_folder_is_refused(tmp_path):
    run(tmp_path, epochs=1)
    other = replace(TINY.trainings[0], parameters={"hidden_layer_sizes": (9,)})
    with pytest.raises(runner.RunError, match="another recipe"):
        run(tmp_path, recipe=replace(TINY, trainings=(other,)))


def test_the_best_weights_are_evaluated_and_only_they_are_kept(tmp_path):
    result = run(tmp_path)
    history = vaefast.load(tmp_path / runner.CHECKPOINT).history_
    best = int(np.argmax(history["validation"])) + 1
    assert 1 < best < EPOCHS
    assert result["ours"]["epochs"] == best
    assert [path.name for path in tmp_path.glob("best-*")] == [f"best-{best}.safetensors"]
    assert vaefast.load(tmp_path / f"best-{best}.safetensors").n_iter_ == best


def test_the_log_has_a_line_for_each_epoch(tmp_path):
    run(tmp_path, epochs=2)
    run(tmp_path, epochs=4)
    head, *lines = (tmp_path / runner.LOG).read_text().splitlines()
    assert head.split("\t") == list(runner.LOGGED)
    assert [line.split("\t")[0] for line in lines] == ["1", "2", "3", "4"]
    assert {len(line.split("\t")) for line in lines} == {len(runner.LOGGED)}


# ------------------------------------------------------------------ data


def test_pixels_are_drawn_with_the_probability_of_their_level():
    levels = np.repeat(np.array([[0, 1, 64, 128, 254, 255]], np.uint8), 9000, axis=0)
    drawn = data.Binarization(levels).draw(0, 1)
    assert set(np.unique(drawn)) == {0, 255}
    shares = (drawn == 255).mean(axis=0)
    assert (shares[0], shares[-1]) == (0, 1)
    error = np.sqrt(levels[0] / 255 * (1 - levels[0] / 255) / 9000)
    assert (np.abs(shares - levels[0] / 255) <= 4 * error).all()


def test_the_same_seed_and_epoch_draw_the_same_pixels():
    one, other = (data.Binarization(pixels(500, 0)) for _ in range(2))
    drawn = one.draw(3, 1)
    assert (one.draw(3, 2) != drawn).any()
    assert (one.draw(4, 1) != drawn).any()
    np.testing.assert_array_equal(one.draw(3, 1), drawn)
    np.testing.assert_array_equal(other.draw(3, 1), drawn)


def test_fixed_binarization_is_read_and_a_missing_or_wrong_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEFAST_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="binarized_mnist_test.mat.*VAEFAST_DATA"):
        data.fixed("test")
    (tmp_path / data.FIXED).mkdir()
    ones = pixels(5, 0, 784) % 2
    savemat(tmp_path / data.FIXED / "binarized_mnist_test.mat", {"X": ones})
    np.testing.assert_array_equal(data.fixed("test"), ones * 255)
    savemat(tmp_path / data.FIXED / "binarized_mnist_test.mat", {"X": ones + 1})
    with pytest.raises(ValueError, match="does not hold rows of 784 zeros and ones"):
        data.fixed("test")


# ------------------------------------------------------------------ recipes


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace MNIST by a few random rows, so that nothing is downloaded."""
    monkeypatch.setattr(data, "grey", lambda: (pixels(440, 0, 784), pixels(30, 1, 784)))
    monkeypatch.setattr(data, "fixed", lambda part: pixels(40, 2, 784) // 128 * np.uint8(255))


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_and_prints_ours_next_to_the_published_figures(
    name, few_digits, tmp_path, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # restores what the command sets
    samples = ["--samples", 3] if RECIPES[name].samples else []
    made = command(
        name, "--epochs", 2, "--seed", 5, "--threads", 1, "--out", tmp_path / "run", *samples
    )
    assert made.exit_code == 0, made.output
    recipe = RECIPES[name]
    for training in recipe.trainings:
        (path,) = (tmp_path / "run" / f"{training.name}-seed-5").glob("after-2-epochs*.json")
        result = json.loads(path.read_text())
        assert set(training.theirs) <= set(result["ours"])
        assert np.isfinite(list(result["ours"].values())).all()
        assert (result["threads"], result["seed"]) == (1, 5)
        for figure, published in training.theirs.items():
            assert any(
                line.startswith(training.name) and figure in line and line.endswith(published)
                for line in made.output.splitlines()
            )
    assert recipe.source in made.output


def test_the_rates_of_the_iwae_recipe_are_those_of_its_eight_stages():
    rate = iwae.RECIPE.trainings[0].parameters["learning_rate"]
    assert iwae.RECIPE.epochs == 3280
    done = 0
    for stage, epochs in enumerate(iwae.STAGES):
        for epoch in (done, done + epochs - 1e-3):
            assert rate(epoch, 3280) == pytest.approx(1e-3 * 10 ** (-stage / 7))
        done += epochs


def test_iwae_weights_start_as_glorot_and_the_mean_of_the_pixels(few_digits):
    vae = vaefast.VAE(**iwae.RECIPE.trainings[-2].parameters, random_state=3, verbose=False)
    iwae._start(vae, 3)
    assert vae.n_iter_ == 0
    tensors = vae.model_.weights()
    for name, tensor in tensors.items():
        if name.endswith(".weight"):
            bound = np.sqrt(6 / sum(tensor.shape))
            assert 0.99 * bound < np.abs(tensor).max() <= bound
        elif name != "output.bias":
            assert not tensor.any()
    mean = np.clip(data.grey()[0][:40].mean(axis=0) / 255, 0.001, 0.999)
    np.testing.assert_allclose(1 / (1 + np.exp(-tensors["output.bias"])), mean, rtol=1e-5)


def test_the_rates_of_rezende_and_mohamed_fall_at_their_epochs():
    rate = rezende_mohamed.RECIPE.trainings[0].parameters["learning_rate"]
    assert [rate(epoch, 500) for epoch in (0, 199)] == [1e-4, 1e-4]
    assert rate(200, 500) == pytest.approx(1e-4 * 10**-0.2)
    assert rate(499, 500) == pytest.approx(1e-4 * 10**-0.4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "pytorch-example"),
        (["blog", "--stages", "0-1"], "has no stages"),
        (["iwae-table-1", "--stages", "1-2"], "must be 0-0 to 0-7"),
        (["iwae-table-1", "--stages", "0-8"], "must be 0-0 to 0-7"),
        (["iwae-table-1", "--stages", "0-1", "--epochs", "3"], "not both"),
        (["iwae-table-1", "--only", "vae-2"], "vae-1, vae-1-closed-kl, vae-5, iwae-5, iwae-50"),
        (["blog", "--samples", "3"], "no importance sampling"),
    ],
)
def test_wrong_options_are_explained(arguments, says):
    made = command(*arguments)
    assert made.exit_code == 2
    assert says in made.output


def test_ctrl_c_says_how_to_resume(few_digits, tmp_path, monkeypatch):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.papers.__main__.run", interrupted)
    made = command("blog", "--out", tmp_path)
    assert made.exit_code == 130
    assert "The same command resumes" in made.output
