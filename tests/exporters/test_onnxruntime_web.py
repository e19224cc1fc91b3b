"""The small files in onnxruntime-web: WebAssembly, in Node, gives the predictions of ONNX Runtime in Python."""

import json
import subprocess

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT, voice_like
from npm import node_with
from students import student

exporting = pytest.importorskip("wav2small_training.exporters.export", reason="ONNX export needs the extra [export]")
pytestmark = [pytest.mark.export, pytest.mark.slow]

WEB = ROOT / "tests" / "web"
CLIPS, SAMPLES = 3, 24000


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the package that `web/package.json` names."""
    return node_with(WEB)


@pytest.fixture(scope="module", params=["token", "gram"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("web")
    exporting.write_files(student(pooling=request.param), path, [voice_like(1, seed=i) for i in range(4)])
    return path


@pytest.mark.parametrize("file", [exporting.FLOAT, exporting.QUANTIZED, exporting.FOUR_BIT])
def test_onnxruntime_web_gives_the_predictions_of_onnxruntime(node, folder, file, tmp_path):
    batch = np.stack([voice_like(SAMPLES / 16000, seed=i) for i in range(CLIPS)])
    batch.tofile(tmp_path / "samples.f32")
    command = [node, WEB / "predict.mjs", folder / file, tmp_path / "samples.f32", str(CLIPS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    expected = onnxruntime.InferenceSession(folder / file).run(["logits"], {"input_values": batch})[0]
    assert answer["dims"] == [CLIPS, 3]
    tolerance = 1e-3 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(np.reshape(answer["logits"], expected.shape), expected, atol=tolerance)
