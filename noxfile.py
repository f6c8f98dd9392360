"""Checks in environments of their own: ``nox`` runs the quick ones, ``nox -l`` lists all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

SANITIZERS = {  # by CMake preset: the runtime to load first, its options, and tests
    "asan-ubsan": (
        "libasan.so",
        {"ASAN_OPTIONS": "detect_leaks=0"},  # CPython itself leaks
        ["core_border", "core_kernels", "threads", "concurrency", "storage", "datasets_arrays"],
    ),
    "tsan": (
        "libtsan.so",
        {"TSAN_OPTIONS": "halt_on_error=1 die_after_fork=0 suppressions=tests/files/tsan.txt"},
        ["core_parity", "core_determinism", "core_border", "concurrency"],
    ),
}


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling of Python, C++ and text."""
    session.install("clang-format~=19.1", "codespell[toml]", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("clang-format", "--dry-run", "--Werror", *map(str, Path("cpp").rglob("*.[ch]pp")))
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, the reference and the benchmarks."""
    session.install("-Cwheel.cmake=false", ".[test]", "mypy")  # mypy needs no compiled core
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after ``--`` go to pytest."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples of the documentation, check its links, and build the site."""
    session.install(".[docs,test]")
    session.run("pytest", "-q", "tests/test_docs.py")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "build/site")


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines of the Python package the tests run."""
    session.install(".[test]", "pytest-cov")
    options = ("--cov=vaefast", "--cov-report=term-missing", *session.posargs)
    session.run("pytest", *options, env={"COVERAGE_FILE": "build/coverage"})


@nox.session
@nox.parametrize("preset", list(SANITIZERS), ids=list(SANITIZERS))
def sanitizers(session: nox.Session, preset: str) -> None:
    """Build with a preset of CMakePresets.json, and run tests of the core on it (GCC, Linux)."""
    session.install(f"-Ccmake.args=--preset={preset}", "-Cinstall.strip=false", ".[test]")
    runtime, options, names = SANITIZERS[preset]
    preload = [
        subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()
        for name in (runtime, "libstdc++.so")  # the latter lets the runtime see C++ exceptions
    ]
    chosen = session.posargs or [f"tests/test_{name}.py" for name in names]
    environment = {
        **options,
        "LD_PRELOAD": " ".join(preload),
        "OPENBLAS_NUM_THREADS": "1",  # it is not instrumented, and its locks are not seen
        "VAEFAST_ISA": "avx2",  # the only one that the presets compile
    }
    # Without -s, pytest would swallow the report of an error that ends the process.
    session.run("python", "-m", "pytest", "-q", "-s", *chosen, env=environment)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz each target for a minute, guided by coverage; arguments after ``--`` name targets."""
    session.install(".[test]", "atheris")
    listed = "import sys; sys.path.append('tests/fuzz'); import targets; print(*targets.TARGETS)"
    names = session.run("python", "-W", "ignore", "-c", listed, silent=True).split()
    for name in session.posargs or names:
        options = (name, f"build/fuzz/{name}", "-max_total_time=60", "-timeout=20")
        session.run("python", "-W", "ignore", "tests/fuzz/guided.py", *options)


@nox.session
def endurance(session: nox.Session) -> None:
    """Read a million mutated files, and kill 200 trainings. This takes one to two hours."""
    session.install(".[test]")
    session.run("pytest", "-q", "tests/faults", env={"VAEFAST_KILLS": "200"})
    log = Path("build/fuzz.jsonl")
    log.parent.mkdir(exist_ok=True)
    session.run("python", "-W", "ignore", "tests/fuzz/long_run.py", "--log", str(log))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure speed on this machine; arguments after ``--`` go to ``benchmarks/run.py``."""
    session.install(".[plot]")
    session.run("python", "benchmarks/run.py", *(session.posargs or ["--quick"]))
