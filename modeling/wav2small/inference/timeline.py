"""Windows over audio that arrives in blocks of any size: long files and live microphones take the same way."""

from collections.abc import Callable

import numpy as np

Windows = list[tuple[int, np.ndarray]]  # (first sample of the window in the audio, samples)


class WindowBuffer:
    """Cuts a growing signal into windows that begin every `hop` samples, keeping no more than it still needs.

    The last window ends where the audio ends and is as long as the others, so it may begin between two hops; audio
    shorter than one window gives one window of its own length.

    Args:
        window: samples in a window.
        hop: samples from the start of one window to the start of the next.
        min_samples: samples below which audio is too short for a window.
    """

    def __init__(self, window: int, hop: int, min_samples: int):
        self.window, self.hop, self.min_samples = window, hop, min_samples
        self.samples = 0  # that have arrived
        self._next = 0  # where the next window begins
        self._covered = 0  # where the last window ended
        self._buffer = np.zeros(0, np.float32)

    @property
    def _origin(self) -> int:
        return self.samples - len(self._buffer)

    def push(self, block: np.ndarray) -> Windows:
        """Take the next samples; give the windows that are now complete."""
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
        """Give the window at the end, if audio is left that no window has covered."""
        if self._covered >= self.samples or self.samples < self.min_samples:
            return []
        self._covered = self.samples
        tail = self._buffer[-self.window :]
        return [(self.samples - len(tail), tail)]


class Stream:
    """A/D/V of audio while it arrives; made by `Predictor.stream`.

    Args:
        predict: turns windows into predictions.
        windows: cuts the audio into windows.
        resample: brings one block to the model's rate; called with `last=True` and no samples at the end.
    """

    def __init__(self, predict: Callable[[Windows], list], windows: WindowBuffer, resample: Callable | None):
        self._predict, self._windows, self._resample = predict, windows, resample

    def push(self, block: np.ndarray) -> list:
        """Take a mono block (samples,), float; return a prediction for each window that it completes."""
        block = np.asarray(block, np.float32)
        return self._predict(self._windows.push(self._resample(block) if self._resample else block))

    def flush(self) -> list:
        """End the stream: return the prediction of the audio that no window has covered yet."""
        rest = np.zeros(0, np.float32)
        windows = self._windows.push(self._resample(rest, last=True)) if self._resample else []
        return self._predict(windows + self._windows.flush())
