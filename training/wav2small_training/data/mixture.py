"""An endless, shuffled, resumable stream of training clips from weighted corpora."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import torch

from wav2small.inference.speech import detect_by_silero
from wav2small.models.adv import LABELS, LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..recipe import Augmentation, Cache, Corpus
from .augment import Augment
from .corpora import MisfitError, label, row_id, waveform
from .speech import speech_share
from .units import ROWS, Row, Units

SLOTS = 64  # units that are read side by side for a batch
LEAST_SLOTS = 8  # of one worker
FAIR_SAMPLE = 50  # items before the share of bad ones is judged


class Shuffled:
    """One corpus without end, for one of many consumers: rows of many units, interleaved.

    All epochs are one sequence of units, each epoch in an order of its own, which is dealt to the consumers one by one.
    So each unit of an epoch is read by one consumer, whatever their number, and consumers that outnumber the units are
    in different epochs. A consumer reads some units side by side, a row of each in turn, shuffled block by block; a
    position is the place in each of these units, and the stream resumes exactly.

    Args:
        units: of the source.
        seed: of the order.
        consumer: which of the consumers this is.
        consumers: in all, over processes and workers.
        slots: units that are read side by side, where there are as many for each consumer.
        first: which of its own units it begins with.
    """

    def __init__(
        self, units: Units, seed: int, consumer: int = 0, consumers: int = 1, slots: int = SLOTS, first: int = 0
    ):
        self.units, self.seed, self.consumer, self.consumers = units, seed, consumer, consumers
        self.slots = max(1, min(slots, len(units) // consumers))
        self.block = ROWS * -(-slots // self.slots)
        self.epoch = 0  # of the last row
        self._open: list[Iterator[Row] | None] = [None] * self.slots
        self._slot = 0  # of the last row
        self._state: dict[str, Any] = {
            "draws": 0,
            "next": first + self.slots,  # which of its own units comes next
            "slots": [[first + unit, 0] for unit in range(self.slots)],  # own units, and the rows taken of each
        }

    def state_dict(self) -> dict[str, Any]:
        """Where the next row comes from."""
        return {**self._state, "slots": [list(slot) for slot in self._state["slots"]]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._state = {**state, "slots": [list(slot) for slot in state["slots"]]}
        self._open = [None] * self.slots

    def skip(self, rows: int) -> None:
        """Leave out the first rows of its first unit."""
        self._state["slots"][0][1] = rows

    def __iter__(self) -> Iterator[Row]:
        turn, order = -1, np.zeros(0, int)
        while True:
            now, place = divmod(self._state["draws"], self.slots)
            if now != turn:
                turn = now
                order = np.random.default_rng([self.seed, self.consumer, turn]).permutation(self.slots)
            self._slot = int(order[place])
            row = self.neighbour()
            self._state["draws"] += 1
            yield row

    def neighbour(self) -> Row:
        """The row that follows the last one in its unit; of the next unit where it was the last."""
        slots, slot = self._state["slots"], self._slot
        for _ in range(len(self.units) + 1):
            rows = self._open[slot]
            if rows is None:
                rows = self._open[slot] = self._rows(*slots[slot])
            self.epoch = (self.consumer + slots[slot][0] * self.consumers) // len(self.units)
            row = next(rows, None)
            if row is not None:
                slots[slot][1] += 1
                return row
            slots[slot] = [self._state["next"], 0]
            self._state["next"] += 1
            self._open[slot] = None
        corpus = self.units.corpus
        raise Wav2SmallError(f"{corpus.source} has no rows where {corpus.where}")

    def _rows(self, own: int, taken: int) -> Iterator[Row]:
        """Rows of one unit, shuffled block by block, from a place on."""
        number = self.consumer + own * self.consumers  # in the sequence of all epochs
        epoch, place = divmod(number, len(self.units))
        unit = int(np.random.default_rng([self.seed, epoch]).permutation(len(self.units))[place])
        first, offset = divmod(taken, self.block)
        rows = islice(self.units.rows(unit), first * self.block, None)
        for i in count(first):
            block = list(islice(rows, self.block))
            order = np.random.default_rng([self.seed, number, i]).permutation(len(block))
            yield from (block[place] for place in order[offset:])
            if len(block) < self.block:
                return
            offset = 0


def random_rows(corpus: Corpus, seed: int) -> Iterator[Row]:
    """Rows of a corpus in random order, each once."""
    source = Shuffled(Units(corpus), seed)
    for row in source:
        if source.epoch:
            return
        yield row


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
        cache: where what is fetched from the Hub is kept.
        short_clips: what a clip that is shorter than its crop is filled with, as in a recipe.
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
        teacher_labels: Callable[[Corpus, str], list[tuple[float, np.ndarray]]] | None = None,
        max_bad_share: float = 0.05,
        measure_speech: bool = False,
        short_clips: str = "pad",
        cache: Cache | None = None,
        rank: int = 0,
        world: int = 1,
    ):
        mixed_in = augment.settings.mix_corpora if augment is not None else []
        self.corpora, self.seed, self.short_clips = [*corpora, *mixed_in], seed, short_clips
        self.units = [Units(corpus, cache) for corpus in self.corpora]  # once, before there are workers
        weights = np.array([corpus.weight for corpus in self.corpora])
        first = np.arange(len(weights)) < len(corpora)
        self.weights = {"train": weights * first}
        self.weights |= {"join": weights * first, "mix": weights * (~first if mixed_in else first)}
        self.shortest, self.longest = (round(seconds * SAMPLING_RATE) for seconds in crop_range)
        self.augment, self.teacher_labels, self.max_bad_share = augment, teacher_labels, max_bad_share
        self.measure_speech, self.rank, self.world = measure_speech, rank, world
        self._spoken: dict[tuple[str, str], np.ndarray] = {}  # of each recording: the detector is slow
        self._sources: list[Shuffled] = []
        self._begun = [0] * len(self.units)
        self._state: dict[str, Any] = {"draws": 0, "items": 0, "bad": 0, "sources": None}

    def state_dict(self) -> dict[str, Any]:
        """Position of this worker."""
        if not self._sources:  # nothing was drawn yet: a worker is asked before its first clip
            return dict(self._state)
        return {**self._state, "sources": [source.state_dict() for source in self._sources]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._state = dict(state)

    def begin(self, draws: int, units: list[int]) -> None:
        """Begin behind a number of draws, and of units of each source in the sequence of all epochs."""
        self._state["draws"], self._begun = draws, units

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = torch.utils.data.get_worker_info()
        workers, index = (worker.num_workers, worker.id) if worker else (1, 0)
        consumer, consumers = self.rank * workers + index, self.world * workers
        slots = max(LEAST_SLOTS, SLOTS // workers)
        self._sources = [
            Shuffled(units, self.seed, consumer, consumers, slots, -(-begun // consumers))
            for units, begun in zip(self.units, self._begun, strict=True)
        ]
        if self._state["sources"]:
            for source, state in zip(self._sources, self._state["sources"], strict=True):
                source.load_state_dict(state)
        streams = [iter(source) for source in self._sources]
        while True:
            random = np.random.default_rng([self.seed, consumer, self._state["draws"]])
            self._state["draws"] += 1
            yield self._clip(streams, random)

    def part(self, number: int, draws: int) -> Iterator[dict[str, Any]]:
        """Clips of one part of the mixture, which no other part is needed for.

        Parts follow one another in each source, as far as a share of the draws can tell: together they go through it
        about evenly.

        Args:
            number: of the part, from 0.
            draws: clips of each part.
        """
        self._sources = []
        settings = self.augment.settings if self.augment is not None else Augmentation()
        shares = {"train": 1.0, "join": settings.join, "mix": settings.mix}
        for i, units in enumerate(self.units):
            rows = draws * sum(shares[use] * weights[i] / weights.sum() for use, weights in self.weights.items())
            each = rows / units.rows_each  # units that a part reads
            first, within = divmod(number * each, 1)
            source = Shuffled(units, self.seed, slots=max(1, round(each)), first=int(first))
            source.skip(int(within * units.rows_each))
            self._sources.append(source)
        streams = [iter(source) for source in self._sources]
        for draw in range(draws):
            yield self._clip(streams, np.random.default_rng([self.seed, number, draw]))

    def _clip(self, streams: list[Iterator[Row]], random: np.random.Generator) -> dict[str, Any]:
        """One clip, with its recordings."""
        bad = self._state["bad"]
        clean, item = self._draw(streams, self.weights["train"], random)
        recordings, teacher_values = [clean], None
        if self.augment is not None:
            if item["is_speech"]:
                clean = self._change(clean, item, streams, random)
            recordings = [self.augment.change_recording(clean, random) for _ in range(self.augment.settings.recordings)]
            teacher_values = clean if self.augment.settings.teacher_input == "clean" else None
        skipped = self._state["bad"] - bad
        return {"recordings": recordings, "teacher_values": teacher_values, "skipped": skipped, **item}

    def _change(
        self,
        clip: np.ndarray,
        item: dict[str, Any],
        streams: list[Iterator[Row]],
        random: np.random.Generator,
    ) -> np.ndarray:
        """Change the voice of a clip and add a second clip, as drawn; update its share of speech."""
        assert self.augment is not None
        how = self.augment.draw_second(random)
        clip = self.augment.change_voice(clip, random)
        if how is None:
            return clip
        other, second = self._draw(streams, self.weights[how], random, second=True)
        shares = item["speech"], second["speech"]
        item["speech"] = sum(shares) / 2 if how == "join" else 1 - (1 - shares[0]) * (1 - shares[1])
        return self.augment.add_second(clip, other, how, random)

    def _draw(
        self,
        streams: list[Iterator[Row]],
        weights: np.ndarray,
        random: np.random.Generator,
        second: bool = False,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """One good clip, and its source, id and target; bad items are skipped and counted."""
        while True:
            i = random.choice(len(streams), p=weights / weights.sum())
            corpus, row = self.corpora[i], next(streams[i])
            self._state["items"] += 1
            try:
                name = row_id(row, corpus)
                samples = waveform(row, corpus)
                length = int(random.integers(self.shortest, self.longest + 1))
                if corpus.speech and not second and len(samples) < length:
                    samples = self._filled(samples, length, i)
                start, length, target = self._crop(len(samples), length, corpus, row, name, random)
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

    def _filled(self, samples: np.ndarray, length: int, i: int) -> np.ndarray:
        """Fill a crop that a clip is too short for, as the recipe says."""
        if self.short_clips == "repeat":
            return np.resize(samples, length)
        while self.short_clips == "join" and len(samples) < length:
            following = waveform(self._sources[i].neighbour(), self.corpora[i])
            samples = np.concatenate([samples, following if len(following) else np.zeros(length, np.float32)])
        return samples

    def _crop(
        self, samples: int, length: int, corpus: Corpus, row: dict[str, Any], name: str, random: np.random.Generator
    ) -> tuple[int, int, np.ndarray | None]:
        """First sample and length of a crop, and its target where the clip has one already."""
        if self.teacher_labels is None or not corpus.speech:
            start = int(random.integers(max(1, samples - length + 1)))
            return start, length, own_target(row, corpus)
        windows = self.teacher_labels(corpus, name)
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
