"""Teacher labels on a Ray cluster: the same shards as `wav2small annotate`, written by Ray Data.

python -m wav2small_training.distillation.annotate_ray RECIPE OUT [key=value ...] [--actors 8] [--gpus 1]

OUT is on a disk that all machines of the cluster share. Stopped and started again, by this or by `wav2small annotate`,
it goes on with the shards that are missing.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from accelerate import Accelerator

from wav2small.cli.command import require_extra, run_command

from ..recipe import Recipe
from ..recipe_file import load_recipe
from .annotate import SCHEMA, finish_annotation, open_annotation
from .work import share_work


class Annotator:
    """One actor of the cluster, with a teacher of its own.

    Args:
        recipe: of the annotation.
        out: folder of the shards.
    """

    def __init__(self, recipe: Recipe, out: Path):
        self.out = out
        self.windows = open_annotation(recipe, out, Accelerator(mixed_precision=recipe.precision))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Write the shards of some units; gives their numbers."""
        names, windows = self.windows.names, self.windows
        for unit in batch["id"].tolist():
            read, label = partial(one_of, windows.cut, unit), partial(one_of, windows.label, unit)
            share_work([names[unit]], self.out, read, label, SCHEMA, workers=0)
        return {"id": batch["id"]}


def one_of(function: Callable[..., Any], unit: int, _: int, *more: Any) -> Any:
    """Call a function of all units for one of them, which is alone in its batch."""
    return function(unit, *more)


def annotate_on_ray(recipe: Recipe, out: Path, actors: int, gpus: float) -> int:
    """Annotate the corpora of a recipe on the Ray cluster that this process is connected to.

    Args:
        recipe: with a teacher.
        out: folder of the shards, shared by all machines.
        actors: that run a teacher each.
        gpus: of each actor; 0 for none.

    Returns:
        Windows in the folder.

    Raises:
        Wav2SmallError: as [`annotate`] does.
    """
    with require_extra("ray"):
        import ray.data
    out = out.resolve()
    windows = open_annotation(recipe, out, Accelerator(mixed_precision=recipe.precision))
    ray.data.range(len(windows.names), override_num_blocks=len(windows.names)).map_batches(
        Annotator, batch_size=1, fn_constructor_args=(recipe, out), concurrency=actors, num_gpus=gpus
    ).materialize()
    return finish_annotation(windows, out)


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file with a teacher and corpora.")],
    out: Annotated[Path, typer.Argument(help="Folder of the Parquet shards.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
    actors: Annotated[int, typer.Option(min=1, help="Actors with a teacher each.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of each actor.")] = 0,
) -> None:
    """Write the teacher labels of the corpora of a recipe, on a Ray cluster."""
    windows = annotate_on_ray(load_recipe(recipe, overrides), out, actors, gpus)
    typer.echo(f"{windows} windows in {out}")


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
