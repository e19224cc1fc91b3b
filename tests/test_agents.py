"""The examples for voice agents, on a recorded call: the language model is told how each turn of the user sounded."""

import asyncio
import importlib.util
import sys

import pytest
from conftest import ROOT

import wav2small

TURNS = ["Der Lappen liegt auf dem Eisschrank.", "Heute abend könnte ich es ihm sagen."]


def load_example(path: str):
    spec = importlib.util.spec_from_file_location(path.rpartition("/")[2], ROOT / "examples" / f"{path}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    folder = tmp_path_factory.mktemp("call")
    load_example("call").main(folder)
    return folder


def expected_sentences(call):
    """What a library's user would get for the actor's turns, from the transcript."""
    turns = [one for one in wav2small.read_segments(call / "call.srt") if one.speaker == "Actor"]
    return wav2small.load().segments(wav2small.Channel(str(call / "call.flac"), 1), turns)


def test_pipecat_gets_a_frame_and_a_sentence_for_each_turn(call, capsys):
    pytest.importorskip("pipecat", reason="needs the extra [agents]: make test-agents")
    example = load_example("agents/pipecat_affect")
    asyncio.run(example.main(str(call / "call.flac")))
    printed = capsys.readouterr().out.splitlines()
    predictions, messages = printed[::2], printed[1::2]
    assert len(predictions) == len(messages) == len(expected_sentences(call)) == 3
    for prediction, message, row in zip(predictions, messages, expected_sentences(call), strict=True):
        arousal = float(prediction.split("arousal ")[1].split(",")[0])
        assert arousal == pytest.approx(row.arousal, abs=0.15), "not the turn of the actor"
        assert "'role': 'system'" in message and "compared with ordinary speech" in message


def test_livekit_tells_the_language_model_how_each_turn_sounded(call, capsys):
    pytest.importorskip("livekit.agents", reason="needs the extra [agents]: make test-agents")
    example = load_example("agents/livekit_affect")
    asyncio.run(example.main(str(call / "call.flac"), str(call / "call.srt")))
    printed = capsys.readouterr().out.splitlines()
    assert printed[::2] == [f"user: {TURNS[i]}" for i in (0, 1, 0)]
    assert all(line.startswith("system: ") and "compared with ordinary speech" in line for line in printed[1::2])
