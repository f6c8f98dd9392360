"""Compare the training speed of vaefast with its peers': `python benchmarks/run.py --help`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click

if not __package__:  # run as a file: Python has found the folder, not the package
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import nets

# NumPy, and what it imports, read these only once, when they start: nothing that imports NumPy may
# be imported before they are set.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
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
        raise click.BadParameter(f"{text!r} must be whole numbers, as in 32,128") from None
    if sizes and min(sizes) < 1:
        raise click.BadParameter(f"{text!r}: a batch has at least one row")
    return sizes


@click.command(context_settings={"show_default": True})
@click.option("--quick", is_flag=True, help="Short epochs, 3 rounds, no wide nets.")
@click.option(
    "--nets",
    "chosen",
    callback=_nets,
    metavar="NET,...",
    help="Only these, e.g. 784-256-2-256-784:relu (activations: relu, tanh). [default: the grid]",
)
@click.option("--batches", callback=_batches, metavar="N,...", help="Only these batch sizes.")
@click.option("--rounds", type=click.IntRange(1), help="[default: 7, with --quick 3]")
@click.option(
    "--threads", type=click.IntRange(1), help="Of every peer. [default: the CPUs there are]"
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("runs/training.json"),
    help="Where the result is kept.",
)
def main(
    quick: bool,
    chosen: list[nets.Net] | None,
    batches: tuple[int, ...] | None,
    rounds: int | None,
    threads: int | None,
    out: Path,
) -> None:
    """Train an epoch with each peer in turn, for a grid of nets; print and keep rows per second.

    Before a net is timed, all peers must agree on its ELBO, gradient and Adam steps.
    """
    threads = threads or _default_threads()
    _set_threads(threads)

    from benchmarks import parity, peers, report, training
    from vaefast.files import atomic_write, output_folder

    found, left_out = peers.find()
    names = [peer.name for peer in found]
    if training.BASE not in names:
        raise click.ClickException(f"vaefast can't be imported: {left_out['vaefast_vae']}")
    about = report.environment(threads, found, left_out)
    click.echo(report.describe(about) + "\n\n" + report.header(names, training.BASE))

    cells = nets.select(chosen or (nets.QUICK if quick else list(nets.GRID)), batches)
    results = []
    try:
        with output_folder(out.parent, [out.name], force=True):
            for net, size in cells:
                result = training.measure(
                    net,
                    size,
                    found,
                    threads=threads,
                    rounds=rounds or (3 if quick else 7),
                    flops_per_epoch=(
                        training.QUICK_FLOPS_PER_EPOCH if quick else training.FLOPS_PER_EPOCH
                    ),
                )
                results.append(result)
                click.echo(report.line(result))
            with atomic_write(out) as temporary:
                temporary.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")
    except (parity.ParityError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"\n{report.FOOTNOTE}\n{out}")


def _default_threads() -> int:
    """vaefast's own default, asked in a process of its own: vaefast imports NumPy."""
    code = "from vaefast.threads import default_threads; print(default_threads())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if answer.returncode:
        raise click.ClickException(f"vaefast can't be imported:\n{answer.stderr}")
    return int(answer.stdout)


def _set_threads(threads: int) -> None:
    if "numpy" in sys.modules:
        raise click.ClickException("NumPy is running already, with threads of its own choice")
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


if __name__ == "__main__":
    main()
