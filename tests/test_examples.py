"""The example recordings are those of the rule, credited, small, and on the right side of ordinary speech."""

import re
import sys

import pytest
import soundfile
from conftest import RATE, ROOT

import wav2small
from wav2small.bundled import DEFAULT
from wav2small.models.audio import read_audio

sys.path.insert(0, str(ROOT / "examples"))
import choose

FILES = sorted(path.name for path in (ROOT / "examples").glob("*.flac"))
ACTED = {"anger_emodb14": 1, "joy_emodb15": 1, "sadness_emodb14": -1}  # above or below; neutral is the middle


@pytest.mark.parametrize("example", choose.EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_the_recording_that_the_rule_chooses_unchanged(example, speech, examples):
    source = choose.choose(example, speech)
    readme = (examples / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {example.name} \| {example.corpus}/{source.stem} \| .+ \| .+ \|$", readme, re.MULTILINE)
    samples, rate = soundfile.read(examples / example.name, dtype="float32")
    assert rate == RATE and samples == pytest.approx(read_audio(source, RATE), abs=1 / 32768)


def test_all_examples_follow_the_rule_are_small_and_are_those_of_the_page(examples):
    assert sorted([example.name for example in choose.EXAMPLES] + ["silence.flac"]) == FILES
    assert sum((examples / name).stat().st_size for name in FILES) < 1_500_000
    copies = ROOT / "space" / "wav2small_demo" / "examples"
    for name in FILES:
        assert (copies / name).read_bytes() == (examples / name).read_bytes()


@pytest.mark.parametrize(("name", "side"), ACTED.items())
def test_arousal_of_an_acted_example_is_on_the_right_side_of_ordinary_speech(name, side, examples):
    predictor = wav2small.load()
    middle = sum(predictor.words.arousal) / 2
    arousal = predictor(examples / f"{name}.flac").arousal
    assert side * (arousal - middle) > 0, f"{DEFAULT} hears arousal {arousal:.2f}"
