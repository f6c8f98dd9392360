"""The choice of the instruction set, and the agreement of all instruction sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cores import Floats, Net, grey, noise, python
from vaefast import _core
from vaefast._core import choose

NET = Net(101, (70, 33), 7, (45,), "gelu")
BATCH = 50

REPORT = """
import sys
import numpy as np
from vaefast import _core
import test_core_isa, test_core_objectives, test_core_parity
for activation in _core.ACTIVATIONS:
    test_core_parity.test_every_activation_and_likelihood(activation, "bernoulli")
for likelihood in _core.LIKELIHOODS:
    test_core_objectives.test_each_likelihood_with_each_objective(likelihood, "elbo", 1)
for objective in test_core_objectives.OBJECTIVES:
    test_core_objectives.test_each_objective(objective, 2)
np.savez(sys.argv[1], **test_core_isa.results())
print(_core.ISA)
"""


def results() -> dict[str, Floats]:
    """Return gradients, and the weights after three steps of SGD.

    SGD keeps small differences small. Adam takes steps of the same size for any gradient, so it
    would magnify the rounding of tiny gradients.
    """
    core = NET.core(2, optimizer="sgd")
    x = grey(0, BATCH, NET.features)
    tensors = {
        f"gradient of {name}": t
        for name, t in core.gradients(x, noise(1, BATCH, NET.latent_dim), 1.0).items()
    }
    for step in range(3):
        core.step(x, np.arange(BATCH), 1e-3, 1.0, 0, step)
    return tensors | core.tensors()


@pytest.mark.parametrize("isa", _core.SUPPORTED)
def test_each_instruction_set_agrees_with_the_reference_and_this_one(
    isa: str, tmp_path: Path
) -> None:
    file = tmp_path / "results.npz"
    done = python(REPORT.replace("sys.argv[1]", repr(str(file))), VAEFAST_ISA=isa)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [isa]
    with np.load(file) as theirs:
        ours = results()
        assert sorted(ours) == sorted(theirs)
        for name, tensor in ours.items():
            scale = np.max(np.abs(tensor))
            np.testing.assert_allclose(
                theirs[name], tensor, rtol=0, atol=1e-5 * scale, err_msg=name
            )


def test_supported_are_known_names_the_best_first_and_baseline_always() -> None:
    order = ("avx512", "avx2", "baseline")
    assert set(_core.SUPPORTED) <= set(order)
    assert sorted(_core.SUPPORTED, key=order.index) == list(_core.SUPPORTED)
    assert _core.SUPPORTED[-1] == "baseline"
    assert _core.ISA in _core.SUPPORTED


@pytest.mark.parametrize("forced", [None, ""])
def test_the_best_is_taken_unless_one_is_forced(forced: str | None) -> None:
    assert choose(("avx512", "avx2", "baseline"), forced) == "avx512"
    assert choose(("baseline",), forced) == "baseline"
    done = python("from vaefast import _core; print(_core.ISA)", VAEFAST_ISA=forced or "")
    assert done.stdout.split() == [_core.SUPPORTED[0]], done.stderr


def test_a_forced_instruction_set_is_taken() -> None:
    assert choose(("avx512", "avx2", "baseline"), "avx2") == "avx2"


@pytest.mark.parametrize("forced", ["avx512", "bogus", "AVX2", "avx2 ", "../avx2"])
def test_an_instruction_set_that_cannot_run_here_is_an_import_error(forced: str) -> None:
    with pytest.raises(ImportError) as error:
        choose(("avx2", "baseline"), forced)
    assert repr(forced) in str(error.value)
    assert "avx2, baseline" in str(error.value)


def test_importing_with_an_unknown_instruction_set_fails() -> None:
    done = python("import vaefast._core", VAEFAST_ISA="bogus")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: VAEFAST_ISA='bogus'")
    assert ", ".join(_core.SUPPORTED) in last
