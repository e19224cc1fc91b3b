"""Teacher labels on a Ray cluster: the same shards as `wav2small annotate`, written by Ray Data.

python -m wav2small_training.distillation.annotate_ray RECIPE OUT [key=value ...] [--actors 8] [--gpus 1]

OUT, and the folder where the command is run, are on a disk that all machines of the cluster share. Stopped and started
again, by this or by `wav2small annotate`, it goes on with the shards that are missing.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from accelerate import Accelerator

from wav2small.cli.command import require_extra, run_command
from wav2small.models.errors import Wav2SmallError

from ..recipe import Recipe
from ..recipe_file import load_recipe
from .annotate import BEGUN, SCHEMA, Windows, finish_annotation, open_annotation
from .work import not_shared, share_work


class Annotator:
    """One actor of the cluster, with a teacher of its own.

    Args:
        windows: of the annotation.
        out: folder of the shards.
        place: that the paths of the recipe are relative to.
    """

    def __init__(self, windows: Windows, out: Path, place: Path):
        self.windows, self.out, self.place = windows, out, place
        windows.accelerator = Accelerator(mixed_precision=windows.recipe.precision)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Write the shard of one unit; gives the sentence of an error, or an empty one."""
        [unit] = batch["item"].tolist()
        windows, names = self.windows, self.windows.names
        try:
            self.enter()
            share_work(
                names, self.out, windows.cut, windows.label, SCHEMA, workers=0,
                done=lambda i: i != unit or (self.out / names[i]).is_file(),
            )  # fmt: skip
        except Wav2SmallError as error:  # as a row: what an actor raises comes as Ray's text around a traceback
            return {"error": [str(error)]}
        return {"error": [""]}

    def enter(self) -> None:
        """Go to the place; raises where its machine does not share it, or the folder of the shards."""
        for folder, seen in ((self.out, self.out / BEGUN), (self.place, self.place)):
            if not seen.exists():
                raise not_shared(folder)
        os.chdir(self.place)


def annotate_on_ray(recipe: Recipe, out: Path, actors: int, gpus: float) -> int:
    """Annotate the corpora of a recipe on the Ray cluster that this process is connected to, or on one that it starts.

    Args:
        recipe: with a teacher.
        out: folder of the shards, shared by all machines.
        actors: that run a teacher each, on one CPU; those that find no room wait, and the others do their work.
        gpus: of each actor; 0 for none, 0.5 for two actors on one.

    Returns:
        Windows in the folder.

    Raises:
        Wav2SmallError: as [`annotate`] does.
    """
    with require_extra("ray"):
        import ray.data
    out = out.resolve()
    windows = open_annotation(recipe, out, Accelerator(mixed_precision=recipe.precision))
    missing = [unit for unit, name in enumerate(windows.names) if not (out / name).is_file()]
    if missing:
        units = ray.data.from_items(missing, override_num_blocks=len(missing))  # no task that waits for a CPU of actors
        pool = ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1)
        ended = units.map_batches(
            Annotator,
            batch_size=1,
            fn_constructor_args=(windows, out, Path.cwd()),
            compute=pool,
            num_cpus=1,
            num_gpus=gpus,
        )
        for row in ended.iter_rows():
            if row["error"]:
                raise Wav2SmallError(row["error"])
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
