"""A recipe's mixture, once: augmented clips with the targets of a teacher or of labels, as Parquet shards.

wav2small mix RECIPE OUT --clips 10000 [key=value ...]

Augmenting and asking the teacher cost more than a step of a tiny student. Rendered once, a mixture trains any number of
students: their recipes name the shards as a corpus, `source: OUT/*.parquet`, `labels: [arousal, dominance, valence]`.
"""

import io
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
import torch
from accelerate import Accelerator
from pyarrow import parquet
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wav2small.atomic import whole_file
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import write_provenance

from ..data import provenance as lineage
from ..recipe import Recipe
from .distill import make_loader
from .targets import Targets, to_device

SHARD = 8  # batches of the recipe: what is lost at most when a run is killed
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [("source", pa.string()), ("id", pa.string()), ("audio", AUDIO), *((name, pa.float32()) for name in LABELS)]
)


def mix(recipe: Recipe, out: Path, clips: int) -> int:
    """Render at least so many clips of a recipe's mixture: what its training would hear, and its targets.

    Each shard appears whole or not at all and carries the position in the mixture: killed and started again with the
    same recipe, a run goes on after its last shard, and gives the same clips. The folder gets `recipe.yaml` and a
    `provenance.json`, like a checkpoint.

    Args:
        recipe: its corpora, augmentation, crop, seed, and teacher or labels.
        out: folder of the shards.
        clips: to render; shards are whole.

    Returns:
        Clips in the folder.

    Raises:
        Wav2SmallError: if `out` holds the mixture of another recipe, or data cannot be read.
    """
    origin = replace(lineage.of_student(recipe), step="mix")
    written = out / "recipe.yaml"
    if written.is_file() and written.read_text(encoding="utf-8") != recipe.to_yaml():
        raise Wav2SmallError(f"{out} holds the mixture of another recipe: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(written) as temporary:
        temporary.write_text(recipe.to_yaml(), encoding="utf-8")

    accelerator = Accelerator(mixed_precision=recipe.precision)
    targets = Targets(recipe, accelerator)
    loader = make_loader(recipe, targets, accelerator)
    shards = [out / f"mixture-{i:05d}.parquet" for i in range(-(-clips // (SHARD * recipe.batch)))]
    done = next((i for i in count() if i == len(shards) or not shards[i].is_file()), 0)
    if done:
        position = parquet.read_metadata(shards[done - 1]).metadata[b"position"]
        loader.load_state_dict(torch.load(io.BytesIO(position), weights_only=False))  # written by ourselves
    stream = iter(loader)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(
            recipe.name, total=len(shards) * SHARD * recipe.batch, completed=done * SHARD * recipe.batch
        )
        for shard in shards[done:]:
            rows: list[dict[str, Any]] = []
            for _ in range(SHARD):
                rows += answered(next(stream), targets, accelerator)
                bar.advance(task, recipe.batch)
            position = io.BytesIO()
            torch.save(loader.state_dict(), position)
            table = pa.Table.from_pylist(rows, SCHEMA).replace_schema_metadata({"position": position.getvalue()})
            with whole_file(shard) as temporary:
                parquet.write_table(table, temporary)
    write_provenance(origin, out)
    accelerator.end_training()
    return len(shards) * SHARD * recipe.batch


def answered(batch: dict[str, Any], targets: Targets, accelerator: Accelerator) -> list[dict[str, Any]]:
    """One row a clip of a batch: its audio as FLAC, and its target."""
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    values = targets(to_device(batch, accelerator.device)).cpu().tolist()
    rows = []
    for i, (name, length, value) in enumerate(zip(batch["ids"], lengths, values, strict=True)):
        audio = {"bytes": flac(batch["input_values"][i, :length].numpy()), "path": f"{name}.flac"}
        source = Path(batch["sources"][i]).name  # where a folder lies is nobody's business
        rows.append({"source": source, "id": name, "audio": audio, **dict(zip(LABELS, value, strict=True))})
    return rows


def flac(samples: np.ndarray) -> bytes:
    """Encode (samples,) at 16 kHz with 16 bits; what would clip is made quieter, which no model of ours hears."""
    peak = np.abs(samples).max(initial=0)
    content = io.BytesIO()
    soundfile.write(content, samples / max(1.0, peak), SAMPLING_RATE, format="FLAC")
    return content.getvalue()


def main(recipe: Recipe, out: Path, clips: int) -> str:
    """Render a mixture; say how much and how fast."""
    begin = time.monotonic()
    total = mix(recipe, out, clips)
    return f"{total} clips in {out}: {total / (time.monotonic() - begin):.1f} clips/s"
