"""Killed at any moment, a command leaves what was there, or what it was asked for, and never a half of it."""

import csv
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken
from processes import Running, command

import wav2small
from wav2small.bundled import BUNDLED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLS = 12


def kill_after(seconds: float, *arguments: object) -> bool:
    """Start a command and kill it after some seconds; gives whether it was still at work."""
    running = Running(command, *arguments)
    end = time.monotonic() + seconds
    while time.monotonic() < end and running.processes[0].is_alive():
        time.sleep(0.02)
    alive = running.processes[0].is_alive()
    running._kill()
    return alive


def duration(*arguments: object) -> float:
    """How long a command takes when nobody kills it."""
    start = time.monotonic()
    Running(command, *arguments).finish()
    return time.monotonic() - start


def test_a_table_is_whole_whenever_the_prediction_is_killed(tmp_path):
    for i in range(20):
        soundfile.write(tmp_path / f"{i:02}.flac", spoken(3, seed=i), RATE)
    out = tmp_path / "out.csv"
    seconds = min(duration("predict", tmp_path, "-o", out) for _ in range(2))
    whole, killed = out.read_bytes(), 0
    for moment in np.random.default_rng(0).uniform(0.1, 1.0, KILLS):
        out.write_text("what was there")
        killed += kill_after(moment * seconds, "predict", tmp_path, "-o", out)
        assert out.read_bytes() in (b"what was there", whole)
        if out.read_bytes() == whole:
            assert len(list(csv.reader(out.open()))) == 21
    assert killed, "each of them had ended before"


@pytest.mark.export
def test_a_checkpoint_predicts_and_can_be_published_whenever_its_export_was_killed(tmp_path):
    pytest.importorskip("onnx", reason="the extra [export]")
    from wav2small_training.hub import validate

    source = shutil.copytree(BUNDLED, tmp_path / "mine", ignore=shutil.ignore_patterns("*_q4.onnx", "__pycache__"))
    expected = wav2small.load(source, dtype="q8").logits((spoken(1), RATE))
    seconds = duration("export", source, source)
    for i, moment in enumerate(np.random.default_rng(1).uniform(0.4, 1.0, KILLS // 3)):
        kill_after(moment * seconds, "export", source, source)
        for dtype in ("fp32", "q8"):
            found = wav2small.load(source, dtype=dtype).logits((spoken(1), RATE))
            np.testing.assert_allclose(found, expected, atol=0.05)
        staged = tmp_path / f"staged{i}"
        staged.mkdir()
        validate.stage(Path(source), staged)
        assert not list(staged.rglob(".*"))
