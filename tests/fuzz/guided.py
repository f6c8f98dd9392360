"""Fuzz one target, guided by coverage: ``python tests/fuzz/guided.py TARGET FOLDER [OPTION ...]``.

Atheris sees which branches of the package, and of the Python code that it reads files with, an
input reaches, and keeps inputs that reach new ones in the folder. Options are those of libFuzzer,
such as ``-max_total_time=60``. An input that fails ends the run and is written to crash-*.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

READERS = ["vaefast", "targets", "signing", "border", "PIL", "csv", "gzip", "mido", "zipfile"]

with atheris.instrument_imports(include=READERS):
    from targets import TARGETS, run


def main() -> None:
    name, folder, *options = sys.argv[1:]
    target, corpus = TARGETS[name], Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(target.seeds()):
        (corpus / f"seed-{i}").write_bytes(seed)
    path = Path(tempfile.mkdtemp()) / f"case{target.suffix}"

    def read(content: bytes) -> None:
        wrong = run(target, content, path)
        assert wrong is None, wrong

    atheris.Setup([sys.argv[0], *options, str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
