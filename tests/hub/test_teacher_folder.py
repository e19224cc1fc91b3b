"""What `wav2small train-head` makes becomes a folder for the Hub: 8-bit ONNX, card, all checks; without the Hub."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice_like
from safetensors.torch import save_file
from students import whisper_teacher

import wav2small
from wav2small.models.adv import LABELS

pytest.importorskip("onnx", reason="ONNX export needs the extra [export]")
pytestmark = [pytest.mark.export, pytest.mark.slow, pytest.mark.timeout(900)]

COMMAND = Path(sys.executable).with_name("wav2small")
ID = "lab/small-teacher"
RECIPE = """\
name: small-teacher
encoder: {source: encoder, states: [2], licence: MIT, credit: "Whisper (OpenAI); its training audio is not covered"}
corpora:
  - {source: voices, licence: CC-BY-4.0, labels: [arousal, dominance, valence], speaker: speaker}
networks: 1
units: 2
steps: 3
cache: features
output: teacher
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """A recipe, a small Whisper encoder, and voices of four speakers with ratings."""
    made = whisper_teacher()
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text(json.dumps(made.config.members[0]["encoder"]))
    weights = {f"encoder.{name}": value for name, value in made.members[0].encoder.state_dict().items()}
    save_file(weights, tmp_path / "encoder" / "model.safetensors")
    random, lines = np.random.default_rng(0), ["file_name,speaker," + ",".join(LABELS)]
    (tmp_path / "voices").mkdir()
    for i in range(16):
        soundfile.write(tmp_path / "voices" / f"{i}.flac", voice_like(0.6, seed=i), 16000)
        lines.append(f"{i}.flac,{i % 4}," + ",".join(f"{value:.2f}" for value in random.uniform(0, 1, 3)))
    (tmp_path / "voices" / "metadata.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def test_a_trained_teacher_becomes_a_folder_that_passes_all_checks_of_publishing(place, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    columns = ",".join(f"{name}={name}" for name in LABELS)
    for command in (
        "train-head recipe.yaml",
        "export teacher small-teacher --dtype q8",
        f"evaluate small-teacher --data voices --columns {columns} --out report",
        f"card small-teacher --results report --speed --id {ID}",
        f"publish small-teacher {ID} --dry-run",
    ):
        done = subprocess.run([COMMAND, *command.split()], cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert "all checks of" in done.stdout and "the Hub cannot be reached" in done.stdout
    assert "onnx/model_quantized.onnx" in done.stdout and "recipe.yaml" not in done.stdout
    text = (place / "small-teacher" / "README.md").read_text()
    assert "up to 30 s" in text and "not the audio that they learned from" in text and str(place) not in text
    assert not (place / "small-teacher" / "onnx" / "model.onnx").exists()
    predictor = wav2small.load(place / "small-teacher")
    assert np.isfinite(predictor.logits(place / "voices" / "0.flac")).all()
