"""The npm package in web/: what Python predicts, under Node and Deno."""

import gzip
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


COMMANDS = {"node": ["node"], "deno": ["deno", "run", "--allow-read"]}


def predicted(samples: np.ndarray, rate: float, pieces: int = 3, runtime: str = "node") -> list:
    """For each file: the prediction of a clip and of a stream; then the length at 8000 Hz."""
    program, *options = COMMANDS[runtime]
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program}: it is in the npm package of this name, or install Debian's")
    values = [float(each) if np.isfinite(each) else "NaN" for each in samples]
    done = subprocess.run(
        [found, *options, ROOT / "tests" / "web" / "package_check.mjs"],
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
@pytest.mark.parametrize("seconds", [0.5, 60])
@pytest.mark.parametrize("runtime", ["node", "deno"])
def test_it_predicts_what_python_predicts(examples, name, rate, seconds, runtime):
    samples, own_rate = soundfile.read(examples / name, dtype="float32")
    samples = soxr.resample(samples[4000 : 4000 + round(seconds * own_rate)], own_rate, rate)
    plain, stream, simd, stream_simd, small, _, resampled = predicted(samples, rate, runtime=runtime)
    assert abs(resampled - len(samples) * 8000 / rate) <= 1
    for bits, prediction in (("q8", plain), ("q8", simd), ("q4", small)):
        expected = wav2small.load(dtype=bits)((samples, rate))
        np.testing.assert_allclose(numbers(prediction), [getattr(expected, each) for each in NAMES], rtol=0, atol=1e-3)
    np.testing.assert_allclose(numbers(stream_simd), numbers(stream), rtol=0, atol=1e-4)
    if seconds > 1:  # a shorter clip is repeated, a stream is not
        np.testing.assert_allclose(numbers(stream), numbers(plain), rtol=0, atol=0.2)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_a_stream_does_not_depend_on_its_pieces(rate):
    samples = voice_like(3 * rate / 16000)
    whole, pieces = (predicted(samples, rate, count) for count in (1, 97))
    np.testing.assert_allclose(numbers(whole[1]), numbers(pieces[1]), rtol=0, atol=1e-6)


def test_where_nobody_speaks_there_are_no_numbers():
    silent, *_ = predicted(np.full(16000, 0.25), 16000)
    assert numbers(silent) == [None] * 3 and silent["speech"] == 0


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
    (answer,) = predicted(change(voice_like(1)), rate)
    assert answer["error"] == "RangeError" and remedy in answer["message"]


def test_the_package_is_small_and_names_its_files():
    package = json.loads((WEB / "package.json").read_text())
    assert all((WEB / name).is_file() for name in package["files"])
    assert all((WEB / name).stat().st_size <= 100_000 for name in package["files"])
    assert len(gzip.compress((WEB / "wav2small-q4.wasm").read_bytes())) <= 60_000
