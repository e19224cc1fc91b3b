"""Clips a second of data loading, annotation and training, for 5 s clips, on one and two processes, and on a GPU.

python -m wav2small_training.benchmarks.throughput RECIPE
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from accelerate import Accelerator
from rich.console import Console
from rich.table import Table

from wav2small.cli.command import run_command
from wav2small.models.adv import SAMPLING_RATE

from ..distillation.distill import make_loader, make_student
from ..distillation.losses import ccc_loss
from ..distillation.targets import Targets
from ..recipe import Recipe
from ..recipe_file import load_recipe

SECONDS = 10.0  # of a measurement, after a warm-up
CROP_SECONDS = 5.0
STEPS = 12  # of a whole training run


def rate(step: Callable[[], int]) -> float:
    """Clips a second of a step that tells how many clips it took."""
    for _ in range(2):
        step()
    clips, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        clips += step()
    return clips / (time.perf_counter() - begin)


def loading(recipe: Recipe, workers: int) -> float:
    """The loader alone: decode, crop, mix, augment, collate."""
    recipe = recipe.model_copy(update={"workers": workers})
    accelerator = Accelerator()
    untaught = recipe.model_copy(update={"teacher": None})
    stream = iter(make_loader(recipe, Targets(untaught, accelerator), accelerator))
    return rate(lambda: len(next(stream)["ids"]))


def training_step(recipe: Recipe, threads: int, device: str) -> float:
    """Forward, backward and optimizer of the student alone, on noise."""
    torch.set_num_threads(threads)
    student = make_student(recipe).to(device).train()
    optimizer = torch.optim.AdamW([parameter for parameter in student.parameters() if parameter.requires_grad])
    values = torch.randn(recipe.batch, round(recipe.crop_range[1] * SAMPLING_RATE), device=device)
    targets = torch.rand(recipe.batch, 3, device=device)

    def step() -> int:
        optimizer.zero_grad()
        loss: torch.Tensor = ccc_loss(student(values).logits, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return recipe.batch

    return rate(step)


def command(recipe: Recipe, module: str, processes: int, *arguments: str) -> float:
    """A whole command on some processes, of which the last line tells the clips a second."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(recipe.model_copy(update={"output": f"{folder}/run"}).to_yaml(), encoding="utf-8")
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        run = [sys.executable, "-W", "ignore", *launcher, "-m", f"wav2small_training.distillation.{module}", str(path)]
        threads = max(1, (os.cpu_count() or 1) // processes)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [*run, *(argument.format(folder=folder) for argument in arguments)],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = re.findall(r"([\d.]+) clips/s", done.stdout)
    return float(found[-1]) * (processes if module == "annotate" else 1)


def measurements(recipe: Recipe) -> Iterator[tuple[str, float]]:
    """Name and clips a second of each."""
    cores = os.cpu_count() or 1
    for workers in (1, 2):
        yield f"loading, {workers} worker processes", loading(recipe, workers)
    for threads in sorted({1, cores}):
        yield f"training step of {recipe.student.model}, {threads} threads", training_step(recipe, threads, "cpu")
    if torch.cuda.is_available():
        yield f"training step of {recipe.student.model}, GPU", training_step(recipe, cores, "cuda")
    few = recipe.model_copy(update={"corpora": recipe.validation.corpora})
    for processes in (1, 2):
        yield f"annotation, {processes} processes", command(few, "annotate", processes, "{folder}/labels")
    for processes in (1, 2):
        yield f"training with its teacher, {processes} processes", command(recipe, "distill", processes)


def main(recipe: Annotated[Path, typer.Argument(help="YAML file with a teacher.")]) -> None:
    """Print the table for a recipe."""
    overrides = [f"crop_seconds={CROP_SECONDS}", f"steps={STEPS}", "validation.clips=8", f"validation.every={STEPS}"]
    table = Table("", "clips/s")
    for name, speed in measurements(load_recipe(recipe, overrides)):
        table.add_row(name, f"{speed:.0f}")
    Console().print(table)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
