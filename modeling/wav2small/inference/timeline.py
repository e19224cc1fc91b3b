"""Windows over audio that arrives in blocks of any size: the same code serves long files and live microphones."""

from collections.abc import Callable

import numpy as np
import soxr

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

    def push(self, block: np.ndarray) -> list[Prediction]:
        """Take a mono block (samples,), float in -1..1; return a prediction for each window that it completes."""
        block = np.asarray(block, np.float32)
        if self._resampler is not None:
            block = self._resampler.resample_chunk(block)
        return self._predict(self._windows.push(block))

    def flush(self) -> list[Prediction]:
        """End the stream; return the prediction for the last samples, if no window has covered them yet."""
        windows: Windows = []
        if self._resampler is not None:
            windows = self._windows.push(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        return self._predict(windows + self._windows.flush())
