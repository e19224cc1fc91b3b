"""Checks of a checkpoint folder, or of a Space, before it is published."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from huggingface_hub.repocard import metadata_load

from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError

from ..exporters.parity import largest_difference, probe_batches, run_onnx

CARD = "README.md"
NOT_PUBLISHED = (".gitattributes", "recipe.yaml")  # a recipe may name folders of this machine
# the files of a checkpoint, besides its code
CHECKPOINT_FILE = re.compile(
    r"(config|preprocessor_config|intervals|provenance|words)\.json|README\.md"
    r"|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json"
    r"|onnx/model(_fp16|_quantized|_q4)?\.onnx(_data)?|results/[\w.-]+\.(json|png)|test/[\w.-]+\.safetensors"
)
NEEDED = {  # file: what writes it
    "config.json": "training or `wav2small convert`",
    "preprocessor_config.json": "training or `wav2small convert`",
    ONNX_FILES["q8"]: "`wav2small export`",
}
# how far the predictions of a file may be from torch's, on a scale of 1: measured with the bundled checkpoint on noise
# and tones, 8 bits differ by 0.003 and 4 bits by 0.05; files of other weights differ by more
TOLERANCES = {"fp32": 1e-4, "fp16": 1e-2, "q8": 3e-2, "q4": 0.15}
SECRETS = {
    "a token of the Hub": r"\bhf_[A-Za-z0-9]{30,}",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{50,}",
    "a key of AWS": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key of Google": r"\bAIza[\w-]{35}",
    "a key of OpenAI": r"\bsk-[\w-]{32,}",
    "a token of Slack": r"\bxox[abprs]-[\w-]{10,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
}
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY", re.IGNORECASE)  # of an environment variable
# runs in a process in which our package cannot be imported and nothing can be downloaded
LOAD = """
import sys
sys.modules["wav2small"] = sys.modules["wav2small_training"] = None
import json, numpy, torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline
folder, clips = sys.argv[1], numpy.load(sys.argv[2])
model, info = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True, output_loading_info=True)
AutoFeatureExtractor.from_pretrained(folder)
with torch.inference_mode():
    logits = [model.eval()(torch.from_numpy(clips[name])).logits.tolist() for name in clips.files]
del model
pipe = pipeline("audio-classification", model=folder, trust_remote_code=True)
first = pipe({"array": clips[clips.files[0]][0], "sampling_rate": pipe.feature_extractor.sampling_rate})
print(json.dumps({"missing": sorted(info["missing_keys"]), "logits": logits, "pipeline": first}))
"""


def stage(folder: Path, out: Path) -> None:
    """Copy the files of a checkpoint into an empty folder.

    Raises:
        Wav2SmallError: if one is missing, or there is a file that does not belong to a checkpoint.
    """
    if not folder.is_dir():
        raise Wav2SmallError(f"{folder} is not a folder")
    check_files(folder, NEEDED)
    code = remote_code(folder)
    refuse_links(folder)
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        name = path.relative_to(folder).as_posix()
        if path.name in NOT_PUBLISHED or path.parts[-2] == "__pycache__":
            continue
        if any(part.startswith(".") for part in path.relative_to(folder).parent.parts):
            continue  # a hidden folder, such as what is left of a file whose process was killed
        if name not in code and not CHECKPOINT_FILE.fullmatch(name):
            raise Wav2SmallError(f"{path} does not belong to a checkpoint: move it away")
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / name)


def refuse_links(folder: Path) -> None:
    """Make sure that a folder holds its files itself: a link may lead to any file of this machine.

    Raises:
        Wav2SmallError: if it holds a link.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise Wav2SmallError(f"{path} is a link: put the file itself there")


def check_files(folder: Path, needed: dict[str, str]) -> None:
    """Make sure that files are there, given with the command that writes them.

    Raises:
        Wav2SmallError: if one is missing.
    """
    for name, maker in needed.items():
        if not (folder / name).is_file():
            raise Wav2SmallError(f"{folder} has no {name}: {maker} writes it")


def is_checkpoint_file(path: str) -> bool:
    """Whether a file on the Hub is part of a checkpoint, so that it is removed there once the folder lacks it."""
    return bool(CHECKPOINT_FILE.fullmatch(path)) or path.endswith(".py")


def remote_code(folder: Path) -> set[str]:
    """The Python files that the config of a checkpoint names, and those that they import.

    Raises:
        Wav2SmallError: if it names none, or one is missing.
    """
    try:
        config = read_config(folder)
        names = [*config["auto_map"].values(), *(task["impl"] for task in config["custom_pipelines"].values())]
        todo = {f"{name.split('.')[0]}.py" for name in names}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Wav2SmallError(f"{folder / 'config.json'} names no code for the Hub ({error!r}): save it again") from None
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if not (folder / name).is_file():
            raise Wav2SmallError(f"{folder} has no {name}, which its config or code names: save the checkpoint again")
        found.add(name)
        nodes = ast.walk(ast.parse((folder / name).read_text(encoding="utf-8")))
        siblings = {f"{node.module}.py" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 1}
        todo |= siblings - found
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a checkpoint; raises ValueError if it is no JSON."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def check_secrets(folder: Path) -> None:
    """Make sure that no text file of a folder holds a token or a key.

    Raises:
        Wav2SmallError: if there is one; the message names file and line, not the secret.
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            if b"\0" in file.read(8192):
                continue  # weights, pictures, audio
        for i, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            for what, pattern in SECRETS.items():
                if re.search(pattern, line):
                    name = path.relative_to(folder).as_posix()
                    raise Wav2SmallError(
                        f"{name}, line {i}, holds what looks like {what}: remove it; revoke it if others saw it"
                    )


def front_matter(card: Path) -> dict[str, Any]:
    """The YAML at the top of a card.

    Raises:
        Wav2SmallError: if there is none.
    """
    try:
        return metadata_load(card) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise Wav2SmallError(f"{card.name} has no metadata between two lines of --- at its top ({reason})") from None


def check_weights(folder: Path) -> None:
    """Load a checkpoint as a user of the Hub does, and compare the predictions of its ONNX files with it.

    Raises:
        Wav2SmallError: if it does not load without our package, weights are missing, or a file predicts otherwise.
    """
    batches = probe_batches()
    check_onnx(folder, batches, torch_predictions(folder, batches))


def torch_predictions(folder: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    """Predict batches (clips, samples) with the remote code of a checkpoint: logits (clips, 3) for each.

    Raises:
        Wav2SmallError: if it does not load, weights are missing, or its pipeline differs from its model.
    """
    loaded = load_in_clean_process(folder, batches)
    if loaded["missing"]:
        count, first = len(loaded["missing"]), loaded["missing"][0]
        raise Wav2SmallError(f"{folder.name}/model.safetensors lacks {first} ({count} in all): save it again")
    predictions = [np.array(logits) for logits in loaded["logits"]]
    pipeline = [(entry["label"], entry["score"]) for entry in loaded["pipeline"]]
    names, scores = zip(*pipeline, strict=True)
    if names != LABELS or not np.allclose(scores, predictions[0][0], atol=1e-4):
        raise Wav2SmallError(f"the pipeline of {folder.name} gives {pipeline}, other than its model: save it again")
    return predictions


def check_onnx(folder: Path, batches: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Compare the predictions of the ONNX files of a checkpoint with those of torch.

    Raises:
        Wav2SmallError: if a file does not run, or its predictions differ.
    """
    for dtype, name in ONNX_FILES.items():
        if not (folder / name).is_file():
            continue
        try:
            predictions = run_onnx(folder / name, batches)
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            reason = str(error).splitlines()[0]
            raise Wav2SmallError(f"{name} does not run ({reason}): write it again with `wav2small export`") from None
        difference = largest_difference(predictions, expected)
        if not difference <= TOLERANCES[dtype]:
            raise Wav2SmallError(
                f"{name} differs from model.safetensors by {difference:.1e}: write it again with `wav2small export`"
            )


def load_in_clean_process(folder: Path, batches: list[np.ndarray]) -> dict[str, Any]:
    """Load a folder with remote code in a process without our package; returns its predictions for the batches."""
    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "clips.npz", *batches)
        known = {name: value for name, value in os.environ.items() if not SECRET_NAME.search(name)}
        own = {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(Path(place) / "modules"), "HF_HOME": place}
        environment = known | own
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", LOAD, str(folder), str(Path(place) / "clips.npz")],
            capture_output=True, text=True, env=environment, cwd=place,
        )  # fmt: skip
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a message"])[-1]
        raise Wav2SmallError(f"{folder.name} does not load in a clean process with transformers ({reason})")
    loaded: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return loaded


def check_space(folder: Path) -> dict[str, Any]:
    """Check what the Hub needs to build a Space; returns the front matter of its README.md.

    Raises:
        Wav2SmallError: if a part is missing, or a package is not pinned.
    """
    if not (folder / CARD).is_file():
        raise Wav2SmallError(f"{folder} has no {CARD}: it is not a Space")
    front = front_matter(folder / CARD)
    if front.get("sdk") not in ("gradio", "docker", "static"):
        raise Wav2SmallError(f"{folder / CARD}: sdk must be gradio, docker or static, not {front.get('sdk')}")
    if front["sdk"] == "gradio" and not re.fullmatch(r"\d+\.\d+\.\d+", str(front.get("sdk_version"))):
        raise Wav2SmallError(f"{folder / CARD}: sdk_version must be one version, such as 6.17.3")
    app = folder / str(front.get("app_file", "app.py" if front["sdk"] == "gradio" else CARD))
    if not app.is_file():
        raise Wav2SmallError(f"{folder / CARD}: its app_file {app.name} is not there")
    if app.suffix == ".py":
        try:
            ast.parse(app.read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise Wav2SmallError(f"{app}, line {error.lineno}: {error.msg}") from None
    requirements = folder / "requirements.txt"
    lines = requirements.read_text(encoding="utf-8").splitlines() if requirements.is_file() else []
    for i, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-") and "==" not in text and " @ " not in text:
            raise Wav2SmallError(f"{requirements}, line {i}: {text} is not pinned: write {text}==VERSION")
    return front
