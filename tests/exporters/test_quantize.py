"""Quantized files: small, exact where they claim it, as fast as float, and in agreement with it on real speech."""

import csv

import numpy as np
import onnxruntime
import pytest
import soundfile
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from students import student, tcn, teacher

from wav2small import AdvTeacherConfig, AdvTeacherForAudioClassification, Wav2SmallError
from wav2small.bundled import BUNDLED
from wav2small.models.audio import read_audio
from wav2small.models.configuration_adv_teacher import WHISPER_BASE_3
from wav2small_training.exporters.parity import run_onnx
from wav2small_training.metrics import ccc

onnx = pytest.importorskip("onnx", reason="ONNX export needs the extra [export]")
comparing = pytest.importorskip(
    "wav2small_training.benchmarks.quantization", reason="ONNX export needs the extra [export]"
)
exporting = pytest.importorskip("wav2small_training.exporters.export")
onnx_graph = pytest.importorskip("wav2small_training.exporters.onnx_graph")
quantizing = pytest.importorskip("wav2small_training.exporters.quantize")
rounding = pytest.importorskip("wav2small_training.exporters.rounding")
storing = pytest.importorskip("wav2small_training.exporters.weights")
pytestmark = pytest.mark.export

arrays = st.tuples(st.integers(2, 9), st.integers(2, 40), st.integers(0, 2**31)).map(
    lambda drawn: np.random.default_rng(drawn[2]).standard_normal(drawn[:2]).astype(np.float32)
)


@settings(deadline=None)
@given(arrays, st.sampled_from([0, 1, -1, -2]), st.sampled_from([4, 8]))
def test_the_nearest_code_is_at_most_half_a_step_away(array, axis, bits):
    coded = storing.nearest(array, axis, bits)
    assert np.abs(coded.codes).max() <= storing.largest_code(bits)
    assert coded.scale.shape[axis] == array.shape[axis] and coded.scale.size == array.shape[axis]
    assert (np.abs(coded.decode() - array) <= coded.scale / 2 * 1.0001).all()


def test_a_channel_of_zeros_stays_zero():
    array = np.zeros((3, 4), np.float32)
    array[1] = 0.5
    np.testing.assert_array_equal(storing.nearest(array, 0, 4).decode(), array)


def product(matrices: list[np.ndarray]) -> onnx.ModelProto:
    """X @ a @ b @ ..., as ONNX."""
    nodes = [onnx.helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"]) for i in range(len(matrices))]
    shapes = ([None, matrices[0].shape[0]], [None, matrices[-1].shape[1]])
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in zip(("x0", f"x{len(matrices)}"), shapes, strict=True)
    ]
    tensors = [onnx.numpy_helper.from_array(matrix, f"w{i}") for i, matrix in enumerate(matrices)]
    graph = onnx.helper.make_graph(nodes, "product", values[:1], values[1:], tensors)
    return onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([4, 8])), min_size=1, max_size=4), st.integers(0, 2**31))
def test_onnxruntime_computes_with_exactly_the_decoded_weights(widths, seed):
    random = np.random.default_rng(seed)
    sizes = [7, *(width for width, _ in widths)]
    coded = {
        f"w{i}": storing.nearest(random.standard_normal((rows, columns)).astype(np.float32), -1, bits)
        for i, (rows, columns, (_, bits)) in enumerate(zip(sizes, sizes[1:], widths, strict=False))
    }
    model = product([random.standard_normal(one.codes.shape).astype(np.float32) for one in coded.values()])
    storing.store(model, coded)
    session = onnxruntime.InferenceSession(onnx_graph.tidy(model).SerializeToString())
    (got,) = session.run(None, {"x0": np.eye(7, dtype=np.float32)})
    expected = np.eye(7)
    for one in coded.values():
        expected = expected @ one.decode().astype(np.float64)
    np.testing.assert_allclose(got, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_codes_of_4_bits_take_half_a_byte_each():
    array = np.random.default_rng(0).standard_normal((100, 101)).astype(np.float32)
    sizes = {}
    for bits in (4, 8):
        model = product([array])
        storing.store(model, {"w0": storing.nearest(array, -1, bits)})
        sizes[bits] = len(onnx_graph.tidy(model).SerializeToString())
    assert array.size / 2 < sizes[4] < array.size / 2 + 1000
    assert array.size < sizes[8] < array.size + 1000


convolutions = st.fixed_dictionaries(
    {
        "kernel_shape": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "strides": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "pads": st.tuples(*[st.integers(0, 2)] * 4),
    }
)


@settings(deadline=None, max_examples=30)
@given(convolutions, st.integers(0, 2**31))
def test_a_convolution_is_a_product_with_the_rows_of_its_input(attributes, seed):
    random = np.random.default_rng(seed)
    kernel = random.standard_normal((3, 2, *attributes["kernel_shape"])).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 4) for name in "xy"]
    graph = onnx.helper.make_graph([node], "conv", info[:1], info[1:], [onnx.numpy_helper.from_array(kernel, "w")])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    x = random.standard_normal((2, 2, 7, 9)).astype(np.float32)
    (y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    got = rounding.input_rows(storing.Weight("w", kernel, 0, node), x) @ kernel.reshape(3, -1).T
    np.testing.assert_allclose(got, y.transpose(0, 2, 3, 1).reshape(-1, 3), atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([4, 8]))
def test_adaptive_rounding_loses_less_than_nearest_rounding_for_correlated_inputs(seed, bits):
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((300, 5)) @ random.standard_normal((5, 40)) + 0.1 * random.standard_normal(
        (300, 40)
    )
    matrix = random.standard_normal((8, 40)).astype(np.float32)
    node = onnx.helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    coded = rounding.adapt(storing.Weight("w", matrix, 0, node), inputs.T @ inputs, bits)
    assert np.abs(coded.codes).max() <= storing.largest_code(bits)

    def error(one: storing.Coded) -> float:
        return float(np.square(inputs @ (one.decode() - matrix).T).mean())

    assert error(coded) < 0.6 * error(storing.nearest(matrix, 0, bits))


@pytest.fixture(scope="module", params=["token", "gram"])
def graph(request, tmp_path_factory) -> onnx.ModelProto:
    """The float graph of the paper's network, or of the Hub variant."""
    path = tmp_path_factory.mktemp("float") / "model.onnx"
    exporting.export_onnx(student(pooling=request.param), path)
    return onnx.load(path)


CLIPS = [voice_like(1, seed=i) for i in range(8)]


@pytest.fixture(scope="module")
def small(graph) -> dict[int, onnx.ModelProto]:
    """The graph with weights of 8 and of 4 bits."""
    return {8: quantizing.eight_bit(graph, CLIPS), 4: quantizing.four_bit(graph, CLIPS)}


def test_8_bit_files_have_at_most_80_kb_and_4_bit_files_at_most_60_kb(graph, small):
    sizes = {bits: len(one.SerializeToString()) for bits, one in small.items()}
    if any(weight.array.shape[0] == 169 for weight in storing.weights(graph)):  # the paper's network
        assert sizes[8] <= 80_000 and sizes[4] <= 60_000, sizes
    else:
        assert sizes[8] <= 30_000 and sizes[4] <= sizes[8], sizes


def test_small_files_agree_with_float_on_their_calibration_speech(graph, small):
    expected = quantizing.predict_clips(graph, CLIPS)
    for one in small.values():
        got = quantizing.predict_clips(one, CLIPS)
        assert ccc(got, expected).min() >= quantizing.LEAST_AGREEMENT - 0.001
        np.testing.assert_allclose(got.mean(axis=0), expected.mean(axis=0), atol=1e-3)


def test_the_front_end_is_not_quantized(graph):
    shapes = [weight.array.shape for weight in storing.weights(graph)]
    assert (66, 1, 64) not in shapes and (26, 66) not in shapes
    assert shapes[0] == (13, 1, 3, 3)


def test_three_blocks_of_whisper_base_take_13_mb_in_8_bits(tmp_path):
    member = {"encoder": WHISPER_BASE_3, "head": "pooled_stats", "states": [2, 3], "hidden": 128}
    exporting.export_onnx(AdvTeacherForAudioClassification(AdvTeacherConfig(members=[member])).eval(), tmp_path / "a")
    assert quantizing.eight_bit(onnx.load(tmp_path / "a")).ByteSize() <= 13_000_000


def test_a_small_temporal_convolution_network_takes_85_kb_in_8_bits_and_keeps_its_outputs(tmp_path):
    model = tcn(width=60, activation="hardswish")
    exporting.export_onnx(model, tmp_path / "model.onnx")
    large = onnx.load(tmp_path / "model.onnx")
    small = quantizing.eight_bit(large, CLIPS)
    assert small.ByteSize() <= 85_000
    batches = [clip[None] for clip in CLIPS]
    for name, tolerance in (("logits", 2e-2), ("speech", 1e-2)):
        got, expected = (run_onnx(each.SerializeToString(), batches, name) for each in (small, large))
        np.testing.assert_allclose(np.concatenate(got), np.concatenate(expected), atol=tolerance)


def test_float16_halves_a_teachers_weights_and_keeps_its_predictions(tmp_path):
    exporting.export_onnx(teacher(), tmp_path / "model.onnx")
    large = onnx.load(tmp_path / "model.onnx")
    expected = quantizing.predict_clips(large, CLIPS)
    stored = sum(weight.array.nbytes for weight in storing.weights(large))
    for small, share, tolerance in ((quantizing.float16(large), 0.5, 5e-3), (quantizing.eight_bit(large), 0.25, 5e-2)):
        saved = len(large.SerializeToString()) - len(small.SerializeToString())
        assert saved > (1 - share) * stored * 0.9  # the rest is names, and scales of layers that are tiny here
        np.testing.assert_allclose(quantizing.predict_clips(small, CLIPS), expected, atol=tolerance)


@pytest.mark.timing
def test_a_report_measures_every_way_to_quantize(tmp_path):
    for i in range(6):
        soundfile.write(tmp_path / f"{i}.flac", voice_like(1, seed=i), 16000)
    comparing.report(student(pooling="gram"), tmp_path, tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert f"3 recordings of {tmp_path.name}" in text
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    rows = {method: [float(number.replace(",", "")) for number in numbers] for method, *numbers in table}
    assert len(rows) == len(comparing.WAYS) + 2
    assert rows["float, tuned"][1:5] == [1, 1, 1, 1]
    assert rows["dynamic"][4] > 2, "dynamic quantization has become quick: choose again"
    for size, *_, memory in rows.values():
        assert size > 5000 and memory > 20
    (tmp_path / "one").mkdir()
    (tmp_path / "0.flac").rename(tmp_path / "one" / "0.flac")
    with pytest.raises(Wav2SmallError, match="holds one recording"):
        comparing.report(student(), tmp_path / "one", tmp_path / "report.md")


def test_a_table_row_says_what_was_measured():
    row = comparing.Row("way", 12345, (0.99, 0.98765, 1.0), 1.234, 61.7)
    assert comparing.markdown([row]).splitlines()[-1] == "| way | 12,345 | 0.9900 | 0.9877 | 1.0000 | 1.23 | 62 |"


@pytest.fixture(scope="module")
def emodb(speech) -> list[np.ndarray]:
    with (speech / "emodb" / "metadata.csv").open(encoding="utf-8", newline="") as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    return [read_audio(speech / "emodb" / name) for name in names[::6]]


@pytest.mark.parametrize(("file", "least"), [(exporting.QUANTIZED, 0.99), ("onnx/model_q4.onnx", 0.98)])
def test_the_bundled_small_files_agree_with_float_on_real_speech(emodb, file, least):
    if not (BUNDLED / file).is_file():
        pytest.skip(f"the bundled checkpoint has no {file}")
    expected = quantizing.predict_clips(onnx.load(BUNDLED / exporting.FLOAT), emodb)
    agreement = ccc(quantizing.predict_clips(onnx.load(BUNDLED / file), emodb), expected)
    assert agreement.min() >= least, agreement
