"""Schedules of beta and of the learning rate: their values, and their use in training."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vaefast
from vaefast import VAE
from vaefast import schedules as module
from vaefast._engine import training
from vaefast._engine.specs import as_data, from_data
from vaefast.cli.specs import parse
from vaefast.schedules import (
    KINDS,
    Cosine,
    Cyclical,
    LinearWarmup,
    MultiStep,
    Plateau,
    SigmoidWarmup,
    Step,
)

N, D = 40, 6
ALL: list[Any] = [
    LinearWarmup(epochs=10),
    LinearWarmup(2.5, start=0.5, end=4),
    SigmoidWarmup(epochs=3),
    Cyclical(),
    Cyclical(cycles=2, ratio=0.8, end=2.0, epochs=7),
    Cosine(1e-3),
    Cosine(1e-2, end=1e-5, warmup=1, epochs=8),
    Step(1e-3, every=2),
    MultiStep(1e-3, milestones=(1, 3), factor=0.5),
    Plateau(1e-2, patience=1, factor=0.5, min_delta=0.1, minimum=1e-4),
]
BETAS = [s for s in ALL if isinstance(s, module.BetaSchedule)]
RATES = [s for s in ALL if isinstance(s, module.RateSchedule)]


def small(**params: Any) -> VAE:
    """Return an unfitted model with three steps per epoch."""
    defaults = {"hidden_layer_sizes": (8,), "epochs": 4, "batch_size": 16, "random_state": 0}
    return VAE(**{**defaults, "verbose": False, **params})


def same_bits(one: VAE, other: VAE) -> bool:
    def history(vae: VAE) -> dict[str, Any]:
        return {key: values for key, values in vae.history_.items() if key != "seconds"}

    weights = one.model_.weights(), other.model_.weights()
    same = all(np.array_equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    return same and history(one) == history(other)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).random((N, D)).astype(np.float32)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Record the learning rate and beta that the core gets at every step from now on."""
    seen: list[tuple[float, float]] = []
    real = training.train_epoch

    class Spy:
        def __init__(self, core: Any) -> None:
            self.core = core

        def __getattr__(self, name: str) -> Any:
            return getattr(self.core, name)

        def steps(
            self, rows: Any, index: Any, size: int, rates: Any, betas: Any, *rest: Any
        ) -> Any:
            seen.extend(zip(rates.tolist(), betas.tolist(), strict=True))
            return self.core.steps(rows, index, size, rates, betas, *rest)

    def train_epoch(fit: Any, *args: Any) -> Any:
        model = dataclasses.replace(fit.model, core=Spy(fit.model.core))
        return real(dataclasses.replace(fit, model=model), *args)

    monkeypatch.setattr(training, "train_epoch", train_epoch)
    return seen


# ------------------------------------------------------------------ the formulas


def values(schedule: Any, epochs: list[float], planned: int = 20) -> list[float]:
    return [schedule(epoch, planned) for epoch in epochs]


def test_linear_warmup_is_a_line_and_then_a_constant():
    assert values(LinearWarmup(10), [0, 2.5, 5, 10, 11, 99]) == [0, 0.25, 0.5, 1, 1, 1]
    assert values(LinearWarmup(4, start=5, end=1), [0, 1, 4, 5]) == [5, 4, 1, 1]


def test_sigmoid_warmup_is_the_logistic_curve_of_the_paper_stretched_to_its_ends():
    """Bowman et al. (2016): 1 / (1 + exp(-k (t - t0))), with k t0 = 6.25."""
    t = np.linspace(0, 1, 11)
    curve = 1 / (1 + np.exp(-6.25 * (2 * t - 1)))
    expected = (curve - curve[0]) / (curve[-1] - curve[0])
    found = values(SigmoidWarmup(8, start=1, end=3), list(8 * t))
    np.testing.assert_allclose(found, 1 + 2 * expected, atol=1e-12)
    assert found[0] == 1
    assert values(SigmoidWarmup(8), [8, 9, 1e9]) == [1, 1, 1]


def test_cyclical_is_the_schedule_of_the_paper():
    """Fu et al. (2019): f(tau) = tau / R up to R, then 1."""
    planned, cycles, ratio = 20, 4, 0.5
    for epoch in np.arange(0, planned, 0.125):
        tau = math.fmod(epoch, planned / cycles) / (planned / cycles)
        expected = tau / ratio if tau <= ratio else 1
        assert Cyclical(cycles, ratio)(epoch, planned) == pytest.approx(expected)
    assert values(Cyclical(), [20, 21, 99]) == [1, 1, 1], "it does not begin again"
    assert values(Cyclical(cycles=2, ratio=1, epochs=4, end=6), [0, 1, 2, 3, 4, 5]) == [
        0, 3, 0, 3, 6, 6,
    ]  # fmt: skip


def test_cosine_falls_over_the_epochs_planned_or_its_own():
    """Loshchilov & Hutter (2017), equation 5."""
    for epoch in (0, 1.5, 10, 19.9, 20):
        expected = 0.1 + (2 - 0.1) * (1 + math.cos(math.pi * epoch / 20)) / 2
        assert Cosine(2, end=0.1)(epoch, 20) == pytest.approx(expected)
        assert Cosine(2, end=0.1, epochs=20)(epoch, 7) == pytest.approx(expected)
    assert values(Cosine(1), [20, 21, 99]) == [0, 0, 0]
    warm = Cosine(1, warmup=4)
    assert values(warm, [0, 1, 3, 4, 12, 20]) == pytest.approx([0, 0.25, 0.75, 1, 0.5, 0])


def test_step_and_multi_step_fall_at_their_epochs():
    assert values(Step(1, every=3, factor=0.5), [0, 2.99, 3, 5.9, 6, 9]) == [
        1, 1, 0.5, 0.5, 0.25, 0.125,
    ]  # fmt: skip
    assert values(MultiStep(1, (1, 4), factor=0.5), [0, 0.9, 1, 3.9, 4, 99]) == [
        1, 1, 0.5, 0.5, 0.25, 0.25,
    ]  # fmt: skip
    assert MultiStep(1, [1, 4]) == MultiStep(1, (1, 4)) == MultiStep(1, np.array([1, 4]))


def test_the_stages_of_burda_et_al():
    schedule = MultiStep(
        1e-3, list(itertools.accumulate(3**i for i in range(7))), factor=10 ** (-1 / 7)
    )
    epoch = 0
    for i in range(8):
        for inside in (epoch, epoch + 3**i - 0.01):
            assert schedule(inside, 3280) == pytest.approx(0.001 * 10 ** (-i / 7))
        epoch += 3**i
    assert epoch == 3280


def test_plateau_waits_and_falls():
    plateau = Plateau(1.0, patience=2, factor=0.5)
    elbos = [-9, -8, -8, -8.5, -7, -7, -7, -7, -7, -6]
    rates = [plateau.after(elbos[:count]) for count in range(len(elbos) + 1)]
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert Plateau(1.0, patience=1, min_delta=0.5).after([-9, -8.6]) == 0.1
    assert Plateau(1.0, patience=1, min_delta=0.5).after([-9, -8.4]) == 1
    assert Plateau(1.0, patience=1, minimum=0.3).after([-9] * 9) == 0.3


@given(st.sampled_from([s for s in ALL if not isinstance(s, Plateau)]), st.floats(0, 1e6))
def test_every_schedule_stays_in_its_range(schedule, epoch):
    value = schedule(epoch, 20)
    low = min(getattr(schedule, "start", 0), getattr(schedule, "end", 0))
    high = getattr(schedule, "learning_rate", None) or max(schedule.start, schedule.end)
    assert isinstance(value, float)
    assert low <= value <= high


# ------------------------------------------------------------------ as values and as data


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_a_schedule_is_a_value(schedule):
    for twin in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert twin == schedule
        assert hash(twin) == hash(schedule)
    assert eval(repr(schedule)) == schedule
    with pytest.raises(AttributeError):
        schedule.end = 3


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_a_schedule_is_plain_data(schedule):
    text = json.dumps(as_data(schedule))
    assert from_data(json.loads(text)) == schedule


@pytest.mark.parametrize(
    "data",
    [{}, {"schedule": "nonsense"}, {"schedule": ["linear"]}, {"schedule": "linear"}]
    + [{"schedule": "linear", "epochs": -1}, {"schedule": "linear", "epochs": 1, "more": 2}]
    + [{"epochs": 3}, {"schedule": "__import__('os')"}],
    ids=str,
)
def test_data_that_are_no_schedule_are_refused(data):
    with pytest.raises((TypeError, ValueError)):
        from_data(data)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("4", 4.0),
        ("1e-3", 1e-3),
        ("linear:10", LinearWarmup(10)),
        ("linear:2.5:0.5:4", LinearWarmup(2.5, 0.5, end=4)),
        ("linear:2.5:end=4", LinearWarmup(2.5, end=4)),
        ("sigmoid:10", SigmoidWarmup(10)),
        ("cyclical", Cyclical()),
        ("cyclical:2:ratio=1", Cyclical(2, 1)),
        ("cosine:1e-3", Cosine(1e-3)),
        ("cosine:1e-3:warmup=5", Cosine(1e-3, warmup=5)),
        ("step:1e-3:30:0.5", Step(1e-3, 30, factor=0.5)),
        ("multi-step:1e-3:30", MultiStep(1e-3, (30,))),
        ("multi-step:1e-3:30,60,80:factor=0.2", MultiStep(1e-3, (30, 60, 80), factor=0.2)),
        ("plateau:1e-3:patience=7", Plateau(1e-3, 7)),
    ],
)
def test_schedules_as_one_writes_them(text, meant):
    assert parse(text, KINDS) == meant
    assert type(parse(text, KINDS)) is type(meant)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("often", "a number, or a schedule: linear, .*, got 'often'"),
        ("", "a number, or a schedule"),
        ("lineal:10", "'lineal' is unknown; expected one of linear, sigmoid"),
        ("linear", "expected linear:epochs:start:end, got 'linear'"),
        ("linear:a", "expected numbers, got 'a' in 'linear:a'"),
        ("linear:1,2", "expected one number, got '1,2'"),
        ("linear:1:2:3:4", "expected linear:epochs:start:end"),
        ("linear:1:speed=2", "expected linear:epochs:start:end"),
        ("linear:1:epochs=2", "expected linear:epochs:start:end"),
        ("linear:0", "epochs=0 must be greater than 0"),
        ("step:1e-3:2.5", "every=2.5 must be a whole number"),
    ],
)
def test_a_text_that_means_nothing_is_explained(text, message):
    with pytest.raises((TypeError, ValueError), match=message):
        parse(text, KINDS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearWarmup(0), "epochs=0 must be greater than 0"),
        (lambda: LinearWarmup("10"), "epochs='10' must be a number"),
        (lambda: LinearWarmup(10, end=-1), "end=-1 must be at least 0"),
        (lambda: SigmoidWarmup(math.nan), "epochs=nan must be finite"),
        (lambda: Cyclical(0), "cycles=0 must be at least 1"),
        (lambda: Cyclical(2.5), "cycles=2.5 must be a whole number"),
        (lambda: Cyclical(ratio=0), "ratio=0 must be greater than 0"),
        (lambda: Cyclical(ratio=1.5), "ratio=1.5 must be at most 1"),
        (lambda: Cyclical(epochs=-1), "epochs=-1 must be greater than 0"),
        (lambda: Cosine(0), "learning_rate=0 must be greater than 0"),
        (lambda: Cosine(1e-3, end=-1), "end=-1 must be at least 0"),
        (lambda: Cosine(1e-3, warmup=5, epochs=5), "warmup=5 must be less than epochs=5"),
        (lambda: Step(1e-3, 0), "every=0 must be at least 1"),
        (lambda: Step(1e-3, 1, factor=1), "factor=1 must be less than 1"),
        (lambda: MultiStep(1e-3, ()), "milestones=.* must be epochs in ascending order"),
        (lambda: MultiStep(1e-3, (3, 3)), "milestones=.* must be epochs in ascending order"),
        (lambda: MultiStep(1e-3, 3), "milestones=3 must be a sequence"),
        (lambda: MultiStep(1e-3, "30"), "milestones='30' must be a sequence"),
        (lambda: MultiStep(1e-3, (0.5,)), r"milestones\[0\]=0.5 must be a whole number"),
        (lambda: Plateau(1e-3, patience=0), "patience=0 must be at least 1"),
        (lambda: Plateau(1e-3, minimum=1), "minimum=1 must be at most learning_rate=0.001"),
    ],
)
def test_nonsense_is_refused_where_it_is_written(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


# ------------------------------------------------------------------ as parameters of the model


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beta": Cosine(1e-3)}, "^beta=Cosine.* must be a number, or a schedule: LinearWarmup"),
        ({"beta": lambda epoch, epochs: 1}, "^beta=.* must be a number, or a schedule"),
        ({"beta": LinearWarmup}, "^beta=.* must be a number, or a schedule"),
        ({"beta": type("Own", (LinearWarmup,), {})(3)}, "^beta=.* must be a number, or a schedule"),
        ({"learning_rate": type("Own", (Cosine,), {})(1.0)}, "^learning_rate=.* must be a number"),
        ({"learning_rate": LinearWarmup(3)}, "^learning_rate=.* must be .* a schedule: Cosine"),
        ({"learning_rate": "cosine"}, "^learning_rate=.* must be a number, or a schedule"),
        ({"learning_rate": Cosine(1e-3, warmup=4)}, "must warm up in fewer than 4 epochs"),
        ({"learning_rate": Cosine(1e-3, epochs=3)}, "it is 0 before epoch 4: nothing would"),
    ],
)
def test_what_cannot_be_used_is_refused_before_training(params, message, X):
    vae = small(**params)
    with pytest.raises((TypeError, ValueError), match=message):
        vae.fit(X)
    assert not hasattr(vae, "history_")


def test_a_learning_rate_of_zero_is_an_error(X):
    vae = small(learning_rate=Cosine(1e-2)).fit(X)
    with pytest.raises(ValueError, match="it is 0 before epoch 5: nothing would be learned"):
        vae.partial_fit(X)
    assert vae.set_params(learning_rate=1e-3).partial_fit(X).n_iter_ == 5


def test_scikit_learn_clones_and_searches_schedules(X):
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    vae = small(beta=LinearWarmup(2), learning_rate=Cosine(1e-3))
    assert clone(vae).get_params() == vae.get_params()
    assert "beta=LinearWarmup(epochs=2, start=0.0, end=1.0)" in repr(vae)
    search = GridSearchCV(vae, {"beta": [1.0, LinearWarmup(2), Cyclical(2)]}, cv=2).fit(X)
    assert search.best_params_["beta"] in [1.0, LinearWarmup(2), Cyclical(2)]


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_a_model_file_holds_schedules_as_data(schedule, X, tmp_path):
    name = "beta" if schedule in BETAS else "learning_rate"
    vae = small(**{name: schedule}, epochs=6).fit(X)
    vae.save(tmp_path / "model.safetensors")
    twin = vaefast.load(tmp_path / "model.safetensors")
    assert twin.get_params() == vae.get_params()
    assert twin.history_ == vae.history_


# ------------------------------------------------------------------ in training


def test_every_step_gets_the_figures_of_its_moment(X, steps):
    beta, rate = LinearWarmup(epochs=3), Cosine(0.01)
    vae = small(beta=beta, learning_rate=rate).fit(X)
    moments = [epoch + first / N for epoch in range(4) for first in (0, 16, 32)]
    assert steps == [(rate(moment, 4), beta(moment, 4)) for moment in moments]
    assert vae.history_["learning_rate"] == [rate for rate, _ in steps[2::3]]
    assert vae.history_["beta"] == [beta for _, beta in steps[2::3]]


def test_numbers_are_recorded_too(X):
    vae = small(beta=2, learning_rate=0.01).fit(X)
    assert vae.history_["beta"] == [2.0] * 4
    assert vae.history_["learning_rate"] == [0.01] * 4


def test_a_schedule_that_never_changes_gives_the_bits_of_the_number(X):
    constant = LinearWarmup(1, start=0.5, end=0.5)
    assert same_bits(small(beta=constant).fit(X), small(beta=0.5).fit(X))


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_training_in_parts_gives_the_bits_of_training_at_once(schedule, X):
    name = "beta" if schedule in BETAS else "learning_rate"
    params = {name: schedule, "epochs": 6}
    whole = small(**params).fit(X, validation=X[:9])
    parts = small(**params)
    for _ in range(6):
        parts.partial_fit(X, validation=X[:9])
        parts = pickle.loads(pickle.dumps(parts))
    assert same_bits(parts, whole)


@pytest.mark.parametrize("schedule", [Cosine(0.01), Plateau(0.01, patience=1)], ids=repr)
def test_training_goes_on_after_ctrl_c_to_the_same_bits(schedule, X, interactive):
    def press_ctrl_c(vae: VAE, record: dict[str, Any]) -> None:
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    params = {"learning_rate": schedule, "beta": Cyclical(2), "epochs": 6}
    stopped = small(**params).fit(X, callbacks=[press_ctrl_c])
    assert stopped.interrupted_
    for _ in range(3):
        stopped.partial_fit(X)
    assert same_bits(stopped, small(**params).fit(X))


def test_plateau_watches_validation_where_there_is_one(X):
    plateau = Plateau(0.05, patience=1, factor=0.5)
    for validation, key in ((None, "elbo"), (X[20:], "validation")):
        vae = small(learning_rate=plateau, epochs=30).fit(X[:20], validation=validation)
        elbos = vae.history_[key]
        expected = [plateau.after(elbos[:epoch]) for epoch in range(30)]
        assert vae.history_["learning_rate"] == expected
        assert expected[-1] < 0.05, "it never came to a plateau"


def test_early_stopping_and_the_history_are_of_the_elbo_whatever_beta_is(X):
    vae = small(beta=LinearWarmup(3), epochs=30, patience=3, learning_rate=Step(0.02, 9))
    vae.fit(X[:10], validation=X[10:])
    best = int(np.argmax(vae.history_["validation"]))
    assert vae.score(X[10:]) == vae.history_["validation"][best]
    parts = np.array([vae.history_[key] for key in ("elbo", "reconstruction", "kl")])
    np.testing.assert_allclose(parts[0], -(parts[1] + parts[2]), rtol=1e-12)


def test_a_divergence_names_the_rate_of_its_moment(X):
    vae = small(likelihood="gaussian", learning_rate=MultiStep(1e30, (1,), factor=0.5))
    with pytest.raises(vaefast.DivergenceError, match=r"learning_rate=1e\+30 may be too large"):
        vae.fit(X)


def test_the_command_line_takes_schedules(monkeypatch):
    from click.testing import CliRunner

    from vaefast import cli

    given: dict[str, Any] = {}

    def catch(**parameters: Any) -> None:
        given.update(parameters)
        raise ValueError("stop here")

    monkeypatch.setattr("vaefast.cli.train.VAE", catch)
    args = ["train", "--beta", "linear:10", "--learning-rate", "cosine:1e-3:warmup=5"]
    CliRunner().invoke(cli.main, args)
    assert (given["beta"], given["learning_rate"]) == (LinearWarmup(10), Cosine(1e-3, warmup=5))
    result = CliRunner().invoke(cli.main, ["train", "--beta", "lineal:10"])
    assert result.exit_code == 2
    assert "expected one of linear, sigmoid, cyclical." in " ".join(result.output.split())
    for option in ("--beta", "--capacity"):
        result = CliRunner().invoke(cli.main, ["train", option, "plateau:1"])
        assert result.exit_code == 2
        assert "'plateau' is unknown; expected one of linear, sigmoid, cyclical." in result.output
    result = CliRunner().invoke(cli.main, ["train", "--learning-rate", "linear:10"])
    assert result.exit_code == 2
    assert "expected one of cosine, step, multi-step, plateau." in result.output
