"""Rendered mixtures as training batches: decoded once, drawn by weight, clips of similar length together.

Decoding FLAC takes longer than a step of a tiny student. So each shard is decoded once, to 16-bit samples in a folder
`.decoded` beside the shards, which every training reads from there.
"""

from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyarrow import parquet
from rich.progress import track

from wav2small.atomic import whole_file
from wav2small.models.adv import LABELS, LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..recipe import Corpus, Recipe
from .corpora import wanted, waveform
from .mixture import own_target, pad_clips

DECODED = ".decoded"
FULL_SCALE = 32767
POOL = 16  # batches whose clips are sorted by length together
PADDING_STEP = SAMPLING_RATE // 2  # batches are padded to a multiple of it, so that few shapes are compiled
CELLS = 12  # of the arousal-valence plane, along each side, for the balance
SHIFT = SAMPLING_RATE // 10  # the most that the beginning of a clip moves; a tenth of it, in a shorter one
LARGEST_WEIGHT = 10.0  # that the balance gives a clip: a single clip must not fill the batches


def is_rendered(corpus: Corpus) -> bool:
    """Tell local Parquet shards with a target for each clip, as `wav2small mix` writes them."""
    local = corpus.source.endswith(".parquet") and "://" not in corpus.source
    return local and (isinstance(corpus.labels, tuple) or not corpus.speech)


class RenderedClips:
    """Batches without end from rendered mixtures, for one process of the training.

    In an epoch every clip comes as often as its weight says, rounded up or down (systematic resampling). The order
    follows from seed and epoch, so that the position in the data is one number.

    Args:
        recipe: its corpora, weights, balance, batch, crop and seed; nothing is augmented.
        rank: of this process.
        world: number of processes; each takes its part of every batch.

    Raises:
        Wav2SmallError: if shards cannot be read, or too many of their clips are bad.
    """

    def __init__(self, recipe: Recipe, rank: int = 0, world: int = 1):
        self.seed, self.batch, self.rank, self.world = recipe.seed, recipe.batch, rank, world
        self.longest = round(recipe.crop_range[1] * SAMPLING_RATE)
        self.clips: list[np.ndarray] = []  # each (samples,) int16, in a file
        targets: list[np.ndarray] = []
        shares: list[float] = []
        weights: list[float] = []
        bad = 0
        for corpus in recipe.corpora:
            first = len(self.clips)
            for shard in track(_shards(corpus), f"decoding {corpus.source}", transient=True):
                for row, clip in _clips(shard, corpus):
                    if len(clip) < round(LEAST_SECONDS * SAMPLING_RATE):
                        bad += 1
                        continue
                    self.clips.append(clip)
                    target = own_target(row, corpus)
                    assert target is not None  # see `is_rendered`
                    targets.append(target)
                    share = row.get("speech") if corpus.speech else 0.0
                    shares.append(np.nan if share is None else share)
            weights += [corpus.weight / max(1, len(self.clips) - first)] * (len(self.clips) - first)
        if not self.clips or bad > recipe.max_bad_share * (len(self.clips) + bad):
            named = ", ".join(corpus.source for corpus in recipe.corpora)
            raise Wav2SmallError(f"{bad} of {len(self.clips) + bad} clips of {named} are bad: render them again")
        self.targets = np.stack(targets).astype(np.float32)  # (clips, 3)
        self.shares = np.array(shares, np.float32)  # (clips,)
        self.weights = np.array(weights) * balance(self.targets, recipe.balance)
        self.lengths = np.minimum([len(clip) for clip in self.clips], self.longest)
        self._state = {"batch": 0}

    def state_dict(self) -> dict[str, Any]:
        """Position in the data."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._state = dict(state)

    def fits(self, state: dict[str, Any]) -> bool:
        """Whether a position is one of this stream; it does not depend on workers."""
        return True

    def go_on_after(self, states: list[dict[str, Any]]) -> None:
        """Never needed; see [`fits`]."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[dict[str, Any]]:
        epoch, order = -1, np.zeros((0, self.batch), int)
        while True:
            count = max(1, len(self.clips) // self.batch)
            if self._state["batch"] // count != epoch:
                epoch = self._state["batch"] // count
                order = self.epoch(epoch)
            place = self._state["batch"]
            self._state = {"batch": place + 1}
            yield self._collate(order[place % count], np.random.default_rng([self.seed, 1, place]))

    def epoch(self, epoch: int) -> np.ndarray:
        """Places of the clips of each batch of an epoch: (batches, batch)."""
        random = np.random.default_rng([self.seed, 0, epoch])
        drawn = max(1, len(self.clips) // self.batch) * self.batch
        cumulative = np.cumsum(self.weights) / self.weights.sum() * drawn
        order = np.searchsorted(cumulative, np.arange(drawn) + random.random()).clip(max=len(self.clips) - 1)
        order = random.permutation(order)
        for first in range(0, drawn, POOL * self.batch):
            pool = order[first : first + POOL * self.batch]
            order[first : first + POOL * self.batch] = pool[np.argsort(self.lengths[pool], kind="stable")]
        return random.permutation(order.reshape(-1, self.batch))

    def _collate(self, chosen: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
        """Crop, pad and mask some clips; the keys of a batch are those of `mixture.collate`.

        Each time that a clip comes it begins at another moment, so that no student learns where its windows lie: some
        of its beginning is left out, or silence put before it.
        """
        starts = [self._start(place, random) for place in chosen]
        samples = min(self.longest, -(-int(self.lengths[chosen].max()) // PADDING_STEP) * PADDING_STEP)
        places, starts = chosen[self.rank :: self.world], starts[self.rank :: self.world]
        clips = [self._clip(place, start, samples) for place, start in zip(places, starts, strict=True)]
        values, mask = pad_clips(clips, samples)
        return {
            "input_values": values / FULL_SCALE,
            "attention_mask": mask,
            "target": torch.from_numpy(self.targets[places]),
            "speech": torch.from_numpy(self.shares[places]),
            "ids": [str(place) for place in places],
            "skipped": 0,
        }

    def _start(self, place: int, random: np.random.Generator) -> int:
        """The sample of a clip with which it begins; below 0, so many zeros come before."""
        most = min(SHIFT, self.lengths[place] // 10)
        return int(random.integers(-most, max(most, len(self.clips[place]) - self.longest) + 1))

    def _clip(self, place: int, start: int, samples: int) -> np.ndarray:
        """A clip from there on, (up to `samples`,) int16."""
        return np.pad(self.clips[place][max(0, start) :][:samples], (max(0, -start), 0))[:samples]


def balance(targets: np.ndarray, strength: float) -> np.ndarray:
    """Weights that let rare regions of the arousal-valence plane come more often.

    Args:
        targets: (clips, 3); clips with NaN keep a weight of 1.
        strength: 0: all weights are 1; 1: each cell of the plane has the same weight, within limits.

    Returns:
        (clips,), with a mean of about 1.
    """
    weights = np.ones(len(targets))
    known = ~np.isnan(targets).any(axis=1)
    plane = targets[known][:, [LABELS.index("arousal"), LABELS.index("valence")]]
    if not strength or not len(plane):
        return weights
    low, high = np.quantile(plane, [0.01, 0.99], axis=0)
    cells = ((plane - low) / np.maximum(high - low, 1e-6) * CELLS).astype(int).clip(0, CELLS - 1)
    cell = cells[:, 0] * CELLS + cells[:, 1]
    counts = np.bincount(cell, minlength=CELLS * CELLS)[cell]  # clips in the cell of each clip
    drawn = counts ** -float(strength)
    weights[known] = np.minimum(drawn / drawn.mean(), LARGEST_WEIGHT)
    return weights


def _shards(corpus: Corpus) -> list[Path]:
    shards = [Path(path) for path in sorted(glob(corpus.source))]
    if not shards:
        raise Wav2SmallError(f"{corpus.source}: no such files")
    return shards


def _clips(shard: Path, corpus: Corpus) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Columns and samples of each clip of a shard; a clip that cannot be decoded is empty."""
    decoded = shard.parent / DECODED / f"{shard.stem}.npy"
    lengths = decoded.with_suffix(".lengths.npy")
    if not lengths.is_file() or lengths.stat().st_mtime_ns < shard.stat().st_mtime_ns:
        _decode(shard, corpus, decoded, lengths)
    samples, ends = np.load(decoded, mmap_mode="r"), np.cumsum(np.load(lengths))
    columns = _columns(shard, corpus)
    rows = parquet.read_table(shard, columns=columns).to_pylist() if columns else [{}] * len(ends)
    for row, start, end in zip(rows, [0, *ends[:-1]], ends, strict=True):
        if wanted(row, corpus):
            yield row, samples[start:end]


def _columns(shard: Path, corpus: Corpus) -> list[str]:
    """The columns that are needed, without the audio."""
    there = parquet.read_schema(shard).names
    needed = [*(corpus.labels or ()), *corpus.where]
    missing = [name for name in (*needed, corpus.audio) if name not in there]
    if missing:
        raise Wav2SmallError(f"{shard} has no column {missing[0]!r}; it has {', '.join(sorted(there))}")
    return list(dict.fromkeys([*needed, *(["speech"] if "speech" in there else [])]))


def _decode(shard: Path, corpus: Corpus, decoded: Path, lengths: Path) -> None:
    """Write the samples of a shard, one clip after another, and the length of each."""
    clips = []
    for row in parquet.read_table(shard, columns=[corpus.audio]).to_pylist():
        try:
            samples = waveform(row, corpus)
        except Wav2SmallError:
            samples = np.zeros(0, np.float32)
        peak = max(1.0, float(np.abs(samples).max(initial=0)))
        clips.append(np.round(samples / peak * FULL_SCALE).astype(np.int16))
    decoded.parent.mkdir(exist_ok=True)
    with whole_file(decoded) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(clips))
    with whole_file(lengths) as temporary, temporary.open("wb") as file:
        np.save(file, np.array([len(clip) for clip in clips]))
