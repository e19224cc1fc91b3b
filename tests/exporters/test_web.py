"""The npm package in web/: what Python predicts, under Node."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import soxr
from conftest import ROOT, voice_like

import wav2small

WEB = ROOT / "web"
NAMES = ("arousal", "dominance", "valence")


def under_node(samples: np.ndarray, rate: float, pieces: int = 3) -> list:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: nothing runs JavaScript here")
    values = [float(each) if np.isfinite(each) else "NaN" for each in samples]
    done = subprocess.run(
        [node, ROOT / "tests" / "web" / "package_check.mjs"],
        input=json.dumps({"samples": values, "rate": rate, "pieces": pieces}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def numbers(prediction: dict) -> list[float]:
    return [prediction[name] for name in NAMES]


@pytest.mark.parametrize("name", ["anger_emodb14.flac", "woman_libri1183.flac"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_node_predicts_what_python_predicts(examples, name, rate):
    samples, own_rate = soundfile.read(examples / name, dtype="float32")
    samples = soxr.resample(samples, own_rate, rate)
    expected = wav2small.load("wav2small-72k")((samples, rate))
    plain, stream, simd, stream_simd, resampled = under_node(samples, rate)
    assert abs(resampled - len(samples) * 8000 / rate) <= 1
    np.testing.assert_allclose(numbers(plain), [getattr(expected, each) for each in NAMES], rtol=0, atol=4e-3)
    np.testing.assert_allclose(numbers(simd), numbers(plain), rtol=0, atol=1e-4)
    np.testing.assert_allclose(numbers(stream_simd), numbers(stream), rtol=0, atol=1e-4)
    np.testing.assert_allclose(numbers(stream), numbers(plain), rtol=0, atol=0.2)


@pytest.mark.parametrize(
    ("change", "rate", "remedy"),
    [
        (lambda x: x, 0, "pass the sampling rate in Hz"),
        (lambda x: x, 1e9, "pass the sampling rate in Hz"),
        (lambda x: x[:0], 16000, "too few samples"),
        (lambda x: np.where(np.arange(len(x)) == 7, np.nan, x), 16000, "a sample is NaN"),
    ],
)
def test_bad_input_throws_with_the_remedy(change, rate, remedy):
    (answer,) = under_node(change(voice_like(1)), rate)
    assert answer["error"] == "RangeError" and remedy in answer["message"]


def test_the_package_is_small_and_names_its_files():
    package = json.loads((WEB / "package.json").read_text())
    assert all((WEB / name).is_file() for name in package["files"])
    assert all((WEB / name).stat().st_size <= 100_000 for name in package["files"])
