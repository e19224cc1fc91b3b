"""Waveform -> arousal, dominance and valence, with ONNX Runtime and numpy alone."""

import copy
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import soxr

from .. import hub
from ..bundled import BUNDLED
from ..models import audio
from ..models.adv import LABELS, LEAST_SECONDS
from ..models.errors import Wav2SmallError, Wav2SmallWarning
from . import words
from .config import read_config
from .intervals import INTERVALS_FILE, Errors, Intervals, mean_errors
from .prediction import Prediction, no_prediction
from .rated_clips import shift
from .segments import Segment
from .session import BATCH, BATCH_SECONDS, open_session, run_options
from .speech import LEAST_SPEECH, QUIET_DB, find_detector, has_silero, is_silent, level_range, loudest_db
from .timeline import Stream, WindowBuffer, Windows

ONNX_FILES = {  # the names that transformers.js looks for
    "fp32": "onnx/model.onnx",
    "fp16": "onnx/model_fp16.onnx",
    "q8": "onnx/model_quantized.onnx",
    "q4": "onnx/model_q4.onnx",
}
SEGMENT_WINDOW = 10.0  # s; a longer segment is predicted in windows of this length
SHORT, REPEATED = 1.0, 2.0  # s: what is shorter than the first is repeated to the second; see docs/speech.md
QUIET = f"a recording stays below {QUIET_DB:g} dB: it may sound otherwise when it is louder; record it again"

Dtype = Literal["fp32", "fp16", "q8", "q4"]
EXACT_FIRST: tuple[Dtype, ...] = ("fp32", "fp16", "q8", "q4")


def load(
    source: str | Path | None = None, *, dtype: Dtype | None = None, threads: int = 1, revision: str | None = None
) -> "Predictor":
    """Load a checkpoint for inference without torch.

    Args:
        source: a checkpoint folder, the name of a checkpoint in this package (`wav2small models` lists them), or an id
            on the Hub ("org/name"); `None` for the default one in this package.
        dtype: which ONNX file: "fp32" (`onnx/model.onnx`), "q8" (`onnx/model_quantized.onnx`, 8 bits), "q4"
            (`onnx/model_q4.onnx`, 4 bits) or, for large models, "fp16" (`onnx/model_fp16.onnx`); `None` for the most
            exact one that the checkpoint has.
        threads: threads of ONNX Runtime within one forward pass.
        revision: branch, tag or commit on the Hub.

    Raises:
        Wav2SmallError: if the checkpoint cannot be found, or does not predict arousal, dominance and valence.

    Examples:
        >>> import wav2small
        >>> predictor = wav2small.load()
        >>> print(predictor("examples/joy_emodb15.flac"))
        0.0 to 1.8 s: arousal ..., dominance ..., valence ...
    """
    if dtype and dtype not in ONNX_FILES:
        raise Wav2SmallError(f"dtype={dtype!r}: it must be one of {', '.join(ONNX_FILES)}")
    for kind in [dtype] if dtype else EXACT_FIRST:
        files = ["config.json", words.WORDS_FILE, INTERVALS_FILE, ONNX_FILES[kind]]
        folder = BUNDLED if source is None else hub.resolve_checkpoint(source, files, revision)
        if (folder / ONNX_FILES[kind]).is_file():
            return Predictor(folder, dtype=kind, threads=threads)
    return Predictor(folder, dtype=dtype or "fp32", threads=threads)  # which says what is missing


class Predictor:
    """A checkpoint ready for inference; [`load`] makes one. Several threads may use it at once.

    Args:
        folder: with `config.json`, the ONNX file and, for affect words and intervals, `words.json` and
            `intervals.json`.
        dtype: which ONNX file, see [`load`].
        threads: threads of ONNX Runtime within one forward pass.

    Attributes:
        words: thresholds of the affect words; `None` if the checkpoint has none.
        intervals: errors of the predictions; `None` if the checkpoint has none.
        sampling_rate: of the model, in Hz.
        max_seconds: longest clip or window: 600, or 30 for a teacher with a Whisper encoder.
        file: the ONNX file.
        predicts_speech: whether the network itself predicts the share of speech; it is asked where Silero VAD, which
            tells noise from speech better, is not installed.

    Raises:
        Wav2SmallError: if a file is missing, or does not belong to a checkpoint of wav2small.
    """

    def __init__(self, folder: Path, *, dtype: Dtype = "fp32", threads: int = 1):
        config_file, model_file = folder / "config.json", folder / ONNX_FILES[dtype]
        for file in (config_file, model_file):
            if not file.is_file():
                weights = file is model_file and (folder / "model.safetensors").is_file()
                remedy = "`wav2small export` writes it" if weights else "it is not a complete checkpoint"
                raise Wav2SmallError(f"{folder} has no {file.relative_to(folder)}: {remedy}")
        self.sampling_rate, self.max_seconds = read_config(config_file)
        self.words = words.AffectWords.read(folder)
        self.intervals = Intervals.read(folder)
        self.file = model_file
        self._session = open_session(model_file, threads)
        named = {output.name for output in self._session.get_outputs()}
        self.predicts_speech = "speech" in named
        asked = self.predicts_speech and not has_silero()
        self._outputs = ["logits", "speech"] if asked else ["logits"]
        self._detect = find_detector()
        self._shift = np.zeros(len(LABELS), np.float32)

    @overload
    def __call__(self, source: list[Any]) -> list[Prediction]: ...
    @overload
    def __call__(self, source: Any) -> Prediction: ...
    def __call__(self, source: Any) -> Prediction | list[Prediction]:
        """Predict one clip, or a list of clips.

        Args:
            source: a path, the bytes of a file, a binary file object, or `(array, rate)`, see `audio.read_audio`;
                or a list of these. Each clip lasts 0.1 s to 10 minutes (30 s for a teacher with a Whisper encoder).

        Returns:
            A [`Prediction`], or a list of them in the order of the clips. Clips of equal length share a forward pass.
            Where less than a tenth of a clip is speech, there are no numbers.

        Raises:
            Wav2SmallError: if the audio cannot be read, is too short or too long; the message names it.

        Examples:
            >>> silence = np.zeros(16000)
            >>> print(load()((silence, 16000)))
            0.0 to 1.0 s: silence
            >>> len(load()([(silence, 16000), (silence, 8000)]))
            2
        """
        if not isinstance(source, list):
            return self._predict([(0, self._read(source))])[0]
        predictions: list[Prediction] = []
        clips: Windows = []
        for clip in source:
            clips.append((0, self._read(clip)))
            if len(clips) == BATCH or sum(len(samples) for _, samples in clips) > BATCH_SECONDS * self.sampling_rate:
                predictions += self._predict(clips)
                clips = []
        return predictions + self._predict(clips)

    def timeline(self, source: Any, window: float = 5.0, hop: float = 1.0) -> list[Prediction]:
        """Predict a recording window by window; the memory needed does not grow with its length.

        Args:
            source: one recording of at least 0.1 s, as in a call.
            window: length of a window, in s.
            hop: from the start of one window to the start of the next, in s.

        Returns:
            One prediction a window. The last window ends with the audio; audio shorter than a window gives one
            prediction.

        Raises:
            Wav2SmallError: as in a call, and if `window` or `hop` is out of range.

        Examples:
            >>> noise = np.random.default_rng(0).normal(size=7 * 16000) / 20
            >>> [(one.start, one.end) for one in load().timeline((noise, 16000), window=5, hop=1)]
            [(0.0, 5.0), (1.0, 6.0), (2.0, 7.0)]
        """
        stream = self.stream(window, hop)
        predictions: list[Prediction] = []
        seconds = 0.0
        for block in audio.stream_audio(source, self.sampling_rate):
            seconds += len(block) / self.sampling_rate
            predictions += stream.push(block)
        audio.check_length(source, seconds)
        return predictions + stream.flush()

    def segments(self, source: Any, segments: Iterable[Segment]) -> list[Prediction]:
        """Predict the turns, or other segments, of a recording; the memory needed does not grow with its length.

        Args:
            source: one recording, as in a call.
            segments: in s; they may overlap. See [`read_segments`] and [`find_turns`].

        Returns:
            One prediction a segment, with its speaker and text, in order of their start. A segment above 10 s is
            predicted in windows, and has their mean; one below 0.1 s has no numbers.

        Raises:
            Wav2SmallError: if the recording cannot be read, or a segment begins after its end.

        Examples:
            >>> turns = [Segment(0, 3, "Anna", "Good morning."), Segment(3.5, 6)]
            >>> for row in load().segments("examples/woman_libri1183.flac", turns):
            ...     print(row.start, row.end, row.speaker, row.spoken)
            0 3 Anna True
            3.5 6 None True
        """
        ordered = sorted(segments, key=lambda segment: (segment.start, segment.end))
        windows: list[list[Prediction]] = [[] for _ in ordered]
        streams: dict[int, Stream] = {}  # of the segments that have begun, by their number
        window, rate = min(SEGMENT_WINDOW, self.max_seconds), self.sampling_rate
        position = begun = 0
        for block in audio.stream_audio(source, rate):
            while begun < len(ordered) and round(ordered[begun].start * rate) < position + len(block):
                streams[begun] = self.stream(window, window / 2)
                begun += 1
            for i in list(streams):
                first, last = (round(t * rate) - position for t in (ordered[i].start, ordered[i].end))
                windows[i] += streams[i].push(block[max(0, first) : max(0, last)])
                if last <= len(block):
                    windows[i] += streams.pop(i).flush()
            position += len(block)
        for i, stream in streams.items():
            windows[i] += stream.flush()
        if begun < len(ordered):
            late, name = ordered[begun].start, audio.source_name(source)
            raise Wav2SmallError(
                f"a segment begins at {late:.1f} s, after the end of {name} at {position / rate:.1f} s"
            )
        return [
            replace(
                self.mean(each) if each else no_prediction(0, 0, 0.0, silent=False),
                start=segment.start, end=segment.end, speaker=segment.speaker, text=segment.text,
            )
            for segment, each in zip(ordered, windows, strict=True)
        ]  # fmt: skip

    def stream(self, window: float = 5.0, hop: float = 1.0, sampling_rate: int | None = None) -> Stream:
        """Start a stream for live audio: `push` each block, `flush` at the end.

        Args:
            window: length of a window, in s, from 0.1 to `max_seconds`.
            hop: from the start of one window to the start of the next, in s.
            sampling_rate: of the blocks, in Hz; `None` for the model's own.

        Raises:
            Wav2SmallError: if `window` or `hop` is out of range.

        Examples:
            >>> stream = load().stream(window=2, hop=1)
            >>> block = np.random.default_rng(0).normal(size=1600) / 20  # 0.1 s
            >>> sum(len(stream.push(block)) for _ in range(35))
            2
            >>> [(one.start, one.end) for one in stream.flush()]
            [(1.5, 3.5)]
        """
        if not window >= LEAST_SECONDS:
            raise Wav2SmallError(f"window={window}: it must be at least {LEAST_SECONDS} s")
        if window > self.max_seconds:
            raise Wav2SmallError(f"window={window}: this model predicts at most {self.max_seconds:g} s at once")
        if sampling_rate is not None and sampling_rate not in audio.RATES:
            low, high = audio.RATES[0], audio.RATES[-1]
            raise Wav2SmallError(f"sampling_rate={sampling_rate}: it must be a whole number from {low} to {high} Hz")
        if not hop * self.sampling_rate >= 1:
            raise Wav2SmallError(f"hop={hop}: it must be above 0 s")
        rate = self.sampling_rate
        buffer = WindowBuffer(round(window * rate), round(hop * rate), round(LEAST_SECONDS * rate))
        if sampling_rate is None or sampling_rate == rate:
            return Stream(self._predict, buffer, None)
        resampler = soxr.ResampleStream(sampling_rate, rate, 1, dtype="float32", quality="HQ")
        return Stream(self._predict, buffer, resampler)

    def mean(self, windows: list[Prediction]) -> Prediction:
        """Summarise a timeline in one prediction, with the affect word of the mean.

        Args:
            windows: predictions of one recording in order of time; at least one.

        Returns:
            The mean over all windows with speech, from the start of the first window to the end of the last. Its
            interval is the mean of theirs, which is on the wide side.

        Raises:
            Wav2SmallError: if there are no windows.

        Examples:
            >>> predictor = load()
            >>> mean = predictor.mean(predictor.timeline("examples/woman_libri1183.flac"))
            >>> mean.start, round(mean.end)
            (0.0, 6)
        """
        if not windows:
            raise Wav2SmallError("a mean needs at least one window")
        spoken = [window for window in windows if window.spoken]
        start, end = windows[0].start, windows[-1].end
        speech = float(np.mean([window.speech for window in windows]))
        if spoken:
            values = np.mean([window.as_array() for window in spoken], axis=0)
            return self._prediction(values, start, end, speech, mean_errors([window.errors for window in spoken]))
        silent = all(window.word == words.SILENCE for window in windows)
        return no_prediction(start, end, speech, silent)

    def calibrated(self, ratings: Iterable[tuple[Any, Sequence[float]]]) -> "Predictor":
        """Correct the predictions for one speaker, or one kind of recording, by a handful of rated clips.

        To all of them the mean of rating minus prediction is added, drawn towards 0 where there are few clips;
        `docs/conversations.md` says how much that helps. Thresholds of words and widths of intervals stay.

        Args:
            ratings: clips, each as for a timeline, with arousal, dominance and valence from 0 to 1; NaN where unknown.

        Returns:
            Another predictor, which shares the network with this one.

        Raises:
            Wav2SmallError: if a clip cannot be read or a rating is no rating, or no clip has speech.

        Examples:
            >>> predictor, clip = load(), "examples/sadness_emodb14.flac"
            >>> corrected = predictor.calibrated([(clip, (0.3, 0.3, 0.2))])
            >>> abs(corrected(clip).valence - 0.2) < abs(predictor(clip).valence - 0.2)
            True
        """
        clips = list(ratings)
        predicted = [self.mean(self.timeline(clip)).as_array() for clip, _ in clips]
        other = copy.copy(self)
        other._shift = self._shift + shift(np.array(predicted), [rating for _, rating in clips]).astype(np.float32)
        return other

    def logits(self, source: Any) -> np.ndarray:
        """What the network itself predicts for one clip, whether somebody speaks in it or not.

        Args:
            source: one clip, as in a call.

        Returns:
            (3,) float32: arousal, dominance, valence.

        Raises:
            Wav2SmallError: as in a call.

        Examples:
            >>> load().logits((np.zeros(16000), 16000)).shape
            (3,)
        """
        batch = self._read(source)[None]
        logits: np.ndarray = self._session.run(["logits"], {"input_values": batch}, run_options(batch))[0][0]
        return logits

    def _read(self, source: Any) -> np.ndarray:
        waveform = audio.read_clip(source, self.sampling_rate)
        seconds = len(waveform) / self.sampling_rate
        if seconds > self.max_seconds:
            raise Wav2SmallError(
                f"{audio.source_name(source)} is {seconds:.3f} s long, and this model predicts at most "
                f"{self.max_seconds:g} s at once: cut it or predict a timeline"
            )
        return waveform

    def _predict(self, windows: Windows) -> list[Prediction]:
        """Predict windows; those of equal length share a batch, because the ONNX file has no padding mask."""
        groups: dict[int, list[int]] = defaultdict(list)
        for i, (_, samples) in enumerate(windows):
            groups[len(samples)].append(i)
        predictions: dict[int, Prediction] = {}
        for group in groups.values():
            seconds = len(windows[group[0]][1]) / self.sampling_rate
            size = max(1, min(BATCH, int(BATCH_SECONDS / seconds)))
            for first in range(0, len(group), size):
                members = group[first : first + size]
                batch = np.stack([windows[i][1] for i in members])
                for i, values, speech in zip(members, *self._run(batch), strict=True):
                    begin, samples = windows[i]
                    start, end = begin / self.sampling_rate, (begin + len(samples)) / self.sampling_rate
                    silent = is_silent(samples)
                    if silent or speech < LEAST_SPEECH:
                        predictions[i] = no_prediction(start, end, 0.0 if silent else float(speech), silent)
                    else:
                        if loudest_db(samples) < QUIET_DB:
                            warnings.warn(QUIET, Wav2SmallWarning, stacklevel=4)
                        kind = speech * (end - start), level_range(samples)
                        errors = self.intervals(*kind) if self.intervals else None
                        predictions[i] = self._prediction(values, start, end, float(speech), errors)
        return [predictions[i] for i in range(len(windows))]

    def _run(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(batch, samples) -> (batch, 3), and the share of speech (batch,): the detector's, or the network's own."""
        longer, samples = batch, batch.shape[1]
        if samples < SHORT * self.sampling_rate:
            repeats = -(-int(REPEATED * self.sampling_rate) // samples)
            longer = np.tile(batch, repeats)[:, : int(REPEATED * self.sampling_rate)]
        logits, *shares = self._session.run(self._outputs, {"input_values": longer}, run_options(longer))
        if shares:
            return logits + self._shift, shares[0][:, 0]
        return logits + self._shift, np.array([self._detect(clip).mean() for clip in batch])

    def _prediction(self, values: Any, start: float, end: float, speech: float, errors: Errors | None) -> Prediction:
        arousal, dominance, valence = values.tolist()
        one = Prediction(arousal, dominance, valence, start, end, speech, errors=errors)
        return one if self.words is None else one.worded(self.words)
