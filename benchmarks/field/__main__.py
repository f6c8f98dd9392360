"""The command `python -m benchmarks.field SUITE`."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import click

from benchmarks.child import THREAD_VARIABLES

SUITES = ("anomalies", "tables", "gaps", "features", "counts")


@click.command(context_settings={"show_default": True})
@click.argument("name", type=click.Choice(SUITES), metavar="SUITE")
@click.option(
    "--cell",
    "chosen",
    multiple=True,
    metavar="TEXT",
    help="Run only cells that contain this text, such as 45_wine. May be repeated.",
)
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="TEXT",
    help="Run only groups whose name contains this text, such as held-out. May be repeated.",
)
@click.option(
    "--method", "names", multiple=True, metavar="METHOD", help="Run only this. May be repeated."
)
@click.option("--seeds", type=click.IntRange(0), help="Number of seeds. [default: 5; 3 if slow]")
@click.option("--threads", type=click.IntRange(1), default=1, help="Threads of every method.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/field"),
    help="Folder of the results.",
)
def main(
    name: str,
    chosen: tuple[str, ...],
    groups: tuple[str, ...],
    names: tuple[str, ...],
    seeds: int | None,
    threads: int,
    out: Path,
) -> None:
    """Compare vaefast with other packages on the task SUITE, and print the tables.

    \b
    anomalies  detectors on ADBench's tables, without labels
    tables     synthetic rows of mixed tables
    gaps       missing values filled in
    features   classes read from 2, 8 or 32 dimensions
    counts     overdispersed counts with known groups and exposure

    Finished cells are kept in SUITE.jsonl and never measured again, so that a run may be stopped
    and resumed at any moment, and continued in an environment with other packages. --seeds 0
    measures nothing and prints the tables.
    """
    # NumPy, PyTorch and vaefast read these variables, most of them once, at their import.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    from benchmarks.report import environment
    from vaefast import __version__

    from . import report
    from . import suite as suites
    from .results import Results

    suite: suites.Suite = import_module(f"benchmarks.field.{name}").SUITE
    known = [method.name for method in suite.methods]
    if unknown := set(names) - set(known):
        raise click.BadParameter(
            f"{unknown.pop()!r} is not a method of {name}; there are {', '.join(known)}",
            param_hint="--method",
        )
    cells = [
        cell
        for group, members in suite.groups.items()
        for cell in members
        if not groups or any(text.lower() in group.lower() for text in groups)
        if not chosen or any(text in cell for text in chosen)
    ]
    if not cells:
        raise click.UsageError(
            f"no cell of {name} fits --cell and --group. Its groups are {', '.join(suite.groups)}."
        )
    wanted = [method for method in suite.methods if not names or method.name in names]
    methods = []
    for method in wanted:
        if missing := suites.not_installed((*suite.packages, *method.packages)):
            click.echo(f"left out: {method.name} ({', '.join(missing)} not installed)")
        else:
            methods.append(method)
    machine = environment(threads, [], {})
    about = {key: machine[key] for key in ("cpu", "system", "python", "threads", "isa")}
    about["vaefast"] = __version__
    found = Results(out / f"{name}.jsonl")
    try:
        if methods and seeds != 0:
            suites.run(suite, found, cells, methods, seeds, about, click.echo)
    except KeyboardInterrupt:
        click.echo(f"\nStopped. The same command resumes after the last cell in {found.path}.")
        raise SystemExit(130) from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
    if not found.lines:
        raise click.ClickException("there is nothing to report: no method was measured")
    text = report.report(suite, found)
    (out / f"{name}.md").write_text(text + "\n")
    (out / f"{name}.json").write_text(json.dumps(report.overview(suite, found), indent=1) + "\n")
    click.echo(f"\n{text}\n\n{out / name}.jsonl, .json, .md")


if __name__ == "__main__":
    main()
