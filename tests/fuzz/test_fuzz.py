"""Mutated files never crash a reader, and their errors are those that a user can read.

A few hundred cases of each target run here. ``python tests/fuzz/long_run.py`` runs any number.
Contents that once failed are kept in findings/, named TARGET-WHAT.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mutation import mutated
from targets import TARGETS, run

CASES = 300
FINDINGS = sorted((Path(__file__).parent / "findings").glob("[a-z]*"))


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name: str, tmp_path: Path):
    target = TARGETS[name]
    for seed in target.seeds():
        path = tmp_path / f"seed{target.suffix}"
        path.write_bytes(seed if target.wrap is None else target.wrap(seed))
        target.read(path)


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_are_read_or_refused(name: str, tmp_path: Path):
    target, path = TARGETS[name], tmp_path / f"case{TARGETS[name].suffix}"
    for case in range(CASES):
        content = mutated(target, np.random.default_rng([case, len(name)]))
        wrong = run(target, content, path)
        assert wrong is None, f"case {case}: {wrong}"


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: path.name)
def test_findings_stay_mended(finding: Path, tmp_path: Path):
    target = TARGETS[finding.name.rpartition("-")[0]]
    assert run(target, finding.read_bytes(), tmp_path / f"case{target.suffix}") is None
