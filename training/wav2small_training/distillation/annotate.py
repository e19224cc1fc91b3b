"""The teacher's answers for a corpus, once: Parquet shards that `distill` reads instead of running the teacher.

wav2small annotate RECIPE OUT [key=value ...]
accelerate launch -m wav2small_training.distillation.annotate RECIPE OUT [key=value ...]
"""

import json
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import torch
import typer
from accelerate import Accelerator
from datasets.distributed import split_dataset_by_node
from pyarrow import parquet
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from wav2small.atomic import whole_file
from wav2small.cli.command import run_command
from wav2small.inference.timeline import WindowBuffer
from wav2small.models.adv import LABELS, LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import write_provenance

from ..data import provenance as lineage
from ..data.corpora import clip_count, open_rows, row_id, waveform
from ..data.mixture import FAIR_SAMPLE, collate
from ..recipe import Corpus, Recipe, load
from .targets import load_teacher

CLIPS = 256  # of a shard: what is lost at most when a run is killed
BATCH = 16  # windows in one forward pass of the teacher
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
    """Run the teacher of a recipe over all clips of its corpora, training and evaluation, in windows of a crop.

    Each shard holds `source`, `id`, `start` and `duration` in s, `arousal`, `dominance`, `valence` (the mean),
    `members` (A/D/V of each member of the teacher), `teacher` and `revision`. A shard appears whole or not at all, and
    carries the position in its corpus: killed and started again, a run goes on after its last shard. The folder gets a
    `provenance.json`, like a checkpoint.

    Args:
        recipe: with a teacher; its augmentation is not used.
        out: folder of the shards.

    Returns:
        Windows that this process annotated, over all starts.

    Raises:
        Wav2SmallError: if the recipe has no teacher, `out` holds other annotations, too many clips are bad, or a
            licence is not known.
    """
    if recipe.teacher is None:
        raise Wav2SmallError("annotate needs a recipe with a teacher")
    origin = lineage.of_annotations(recipe)
    half = "bf16" if torch.cuda.is_available() and recipe.precision == "no" else recipe.precision
    accelerator = Accelerator(mixed_precision=half)
    keys = {corpus.model_dump_json(exclude={"weight"}): corpus for corpus in all_corpora(recipe)}
    settings = {
        "teacher": recipe.teacher,
        "crop_seconds": recipe.crop_seconds,
        "processes": accelerator.num_processes,
        "corpora": [json.loads(key) for key in keys],
    }
    begin(out, settings, accelerator)
    teacher = load_teacher(recipe.teacher, accelerator.device)
    windows = 0
    with progress(accelerator) as bar:
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
        write_json(out / "annotations.json", settings)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return windows


def all_corpora(recipe: Recipe) -> list[Corpus]:
    """The corpora of a recipe, of training and of evaluation."""
    return [*recipe.corpora, *recipe.evaluation.corpora]


def begin(out: Path, settings: dict[str, Any], accelerator: Accelerator) -> None:
    """Make the folder, or check that it was begun with the same settings."""
    begun = out / "begun.json"
    if begun.is_file():
        before = json.loads(begun.read_text(encoding="utf-8"))
        for key, value in settings.items():
            if before.get(key) != value:
                raise Wav2SmallError(f"{out} was begun with another {key}: use the same, or choose another folder")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not begun.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_json(begun, settings)
    accelerator.wait_for_everyone()


def shards(
    corpus: Corpus, out: Path, number: int, recipe: Recipe, teacher: torch.nn.Module, accelerator: Accelerator
) -> Iterator[pa.Table]:
    """Yield the shards of one corpus for one process: those that are there, then the others, as they are written."""
    rank, world = accelerator.process_index, accelerator.num_processes
    rows = split_dataset_by_node(open_rows(corpus), rank, world)
    paths = (out / f"{number:02}-{rank:03}-{i:06}.parquet" for i in count())
    last: pa.Table | None = None
    for path in paths:
        if not path.is_file():
            break
        last = parquet.read_table(path)
        yield last
    if last is not None:
        if last.schema.metadata[b"done"] == b"1":
            return
        rows.load_state_dict(json.loads(last.schema.metadata[b"position"]))
    iterator = iter(rows)
    items = bad = 0
    while True:
        chunk = list(islice(iterator, CLIPS))
        done = len(chunk) < CLIPS
        windows, errors = cut(chunk, corpus, round(recipe.crop_seconds * SAMPLING_RATE))
        items, bad = items + len(chunk), bad + len(errors)
        if bad > recipe.max_bad_share * max(items, FAIR_SAMPLE):
            raise Wav2SmallError(f"{bad} of {items} items of {corpus.source} are bad, the last of them: {errors[-1]}")
        facts = {"clips": str(len(chunk)), "bad": str(len(errors)), "done": str(int(done))}
        facts["position"] = json.dumps(rows.state_dict())
        table = answer(windows, corpus, recipe, teacher, accelerator).replace_schema_metadata(facts)
        with whole_file(path) as temporary:
            parquet.write_table(table, temporary)
        yield table
        if done:
            return
        path = next(paths)


def cut(chunk: list[dict[str, Any]], corpus: Corpus, crop: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Decode clips and cut them into windows of a crop, the last of each ending with its clip; list what is bad."""
    windows, errors = [], []
    for row in chunk:
        slicer = WindowBuffer(crop, crop, round(LEAST_SECONDS * SAMPLING_RATE))
        try:
            name = row_id(row, corpus)
            for start, samples in [*slicer.push(waveform(row, corpus)), *slicer.flush()]:
                windows.append({"id": name, "start": start, "input_values": samples, "target": None, "skipped": 0})
        except Wav2SmallError as error:
            errors.append(str(error))
    return windows, errors


@torch.inference_mode()
def answer(
    windows: list[dict[str, Any]], corpus: Corpus, recipe: Recipe, teacher: torch.nn.Module, accelerator: Accelerator
) -> pa.Table:
    """Run the teacher over windows, those of like length together; the rows keep the order of the windows."""
    by_length = sorted(range(len(windows)), key=lambda i: len(windows[i]["input_values"]))
    rows: list[dict[str, Any]] = [{} for _ in windows]
    for first in range(0, len(by_length), BATCH):
        members = by_length[first : first + BATCH]
        batch = collate([windows[i] for i in members], len(windows[members[-1]]["input_values"]))
        with accelerator.autocast():
            output = teacher(
                batch["input_values"].to(accelerator.device), batch["attention_mask"].to(accelerator.device)
            )
        logits = output.logits.float().cpu()
        parts = getattr(output, "member_logits", output.logits[:, None]).float().cpu()
        for i, mean, each in zip(members, logits.tolist(), parts.tolist(), strict=True):
            rows[i] = {
                "source": corpus.source,
                "id": windows[i]["id"],
                "start": windows[i]["start"] / SAMPLING_RATE,
                "duration": len(windows[i]["input_values"]) / SAMPLING_RATE,
                **dict(zip(LABELS, mean, strict=True)),
                "members": each,
                "teacher": ", ".join([recipe.teacher] if isinstance(recipe.teacher, str) else recipe.teacher or []),
                "revision": getattr(getattr(teacher, "config", None), "_commit_hash", None),
            }
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def progress(accelerator: Accelerator) -> Progress:
    """A bar with clips, clips a second and time left, on the main process."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, ClipsPerSecond(), disable=not accelerator.is_main_process)


class ClipsPerSecond(ProgressColumn):
    """Speed of a task, once there is one."""

    def render(self, task: Task) -> Text:
        """Print the mean speed."""
        return Text(f"{task.speed:.1f} clips/s" if task.speed else "")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file with a teacher and corpora.")],
    out: Annotated[Path, typer.Argument(help="Folder of the Parquet shards.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Write the teacher's answers for the corpora of a recipe."""
    begin = time.monotonic()
    windows = annotate(load(recipe, overrides), out)
    seconds = time.monotonic() - begin
    typer.echo(f"{windows} windows in {out}: {windows / seconds:.1f} clips/s")


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
