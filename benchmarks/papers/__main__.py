"""The command `python -m benchmarks.papers NAME`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vaefast import DivergenceError

from . import iwae, kingma_welling, pytorch_example, rezende_mohamed
from .recipe import Recipe
from .runner import RunError, run

RECIPES: dict[str, Recipe] = {
    "pytorch-example": pytorch_example.EXAMPLE,
    "blog": pytorch_example.BLOG,
    "rezende-mohamed": rezende_mohamed.RECIPE,
    "iwae-table-1": iwae.RECIPE,
    "kingma-welling": kingma_welling.RECIPE,
}


@click.command(context_settings={"show_default": True})
@click.argument("name", type=click.Choice(list(RECIPES)), metavar="NAME")
@click.option(
    "--only",
    multiple=True,
    metavar="TRAINING",
    help="Run only this training of the recipe. May be repeated.",
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs in total. [default: as published]")
@click.option("--stages", metavar="0-N", help="Train only the first stages of a recipe.")
@click.option(
    "--samples", type=click.IntRange(1), help="Samples per row for the NLL. [default: as published]"
)
@click.option(
    "--seed",
    "seeds",
    type=click.IntRange(0),
    multiple=True,
    help="Seed of a training. May be repeated.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results. [default: runs/papers/NAME]",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads. [default: all CPUs of this process]"
)
def main(
    name: str,
    only: tuple[str, ...],
    epochs: int | None,
    stages: str | None,
    samples: int | None,
    seeds: tuple[int, ...],
    out: Path | None,
    threads: int | None,
) -> None:
    """Reproduce a published result and print our figures next to the published ones.

    \b
    pytorch-example  PyTorch's VAE example, three seeds
    blog             784-256-2-256-784 with batches of 128 and 32
    rezende-mohamed  the VAE of Rezende & Mohamed 2015, as pythae reproduces it
    iwae-table-1     Burda et al. 2016: vae-1, vae-1-closed-kl, vae-5, iwae-5, iwae-50
    kingma-welling   training speed of Kingma & Welling's net

    A run may be stopped at any moment. The same command, or one with more epochs or stages,
    resumes it and reaches the same bits as a run without a stop.
    """
    recipe = RECIPES[name]
    names = [training.name for training in recipe.trainings]
    if unknown := set(only) - set(names):
        raise click.BadParameter(
            f"{unknown.pop()!r} is not a training of {name}; there are {', '.join(names)}",
            param_hint="--only",
        )
    if samples and not recipe.samples:
        raise click.BadParameter(f"{name} has no importance sampling", param_hint="--samples")
    planned = _planned(recipe, epochs, stages)
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # not n_threads, which a checkpoint would keep
    folder = out or Path("runs") / "papers" / name
    results = []
    try:
        for training in recipe.trainings:
            for seed in seeds or recipe.seeds:
                if only and training.name not in only:
                    continue
                place = folder / f"{training.name}-seed-{seed}"
                click.echo(f"{place}")
                results.append(
                    run(
                        recipe,
                        training,
                        seed,
                        planned,
                        samples or recipe.samples,
                        place,
                        lambda line: click.echo(f"  {line}"),
                    )
                )
    except KeyboardInterrupt:
        click.echo(f"\nStopped. The same command resumes from the last checkpoint in {folder}.")
        raise SystemExit(130) from None
    except (RunError, OSError, ValueError, DivergenceError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"\n{_table(results)}\n\npublished: {recipe.source}")
    for departure in recipe.departures:
        click.echo(f"departure: {departure}")
    click.echo(f"results in {folder}")


def _planned(recipe: Recipe, epochs: int | None, stages: str | None) -> int:
    """Return the number of epochs to train in total."""
    if stages is None:
        return epochs or recipe.epochs
    first, _, last = stages.partition("-")
    count = len(recipe.stages)
    problem = None
    if epochs:
        problem = "give --epochs or --stages, not both"
    elif not count:
        problem = "this recipe has no stages"
    elif first != "0" or not last.isdigit() or int(last) >= count:
        problem = f"{stages!r} must be 0-0 to 0-{count - 1}"
    if problem:
        raise click.BadParameter(problem, param_hint="--stages")
    return sum(recipe.stages[: int(last) + 1])


def _table(results: list[dict[str, Any]]) -> str:
    """Return our figures next to the published ones, one line per figure."""
    lines = [f"{'training':<12} {'seed':>4} {'epochs':>12} {'':<26} {'ours':>10} {'published':>12}"]
    for result in results:
        theirs: Mapping[str, str] = result["theirs"]
        for figure, ours in result["ours"].items():
            lines.append(
                f"{result['training']:<12} {result['seed']:>4} "
                f"{result['epochs']:>5} of {result['of_epochs']:>4} {figure:<26} "
                f"{ours:>10,.6g} {theirs.get(figure, ''):>12}"
            )
        lines.append(f"{'':31} {'training, seconds':<26} {result['training_seconds']:>10,.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
