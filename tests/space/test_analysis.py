"""What the tabs compute: predictions of short, long and live audio, with one or several models."""

import re
import shutil

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken

pytest.importorskip("gradio", reason="the demo needs the extra [space]")

import wav2small
from wav2small import Wav2SmallError
from wav2small.bundled import BUNDLED, DEFAULT
from wav2small_demo import analysis, api, compare, listen, live, models, named_model, recording


@pytest.fixture(scope="module")
def predictor():
    return wav2small.load()


def test_a_recording_up_to_10_s_has_the_prediction_of_the_library(predictor, examples):
    result = analysis.analyse(predictor, examples / "anger_emodb14.flac", "anger_emodb14.flac")
    assert result.whole.as_array() == pytest.approx(predictor(examples / "anger_emodb14.flac").as_array(), abs=1e-5)
    assert result.windows == [] and result.heard == "speech"


def test_a_longer_recording_has_the_mean_of_the_librarys_timeline(predictor, examples):
    result = analysis.analyse(predictor, examples / "man_libri1235.flac", "news")
    expected = np.mean([window.as_array() for window in predictor.timeline(examples / "man_libri1235.flac")], axis=0)
    assert result.whole.as_array() == pytest.approx(expected, abs=1e-4)
    assert (result.whole.start, result.whole.end) == (0, pytest.approx(result.seconds, abs=0.01))


def test_silence_takes_no_part_in_the_mean_of_a_long_recording(predictor):
    samples = spoken(11)
    whole, _ = analysis.predict(predictor, samples)
    with_pause, windows = analysis.predict(predictor, np.concatenate([samples, np.zeros(20 * RATE, np.float32)]))
    audible = [window for window in windows if window.spoken]
    assert len(audible) < len(windows)
    expected = np.mean([window.as_array() for window in audible], axis=0)
    assert with_pause.as_array() == pytest.approx(expected, abs=1e-5)
    assert with_pause.spoken and whole.end < with_pause.end


def test_ten_minutes_have_at_most_120_windows(predictor):
    whole, windows = analysis.predict(predictor, np.tile(spoken(20), 30))
    assert 100 <= len(windows) <= analysis.MAX_WINDOWS
    assert whole.end == pytest.approx(600, abs=0.1)


def test_silence_and_steady_noise_are_told_from_speech(predictor, examples):
    names = ("silence", "rain_esc10", "woman_libri1183")
    found = {name: analysis.analyse(predictor, examples / f"{name}.flac", name) for name in names}
    assert {name: one.heard for name, one in found.items()} == {
        "silence": "silence",
        "rain_esc10": "no speech",
        "woman_libri1183": "speech",
    }
    assert found["rain_esc10"].as_dict()["arousal"] is None


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.txt", b"hello", "text.txt is not readable audio"),
        ("empty.wav", b"", r"^empty.wav is empty \(0 bytes\)"),
        ("missing.wav", None, "^missing.wav: no such file"),
    ],
)
def test_an_error_names_the_file_as_its_owner_does_and_not_its_folder(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Wav2SmallError, match=reason) as error:
        recording.read(tmp_path / name, name)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize(
    ("name", "samples", "rate", "reason"),
    [
        ("long.flac", 601 * RATE, RATE, "long.flac is longer than 10 minutes"),
        ("large.wav", 27 * 2**20, 48000, "large.wav is larger than 50 MB"),
        ("short.wav", 100, RATE, "short.wav is 0.006 s long: at least 0.1 s"),
    ],
)
def test_a_recording_outside_the_limits_is_refused(tmp_path, name, samples, rate, reason):
    soundfile.write(tmp_path / name, np.zeros(samples, np.int16), rate)
    with pytest.raises(Wav2SmallError, match=reason):
        recording.read(tmp_path / name, name)


def test_two_minutes_of_live_audio_keep_3_s_of_sound_and_30_s_of_predictions(predictor):
    block = spoken(2 * live.HOP)
    session = live.Session()
    for _ in range(int(120 / (2 * live.HOP))):
        session = live.push(predictor, session, block, RATE)
        assert len(session.recent) <= 3 * RATE
        assert session.predictions[-1].end == session.seconds
    assert session.seconds == 120
    assert len(session.predictions) == 30 / live.HOP
    assert len(live.render(session, predictor)) < 40_000  # bytes per block to every visitor


def test_a_live_prediction_is_that_of_the_last_3_s(predictor):
    samples = spoken(5)
    session = live.Session()
    for block in np.split(samples, 20):
        session = live.push(predictor, session, block, RATE)
    expected = predictor((samples[-3 * RATE :], RATE))
    assert session.predictions[-1].as_array() == pytest.approx(expected.as_array(), abs=1e-5)


def test_a_microphone_with_another_rate_starts_a_new_session(predictor):
    session = live.push(predictor, live.Session(), spoken(1), RATE)
    session = live.push(predictor, session, spoken(1, rate=48000), 48000)
    assert (session.rate, session.seconds, len(session.predictions)) == (48000, 1, 1)


def test_a_visitor_chooses_among_models_by_size_quality_and_time(tmp_path):
    import gradio as gr

    other = shutil.copytree(BUNDLED, tmp_path / "other", ignore=shutil.ignore_patterns("results"))
    shutil.copy(other / "onnx" / "model_q4.onnx", other / "onnx" / "model.onnx")
    with gr.Blocks():
        offered = models.offer([DEFAULT, str(other)])
    (first, name), (second, place) = offered.chooser.choices
    assert (name, place, offered.chooser.value) == (DEFAULT, str(other), DEFAULT)
    size = (BUNDLED / "onnx" / "model_quantized.onnx").stat().st_size
    r = r"\.\d\d \.\d\d \.\d\d"
    assert re.fullmatch(rf"{DEFAULT} · {size / 1000:.0f} KB · {r} · [\d.]+ ms", first)
    assert re.fullmatch(rf"{re.escape(place)} · {size / 1000:.0f} KB · [\d.]+ ms", second), "it was not evaluated"
    example = next(iter(listen.EXAMPLES))
    shown = [re.sub("computed in .* ms", "", listen.predict_example(offered, example, each)) for each in (name, place)]
    assert shown[0] != shown[1], "the chosen model predicts"
    with gr.Blocks(), pytest.raises(Wav2SmallError, match="nowhere is neither a folder"):
        models.offer([DEFAULT, "nowhere"])


def test_a_comparison_has_the_files_predictions_and_sizes_and_says_what_cannot_be_loaded(predictor, examples):
    samples = recording.read(examples / "sadness_emodb14.flac", "sadness")
    *rows, refused = compare.compare(samples, [*compare.variants_of([DEFAULT]), f"{DEFAULT}, 5 bit"], [DEFAULT])
    for row, dtype in zip(rows, ("fp32", "q8", "q4"), strict=True):
        model = wav2small.load(dtype=dtype)
        assert row["bytes"] == model.file.stat().st_size
        assert row["arousal"] == pytest.approx(model((samples, RATE)).arousal, abs=1e-3)
    assert "write MODEL, BITS" in refused["error"]


@pytest.mark.parametrize("name", ["/etc", "../secret", "runs/best", "org/name/more", "x" * 300, "a\0b/c"])
def test_a_visitor_cannot_name_folders_of_the_server(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BUNDLED, tmp_path / "runs" / "best")
    (row,) = compare.compare(spoken(1), [f"{name}, float"], [DEFAULT])
    assert "is not a model of this page: choose one of them, or give its id on the Hub" in row["error"]


def test_the_size_of_each_file_of_a_model_of_a_visitor_is_known_before_one_is_fetched(monkeypatch):
    from types import SimpleNamespace

    import huggingface_hub

    sizes = {"config.json": 200 * 2**20, "onnx/model.onnx": 1000}
    found = SimpleNamespace(sha="0" * 40, siblings=[SimpleNamespace(rfilename=a, size=b) for a, b in sizes.items()])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: found)
    monkeypatch.setattr(compare, "resolve_checkpoint", lambda *_: pytest.fail("it was fetched"))
    (row,) = compare.compare(spoken(1), ["org/large, float"], [DEFAULT])
    assert row["error"] == "org/large is larger than 100 MB: too large for this demo"


def test_a_model_of_a_visitor_predicts_in_a_process_of_its_own(predictor):
    samples = spoken(2)
    row = named_model.predict_apart("org/name", BUNDLED, "fp32", samples)
    assert row["arousal"] == pytest.approx(predictor((samples, RATE)).arousal, abs=1e-3)
    assert row["bytes"] == predictor.file.stat().st_size


@pytest.mark.parametrize(
    ("kind", "told"), [("endless", "was stopped after 20 s: too slow"), ("huge", "org/evil cannot predict here")]
)
@pytest.mark.slow
def test_a_model_without_end_or_bounds_is_stopped(tmp_path, monkeypatch, kind, told):
    onnx = pytest.importorskip("onnx", reason="the extra [export]")
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, value: np.ndarray):
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))

    float_info = helper.make_tensor_value_info
    if kind == "endless":
        body = helper.make_graph(
            [helper.make_node("Identity", ["go"], ["again"]), helper.make_node("Sin", ["x"], ["y"])],
            "body",
            [float_info("i", TensorProto.INT64, []), float_info("go", TensorProto.BOOL, []),
             float_info("x", TensorProto.FLOAT, [1, 3])],
            [float_info("again", TensorProto.BOOL, []), float_info("y", TensorProto.FLOAT, [1, 3])],
        )  # fmt: skip
        nodes = [
            constant("true", np.array(True)),
            constant("start", np.ones((1, 3), np.float32)),
            helper.make_node("Loop", ["", "true", "start"], ["logits"], body=body),
        ]
    else:
        nodes = [
            constant("shape", np.array([3 * 2**30], np.int64)),
            helper.make_node("ConstantOfShape", ["shape"], ["large"]),
            constant("form", np.array([-1, 3], np.int64)),
            helper.make_node("Reshape", ["large", "form"], ["logits"]),
        ]
    graph = helper.make_graph(
        nodes, "evil", [float_info("input_values", TensorProto.FLOAT, ["batch", "samples"])],
        [float_info("logits", TensorProto.FLOAT, [None, 3])],
    )  # fmt: skip
    folder = shutil.copytree(BUNDLED, tmp_path / "evil")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder / "onnx" / "model.onnx")
    with pytest.raises(Wav2SmallError, match=told):
        named_model.predict_apart("org/evil", folder, "fp32", spoken(2))


@pytest.mark.parametrize(
    ("window", "hop", "told"),
    [
        (290, 0.1, "window=290: it must be 0.1 to 30 s"),
        (30, 0.1, r"hop=0.1: with windows of 30 s it must be at least 4\.75 s here"),
        (5, 0.01, "hop=0.01: it must be at least 0.1 s"),
        (5, float("nan"), "hop=nan"),
        (float("nan"), 1, "window=nan"),
    ],
)
def test_a_timeline_of_too_much_work_is_refused_before_it_begins(window, hop, told):
    with pytest.raises(Wav2SmallError, match=told):
        api.check_timeline(600, window, hop)
    api.check_timeline(600, 5, 1)


def test_a_block_of_the_microphone_is_bounded(tmp_path):
    for seconds, rate, allowed in ((0.25, 48_000, True), (11, 48_000, False), (0.25, 192_000, False)):
        soundfile.write(tmp_path / "block.flac", np.zeros(int(seconds * rate), np.int16), rate)
        if allowed:
            assert live.read_block(tmp_path / "block.flac")[0].shape == (12_000,)
        else:
            with pytest.raises(Wav2SmallError, match="a microphone gives up to 10 s at once, at up to 96000 Hz"):
                live.read_block(tmp_path / "block.flac")
