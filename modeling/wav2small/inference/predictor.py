"""Arousal, dominance and valence from a waveform, by ONNX Runtime and numpy alone."""

import json
import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import onnxruntime
import soxr

from .. import hub
from ..models import audio
from ..models.adv import LABELS, LEAST_SECONDS
from ..models.errors import Wav2SmallError
from . import words
from .timeline import Stream, WindowBuffer, Windows

BUNDLED = Path(__file__).parents[1] / "pretrained"
ONNX_FILES = {  # the names of transformers.js
    "fp32": "onnx/model.onnx",
    "fp16": "onnx/model_fp16.onnx",
    "q8": "onnx/model_quantized.onnx",
    "q4": "onnx/model_q4.onnx",
}
MAX_SECONDS = 600.0  # in one piece; a timeline has no limit
BATCH = 8
SILENCE_RANGE = 2 / 32768  # a signal that stays within one 16-bit step up and down is digital silence

Dtype = Literal["fp32", "fp16", "q8", "q4"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """How a stretch of speech sounds.

    Attributes:
        arousal: calm (0) to excited (1); not clipped.
        dominance: weak (0) to strong (1); not clipped.
        valence: negative (0) to positive (1); not clipped.
        start: of the stretch, in s.
        end: of the stretch, in s.
        silent: true if the stretch is digital silence, so that the numbers say nothing.
        word: how it sounds in a word, such as "tense", "calm" or, near the middle, "unsure"; "silence" if silent.
            `None` if the checkpoint has no `words.json`. See `wav2small.inference.words`.
    """

    arousal: float
    dominance: float
    valence: float
    start: float
    end: float
    silent: bool
    word: str | None = None

    def __str__(self):
        numbers = f"arousal {self.arousal:.2f}, dominance {self.dominance:.2f}, valence {self.valence:.2f}"
        return f"{self.start:.1f} to {self.end:.1f} s: {numbers}" + (f", {self.word}" if self.word else "")

    def as_dict(self) -> dict[str, float | bool | str | None]:
        """All fields by name."""
        return asdict(self)

    def as_array(self) -> np.ndarray:
        """(3,) float32: arousal, dominance, valence."""
        return np.array([self.arousal, self.dominance, self.valence], np.float32)

    def describe(self) -> str:
        """One sentence for the prompt of a language model: "The voice sounds tense (arousal high, valence low, …)".

        Raises:
            Wav2SmallError: if the checkpoint has no words.
        """
        if self.word is None:
            raise Wav2SmallError("this checkpoint has no words: measure them with `wav2small calibrate`")
        return words.word_sentence(self.word)


def load(
    source: str | Path | None = None, *, dtype: Dtype = "fp32", threads: int = 1, revision: str | None = None
) -> "Predictor":
    """Load a checkpoint for inference without torch.

    Args:
        source: a checkpoint folder, or an id on the Hub ("org/name"); `None` for the checkpoint in this package.
        dtype: which ONNX file: "fp32" (`onnx/model.onnx`), "q8" (`onnx/model_quantized.onnx`, 8 bit), "q4"
            (`onnx/model_q4.onnx`, 4 bit) or, for large models, "fp16" (`onnx/model_fp16.onnx`).
        threads: of ONNX Runtime within one forward pass.
        revision: branch, tag or commit on the Hub.

    Raises:
        Wav2SmallError: if the checkpoint cannot be found, or is not a model of arousal, dominance and valence.
    """
    if dtype not in ONNX_FILES:
        raise Wav2SmallError(f"dtype={dtype!r}: it must be one of {', '.join(ONNX_FILES)}")
    if source is None:
        folder = BUNDLED
    elif Path(source).is_dir():
        folder = Path(source)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) and not str(source).startswith("."):
        folder = hub.resolve_checkpoint(source, ["config.json", words.WORDS_FILE, ONNX_FILES[dtype]], revision)
    else:
        raise Wav2SmallError(f"{source} is neither a folder nor an id on the Hub such as org/name")
    return Predictor(folder, dtype=dtype, threads=threads)


class Predictor:
    """A model ready to run: call it with audio; see [`load`].

    A predictor can be used from several threads at once.

    Args:
        folder: with `config.json`, the ONNX file and, for words, `words.json`.
        dtype: which ONNX file, see [`load`]; all share the words.
        threads: of ONNX Runtime within one forward pass.

    Attributes:
        words: thresholds of the words; `None` if the checkpoint has none.

    Raises:
        Wav2SmallError: if a file is missing or is not one of ours.
    """

    def __init__(self, folder: Path, *, dtype: Dtype = "fp32", threads: int = 1):
        config_file, model_file = folder / "config.json", folder / ONNX_FILES[dtype]
        for file in (config_file, model_file):
            if not file.is_file():
                raise Wav2SmallError(f"{folder} has no {file.relative_to(folder)}: it is not a complete checkpoint")
        try:
            config = json.loads(config_file.read_text(encoding="utf-8"))
            labels = tuple(config["id2label"][str(i)] for i in range(len(LABELS)))
            self.sampling_rate = int(config["sampling_rate"])
        except (ValueError, KeyError, TypeError) as error:
            raise Wav2SmallError(f"{config_file} is not the config of a model of ours ({error!r})") from None
        if labels != LABELS:
            raise Wav2SmallError(f"{config_file} has the labels {labels}, not {LABELS}")
        self.words = words.AffectWords.read(folder)
        self.file = model_file
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            raise Wav2SmallError(f"{model_file} is not an ONNX model that loads ({error})") from None

    @overload
    def __call__(self, source: list) -> list[Prediction]: ...
    @overload
    def __call__(self, source: Any) -> Prediction: ...
    def __call__(self, source):
        """Predict one clip, or a list of clips.

        Args:
            source: a path, the bytes of a file, a binary file object, or `(array, rate)`, see `audio.read_audio`;
                or a list of these. 0.1 s to 10 minutes each.

        Returns:
            A [`Prediction`], or a list of them in the order of the list. Clips of equal length share a forward pass.

        Raises:
            Wav2SmallError: if the audio cannot be read, is too short or too long; the message names it.
        """
        if not isinstance(source, list):
            return self._predict([(0, self._read(source))])[0]
        predictions: list[Prediction] = []
        for i in range(0, len(source), BATCH):
            predictions += self._predict([(0, self._read(clip)) for clip in source[i : i + BATCH]])
        return predictions

    def timeline(self, source: Any, window: float = 5.0, hop: float = 1.0) -> list[Prediction]:
        """Predict window by window; memory does not grow with the audio.

        Args:
            source: one clip of any length, at least 0.1 s, as in a call.
            window: length of a window, in s.
            hop: from the start of one window to the start of the next, in s.

        Returns:
            One prediction a window. The last window ends with the audio; audio shorter than a window gives one row.

        Raises:
            Wav2SmallError: as in a call, and if `window` or `hop` is out of range.
        """
        stream = self.stream(window, hop)
        rows: list[Prediction] = []
        seconds = 0.0
        for block in audio.stream_audio(source, self.sampling_rate):
            seconds += len(block) / self.sampling_rate
            rows += stream.push(block)
        self._check_length(source, seconds)
        return rows + stream.flush()

    def stream(self, window: float = 5.0, hop: float = 1.0, sampling_rate: int | None = None) -> Stream:
        """Start a stream for audio that arrives while it is spoken: `push` blocks, `flush` at the end.

        Args:
            window: length of a window, in s, at least 0.1.
            hop: from the start of one window to the start of the next, in s.
            sampling_rate: of the blocks, in Hz; `None` for the model's.
        """
        if not window >= LEAST_SECONDS:
            raise Wav2SmallError(f"window={window}: it must be at least {LEAST_SECONDS} s")
        if not hop * self.sampling_rate >= 1:
            raise Wav2SmallError(f"hop={hop}: it must be above 0 s")
        rate = self.sampling_rate
        buffer = WindowBuffer(round(window * rate), round(hop * rate), round(LEAST_SECONDS * rate))
        if sampling_rate in (None, rate):
            return Stream(self._predict, buffer, None)
        resampler = soxr.ResampleStream(sampling_rate, rate, 1, dtype="float32", quality="HQ")
        return Stream(self._predict, buffer, resampler.resample_chunk)

    def _read(self, source: Any) -> np.ndarray:
        waveform = audio.read_audio(source, self.sampling_rate, max_seconds=MAX_SECONDS)
        self._check_length(source, len(waveform) / self.sampling_rate)
        return waveform

    @staticmethod
    def _check_length(source: Any, seconds: float) -> None:
        if seconds < LEAST_SECONDS:
            raise Wav2SmallError(
                f"{audio.source_name(source)} is {seconds:.3f} s long: at least {LEAST_SECONDS} s are needed"
            )

    def mean(self, windows: list[Prediction]) -> Prediction:
        """Summarise a timeline in one prediction, with the affect word of the mean.

        Args:
            windows: predictions of one recording in order of time; at least one.

        Returns:
            The mean over all windows that are not silent (over all windows, if every one is silent), from the start of
            the first window to the end of the last.

        Raises:
            Wav2SmallError: if there are no windows.
        """
        if not windows:
            raise Wav2SmallError("a mean needs at least one window")
        voiced = [window for window in windows if not window.silent]
        averaged = voiced or windows
        arousal, dominance, valence = np.mean([window.as_array() for window in averaged], axis=0).tolist()
        word = self._word(arousal, valence, silent=not voiced)
        return Prediction(arousal, dominance, valence, windows[0].start, windows[-1].end, not voiced, word)

    def _predict(self, windows: Windows) -> list[Prediction]:
        """Predict (first sample, samples) windows: those of equal length together, for the file knows no padding."""
        groups: dict[int, list[int]] = defaultdict(list)
        for i, (_, samples) in enumerate(windows):
            groups[len(samples)].append(i)
        predictions: dict[int, Prediction] = {}
        for group in groups.values():
            for first in range(0, len(group), BATCH):
                members = group[first : first + BATCH]
                batch = np.stack([windows[i][1] for i in members])
                logits = self._session.run(["logits"], {"input_values": batch})[0]
                silent = np.ptp(batch, axis=1) <= SILENCE_RANGE
                for i, values, quiet in zip(members, logits.tolist(), silent.tolist(), strict=True):
                    start, end = windows[i][0], windows[i][0] + batch.shape[1]
                    arousal, dominance, valence = values
                    seconds = (start / self.sampling_rate, end / self.sampling_rate)
                    word = self._word(arousal, valence, quiet)
                    predictions[i] = Prediction(arousal, dominance, valence, *seconds, silent=quiet, word=word)
        return [predictions[i] for i in range(len(windows))]

    def _word(self, arousal: float, valence: float, silent: bool) -> str | None:
        if self.words is None:
            return None
        return words.SILENCE if silent else self.words(arousal, valence)
