"""Teacher labels of whole corpora, written once: Parquet shards that `distill` reads instead of running the teacher.

wav2small annotate RECIPE OUT [key=value ...]
accelerate launch -m wav2small_training.distillation.annotate RECIPE OUT [key=value ...]
"""

import json
import time
import warnings
from collections.abc import Iterator
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import torch
import typer
from accelerate import Accelerator
from datasets.distributed import split_dataset_by_node
from pyarrow import parquet
from torchdata.stateful_dataloader import StatefulDataLoader

from wav2small.atomic import whole_file
from wav2small.cli.command import run_command
from wav2small.inference.timeline import WindowBuffer
from wav2small.models.adv import LABELS, LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import write_provenance

from ..data import provenance
from ..data.corpora import MisfitError, clip_count, open_rows, row_id, waveform
from ..data.mixture import FAIR_SAMPLE
from ..progress import ClipsPerSecond, progress
from ..recipe import Corpus, Recipe
from ..recipe_file import load_recipe
from ..run_folder import open_run
from ..teachers import load_teacher
from .targets import label_clips

CLIPS = 256  # of a shard: what is lost at most when a run is killed
SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("id", pa.string()),
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

    Each shard holds `source`, `id`, `start` and `duration` in s, `arousal`, `dominance`, `valence` (the mean),
    `members` (A/D/V of each member of the teacher), `teacher` and `revision`. A shard appears whole or not at all, and
    carries the position in its corpus: killed and started again, a run goes on after its last shard. The folder gets a
    `provenance.json`, like a checkpoint.

    Args:
        recipe: with a teacher; its augmentation is not used.
        out: folder of the shards.

    Returns:
        Windows that this process labelled, in this and earlier starts.

    Raises:
        Wav2SmallError: if the recipe has no teacher, `out` holds other teacher labels, too many clips are bad, or a
            licence is not known.
    """
    if recipe.teacher is None:
        raise Wav2SmallError("annotate needs a recipe with a teacher")
    origin = provenance.of_teacher_labels(recipe)
    accelerator = Accelerator(mixed_precision=recipe.precision)
    keys = {corpus.model_dump_json(exclude={"weight"}): corpus for corpus in recipe.spoken_corpora}
    settings = {
        "teacher": recipe.teacher,
        "crop_seconds": recipe.crop_range[1],
        "precision": recipe.precision,
        "processes": accelerator.num_processes,
        "workers": recipe.workers,
        "corpora": [json.loads(key) for key in keys],
    }
    with accelerator.main_process_first():
        open_run(out / "begun.json", json.dumps(settings, indent=1) + "\n")
    teacher = load_teacher(recipe.teacher, accelerator.device)
    windows = 0
    with progress(ClipsPerSecond(), disable=not accelerator.is_main_process) as bar:
        for number, corpus in enumerate(keys.values()):
            total = clip_count(corpus)
            share = None if total is None else total / accelerator.num_processes
            task = bar.add_task(corpus.source, total=share)
            for shard in shards(corpus, out, number, recipe, teacher, accelerator):
                windows += shard.num_rows
                bar.advance(task, int(shard.schema.metadata[b"clips"]))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        write_provenance(origin, out)
        with whole_file(out / "annotations.json") as temporary:
            temporary.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return windows


def shards(
    corpus: Corpus, out: Path, number: int, recipe: Recipe, teacher: torch.nn.Module, accelerator: Accelerator
) -> Iterator[pa.Table]:
    """Yield the shards of one corpus for one process: those that are there, then the others, as they are written."""
    chunks = Chunks(corpus, out, number, recipe, accelerator)
    for path in chunks.written():
        yield parquet.read_table(path)
    items = bad = 0
    with warnings.catch_warnings():  # torchdata calls a deprecated function of torch
        warnings.simplefilter("ignore", UserWarning)
        loader = StatefulDataLoader(chunks, batch_size=None, num_workers=recipe.workers, collate_fn=as_it_is)
    for path, windows, errors, facts in loader:
        items, bad = items + int(facts["clips"]), bad + len(errors)
        if bad > recipe.max_bad_share * max(items, FAIR_SAMPLE):
            raise Wav2SmallError(f"{bad} of {items} items of {corpus.source} are bad, the last of them: {errors[-1]}")
        table = label_windows(windows, corpus, recipe, teacher, accelerator).replace_schema_metadata(facts)
        with whole_file(path) as temporary:
            parquet.write_table(table, temporary)
        yield table


class Chunks(torch.utils.data.IterableDataset[tuple[Path, list[dict[str, Any]], list[str], dict[str, str]]]):
    """What the missing shards of a corpus are made from; worker processes decode it while the teacher is busy.

    Each worker of each process has its own share of the clips, and its own shards. A chunk is the path of a shard, the
    windows of its clips, what was bad, and the facts to keep beside them.
    """

    def __init__(self, corpus: Corpus, out: Path, number: int, recipe: Recipe, accelerator: Accelerator):
        self.corpus, self.out, self.number = corpus, out, number
        self.crop = round(recipe.crop_range[1] * SAMPLING_RATE)
        workers = max(1, recipe.workers)
        self.first, self.consumers = accelerator.process_index * workers, accelerator.num_processes * workers
        self.shares = range(self.first, self.first + workers)  # of this process
        self.clips = CLIPS

    def path(self, share: int, i: int) -> Path:
        """The path of a shard."""
        return self.out / f"{self.number:02}-{share:03}-{i:06}.parquet"

    def written(self) -> Iterator[Path]:
        """The shards of this process that are there."""
        for share in self.shares:
            yield from takewhile(Path.is_file, (self.path(share, i) for i in count()))

    def __iter__(self) -> Iterator[tuple[Path, list[dict[str, Any]], list[str], dict[str, str]]]:
        worker = torch.utils.data.get_worker_info()
        share = self.first + (worker.id if worker else 0)
        rows = split_dataset_by_node(open_rows(self.corpus), share, self.consumers)
        start = next(i for i in count() if not self.path(share, i).is_file())
        if start:
            last = parquet.read_metadata(self.path(share, start - 1)).metadata
            if last[b"done"] == b"1":
                return
            rows.load_state_dict(json.loads(last[b"position"]))
        iterator = iter(rows)
        for i in count(start):
            chunk = list(islice(iterator, self.clips))
            done = len(chunk) < self.clips
            windows, errors = cut(chunk, self.corpus, self.crop)
            facts = {"clips": str(len(chunk)), "bad": str(len(errors)), "done": str(int(done))}
            yield self.path(share, i), windows, errors, {**facts, "position": json.dumps(rows.state_dict())}
            if done:
                return


def as_it_is(chunk: Any) -> Any:
    """A chunk; by default a loader makes tensors of its arrays."""
    return chunk


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
) -> pa.Table:
    """Run the teacher on windows; one row for each, in their order."""
    if not windows:
        return pa.Table.from_pylist([], schema=SCHEMA)
    named = ", ".join([recipe.teacher] if isinstance(recipe.teacher, str) else recipe.teacher or [])
    revision = getattr(getattr(teacher, "config", None), "_commit_hash", None)
    logits, members = label_clips(teacher, [window["samples"] for window in windows], accelerator)
    rows = [
        {
            "source": corpus.source,
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
    return pa.Table.from_pylist(rows, schema=SCHEMA)


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
