"""A recipe's mixture, rendered once: augmented clips with their targets, as Parquet shards.

wav2small mix RECIPE OUT --clips 10000 [key=value ...]

Augmentation and the teacher cost more than a step of a tiny student. Rendered once, a mixture trains any number of
students: their recipes name the shards as a corpus, `source: OUT/*.parquet`, `labels: [arousal, dominance, valence]`.
"""

import io
import json
import time
import warnings
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from accelerate import Accelerator
from pyarrow import parquet
from torchdata.stateful_dataloader import StatefulDataLoader

from wav2small.atomic import whole_file
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import write_provenance

from ..data import provenance
from ..progress import ClipsPerSecond, progress
from ..recipe import MixtureRecipe
from ..run_folder import open_run
from .distill import make_mixture
from .loop_state import as_json
from .targets import Targets, label_clips

SHARD = 512  # clips of a shard: what is lost at most when a run is killed
POOL = 64  # clips that the teacher labels together, in batches of similar length
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = (*LABELS, "speech")
SCHEMA = pa.schema(
    [("source", pa.string()), ("id", pa.string()), ("audio", AUDIO), *((name, pa.float32()) for name in COLUMNS)]
)


def mix(recipe: MixtureRecipe, out: Path, clips: int) -> int:
    """Render clips of a recipe's mixture: what a student will train on, and its targets.

    Worker processes decode and augment, this process runs the teacher. Each shard appears whole or not at all and
    carries the position in the mixture: killed and started again with the same recipe, a run goes on after its last
    shard, and gives the same clips. The folder gets `recipe.yaml` and a `provenance.json`, like a checkpoint.

    Args:
        recipe: its corpora, augmentation, crops, seed, and teacher or labels.
        out: folder of the shards.
        clips: to render.

    Returns:
        Clips in the folder.

    Raises:
        Wav2SmallError: if `out` holds the mixture of another recipe, or data cannot be read.
    """
    recipe = recipe.mixture  # how a student would train makes no difference
    origin = provenance.of_mixture(recipe)
    open_run(out / "recipe.yaml", recipe.to_yaml())
    accelerator = Accelerator(mixed_precision=recipe.precision)
    targets = Targets(recipe, accelerator)
    loader = make_loader(recipe, targets, accelerator)
    paths = (out / f"mixture-{i:05d}.parquet" for i in count())
    total, last = 0, None
    for path in paths:
        if not path.is_file():
            break
        last = path
        total += parquet.read_metadata(path).num_rows
    if last and total < clips:
        loader.load_state_dict(position_after(last))
    each = recipe.augmentation.recordings
    stream = iter(loader) if total < clips else iter(())
    with progress(ClipsPerSecond()) as bar:
        task = bar.add_task(recipe.name, total=max(clips, total), completed=total)
        while total < clips:
            rows: list[dict[str, Any]] = []
            while (missing := min(SHARD, clips - total) - len(rows)) > 0:
                rows += labelled(list(islice(stream, min(POOL, -(-missing // each)))), targets)
                bar.update(task, completed=total + len(rows))
            table = pa.Table.from_pylist(rows, SCHEMA).replace_schema_metadata({"position": as_json(loader)})
            with whole_file(path) as temporary:
                parquet.write_table(table, temporary)
            total, path = total + len(rows), next(paths)
    write_provenance(origin, out)
    accelerator.end_training()
    return total


def position_after(shard: Path) -> dict[str, Any]:
    """The position in the mixture after a shard.

    Raises:
        Wav2SmallError: if the shard does not say it, or says it in another way.
    """
    try:
        position: dict[str, Any] = json.loads(parquet.read_metadata(shard).metadata[b"position"])
    except (KeyError, TypeError, ValueError):
        raise Wav2SmallError(f"{shard} does not say how to go on after it: render to another folder") from None
    return position


def make_loader(recipe: MixtureRecipe, targets: Targets, accelerator: Accelerator) -> StatefulDataLoader:
    """The mixture clip by clip, augmented and encoded by worker processes."""
    with warnings.catch_warnings():  # torchdata calls a deprecated function of torch
        warnings.simplefilter("ignore", UserWarning)
        return StatefulDataLoader(
            make_mixture(recipe, targets, accelerator, measure_speech=True),
            batch_size=None,
            collate_fn=encoded,
            num_workers=recipe.workers,
            prefetch_factor=POOL if recipe.workers else None,  # work for the time in which the teacher is busy
        )


def encoded(clip: dict[str, Any]) -> dict[str, Any]:
    """Encode the recordings of a clip as FLAC, and keep the waveform that the teacher labels."""
    values = clip["recordings"][0] if clip["teacher_values"] is None else clip["teacher_values"]
    return {**clip, "recordings": [flac(samples) for samples in clip["recordings"]], "teacher_values": values}


def labelled(clips: list[dict[str, Any]], targets: Targets) -> list[dict[str, Any]]:
    """One row for each recording of some clips: its audio, its target, and its share of speech."""
    unlabelled = [clip for clip in clips if clip["target"] is None]
    if targets.teacher is not None and unlabelled:
        waveforms = [clip["teacher_values"] for clip in unlabelled]
        predictions, _ = label_clips(targets.teacher, waveforms, targets.accelerator)
        for clip, prediction in zip(unlabelled, predictions, strict=True):
            clip["target"] = prediction
    rows = []
    for clip in clips:
        source = Path(clip["source"]).name  # the path of a folder would say something of the machine
        label = dict(zip(COLUMNS, [*clip["target"].tolist(), clip["speech"]], strict=True))
        for recording in clip["recordings"]:
            audio = {"bytes": recording, "path": f"{clip['id']}.flac"}
            rows.append({"source": source, "id": clip["id"], "audio": audio, **label})
    return rows


def flac(samples: np.ndarray) -> bytes:
    """Encode (samples,) at 16 kHz with 16 bits; what would clip is made quieter."""
    peak = np.abs(samples).max(initial=0)
    content = io.BytesIO()
    soundfile.write(content, samples / max(1.0, peak), SAMPLING_RATE, format="FLAC")
    return content.getvalue()


def main(recipe: MixtureRecipe, out: Path, clips: int) -> str:
    """Render a mixture; say how much and how fast."""
    start = time.monotonic()
    total = mix(recipe, out, clips)
    return f"{total} clips in {out}: {total / (time.monotonic() - start):.1f} clips/s"
