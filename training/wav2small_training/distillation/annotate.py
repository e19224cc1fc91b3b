"""Teacher labels of whole corpora, written once: Parquet shards that `distill` reads instead of running the teacher.

wav2small annotate RECIPE OUT [key=value ...]
accelerate launch -m wav2small_training.distillation.annotate RECIPE OUT [key=value ...]
"""

import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import torch
import typer
from accelerate import Accelerator
from pyarrow import parquet

from wav2small.atomic import whole_file
from wav2small.cli.command import run_command
from wav2small.inference.timeline import WindowBuffer
from wav2small.models.adv import LABELS, LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import Provenance, write_provenance

from ..data import provenance
from ..data.corpora import MisfitError, distinct, row_id, waveform
from ..data.mixture import FAIR_SAMPLE
from ..data.patience import Waiting
from ..data.pins import pinned
from ..data.units import Units
from ..progress import ClipsPerSecond, progress
from ..recipe import Corpus, Recipe
from ..recipe_file import load_recipe
from ..run_folder import open_run
from ..teachers import load_teacher, member_sources
from .targets import label_clips
from .teacher_labels import FINISHED, KEY, key_of, refuse_duplicates
from .work import check_shared, share_work

BEGUN = "begun.json"
CLIPS = 256  # of a shard of a folder: what is lost at most when a process is killed
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in KEY),
        ("start", pa.float64()),
        ("duration", pa.float64()),
        *((name, pa.float32()) for name in LABELS),
        ("members", pa.list_(pa.list_(pa.float32()))),
        ("teacher", pa.string()),
        ("revision", pa.string()),
    ]
)


def annotate(recipe: Recipe, out: Path) -> int:
    """Run the teacher of a recipe on all clips of its corpora, training and validation, in windows of the longest crop.

    Each shard holds `source`, `config`, `split` and `commit` of the corpus, `id` of the clip, `start` and `duration` in
    s, `arousal`, `dominance`, `valence` (the mean), `members` (A/D/V of each member of the teacher), `teacher` and its
    `revision`. Processes and machines share the work, see [`share_work`]: killed and started again, by as many or
    others, it goes on with the shards that are missing. The folder gets a `provenance.json`, like a checkpoint.

    Args:
        recipe: with a teacher; its augmentation is not used.
        out: folder of the shards.

    Returns:
        Windows in the folder.

    Raises:
        Wav2SmallError: if the recipe has no teacher, `out` holds other teacher labels, too many clips are bad, two have
            one name, or a licence is not known.
    """
    accelerator = Accelerator(mixed_precision=recipe.precision)
    check_shared(out, accelerator)
    windows = open_annotation(recipe, out, accelerator)
    with progress(ClipsPerSecond(), Waiting(), disable=not accelerator.is_main_process) as bar:
        task = bar.add_task(recipe.name, total=None)
        share_work(
            windows.names, out, windows.cut, windows.label, SCHEMA, recipe.workers,
            told=lambda unit, rows: bar.advance(task, rows),
        )  # fmt: skip
    return finish_annotation(windows, out)


def open_annotation(recipe: Recipe, out: Path, accelerator: Accelerator) -> "Windows":
    """Prepare the folder of an annotation, or make sure that it is the one that is there; raises as [`annotate`]."""
    if recipe.teacher is None:
        raise Wav2SmallError("annotate needs a recipe with a teacher")
    recipe = pinned(recipe, out, accelerator)
    origin = provenance.of_teacher_labels(recipe)  # a licence that is not known is told before the work
    corpora = distinct(recipe.spoken_corpora)
    settings = {
        "teacher": recipe.teacher,
        "crop_seconds": recipe.crop_range[1],
        "precision": recipe.precision,
        "corpora": [corpus.model_dump(mode="json", exclude={"weight"}) for corpus in corpora],
    }
    with accelerator.main_process_first():
        open_run(out / BEGUN, json.dumps(settings, indent=1) + "\n")
    return Windows(recipe, [Units(corpus, recipe.cache) for corpus in corpora], accelerator, origin)


def finish_annotation(windows: "Windows", out: Path) -> int:
    """Say that all shards are there; gives the number of their windows. Who comes later finds it said."""
    shards = [out / name for name in windows.names]
    if not (out / FINISHED).is_file():
        refuse_duplicates(shards)
        write_provenance(windows.origin, out)
        with whole_file(out / FINISHED) as temporary:
            temporary.write_bytes((out / BEGUN).read_bytes())
    return sum(parquet.read_metadata(shard).num_rows for shard in shards)


class Windows:
    """The windows of all clips of some corpora, in parts that become a shard each, and their labels.

    Args:
        recipe: of the annotation.
        corpora: their units.
        accelerator: of the run.
        origin: provenance of the labels.
    """

    def __init__(self, recipe: Recipe, corpora: list[Units], accelerator: Accelerator, origin: Provenance):
        self.recipe, self.corpora, self.accelerator, self.origin = recipe, corpora, accelerator, origin
        self.crop = round(recipe.crop_range[1] * SAMPLING_RATE)
        self.parts = [(number, part) for number, units in enumerate(corpora) for part in units.parts(CLIPS)]
        self.names = [f"{number:02}-{part.start:06}.parquet" for number, part in self.parts]
        self.items = self.bad = 0
        self._teacher: torch.nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_teacher": None, "accelerator": None}  # workers need neither

    def cut(self, number: int) -> Iterator[tuple[list[dict[str, Any]], list[str], int]]:
        """Windows of some clips at a time, what is bad, and how many clips they were."""
        of_corpus, part = self.parts[number]
        units = self.corpora[of_corpus]
        rows = (row for unit in part for row in units.rows(unit))
        while chunk := list(islice(rows, CLIPS)):
            yield *cut(chunk, units.corpus, self.crop), len(chunk)

    def label(self, number: int, piece: tuple[list[dict[str, Any]], list[str], int]) -> list[dict[str, Any]]:
        """Rows of some windows, as the teacher labels them."""
        windows, errors, clips = piece
        corpus = self.corpora[self.parts[number][0]].corpus
        self.items, self.bad = self.items + clips, self.bad + len(errors)
        if errors and self.bad > self.recipe.max_bad_share * max(self.items, FAIR_SAMPLE):
            raise Wav2SmallError(
                f"{self.bad} of {self.items} items of {corpus.source} are bad, the last of them: {errors[-1]}"
            )
        return label_windows(windows, corpus, self.recipe, self.teacher, self.accelerator)

    @property
    def teacher(self) -> torch.nn.Module:
        """The teacher, loaded at first use: not where all is done."""
        if self._teacher is None:
            assert self.recipe.teacher is not None
            self._teacher = load_teacher(self.recipe.teacher, self.accelerator.device)
        return self._teacher


def cut(chunk: list[dict[str, Any]], corpus: Corpus, crop: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Decode clips and cut them into windows of a crop, the last of each ending with its clip; list what is bad."""
    windows, errors = [], []
    for row in chunk:
        slicer = WindowBuffer(crop, crop, round(LEAST_SECONDS * SAMPLING_RATE))
        try:
            name = row_id(row, corpus)
            for start, samples in [*slicer.push(waveform(row, corpus)), *slicer.flush()]:
                windows.append({"id": name, "start": start, "samples": samples})
        except MisfitError:
            raise
        except Wav2SmallError as error:
            errors.append(str(error))
    return windows, errors


def label_windows(
    windows: list[dict[str, Any]], corpus: Corpus, recipe: Recipe, teacher: torch.nn.Module, accelerator: Accelerator
) -> list[dict[str, Any]]:
    """Run the teacher on windows; one row for each, in their order."""
    if not windows:
        return []
    named = ", ".join(member_sources(recipe.teacher))
    revision = getattr(getattr(teacher, "config", None), "_commit_hash", None)
    logits, members = label_clips(teacher, [window["samples"] for window in windows], accelerator)
    return [
        {
            **key_of(corpus),
            "id": window["id"],
            "start": window["start"] / SAMPLING_RATE,
            "duration": len(window["samples"]) / SAMPLING_RATE,
            **dict(zip(LABELS, label, strict=True)),
            "members": each,
            "teacher": named,
            "revision": revision,
        }
        for window, label, each in zip(windows, logits.tolist(), members.tolist(), strict=True)
    ]


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file with a teacher and corpora.")],
    out: Annotated[Path, typer.Argument(help="Folder of the Parquet shards.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Write the teacher labels of the corpora of a recipe."""
    start = time.monotonic()
    windows = annotate(load_recipe(recipe, overrides), out)
    seconds = time.monotonic() - start
    typer.echo(f"{windows} windows in {out}: {windows / seconds:.1f} clips/s")


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
