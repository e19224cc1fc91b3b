"""An endless, shuffled, resumable stream of training clips from weighted corpora."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from datasets.distributed import split_dataset_by_node

from wav2small.models.adv import LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..recipe import Corpus
from .corpora import label, open_rows, row_id, waveform

BLOCK = 256  # rows that are shuffled among themselves, besides the order of the shards
FAIR_SAMPLE = 50  # items before the share of bad ones is judged


class Shuffled:
    """One corpus without end, for one of many consumers: its share of the shards, shuffled block by block.

    Within a block of rows the order is drawn from seed, epoch and block, so a position is three numbers and the place
    of the block in the source: the stream resumes exactly, which a shuffle buffer does not.

    Args:
        corpus: the source.
        seed: of the order.
        consumer: which of the consumers this is.
        consumers: in all, over processes and workers; each row goes to one of them.
    """

    def __init__(self, corpus: Corpus, seed: int, consumer: int, consumers: int):
        self.corpus, self.seed, self.consumer, self.consumers = corpus, seed, consumer, consumers
        self._state: dict[str, Any] = {"epoch": 0, "block": 0, "row": 0, "source": None}

    def state_dict(self) -> dict[str, Any]:
        """Where the next row comes from."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._state = dict(state)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rows = split_dataset_by_node(open_rows(self.corpus), self.consumer, self.consumers)
        while True:
            state = self._state
            rows.set_epoch(1 + self.seed + state["epoch"])  # the order of the shards; 0 would leave it as it is
            if state["source"] is not None:
                rows.load_state_dict(state["source"])
            before = state["source"]
            empty = state["block"] == 0
            for block in rows.iter(BLOCK):
                empty = False
                size = len(next(iter(block.values())))
                order = np.random.default_rng([self.seed, self.consumer, state["epoch"], state["block"]])
                for place in order.permutation(size)[state["row"] :]:
                    self._state = {**self._state, "row": self._state["row"] + 1, "source": before}
                    yield {column: values[place] for column, values in block.items()}
                before = rows.state_dict()
                self._state = state = {**self._state, "block": state["block"] + 1, "row": 0, "source": before}
            if empty:
                raise Wav2SmallError(f"{self.corpus.source} has no rows for part {self.consumer} of {self.consumers}")
            self._state = {"epoch": state["epoch"] + 1, "block": 0, "row": 0, "source": None}
            rows = split_dataset_by_node(open_rows(self.corpus), self.consumer, self.consumers)


class Mixture(torch.utils.data.IterableDataset):
    """An endless stream of clips from weighted corpora, cropped and augmented, for one process of the training.

    Each clip has `input_values` and `heard_values` (what the student and the teacher hear: (samples,) float32),
    `source`, `id`, `target` ((3,) or None) and `skipped`, the count of bad items before it. What is drawn depends on
    the seed and the count of draws alone.

    Args:
        corpora: the sources.
        seed: of order, crops and augmentation.
        crop_seconds: the most that is taken of a clip.
        augment: changes a waveform, given the seed of the draw; see `augment.Augment`.
        targets: looks a clip up by corpus and id: (start in s, (3,) answer) of each of its windows.
        max_bad_share: share of bad items above which the stream stops with an error.
        rank: of this process.
        world: number of processes.
    """

    def __init__(self, corpora, seed, crop_seconds, augment=None, targets=None, max_bad_share=0.05, rank=0, world=1):
        self.corpora, self.seed, self.crop = list(corpora), seed, round(crop_seconds * SAMPLING_RATE)
        self.augment, self.targets, self.max_bad_share = augment, targets, max_bad_share
        self.rank, self.world = rank, world
        self._sources: list[Shuffled] = []
        self._state: dict[str, Any] = {"draws": 0, "items": 0, "bad": 0, "sources": None}

    def state_dict(self) -> dict[str, Any]:
        """Position of this worker."""
        return {**self._state, "sources": [source.state_dict() for source in self._sources]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._state = dict(state)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = torch.utils.data.get_worker_info()
        workers, index = (worker.num_workers, worker.id) if worker else (1, 0)
        consumer, consumers = self.rank * workers + index, self.world * workers
        self._sources = [Shuffled(corpus, self.seed, consumer, consumers) for corpus in self.corpora]
        if self._state["sources"]:
            for source, state in zip(self._sources, self._state["sources"], strict=True):
                source.load_state_dict(state)
        streams = [iter(source) for source in self._sources]
        weights = np.array([corpus.weight for corpus in self.corpora])
        while True:
            random = np.random.default_rng([self.seed, consumer, self._state["draws"]])
            self._state["draws"] += 1
            bad = self._state["bad"]
            clip, item = self._draw(streams, weights, random)
            heard = clip
            if self.augment is not None:
                other = self._draw(streams, weights, random)[0] if self.augment.mixes(random) else None
                heard = self.augment.content(clip, other, random)
                clip = self.augment.recording(heard, random)
                if self.augment.settings.teacher_hears == "recording":
                    heard = clip
            skipped = self._state["bad"] - bad
            yield {"input_values": clip, "heard_values": heard, "skipped": skipped, **item}

    def _draw(self, streams, weights, random) -> tuple[np.ndarray, dict[str, Any]]:
        """One good clip, and its source, id and target; bad items are skipped and counted."""
        while True:
            i = random.choice(len(streams), p=weights / weights.sum())
            corpus, row = self.corpora[i], next(streams[i])
            self._state["items"] += 1
            try:
                name = row_id(row, corpus)
                samples = waveform(row, corpus)
                start, target = self._choose(len(samples), corpus, row, name, random)
                piece = samples[start : start + self.crop]
                if len(piece) < round(LEAST_SECONDS * SAMPLING_RATE):
                    raise Wav2SmallError(f"{name} is shorter than {LEAST_SECONDS} s")
                return piece, {"source": corpus.source, "id": name, "target": target}
            except Wav2SmallError as error:
                self._state["bad"] += 1
                items, bad = self._state["items"], self._state["bad"]
                if items >= FAIR_SAMPLE and bad > self.max_bad_share * items:
                    raise Wav2SmallError(f"{bad} of {items} items are bad, the last of them: {error}") from None

    def _choose(self, samples: int, corpus: Corpus, row, name: str, random) -> tuple[int, np.ndarray | None]:
        """Where the crop begins, and its target where there are annotations or labels."""
        if self.targets is None:
            start = int(random.integers(max(1, samples - self.crop + 1)))
            return start, label(row, corpus) if corpus.labelled else None
        windows = self.targets(corpus.source, name)
        if not windows:
            raise Wav2SmallError(f"{name} has no annotation")
        start, answer = windows[random.integers(len(windows))]
        return round(start * SAMPLING_RATE), answer


def collate(clips: list[dict[str, Any]], crop: int) -> dict[str, Any]:
    """Pad clips to one batch.

    Returns:
        `input_values` and `attention_mask` (batch, crop), `heard_values` (batch, crop; what a teacher hears, where that
        is not the same), `target` (batch, 3) or None, `ids`, `skipped`.
    """
    values = torch.zeros(len(clips), crop)
    differs = any(clip.get("heard_values", clip["input_values"]) is not clip["input_values"] for clip in clips)
    heard = torch.zeros(len(clips), crop) if differs else values
    mask = torch.zeros(len(clips), crop, dtype=torch.long)
    for i, clip in enumerate(clips):
        samples = len(clip["input_values"])
        values[i, :samples] = torch.from_numpy(clip["input_values"])
        mask[i, :samples] = 1
        if differs:
            heard[i, :samples] = torch.from_numpy(clip["heard_values"])
    targets = [clip["target"] for clip in clips]
    return {
        "input_values": values,
        "attention_mask": mask,
        "heard_values": heard,
        "target": None if targets[0] is None else torch.from_numpy(np.stack(targets)).float(),
        "sources": [clip.get("source") for clip in clips],
        "ids": [clip["id"] for clip in clips],
        "skipped": sum(clip["skipped"] for clip in clips),
    }
