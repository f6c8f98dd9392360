"""The command: `python -m benchmarks.papers NAME`."""

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
@click.option("--only", multiple=True, metavar="TRAINING", help="Of the recipe's trainings, this.")
@click.option("--epochs", type=click.IntRange(1), help="Train so many in all. [default: theirs]")
@click.option("--stages", metavar="0-N", help="Train the first stages, of a recipe that has them.")
@click.option("--samples", type=click.IntRange(1), help="Per row for the NLL. [default: theirs]")
@click.option("--seed", "seeds", type=click.IntRange(0), multiple=True, help="May be repeated.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="[default: runs/papers/NAME]"
)
@click.option("--threads", type=click.IntRange(1), help="[default: the CPUs there are]")
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
    """Reproduce a published result; print ours beside theirs.

    \b
    pytorch-example  PyTorch's VAE example, three seeds
    blog             784-256-2-256-784, batches of 128 and 32
    rezende-mohamed  the VAE of Rezende & Mohamed 2015, as pythae reproduces it
    iwae-table-1     Burda et al. 2016: vae-1, vae-1-closed-kl, vae-5, iwae-5, iwae-50
    kingma-welling   speed of Kingma & Welling's net

    Stop it at any moment: the same command goes on to the same bits. So does one with more epochs
    or stages.
    """
    recipe = RECIPES[name]
    names = [training.name for training in recipe.trainings]
    if unknown := set(only) - set(names):
        raise click.BadParameter(
            f"{unknown.pop()!r}: there are {', '.join(names)}", param_hint="--only"
        )
    if samples and not recipe.samples:
        raise click.BadParameter(f"{name} has no importance sampling", param_hint="--samples")
    planned = _planned(recipe, epochs, stages)
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # of the models: not part of a checkpoint
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
        click.echo(f"\nStopped. The same command goes on from the last checkpoint in {folder}.")
        raise SystemExit(130) from None
    except (RunError, OSError, ValueError, DivergenceError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"\n{_table(results)}\n\ntheirs: {recipe.source}")
    for departure in recipe.departures:
        click.echo(f"departs: {departure}")
    click.echo(f"kept in {folder}")


def _planned(recipe: Recipe, epochs: int | None, stages: str | None) -> int:
    """Epochs to train in all."""
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
    """Ours beside theirs, a line for each figure."""
    lines = [f"{'training':<12} {'seed':>4} {'epochs':>12} {'':<26} {'ours':>10} {'theirs':>12}"]
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
