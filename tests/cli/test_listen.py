"""`wav2small listen` with a microphone that is a recording, and `wav2small notice`."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import RATE, spoken
from typer.testing import CliRunner

import wav2small
from wav2small import Wav2SmallError
from wav2small.cli.listen import Line
from wav2small.cli.main import app

MICROPHONE = 48000  # Hz


class FakeStream:
    """Calls back with all blocks of a recording, then the user presses Ctrl-C."""

    opened = closed = 0

    def __init__(self, samplerate, blocksize, device, channels, dtype, callback):
        assert (samplerate, channels, dtype) == (MICROPHONE, 1, "float32")
        self.blocksize, self.callback = blocksize, callback

    def __enter__(self):
        type(self).opened += 1
        clip = np.concatenate([spoken(4, rate=MICROPHONE), np.zeros(MICROPHONE * 42 // 10, np.float32)])
        for i in range(0, len(clip), self.blocksize):
            self.callback(clip[i : i + self.blocksize, None], self.blocksize, None, None)
        return self

    def __exit__(self, *error):
        type(self).closed += 1


class StoppingQueue(list):
    def put(self, block):
        self.append(block)

    def get(self):
        if not self:
            raise KeyboardInterrupt
        return self.pop(0)


@pytest.fixture
def microphone(monkeypatch):
    def query_devices(device, kind):
        if device == "none":
            raise ValueError("No input device matching 'none'")
        return {"default_samplerate": float(MICROPHONE)}

    fake = SimpleNamespace(InputStream=FakeStream, query_devices=query_devices, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr("wav2small.cli.listen.queue", SimpleNamespace(Queue=StoppingQueue))


def test_the_microphone_gives_a_line_of_json_for_each_half_second_and_stops_cleanly(microphone):
    result = CliRunner().invoke(app, ["listen", "--json"])
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["end"] for row in rows] == [3 + i / 2 for i in range(11)]
    first = wav2small.load()((spoken(4, rate=MICROPHONE)[: 3 * MICROPHONE], MICROPHONE))
    assert rows[0]["arousal"] == pytest.approx(first.arousal, abs=0.02)
    assert rows[-1]["arousal"] is None and rows[-1]["word"] == "silence"
    assert FakeStream.opened == FakeStream.closed
    assert "Tell everybody who can be heard" in result.stderr


def test_the_line_of_the_terminal_shows_numbers_and_no_number_without_speech(microphone):
    shown = CliRunner().invoke(app, ["listen"]).stdout.split("\r")[1:]
    assert len(shown) == 11 and all(len(line.rstrip("\n")) == 79 for line in shown)
    assert all(f"  {name} " in shown[0] for name in "ADV") and "silence" in shown[-1]
    assert "#" not in shown[-1]


def test_the_line_holds_a_word_for_some_seconds():
    line = Line()
    words = ["calm"] * 4 + ["tense"] * 2 + ["calm"] * 4
    texts = [
        line.text(wav2small.Prediction(0.5, 0.5, 0.5, i / 2, i / 2 + 3, word=word)) for i, word in enumerate(words)
    ]
    assert all(text.endswith("calm") for text in texts)


def test_a_microphone_that_is_not_there_is_an_error_with_a_remedy(microphone):
    result = CliRunner().invoke(app, ["listen", "--device", "none"])
    assert isinstance(result.exception, Wav2SmallError) and "python -m sounddevice" in str(result.exception)


def test_the_notice_is_on_standard_output_and_the_law_beside_it():
    result = CliRunner().invoke(app, ["notice"])
    assert result.stdout.startswith("Notice: emotion recognition") and "[PURPOSE]" in result.stdout
    assert "Article 50(3)" in result.stderr and "not legal advice" in result.stderr
    assert max(map(len, result.output.splitlines())) <= 120


@pytest.mark.parametrize("form", ["column", "int16", "bytes", "list", "stereo"])
def test_a_stream_takes_what_microphones_give(form):
    clip = spoken(3)
    expected = wav2small.load()((clip, RATE))
    stream, rows = wav2small.load().stream(window=3), []
    for block in np.array_split(clip, 7):
        whole = (block * 32767).astype(np.int16)
        given = {
            "column": block[:, None], "int16": whole, "bytes": whole.tobytes(), "list": block.tolist(),
            "stereo": np.stack([block, block], axis=1),
        }[form]  # fmt: skip
        rows += stream.push(given, dtype="int16" if form == "bytes" else None)
    assert rows[0].as_array() == pytest.approx(expected.as_array(), abs=0.01)
    assert stream.flush() == []


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ([float("nan")], "NaN or infinite"),
        (b"abc", "do not say what they hold"),
        (np.zeros((2, 2, 2)), r"\(samples,\) or"),
        (["a"], "signed integers of 8, 16 or 32 bits"),
    ],
)
def test_a_block_that_is_no_sound_is_an_error(block, told):
    stream = wav2small.load().stream()
    with pytest.raises(Wav2SmallError, match=told):
        stream.push(block)


def test_a_stream_that_has_ended_and_a_rate_of_zero_are_errors():
    stream = wav2small.load().stream()
    stream.flush()
    with pytest.raises(Wav2SmallError, match="has ended"):
        stream.push(np.zeros(10))
    with pytest.raises(Wav2SmallError, match="3 bytes are no block of int16"):
        wav2small.load().stream().push(b"abc", dtype="int16")
    with pytest.raises(Wav2SmallError, match="sampling_rate=0"):
        wav2small.load().stream(sampling_rate=0)
