"""Fuzz all readers in this process: ``python tests/fuzz/long_run.py --cases 1000000 --log FILE``.

A case is named by its number, so that it can be repeated, and a run can be resumed: the log's last
line says how far it came. A case that takes ten seconds of CPU time is a hang, and ends the run.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from targets import TARGETS, mutated, run

HANG_SECONDS = 10
REPORT = 10_000  # cases between two lines of the log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    lines = args.log.read_text().splitlines() if args.log.exists() else []
    done = json.loads(lines[-1])["cases"] if lines else 0
    failures = json.loads(lines[-1])["failures"] if lines else 0
    names = list(TARGETS)
    faulthandler.enable()
    faulthandler.register(signal.SIGVTALRM, chain=True)  # prints where, and ends the process
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as tmp:
        start = time.perf_counter()
        for case in range(done, args.cases):
            name = names[case % len(names)]
            target = TARGETS[name]
            content = mutated(target, np.random.default_rng([case, 1]))
            signal.setitimer(signal.ITIMER_VIRTUAL, HANG_SECONDS)
            wrong = run(target, content, Path(tmp) / f"case{target.suffix}")
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            if wrong is not None:
                failures += 1
                kept = args.log.with_name(f"{name}-{case}")
                kept.write_bytes(content)
                print(f"{kept}: {wrong}", file=sys.stderr)
            if (case + 1) % REPORT == 0 or case + 1 == args.cases:
                seconds = round(time.perf_counter() - start, 1)
                line = {"cases": case + 1, "failures": failures, "seconds": seconds}
                with args.log.open("a") as log:
                    log.write(json.dumps(line) + "\n")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
