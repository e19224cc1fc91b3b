"""A saved folder loads where only transformers and torch are installed, and its pipeline gives A/D/V as they are."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import voice_like
from processes import result, without_our_package

import wav2small
from wav2small import Wav2SmallConfig, Wav2SmallForAudioClassification

PACKAGE = Path(wav2small.__file__).parent / "models"
ENTRIES = sorted(path.name for path in PACKAGE.glob("modeling_*.py") if path.name != "modeling_adv.py")
ENTRIES += ["pipeline_adv.py"]


def siblings(file: str) -> set[str]:
    """The files that one names in relative imports, as transformers finds them."""
    text = (PACKAGE / file).read_text(encoding="utf-8")
    return {f"{name}.py" for name in re.findall(r"^\s*from\s+\.(\w+)\s+import", text, re.MULTILINE)}


def closure(file: str) -> set[str]:
    found: set[str] = set()
    todo = {file}
    while todo:
        found |= todo
        todo = set().union(*(siblings(name) for name in todo)) - found
    return found - {file}


@pytest.mark.parametrize("file", ENTRIES)
def test_an_entry_file_names_every_sibling_that_it_needs(file):
    assert siblings(file) == closure(file)


@pytest.mark.parametrize("file", sorted(set().union(*(closure(entry) | {entry} for entry in ENTRIES))))
def test_remote_code_imports_nothing_that_the_hubs_users_lack(file):
    text = (PACKAGE / file).read_text(encoding="utf-8")
    text = re.sub(r"^try:.*?^except", "", text, flags=re.MULTILINE | re.DOTALL)  # transformers leaves these out
    packages = set(re.findall(r"^\s*(?:import|from)\s+([a-zA-Z]\w*)", text, re.MULTILINE))
    allowed = {"torch", "transformers", "numpy", "safetensors", "huggingface_hub", *sys.stdlib_module_names}
    assert packages <= allowed, f"{file} imports {packages - allowed}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("remote") / "remote_code_student"
    model = Wav2SmallForAudioClassification(Wav2SmallConfig())
    torch.nn.init.normal_(model.classifier.bias, std=2)  # answers far from 0..1, which a softmax would hide
    model.save_pretrained(path)
    soundfile.write(path / "a.wav", voice_like(1.3), 16000)
    soundfile.write(path / "stereo.flac", np.stack([voice_like(1, rate=22050)] * 2, axis=1), 22050)
    return path


def test_the_model_loads_with_remote_code_and_gives_the_same_numbers(folder, tmp_path):
    code = """
import json, sys, torch, soundfile
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification
folder = sys.argv[1]
config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True).eval()
extractor = AutoFeatureExtractor.from_pretrained(folder)
waveform, rate = soundfile.read(folder + "/a.wav", dtype="float32")
with torch.no_grad():
    logits = model(**extractor(waveform, sampling_rate=rate, return_tensors="pt")).logits[0]
model.save_pretrained("again")
again = AutoModelForAudioClassification.from_pretrained("again", trust_remote_code=True).eval()
with torch.no_grad():
    same = torch.equal(again(torch.tensor(waveform)[None]).logits, model(torch.tensor(waveform)[None]).logits)
import os
print(json.dumps({"class": type(model).__module__, "type": config.model_type, "logits": logits.tolist(),
                  "same": same, "files": sorted(os.listdir("again"))}))
"""
    answer = result(without_our_package, code, folder, folder=tmp_path)
    assert answer["class"].startswith("transformers_modules."), "the class came from an installed package"
    assert answer["type"] == "wav2small"
    assert answer["same"], "saved again from remote code, the model answers differently"
    assert set(answer["files"]) >= {"pipeline_adv.py", "audio.py", "errors.py", "preprocessor_config.json"}
    waveform, _ = soundfile.read(folder / "a.wav", dtype="float32")
    with torch.no_grad():
        model = Wav2SmallForAudioClassification.from_pretrained(folder)
        expected = model(torch.from_numpy(waveform)[None]).logits[0]
    np.testing.assert_allclose(answer["logits"], expected.numpy(), atol=1e-5)


def test_the_pipeline_gives_real_values_in_order_for_every_kind_of_input(folder, tmp_path):
    code = """
import json, sys, soundfile
from transformers import pipeline
folder = sys.argv[1]
pipe = pipeline("audio-classification", model=folder, trust_remote_code=True)
path = folder + "/a.wav"
waveform, rate = soundfile.read(path, dtype="float32")
content = open(path, "rb").read()
entry = {"array": waveform, "sampling_rate": rate}
try:
    pipe({"array": waveform})
except ValueError as error:
    told = str(error)
print(json.dumps({
    "class": type(pipe).__name__,
    "path": pipe(path), "bytes": pipe(content), "array": pipe(waveform), "dict": pipe(entry),
    "raw": pipe({"raw": waveform, "sampling_rate": rate}), "batch": pipe([path, content, entry], batch_size=3),
    "mixed": pipe([path, folder + "/stereo.flac"], batch_size=2), "stereo": pipe(folder + "/stereo.flac"),
    "told": told,
}))
"""
    answer = result(without_our_package, code, folder, folder=tmp_path)
    assert answer["class"] == "AdvPipeline"
    waveform, _ = soundfile.read(folder / "a.wav", dtype="float32")
    with torch.no_grad():
        model = Wav2SmallForAudioClassification.from_pretrained(folder)
        expected = model(torch.from_numpy(waveform)[None]).logits[0].numpy()
    assert not 0 <= expected.min() <= expected.max() <= 1, "the test needs answers that a softmax cannot give"
    for kind in ("path", "bytes", "array", "dict", "raw"):
        check(answer[kind], expected, kind)
    for one in answer["batch"]:
        check(one, expected, "batch")
    check(answer["mixed"][0], expected, "batch with another length")
    check(answer["mixed"][1], [entry["score"] for entry in answer["stereo"]], "batch with another length")
    assert "sampling_rate" in answer["told"]


def check(answer: list[dict], expected, kind: str) -> None:
    assert [entry["label"] for entry in answer] == ["arousal", "dominance", "valence"], kind
    np.testing.assert_allclose([entry["score"] for entry in answer], expected, atol=1e-4, err_msg=kind)
