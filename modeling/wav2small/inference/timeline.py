"""Windows over audio that arrives in blocks of any size: the same code serves long files and live microphones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import soxr

from ..models.audio import as_floats, check_loudness
from ..models.errors import Wav2SmallError
from .prediction import Prediction

Windows = list[tuple[int, np.ndarray]]  # (first sample of the window in the audio, samples)


class WindowBuffer:
    """Cuts a growing signal into windows that begin every `hop` samples; keeps only the samples it still needs.

    The last window ends where the audio ends and is as long as the others, so it may begin between two hops; audio
    shorter than one window gives one window of its own length.

    Args:
        window: samples in a window.
        hop: samples from the start of one window to the start of the next.
        min_samples: audio with fewer samples than this gives no window.

    Examples:
        >>> buffer = WindowBuffer(window=4, hop=2, min_samples=1)
        >>> [(start, len(samples)) for start, samples in buffer.push(np.zeros(7))]
        [(0, 4), (2, 4)]
        >>> [(start, len(samples)) for start, samples in buffer.flush()]
        [(3, 4)]
    """

    def __init__(self, window: int, hop: int, min_samples: int):
        self.window, self.hop, self.min_samples = window, hop, min_samples
        self.samples = 0  # received so far
        self._next = 0  # first sample of the next window
        self._covered = 0  # end of the last window
        self._buffer = np.zeros(0, np.float32)

    @property
    def _origin(self) -> int:
        return self.samples - len(self._buffer)

    def push(self, block: np.ndarray) -> Windows:
        """Take the next samples (samples,); return the windows that are now complete."""
        self._buffer = np.concatenate([self._buffer, block])
        self.samples += len(block)
        windows = []
        while self._next + self.window <= self.samples:
            begin = self._next - self._origin
            windows.append((self._next, self._buffer[begin : begin + self.window]))
            self._covered = self._next + self.window
            self._next += self.hop
        keep = max(0, min(self._next, self.samples - self.window))  # for the next window, and for the last one
        self._buffer = self._buffer[keep - self._origin :]
        return windows

    def flush(self) -> Windows:
        """Return the window at the end, if no window has covered the last samples yet."""
        if self._covered >= self.samples or self.samples < self.min_samples:
            return []
        self._covered = self.samples
        tail = self._buffer[-self.window :]
        return [(self.samples - len(tail), tail)]


def mono_block(block: Any, dtype: str | None) -> np.ndarray:
    """A block of a microphone as (samples,) float32; arguments and errors are those of `Stream.push`."""
    if isinstance(block, bytes | bytearray | memoryview):
        if dtype is None:
            raise Wav2SmallError('bytes do not say what they hold: name it, as in push(block, dtype="int16")')
        try:
            block = np.frombuffer(block, dtype)
        except (TypeError, ValueError) as error:
            raise Wav2SmallError(f"{len(block)} bytes are no block of {dtype} ({error})") from None
    array = np.asarray(block)
    if array.ndim not in (1, 2):
        raise Wav2SmallError(f"a block must be (samples,) or (samples, channels), not {array.shape}")
    samples = as_floats(array).reshape(len(array), -1).mean(axis=1) if array.size else np.zeros(0, np.float32)
    check_loudness(samples, "a block")
    if not np.isfinite(samples).all():
        raise Wav2SmallError("a block holds NaN or infinite samples: clean it first")
    return samples


class Stream:
    """Predictions for audio that is still arriving; made by `Predictor.stream`.

    Args:
        predict: turns windows into predictions.
        windows: cuts the audio into windows.
        resampler: converts a block to the model's sampling rate; `None` if the blocks already have it.
    """

    def __init__(
        self,
        predict: Callable[[Windows], list[Prediction]],
        windows: WindowBuffer,
        resampler: soxr.ResampleStream | None,
    ):
        self._predict, self._windows, self._resampler = predict, windows, resampler
        self._ended = False

    def push(self, block: Any, dtype: str | None = None) -> list[Prediction]:
        """Take the next block of any size, as a microphone gives it.

        Args:
            block: (samples,) or (samples, channels), floats in -1..1 or integers; or bytes of one channel.
            dtype: numpy's name of the type of the samples in bytes, such as "int16" or "float32".

        Returns:
            A prediction for each window that the block completes.

        Raises:
            Wav2SmallError: if the stream has ended, or the block is no sound.
        """
        if self._ended:
            raise Wav2SmallError("this stream has ended: start another one")
        samples = mono_block(block, dtype)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return self._predict(self._windows.push(samples))

    def flush(self) -> list[Prediction]:
        """End the stream; return the prediction for the last samples, if no window has covered them yet."""
        if self._ended:
            return []
        self._ended = True
        windows: Windows = []
        if self._resampler is not None:
            windows = self._windows.push(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        return self._predict(windows + self._windows.flush())
