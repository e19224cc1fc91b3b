"""Files for ExecuTorch and LiteRT predict in their own runtimes what the model predicts."""

import importlib.util

import numpy as np
import pytest
import torch
from conftest import voice_like, write_card
from students import mobilenet, student, tcn

from wav2small import Wav2SmallError

device = pytest.importorskip("wav2small_training.exporters.device", reason="needs the extra [export]")
pytestmark = [pytest.mark.export, pytest.mark.timeout(900)]
MODELS = {"token": student, "gram": lambda: student(pooling="gram"), "tcn": tcn, "mobilenet": mobilenet}


def needs(runtime: str):
    reason = f"needs the extra [{runtime}]: make test-devices"
    pytest.importorskip(f"wav2small_training.exporters.{runtime}_file", reason=reason)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("runtime", ["executorch", "litert"])
def test_a_runtime_predicts_what_the_model_predicts(runtime, kind, tmp_path):
    needs(runtime)
    model = MODELS[kind]()
    model.save_pretrained(tmp_path / "model")
    write_card(tmp_path / "model", "mit")
    device.export_device(str(tmp_path / "model"), tmp_path / "out", runtime)
    window = voice_like(device.SECONDS, seed=3)[None]
    with torch.inference_mode():
        expected = model(torch.from_numpy(window)).logits.numpy()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    suffix = "pte" if runtime == "executorch" else "tflite"
    float_file, small = f"model.{suffix}", f"model_quantized.{suffix}"
    assert {float_file, "provenance.json"} <= names <= {float_file, small, "provenance.json"}
    found = device.LOADERS[runtime](tmp_path / "out" / float_file)(window)
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_the_benchmark_measures_the_files_of_every_runtime_that_is_installed(tmp_path):
    from wav2small_training.benchmarks.every_runtime import device_rows

    for runtime in device.LOADERS:
        needs(runtime)
    model = tcn()
    model.save_pretrained(tmp_path / "model")
    write_card(tmp_path / "model", "mit")
    windows = np.stack([voice_like(device.SECONDS, seed=i) for i in range(2)])
    np.save(tmp_path / "windows.npy", windows)
    with torch.inference_mode():
        expected = model(torch.from_numpy(windows)).logits.numpy()
    costs = {row.name: row for row in device_rows(tmp_path / "model", tmp_path / "windows.npy", tmp_path)}
    assert {"ExecuTorch, float", "LiteRT, float"} <= set(costs)
    for name, row in costs.items():
        most = 1e-4 if "float" in name else device.EIGHT_BIT_TOLERANCE
        np.testing.assert_allclose(row.cost["logits"], expected, atol=most * max(1, np.abs(expected).max()))
        assert row.bytes > 0 and row.cost["ms"] > 0 and row.cost["mb"] > 0


def test_a_file_that_predicts_otherwise_is_refused_and_one_of_8_bits_removed(tmp_path):
    def wrong(file):
        return lambda window: np.full((1, 3), 100, np.float32)

    for name in ("model.tflite", "model_quantized.tflite"):
        (tmp_path / name).touch()
    with pytest.raises(Wav2SmallError, match=r"model\.tflite predicts other than the model"):
        device.check_device_file(tmp_path / "model.tflite", student(), wrong)
    device.check_device_file(tmp_path / "model_quantized.tflite", student(), wrong)
    assert not (tmp_path / "model_quantized.tflite").exists()


def test_without_a_runtime_the_extra_is_named(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from wav2small.cli.main import app

    for runtime, package in (("executorch", "executorch"), ("litert", "litert_torch")):
        if importlib.util.find_spec(package):
            pytest.skip(f"{package} is installed")
        result = CliRunner().invoke(app, ["export", "wav2small-72k", str(tmp_path / "out"), "--format", runtime])
        assert f"pip install 'wav2small[{runtime}]'" in str(result.exception or result.output)
