"""A recipe's mixture, rendered once: augmented clips with their targets, as Parquet shards.

wav2small mix RECIPE OUT --clips 10000 [key=value ...]

Augmentation and the teacher cost more than a step of a tiny student. Rendered once, a mixture trains any number of
students: their recipes name the shards as a corpus, `source: OUT/*.parquet`, `labels: [arousal, dominance, valence]`.
"""

import io
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from accelerate import Accelerator
from pyarrow import parquet

from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.provenance.provenance import write_provenance

from ..data import provenance
from ..data.mixture import Mixture
from ..data.patience import Waiting
from ..data.pins import pinned
from ..progress import ClipsPerSecond, progress
from ..recipe import MixtureRecipe
from ..run_folder import open_run
from .distill import make_mixture
from .targets import Targets, label_clips
from .work import check_shared, share_work

SHARD = 512  # clips of a shard: what is lost at most when a run is killed
MAY_CHANGE = ("workers", "cache")  # when it goes on
POOL = 64  # clips that the teacher labels together, in batches of similar length
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = (*LABELS, "speech")
SCHEMA = pa.schema(
    [("source", pa.string()), ("id", pa.string()), ("audio", AUDIO), *((name, pa.float32()) for name in COLUMNS)]
)


def mix(recipe: MixtureRecipe, out: Path, clips: int) -> int:
    """Render clips of a recipe's mixture: what a student will train on, and its targets.

    Worker processes decode and augment, this process runs the teacher. Each shard appears whole or not at all and needs
    no other. Processes and machines share the work, see [`share_work`]: killed and started again with the same recipe,
    by as many or others, it goes on with the shards that are missing, and gives the same clips. The folder gets
    `recipe.yaml` and a `provenance.json`, like a checkpoint.

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
    accelerator = Accelerator(mixed_precision=recipe.precision)
    check_shared(out, accelerator)
    recipe = pinned(recipe, out, accelerator)
    origin = provenance.of_mixture(recipe)
    with accelerator.main_process_first():
        open_run(out / "recipe.yaml", recipe.to_yaml(), MAY_CHANGE)
    targets = Targets(recipe, accelerator)
    parts = Parts(make_mixture(recipe, targets, accelerator, measure_speech=True), targets, clips)
    with progress(ClipsPerSecond(), Waiting(), disable=not accelerator.is_main_process) as bar:
        task = bar.add_task(recipe.name, total=clips)
        share_work(
            parts.names, out, parts.render, parts.label, SCHEMA, recipe.workers,
            done=partial(parts.is_whole, out),
            told=lambda unit, rows: bar.advance(task, rows),
        )  # fmt: skip
    write_provenance(origin, out)
    return sum(parquet.read_metadata(shard).num_rows for shard in out.glob("mixture-*.parquet"))


class Parts:
    """The parts of a mixture, a shard each, and their labels.

    Args:
        mixture: to render.
        targets: which label it.
        clips: in all; a part has as many as a shard, and the last one what is left.
    """

    def __init__(self, mixture: Mixture, targets: Targets, clips: int):
        self.mixture, self.targets, self.clips, self.shard = mixture, targets, clips, SHARD
        self.each = 1 if mixture.augment is None else mixture.augment.settings.recordings
        self.names = [f"mixture-{i:05d}.parquet" for i in range(-(-clips // SHARD))]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "targets": None}  # workers have no teacher

    def rows(self, number: int) -> int:
        """Clips of a part."""
        return min(self.shard, self.clips - number * self.shard)

    def is_whole(self, out: Path, number: int) -> bool:
        """Whether the shard of a part is there, with all its clips; the last one of a shorter mixture has fewer."""
        shard = out / self.names[number]
        return shard.is_file() and parquet.read_metadata(shard).num_rows >= self.rows(number)

    def render(self, number: int) -> Iterator[list[dict[str, Any]]]:
        """Augmented and encoded clips of a part, some at a time."""
        clips = self.mixture.part(number, -(-self.shard // self.each))
        drawn = map(encoded, islice(clips, -(-self.rows(number) // self.each)))
        while pool := list(islice(drawn, POOL)):
            yield pool

    def label(self, number: int, pool: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of some clips."""
        return labelled(pool, self.targets)


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
