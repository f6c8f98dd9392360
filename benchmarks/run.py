"""The benchmark command: `python benchmarks/run.py --help`."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if not __package__:  # run as a file: sys.path starts with this folder, not with its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import nets
from benchmarks.child import THREAD_VARIABLES

if TYPE_CHECKING:
    from benchmarks.peers.base import Peer
    from benchmarks.plan import Plan

QUESTIONS = (
    "training",
    "roofline",
    "scaling",
    "inference",
    "serving",
    "memory",
    "sparse",
    "streams",
    "startup",
    "processes",
)


def _nets(_: click.Context, __: click.Parameter, text: str | None) -> list[nets.Net] | None:
    try:
        return [nets.Net.parse(name) for name in text.split(",")] if text else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _batches(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    try:
        sizes = tuple(int(size) for size in text.split(",")) if text else None
    except ValueError:
        raise click.BadParameter(f"{text!r} must be whole numbers, such as 32,128") from None
    if sizes and min(sizes) < 1:
        raise click.BadParameter(f"{text!r}: a batch has at least one row")
    return sizes


@click.command(context_settings={"show_default": True})
@click.argument("questions", nargs=-1, type=click.Choice(QUESTIONS), metavar="[QUESTION]...")
@click.option("--quick", is_flag=True, help="Measure a few small cells in 3 rounds.")
@click.option(
    "--nets",
    "chosen",
    callback=_nets,
    metavar="NET,...",
    help="Measure only these nets, such as 784-256-2-256-784:relu (activations: relu, tanh). "
    "[default: the grid]",
)
@click.option(
    "--uniform",
    is_flag=True,
    help="Train nets with 784 features on random numbers instead of digits. Random rows have no "
    "zeros, which vaefast skips. The roofline always uses random rows.",
)
@click.option(
    "--batches", callback=_batches, metavar="N,...", help="Measure only these batch sizes."
)
@click.option(
    "--rounds", type=click.IntRange(1), help="Number of rounds. [default: 7; 3 with --quick]"
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Threads of every peer. [default: all CPUs of this process]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("runs/benchmarks.json"),
    help="File of the results. An interrupted run leaves its results in a file next to it.",
)
def main(
    questions: tuple[str, ...],
    quick: bool,
    chosen: list[nets.Net] | None,
    uniform: bool,
    batches: tuple[int, ...] | None,
    rounds: int | None,
    threads: int | None,
    out: Path,
) -> None:
    """Measure speed and memory, print one table per QUESTION, and keep all results.

    \b
    training   rows per second of a training epoch, compared with the peers
    roofline   share of the machine's peak and bandwidth that a training step reaches
    scaling    time against threads, batch, width, depth and number of rows
    inference  transform by rows and type of the data, sample, score_samples, log p(x)
    serving    transform of one row from several threads at once, first result of a loaded model
    memory     peak memory of training on rows in memory and on disk
    sparse     training on sparse counts: speed beside PyTorch, and peak memory
    streams    training on files larger than memory: speed beside an array, ELBO by the window
    startup    time of the import, and from the shell command to the first step
    processes  a training step in two processes, and a model of it on many machines

    Without a QUESTION, all of them run. --nets applies to training, roofline, inference and
    serving; --batches applies to training and roofline.

    Before a net is timed, all peers must agree on its ELBO, gradients and Adam steps.
    """
    threads = threads or _default_threads()
    _set_threads(threads)

    from benchmarks import child, parity, peers, report, training
    from benchmarks.plan import Plan
    from vaefast._system.files import output_folder

    found, left_out = peers.find()
    if training.BASE not in [peer.name for peer in found]:
        raise click.ClickException(f"vaefast can't be imported: {left_out['vaefast_vae']}")
    about = report.environment(threads, found, left_out)
    click.echo(report.describe(about))

    cells = nets.select(chosen, batches, quick=quick)
    plan = Plan(quick, threads, rounds or (3 if quick else 7), not uniform, cells)
    kept: dict[str, Any] = {**about, "quick": quick}
    partial_out = out.with_suffix(f".partial{out.suffix}")  # what an interrupted run has measured
    try:
        with output_folder(out.parent, [out.name], force=True):
            for name in questions or QUESTIONS:
                kept[name] = []
                for answer in _ask(name, plan, found):
                    kept[name].append(answer)
                    _write(kept, partial_out)
            _write(kept, out)
            partial_out.unlink(missing_ok=True)
    except (parity.ParityError, child.ChildError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"\n{out}")


def _write(kept: dict[str, Any], path: Path) -> None:
    from vaefast._system.files import atomic_write

    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n")


def _ask(name: str, plan: Plan, peers: list[type[Peer]]) -> Iterator[dict[str, Any]]:
    """Print the table of a question line by line, and yield its results."""
    from benchmarks import report, training

    question = importlib.import_module(f"benchmarks.{name}")
    click.echo(f"\n{name}: {str(question.__doc__).splitlines()[0]}\n")
    if name == "training":
        results, footnote = _train(plan, peers), report.TRAINING_FOOTNOTE
        columns = partial(report.training_columns, base=training.BASE)
    else:
        results, footnote, columns = question.run(plan), question.FOOTNOTE, question.columns
    table = report.Table()
    for result in results:
        click.echo(table.line(columns(result)))
        yield result
    click.echo(f"\n{footnote}")


def _train(plan: Plan, peers: list[type[Peer]]) -> Iterator[dict[str, Any]]:
    from benchmarks import training

    flops = training.QUICK_FLOPS_PER_EPOCH if plan.quick else training.FLOPS_PER_EPOCH
    for net, size in plan.cells:
        yield training.measure(
            net,
            size,
            peers,
            threads=plan.threads,
            rounds=plan.rounds,
            digits=plan.digits,
            flops_per_epoch=flops,
        )


def _default_threads() -> int:
    """Return vaefast's default number of threads.

    A separate process asks for it, because vaefast imports NumPy, which must not start before
    `_set_threads`.
    """
    code = "from vaefast._system.threads import default_threads; print(default_threads())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if answer.returncode:
        raise click.ClickException(f"vaefast can't be imported:\n{answer.stderr}")
    return int(answer.stdout)


def _set_threads(threads: int) -> None:
    # NumPy and its BLAS read these variables once, at their import. Every module that imports NumPy
    # (most of the benchmarks) must therefore be imported after this call.
    if "numpy" in sys.modules:
        raise click.ClickException(
            "NumPy is already imported and has chosen its number of threads. Start the benchmark "
            "in a process of its own."
        )
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


if __name__ == "__main__":
    main()
