"""Fuzz all targets in this process: ``python tests/fuzz/long_run.py --cases 1000000 --log FILE``.

A case is named by its number, so that it can be repeated, and a run can be resumed: the log's last
line says how many cases it has done. ``--first N`` begins with another case, so that several
processes can share a run. A case that takes ten seconds of CPU time is a hang, and ends the run.
Signed files take ten times as long as others, and are an eighth as many.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from mutation import mutated
from targets import TARGETS, run

HANG_SECONDS = 10
REPORT = 10_000  # cases between two lines of the log
TURN = [name for _ in range(8) for name in TARGETS if not name.startswith("signed")]
TURN += [name for name in TARGETS if name.startswith("signed")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    lines = args.log.read_text().splitlines() if args.log.exists() else []
    done = json.loads(lines[-1])["cases"] if lines else 0
    failures = json.loads(lines[-1])["failures"] if lines else 0
    faulthandler.enable()
    faulthandler.register(signal.SIGVTALRM, chain=True)  # prints where, and ends the process
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as tmp:
        start = time.perf_counter()
        for case in range(args.first + done, args.first + args.cases):
            name = TURN[case % len(TURN)]
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
            done += 1
            if done % REPORT == 0 or done == args.cases:
                seconds = round(time.perf_counter() - start, 1)
                cases = range(args.first, args.first + done)
                by_target = Counter(TURN[i % len(TURN)] for i in cases)
                line = {"cases": done, "failures": failures, "seconds": seconds, **by_target}
                with args.log.open("a") as log:
                    log.write(json.dumps(line) + "\n")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
