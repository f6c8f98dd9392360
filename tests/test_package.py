"""The installed package: its version, its imports and its documentation."""

from __future__ import annotations

import doctest
import importlib.metadata
import inspect
import platform
import re
import subprocess
import sys

import numpy as np
import pytest

import vaefast
from vaefast import VAE, datasets, latent

HEAVY = {"matplotlib", "PIL", "tqdm", "click", "pooch", "safetensors", "scipy", "sklearn", "pandas"}


def public(owner: object, names: list[str]) -> list[tuple[str, object]]:
    return [(name, getattr(owner, name)) for name in names]


METHODS = [name for name in vars(VAE) if not name.startswith("_")]
DOCUMENTED = [
    ("vaefast", vaefast),
    *((n, o) for n, o in public(vaefast, vaefast.__all__) if n != "__version__"),
    *((f"VAE.{n}", o) for n, o in public(VAE, METHODS)),
    *((f"datasets.{n}", o) for n, o in public(datasets, datasets.__all__)),
    *((f"latent.{n}", o) for n, o in public(latent, latent.__all__)),
]


def test_the_version_is_that_of_the_distribution():
    assert importlib.metadata.version("vaefast") == vaefast.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", vaefast.__version__)


def test_import_brings_in_nothing_heavy():
    script = "import sys, vaefast; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {"vaefast", "numpy"} <= loaded
    assert not loaded & HEAVY


def test_all_names_are_there():
    assert {"VAE", "load", "datasets", "info", "DivergenceError"} <= set(vaefast.__all__)
    assert all(hasattr(vaefast, name) for name in vaefast.__all__)


@pytest.mark.parametrize(("name", "thing"), DOCUMENTED, ids=[name for name, _ in DOCUMENTED])
def test_public_names_are_documented(name, thing):
    doc = inspect.getdoc(thing)
    assert doc
    assert len(doc.split()) >= 3
    assert doc != inspect.getdoc(type(thing)), "only what its type says"


def test_every_parameter_of_the_model_is_documented_in_order():
    doc = inspect.getdoc(VAE)
    section = doc.split("Parameters\n----------\n")[1].split("\n\nAttributes\n")[0]
    documented = re.findall(r"^(\w+) : ", section, flags=re.MULTILINE)
    assert documented == list(inspect.signature(VAE).parameters)


def test_every_fitted_attribute_is_documented():
    vae = VAE(hidden_layer_sizes=(4,), epochs=1, verbose=False).fit(np.zeros((3, 2)))
    section = inspect.getdoc(VAE).split("Attributes\n----------\n")[1].split("\n\nExamples\n")[0]
    documented = set(re.findall(r"^(\w+) : ", section, flags=re.MULTILINE))
    assert documented == {name for name in dir(vae) if re.fullmatch(r"[^_]\w*_", name)}


def test_info_describes_the_build_and_the_machine():
    info = vaefast.info()
    assert info["version"] == vaefast.__version__
    assert info["isa"] in info["isas"]
    assert 1 <= info["threads"] <= info["cpus"]
    assert re.match(r"\d+\.\d+", info["eigen"])
    assert info["numpy"] == np.__version__
    assert info["python"] == platform.python_version()
    assert info["machine"] == platform.machine()


def test_errors_derive_from_the_built_in_ones():
    assert issubclass(vaefast.DivergenceError, RuntimeError)
    assert issubclass(vaefast.NotFittedError, (ValueError, AttributeError))


def test_the_example_in_the_documentation_runs():
    example = inspect.getdoc(VAE).split("Examples\n--------\n")[1]
    test = doctest.DocTestParser().get_doctest(example, {}, "VAE", None, None)
    assert len(test.examples) >= 3
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
