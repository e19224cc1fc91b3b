"""Windows are the same however the audio arrives, cover all of it, and nothing piles up."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wav2small.inference.timeline import WindowBuffer

lengths = st.integers(0, 400)


def slice_all(signal: np.ndarray, cuts: list[int], window: int, hop: int, min_samples: int = 1) -> list:
    slicer = WindowBuffer(window, hop, min_samples)
    windows, position = [], 0
    for cut in [*cuts, len(signal)]:
        windows += slicer.push(signal[position : position + cut])
        position += cut
        assert len(slicer._buffer) <= max(window, 1) + hop, "the buffer keeps more than it needs"
    return windows + slicer.flush()


@settings(deadline=None, max_examples=300)
@given(
    samples=lengths, cuts=st.lists(st.integers(0, 60), max_size=12), window=st.integers(1, 90), hop=st.integers(1, 90)
)
@example(samples=100, cuts=[], window=10, hop=90)
def test_blocks_of_any_size_give_the_windows_of_the_whole(samples, cuts, window, hop):
    signal = np.arange(samples, dtype=np.float32)
    expected = [(i, signal[i : i + window]) for i in range(0, samples - window + 1, hop)]
    found = slice_all(signal, cuts, window, hop)
    assert len(found) - len(expected) in (0, 1)
    for (start, values), (wanted, part) in zip(found, expected, strict=False):
        assert start == wanted
        np.testing.assert_array_equal(values, part)
    for start, values in found:
        np.testing.assert_array_equal(values, signal[start : start + len(values)])


@settings(deadline=None)
@given(samples=st.integers(1, 400), window=st.integers(1, 90), hop=st.integers(1, 90))
def test_the_last_window_ends_with_the_audio_and_is_full(samples, window, hop):
    start, values = slice_all(np.zeros(samples, np.float32), [], window, hop)[-1]
    assert start + len(values) == samples
    assert len(values) == min(window, samples)


def test_audio_below_the_least_length_gives_no_window():
    assert slice_all(np.zeros(9, np.float32), [], window=50, hop=10, min_samples=10) == []
