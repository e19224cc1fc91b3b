"""An endless, shuffled, resumable stream of training clips from weighted corpora."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from datasets.distributed import split_dataset_by_node

from wav2small.inference.speech import detect_by_silero
from wav2small.models.adv import LABELS, LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..recipe import Corpus
from .augment import Augment
from .corpora import MisfitError, label, open_rows, row_id, waveform
from .speech import speech_share

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


class Mixture(torch.utils.data.IterableDataset[dict[str, Any]]):
    """An endless stream of clips from weighted corpora, cropped and augmented, for one process of the training.

    A clip is `recordings`, one or more waveforms (samples,) that a student trains on; `teacher_values` (samples,), what
    the teacher labels, or None where it is the recording; `target` (3,) where the clip has one of its own, NaN where
    nobody speaks in its corpus; `is_speech`, whether somebody does; `speech`, the share of the clip, or NaN; `source`,
    `id`; `skipped`, the bad items before it.

    What is drawn depends on the seed and the count of draws alone.

    Args:
        corpora: the sources.
        seed: of order, crops and augmentation.
        crop_range: shortest and longest that is taken of a clip, in s.
        augment: the random changes of a clip.
        teacher_labels: looks a clip up by corpus and id: (start in s, (3,) label) of each of its windows.
        max_bad_share: share of bad items above which the stream stops with an error.
        measure_speech: whether the share of speech is measured where a corpus does not tell it.
        rank: of this process.
        world: number of processes.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        seed: int,
        crop_range: tuple[float, float],
        augment: Augment | None = None,
        teacher_labels: Callable[[str, str], list[tuple[float, np.ndarray]]] | None = None,
        max_bad_share: float = 0.05,
        measure_speech: bool = False,
        rank: int = 0,
        world: int = 1,
    ):
        self.corpora, self.seed = list(corpora), seed
        self.shortest, self.longest = (round(seconds * SAMPLING_RATE) for seconds in crop_range)
        self.augment, self.teacher_labels, self.max_bad_share = augment, teacher_labels, max_bad_share
        self.measure_speech, self.rank, self.world = measure_speech, rank, world
        self._spoken: dict[tuple[str, str], np.ndarray] = {}  # of each recording: the detector is slow
        self._sources: list[Shuffled] = []
        self._state: dict[str, Any] = {"draws": 0, "items": 0, "bad": 0, "sources": None}

    def state_dict(self) -> dict[str, Any]:
        """Position of this worker."""
        if not self._sources:  # nothing was drawn yet: a worker is asked before its first clip
            return dict(self._state)
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
            clean, item = self._draw(streams, weights, random)
            recordings, teacher_values = [clean], None
            if self.augment is not None:
                if item["is_speech"]:
                    clean = self._change(clean, item, streams, weights, random)
                recordings = [
                    self.augment.change_recording(clean, random) for _ in range(self.augment.settings.recordings)
                ]
                teacher_values = clean if self.augment.settings.teacher_input == "clean" else None
            skipped = self._state["bad"] - bad
            yield {"recordings": recordings, "teacher_values": teacher_values, "skipped": skipped, **item}

    def _change(
        self,
        clip: np.ndarray,
        item: dict[str, Any],
        streams: list[Iterator[dict[str, Any]]],
        weights: np.ndarray,
        random: np.random.Generator,
    ) -> np.ndarray:
        """Change the voice of a clip and add a second clip, as drawn; update its share of speech."""
        assert self.augment is not None
        how = self.augment.draw_second(random)
        clip = self.augment.change_voice(clip, random)
        if how is None:
            return clip
        other, second = self._draw(streams, weights, random)
        shares = item["speech"], second["speech"]
        item["speech"] = sum(shares) / 2 if how == "join" else 1 - (1 - shares[0]) * (1 - shares[1])
        return self.augment.add_second(clip, other, how, random)

    def _draw(
        self, streams: list[Iterator[dict[str, Any]]], weights: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """One good clip, and its source, id and target; bad items are skipped and counted."""
        while True:
            i = random.choice(len(streams), p=weights / weights.sum())
            corpus, row = self.corpora[i], next(streams[i])
            self._state["items"] += 1
            try:
                name = row_id(row, corpus)
                samples = waveform(row, corpus)
                start, length, target = self._crop(len(samples), corpus, row, name, random)
                piece = samples[start : start + length]
                if len(piece) < round(LEAST_SECONDS * SAMPLING_RATE):
                    raise Wav2SmallError(f"{name} is shorter than {LEAST_SECONDS} s")
                speech = self._speech(corpus, row, name, samples, start, len(piece))
                facts = {"source": corpus.source, "id": name, "is_speech": corpus.speech, "speech": speech}
                return piece, {**facts, "target": target}
            except MisfitError:
                raise
            except Wav2SmallError as error:
                self._state["bad"] += 1
                items, bad = self._state["items"], self._state["bad"]
                if items >= FAIR_SAMPLE and bad > self.max_bad_share * items:
                    raise Wav2SmallError(f"{bad} of {items} items are bad, the last of them: {error}") from None

    def _speech(
        self, corpus: Corpus, row: dict[str, Any], name: str, samples: np.ndarray, start: int, length: int
    ) -> float:
        """Share of speech of a crop: told by the corpus, measured, or NaN."""
        if not corpus.speech:
            return 0.0
        if row.get("speech") is not None:
            return float(row["speech"])
        if not self.measure_speech:
            return np.nan
        if (corpus.source, name) not in self._spoken:
            self._spoken[corpus.source, name] = detect_by_silero(samples)
        return speech_share(self._spoken[corpus.source, name], start, length)

    def _crop(
        self, samples: int, corpus: Corpus, row: dict[str, Any], name: str, random: np.random.Generator
    ) -> tuple[int, int, np.ndarray | None]:
        """First sample and length of a crop, and its target where the clip has one already."""
        if self.teacher_labels is None or not corpus.speech:
            length = int(random.integers(self.shortest, self.longest + 1))
            start = int(random.integers(max(1, samples - length + 1)))
            return start, length, own_target(row, corpus)
        windows = self.teacher_labels(corpus.source, name)
        if not windows:
            raise Wav2SmallError(f"{name} has no teacher label")
        begin, target = windows[random.integers(len(windows))]
        return round(begin * SAMPLING_RATE), self.longest, target


def own_target(row: dict[str, Any], corpus: Corpus) -> np.ndarray | None:
    """The target that a clip has without a teacher: its label, or NaN where nobody speaks."""
    if not corpus.speech:
        return np.full(len(LABELS), np.nan, np.float32)
    if isinstance(corpus.labels, tuple) and row.get("speech") == 0:  # rendered; NaN where its corpus has no speech
        return np.array([row[column] for column in corpus.labels], np.float32)
    return label(row, corpus) if corpus.labelled else None


def pad_clips(clips: Sequence[np.ndarray], samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Put clips, each (up to `samples`,), into a batch: values and mask, both (batch, samples)."""
    values, mask = torch.zeros(len(clips), samples), torch.zeros(len(clips), samples, dtype=torch.bool)
    for i, clip in enumerate(clips):
        values[i, : len(clip)] = torch.from_numpy(clip)
        mask[i, : len(clip)] = True
    return values, mask


def collate(clips: list[dict[str, Any]], samples: int) -> dict[str, Any]:
    """Pad clips to one batch.

    Returns:
        `input_values` float32 and `attention_mask` bool, (batch, samples) both; `teacher_values` (batch, samples), what
        a teacher labels, only where that is not the same; `target` (batch, 3; NaN where it is not known), `speech`
        (batch,), the share of speech or NaN, `is_speech` (batch,), `ids`, `skipped`.
    """
    values, mask = pad_clips([clip["recordings"][0] for clip in clips], samples)
    target = torch.full((len(clips), len(LABELS)), torch.nan)
    for i, clip in enumerate(clips):
        if clip["target"] is not None:
            target[i] = torch.from_numpy(clip["target"])
    batch = {
        "input_values": values,
        "attention_mask": mask,
        "target": target,
        "speech": torch.tensor([clip["speech"] for clip in clips], dtype=torch.float32),
        "is_speech": torch.tensor([clip["is_speech"] for clip in clips]),
        "ids": [clip["id"] for clip in clips],
        "skipped": sum(clip["skipped"] for clip in clips),
    }
    if any(clip["teacher_values"] is not None for clip in clips):
        batch["teacher_values"], _ = pad_clips([clip["teacher_values"] for clip in clips], samples)
    return batch
