"""The predictor predicts what the model predicts, from any kind of source, without torch."""

import io
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, spoken

import wav2small
from wav2small import Prediction, Wav2SmallError
from wav2small.bundled import BUNDLED, DEFAULT, bundled_checkpoints
from wav2small.checkpoint import load_checkpoint
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallWarning


@pytest.fixture(scope="module")
def predictor():
    return wav2small.load()


def same(one: Prediction, other: Prediction, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(one.as_array(), other.as_array(), atol=tolerance)


@pytest.mark.parametrize("name", bundled_checkpoints())
@pytest.mark.parametrize("samples", [1600, 1601, 12345, 80000, 960000])
def test_a_bundled_onnx_file_predicts_what_the_model_predicts(name, samples):
    waveform = np.tile(spoken(5, seed=samples), 12)[:samples]
    model, predictor = load_checkpoint(name), wav2small.load(name)
    with torch.no_grad():
        expected = model(torch.from_numpy(waveform)[None]).logits[0].numpy()
    np.testing.assert_allclose(predictor.logits((waveform, RATE)), expected, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [("q8", 0.02), ("q4", 0.1)])
def test_the_quantized_files_predict_nearly_the_same(predictor, dtype, tolerance, examples):
    quantized = wav2small.load(dtype=dtype)
    assert quantized.file.stat().st_size < predictor.file.stat().st_size / 3
    for path in sorted(examples.glob("*.flac")):
        same(quantized(path), predictor(path), tolerance)


def test_a_bundled_checkpoint_is_loaded_by_its_name_and_the_default_one_without(tmp_path, monkeypatch):
    assert next(iter(bundled_checkpoints())) == DEFAULT
    for name, folder in bundled_checkpoints().items():
        assert wav2small.load(name).file == wav2small.load(folder).file == folder / "onnx" / "model.onnx"
    assert wav2small.load().file.is_relative_to(BUNDLED)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BUNDLED, tmp_path / DEFAULT)
    assert wav2small.load(DEFAULT).file.resolve().is_relative_to(tmp_path), "a folder of that name comes first"


def test_a_prediction_converts_to_a_dict_and_an_array(predictor, wav):
    prediction = predictor(wav)
    assert prediction.as_array().tolist() == pytest.approx(
        [prediction.arousal, prediction.dominance, prediction.valence]
    )
    assert prediction.as_dict() == {
        "arousal": prediction.arousal,
        "dominance": prediction.dominance,
        "valence": prediction.valence,
        "start": 0.0,
        "end": 1.5,
        "speech": prediction.speech,
        "word": prediction.word,
        **{f"{name}_{end}": prediction.interval(name)[i] for name in LABELS for i, end in enumerate(("low", "high"))},
        "uncertain": False,
    }


def test_every_kind_of_source_gives_the_same_prediction(predictor, wav):
    waveform, rate = soundfile.read(wav, dtype="float32")
    for source in (str(wav), wav.read_bytes(), io.BytesIO(wav.read_bytes()), (waveform, rate)):
        same(predictor(source), predictor(wav))


def test_a_list_of_clips_gives_their_predictions_in_order(predictor):
    clips = [(spoken(seconds, seed=i), RATE) for i, seconds in enumerate([1, 2, 1, 0.5, 2, 1] * 4)]
    predictions = predictor(clips)
    assert len(predictions) == len(clips)
    for clip, prediction in zip(clips, predictions, strict=True):
        same(predictor(clip), prediction)
    assert predictor([]) == []


def test_threads_that_share_a_predictor_get_the_predictions_of_their_own_clips(predictor):
    clips = [(spoken(1 + i / 10, seed=i), RATE) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        predictions = list(pool.map(predictor, clips))
    for clip, prediction in zip(clips, predictions, strict=True):
        same(predictor(clip), prediction)


def test_silence_and_noise_have_a_word_and_no_numbers(predictor, examples):
    dither = np.random.default_rng(0).choice([-1, 0, 1], RATE) / 32768
    for quiet in (np.zeros(RATE), np.full(RATE, 0.25), dither):
        prediction = predictor((quiet, RATE))
        assert (prediction.word, prediction.speech) == ("silence", 0) and np.isnan(prediction.as_array()).all()
        assert prediction.as_dict()["valence"] is None and not prediction.spoken
    noise = predictor(examples / "rain_esc10.flac")
    assert noise.word == "no speech" and noise.speech < 0.1 and np.isnan(noise.as_array()).all()
    assert noise.describe() == "Nobody speaks in the recording."
    assert predictor((spoken(1) / 100, RATE)).spoken, "a quiet voice is a voice"


def test_real_noises_rarely_get_an_emotion_word(predictor, speech):
    files = sorted((speech / "noise").glob("*.flac"))
    assert sum(one.spoken for one in predictor(files)) < 0.05 * len(files)


def write_network_of_level(folder):
    """A checkpoint whose network has the mean of the magnitudes as its share of speech, and .5 three times."""
    onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
    from onnx import TensorProto, helper

    (folder / "onnx").mkdir(parents=True)
    shutil.copy(BUNDLED / "config.json", folder)
    half = helper.make_tensor("half", TensorProto.FLOAT, [1, 3], [0.5] * 3)
    nodes = [
        helper.make_node("Abs", ["input_values"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["speech"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["speech", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "half"], ["logits"]),
    ]
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    inputs = [helper.make_tensor_value_info("input_values", TensorProto.FLOAT, ["batch", "samples"])]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("logits", 3), ("speech", 1))
    ]
    graph = helper.make_graph(nodes, "level", inputs, outputs, [half, zero])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        folder / "onnx" / "model.onnx",
    )
    return folder


def test_a_network_that_predicts_speech_needs_no_detector(tmp_path, monkeypatch):
    monkeypatch.setattr("wav2small.inference.predictor.has_silero", lambda: False)
    predictor = wav2small.load(write_network_of_level(tmp_path / "network"))
    monkeypatch.setattr(predictor, "_detect", None)
    loud, quiet = predictor([(np.full(RATE, 0.5) * np.sign(np.sin(np.arange(RATE))), RATE), (0.01 * spoken(1), RATE)])
    assert loud.speech == pytest.approx(0.5, abs=0.01) and loud.as_array() == pytest.approx([0.5] * 3, abs=0.01)
    assert quiet.speech < 0.1 and quiet.word == "no speech"


def test_less_than_half_a_second_of_speech_is_uncertain(predictor):
    assert predictor((spoken(0.4), RATE)).uncertain
    assert not predictor((spoken(2), RATE)).uncertain
    assert str(predictor((spoken(0.4), RATE))).endswith("uncertain")


def test_a_clip_that_is_too_short_or_too_long_is_an_error_that_names_it(predictor, tmp_path):
    path = tmp_path / "blink.wav"
    soundfile.write(path, spoken(0.099), RATE)
    for call in (predictor, predictor.timeline):
        with pytest.raises(Wav2SmallError, match=r"blink.wav is 0.099 s long: at least 0.1 s"):
            call(path)
    with pytest.raises(Wav2SmallError, match="longer than 10 minutes: cut it or predict a timeline"):
        predictor((np.zeros(601 * 8000, np.int16), 8000))
    assert predictor((spoken(0.1), RATE)).end == pytest.approx(0.1)


def test_long_clips_share_no_forward_pass_and_windows_one_of_at_most_a_minute(predictor, monkeypatch):
    passes = []
    run = type(predictor)._run
    monkeypatch.setattr(type(predictor), "_run", lambda self, batch: passes.append(batch.shape) or run(self, batch))
    predictor([(spoken(seconds), RATE) for seconds in (70, 70, 2, 2)])
    predictor.timeline((spoken(45), RATE), window=25, hop=2)
    assert (2, 2 * RATE) in passes and (1, 70 * RATE) in passes and (2, 25 * RATE) in passes
    assert max(clips * samples for clips, samples in passes if clips > 1) <= 60 * RATE


def test_a_quiet_recording_gives_a_warning_and_its_prediction(predictor):
    samples = spoken(2)
    quiet = 2e-3 * samples / np.abs(samples).max()
    with pytest.warns(Wav2SmallWarning, match="stays below -60 dB: it may sound otherwise when it is louder"):
        assert predictor((quiet, RATE)).spoken
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor((samples, RATE))


@pytest.mark.parametrize("rate", [0, -1, 1, 16000.5, 2**31, float("nan"), "16000"])
def test_a_stream_of_an_absurd_rate_is_refused(predictor, rate):
    with pytest.raises(Wav2SmallError, match=r"it must be a whole number from 1000 to 768000 Hz"):
        predictor.stream(2, 1, rate)


def test_a_timeline_holds_the_predictions_of_its_windows(predictor):
    waveform = spoken(9.3)
    rows = predictor.timeline((waveform, RATE), window=3, hop=2)
    assert [(row.start, row.end) for row in rows] == [(0, 3), (2, 5), (4, 7), (6, 9), (6.3, 9.3)]
    for row in rows:
        same(row, predictor((waveform[round(row.start * RATE) : round(row.end * RATE)], RATE)))


def test_the_mean_of_a_timeline_leaves_silent_windows_out_and_has_the_word_of_the_mean(predictor):
    clip = np.concatenate([spoken(4), np.zeros(2 * RATE, np.float32)])
    windows = predictor.timeline((clip, RATE), window=2, hop=2)
    mean = predictor.mean(windows)
    assert [window.spoken for window in windows] == [True, True, False]
    np.testing.assert_allclose(mean.as_array(), (windows[0].as_array() + windows[1].as_array()) / 2, atol=1e-6)
    assert (mean.start, mean.end, mean.spoken) == (0, 6, True)
    assert mean.word == predictor.words(mean.arousal, mean.valence)
    silent = predictor.mean(windows[2:])
    assert not silent.spoken and silent.word == "silence"
    with pytest.raises(Wav2SmallError, match="at least one window"):
        predictor.mean([])


def test_audio_shorter_than_a_window_has_a_timeline_of_one_row(predictor):
    clip = (spoken(1.2), RATE)
    (row,) = predictor.timeline(clip)
    assert row == predictor(clip)


@pytest.mark.parametrize("block", [160, 4800, 100000])
def test_a_stream_gives_the_predictions_of_a_timeline(predictor, block):
    waveform = spoken(7.1)
    stream = predictor.stream(window=2, hop=0.5)
    rows = [row for i in range(0, len(waveform), block) for row in stream.push(waveform[i : i + block])]
    assert rows, "a stream predicts before it ends"
    rows += stream.flush()
    expected = predictor.timeline((waveform, RATE), window=2, hop=0.5)
    assert [(row.start, row.end) for row in rows] == [(row.start, row.end) for row in expected]
    for row, other in zip(rows, expected, strict=True):
        same(row, other)


def test_a_stream_of_another_rate_gives_the_predictions_of_the_file(predictor):
    waveform = spoken(4, rate=48000)
    stream = predictor.stream(window=2, hop=1, sampling_rate=48000)
    rows = [row for i in range(0, len(waveform), 4800) for row in stream.push(waveform[i : i + 4800])] + stream.flush()
    expected = predictor.timeline((waveform, 48000), window=2, hop=1)
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        same(row, other, tolerance=1e-3)


@pytest.mark.parametrize("setting", [{"window": 0.05}, {"window": float("nan")}, {"hop": 0}, {"hop": -1}])
def test_a_wrong_window_or_hop_is_an_error_that_names_it(predictor, setting):
    (name,) = setting
    with pytest.raises(Wav2SmallError, match=f"{name}="):
        predictor.timeline((spoken(1), RATE), **setting)


MEMORY = """
import resource, sys, wav2small
predictor = wav2small.load()
predictor.timeline(sys.argv[1], hop=5)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_length_of_a_timeline(tmp_path):
    peaks = []
    for minutes in (1, 20):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for i in range(minutes):
                file.write(np.tile(spoken(5, seed=i), 12))
        done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    whole_file_mb = 20 * 60 * RATE * 4 / 2**20
    assert peaks[1] - peaks[0] < whole_file_mb / 4, f"{peaks} MB"


def test_telemetry_is_off_and_no_file_is_left_behind(wav, tmp_path):
    code = f"import wav2small; wav2small.load()({str(wav)!r}); import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={**environment, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.strip() == "1"
    assert not [path for path in tmp_path.rglob("*") if path != wav and path.is_file()]


def test_a_prediction_imports_neither_torch_nor_transformers(wav):
    code = (
        f"import sys, wav2small; wav2small.load()({str(wav)!r}); "
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("no/such/folder", "neither a folder nor an id"),
        ("./nowhere", "neither a folder nor an id"),
        (
            "wav2small-72",
            f"nor the name of a bundled checkpoint .{', '.join(bundled_checkpoints())}.$",
        ),
        ("nobody/nothing", "cannot be loaded from the Hub"),
    ],
)
def test_a_checkpoint_that_cannot_be_found_is_an_error_of_one_sentence(source, told):
    with pytest.raises(Wav2SmallError, match=told) as error:
        wav2small.load(source)
    assert "\n" not in str(error.value)


def broken_checkpoint(folder, **files):
    (folder / "onnx").mkdir(parents=True)
    for name, content in {"config.json": (BUNDLED / "config.json").read_text(), "onnx/model.onnx": "", **files}.items():
        if content is not None:
            (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"config.json": None}, "has no config.json"),
        ({"onnx/model.onnx": None}, "has no onnx/model.onnx"),
        ({"config.json": "{"}, "does not belong to a wav2small checkpoint"),
        ({"config.json": '{"sampling_rate": 16000}'}, "does not belong to a wav2small checkpoint"),
        ({"config.json": '{"sampling_rate": 16000, "id2label": {"0": "angry", "1": "sad", "2": "calm"}}'}, "labels"),
        ({}, "is not an ONNX model"),
    ],
)
def test_a_broken_checkpoint_is_an_error_that_names_the_file(tmp_path, files, told):
    with pytest.raises(Wav2SmallError, match=told):
        wav2small.load(broken_checkpoint(tmp_path / "broken", **files))


def test_an_unknown_dtype_is_an_error_that_names_it():
    with pytest.raises(Wav2SmallError, match="dtype='int3'"):
        wav2small.load(dtype="int3")
