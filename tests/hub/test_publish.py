"""`wav2small publish`, `publish-space`, `collect` and `distill --publish`, over HTTP, with the real clients."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE, voice_like, write_card, write_corpus
from loopback.hub import LoopbackHub

pytest.importorskip("datasets", reason="the extra [training] is not installed")

from hub.publishable import NAME

import wav2small
from wav2small.bundled import BUNDLED
from wav2small.inference.predictor import ONNX_FILES
from wav2small_training.hub import card

COMMAND = Path(sys.executable).with_name("wav2small")


@pytest.fixture
def hub():
    with LoopbackHub() as hub:
        yield hub


def run(hub, home: Path, *arguments, token: str | None = "hf_alice", code: int = 0) -> str:
    """Run the command as a user of the Hub; gives what it printed, which is never a traceback."""
    environment = hub.environment(home / "hub", token) | {"COLUMNS": "100"}
    done = subprocess.run([COMMAND, *map(str, arguments)], env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    if code:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr if code else done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)  # several processes that import torch, one after the other
def test_a_published_student_loads_from_the_hub_and_predicts_the_same(hub, student, tmp_path):
    shown = run(hub, tmp_path, "publish", student, NAME)
    assert "lab/student (model, new, public), licence cc-by-4.0" in shown
    assert "onnx/model_q4.onnx" in shown and "published" in shown
    repo = hub.repos["models", NAME]
    here = {path.relative_to(student).as_posix(): path for path in student.rglob("*") if path.is_file()}
    assert set(repo.names()) == {".gitattributes", *here}
    assert all(repo.commit("main").files[name].content == path.read_bytes() for name, path in here.items())
    assert len(repo.commit("main").history()) == 2, "it was not one commit"
    first = repo.commit("main").sha

    assert "nothing to do" in run(hub, tmp_path, "publish", student, NAME)
    assert repo.commit("main").sha == first

    code = """
import sys
sys.modules["wav2small"] = None
import json, os, numpy, torch
from huggingface_hub import snapshot_download
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline
name, clip = "lab/student", numpy.load(sys.argv[1])
model = AutoModelForAudioClassification.from_pretrained(name, trust_remote_code=True).eval()
inputs = AutoFeatureExtractor.from_pretrained(name)(clip, sampling_rate=16000, return_tensors="pt")
with torch.inference_mode():
    logits = model(**inputs).logits[0].tolist()
pipe = pipeline("audio-classification", model=name, trust_remote_code=True)
files = snapshot_download(name, revision=sys.argv[2])
print(json.dumps({"module": type(model).__module__, "logits": logits, "pipeline": pipe(clip),
                  "files": sorted(os.listdir(files))}))
"""
    clip = voice_like(1.3)
    np.save(tmp_path / "clip.npy", clip)
    answer = hub.run(code, tmp_path, str(tmp_path / "clip.npy"), first)
    expected = wav2small.load(student).logits((clip, RATE))
    assert answer["module"].startswith("transformers_modules.")
    assert [entry["label"] for entry in answer["pipeline"]] == ["arousal", "dominance", "valence"]
    np.testing.assert_allclose(answer["logits"], expected, atol=1e-4)
    np.testing.assert_allclose([entry["score"] for entry in answer["pipeline"]], expected, atol=1e-4)
    assert set(answer["files"]) >= {"README.md", "provenance.json", "onnx", "results"}

    code = """
import json, numpy, sys, wav2small
clip = numpy.load(sys.argv[1])
answers = [wav2small.load("lab/student", dtype=kind).logits((clip, 16000)) for kind in ("fp32", "q8")]
print(json.dumps([answer.tolist() for answer in answers]))
"""
    float_answer, small_answer = hub.run(code, tmp_path, str(tmp_path / "clip.npy"))
    np.testing.assert_allclose(float_answer, expected, atol=1e-5)
    np.testing.assert_allclose(small_answer, expected, atol=0.02)


def test_a_second_revision_leaves_the_first_as_it_was(hub, student, tmp_path):
    files = {path.relative_to(student).as_posix(): path.read_bytes() for path in student.rglob("*") if path.is_file()}
    hub.put("models", NAME, files | {"notes.txt": b"written on the Hub"})
    (student / ONNX_FILES["q4"]).unlink()
    (student / "README.md").unlink()
    card.write_card(student, id=NAME)
    shown = run(hub, tmp_path, "publish", student, NAME, "--revision", "next")
    assert "branch next, new" in shown and "removed" in shown and "unchanged" in shown
    repo = hub.repos["models", NAME]
    assert set(repo.names("main")) - set(repo.names("next")) == {ONNX_FILES["q4"]}, "only what is ours goes"
    assert hub.sent("PUT /lfs/") == 0, "what the Hub holds was sent again"


def test_a_token_without_the_rights_gives_one_sentence_at_once(hub, tmp_path):
    folder = tmp_path / "any"
    tokens = {None: "hf auth login", "hf_wrong": "does not accept", "hf_bob": "may not write", "hf_reader": "only read"}
    for token, words in tokens.items():
        assert words in run(hub, tmp_path, "publish", folder, NAME, token=token, code=1)
    assert "org/name" in run(hub, tmp_path, "publish", folder, "student", code=1)
    assert "not on the Hub" in run(hub, tmp_path, "collect", "All", NAME, code=1)
    assert "--revision or --pr" in run(hub, tmp_path, "publish", folder, NAME, "--pr", "--revision", "x", code=1)
    assert not hub.repos and not hub.collections


def test_a_dry_run_sends_nothing_and_needs_no_token(hub, space, tmp_path):
    arguments = ["publish-space", "lab/ear", "--folder", space, "--dry-run"]
    shown = run(hub, tmp_path, *arguments, token=None)
    assert "lab/ear (space, new, public), licence apache-2.0" in shown
    assert "this would publish 4 new" in shown and "examples/a.flac" in shown
    assert not hub.repos, "a dry run made a repository"
    hub.put("spaces", "lab/ear", {"app.py": (space / "app.py").read_bytes(), "old.py": b""})
    shown = run(hub, tmp_path, *arguments, token=None)
    assert "this would publish 2 new, 1 changed, 1 removed" in shown
    assert "old.py" in hub.repos["spaces", "lab/ear"].names()


def test_the_page_without_a_server_becomes_a_static_space(hub, tmp_path):
    shown = run(hub, tmp_path, "publish-space", "lab/page", "--static")
    assert "paid" not in shown
    names = hub.repos["spaces", "lab/page"].names()
    assert {"README.md", "index.html", "sw.js"} <= set(names)
    assert "--folder" in run(hub, tmp_path, "publish-space", "lab/page", "--static", "--folder", tmp_path, code=1)


def test_a_dry_run_without_the_hub_says_that_nothing_was_compared(hub, space, tmp_path):
    hub.refuse("GET", "/api/spaces/", 503)
    arguments = ["publish-space", "lab/ear", "--folder", space]
    shown = run(hub, tmp_path, *arguments, "--dry-run", token=None)
    assert "app.py" in shown and "not compared" in shown
    assert "all checks of 4 files" in shown and "the Hub cannot be reached" in shown
    hub.url = "http://127.0.0.1:9"  # nobody listens there
    assert "the Hub cannot be reached" in run(hub, tmp_path, *arguments, "--dry-run", token=None)
    assert "broke off" in run(hub, tmp_path, *arguments, code=1)


def test_a_stopped_upload_publishes_nothing_and_can_be_repeated(hub, space, tmp_path):
    arguments = [COMMAND, "publish-space", "lab/ear", "--folder", space]
    process: list[subprocess.Popen] = []
    hub.break_off("PUT", "/lfs/", then=lambda: process[0].kill())
    process.append(subprocess.Popen(arguments, env=hub.environment(tmp_path, "hf_alice"), stderr=subprocess.DEVNULL))
    assert process[0].wait() == -signal.SIGKILL
    repo = hub.repos["spaces", "lab/ear"]
    assert repo.names() == [".gitattributes", "README.md"], "a killed upload left files"

    hub.break_off("POST", "/commit/")
    told = run(hub, tmp_path, *arguments[1:], code=1)
    assert "broke off" in told and "repeat the command" in told
    assert repo.names() == [".gitattributes", "README.md"], "a broken commit left files"
    assert hub.sent("PUT /lfs/") == 1

    hub.refuse("POST", "/commit/", 503)
    assert "status 503" in run(hub, tmp_path, *arguments[1:], code=1)

    shown = run(hub, tmp_path, *arguments[1:])
    assert "paid plan" in shown and "published" in shown
    assert repo.sdk == "gradio"
    assert repo.names() == [".gitattributes", "README.md", "app.py", "examples/a.flac", "requirements.txt"]
    assert hub.sent("PUT /lfs/") == 1, "what was uploaded before the break was sent again"
    assert "nothing to do" in run(hub, tmp_path, *arguments[1:])


def test_a_pull_request_changes_nothing_until_it_is_merged_and_is_made_once(hub, space, tmp_path):
    arguments = ["publish-space", "lab/ear", "--folder", space, "--pr"]
    assert "not on the Hub" in run(hub, tmp_path, *arguments, code=1)
    hub.create("spaces", "lab/ear", sdk="gradio")
    for _ in range(2):
        assert "/discussions/1" in run(hub, tmp_path, *arguments, token="hf_bob")
    repo = hub.repos["spaces", "lab/ear"]
    assert "app.py" not in repo.names("main") and "app.py" in repo.names("refs/pr/1")
    assert len(repo.pull_requests) == 1


def test_a_private_repository_is_never_made_public(hub, space, tmp_path):
    arguments = ["publish-space", "lab/ear", "--folder", space, "--private"]
    assert "new, private" in run(hub, tmp_path, *arguments)
    assert hub.repos["spaces", "lab/ear"].private
    hub.repos["spaces", "lab/ear"].private = False
    assert "public" in run(hub, tmp_path, *arguments, code=1)


def test_a_collection_gets_each_model_and_space_once(hub, tmp_path):
    for kind, name in (("models", "lab/teacher"), ("models", NAME), ("spaces", "lab/ear")):
        hub.create(kind, name)
    items = ["lab/teacher", NAME]
    first = run(hub, tmp_path, "collect", "Tiny ears", *items)
    assert first == run(hub, tmp_path, "collect", "Tiny ears", *items, "spaces/lab/ear")
    (one,) = hub.collections.values()
    assert (one["title"], one["owner"]["name"]) == ("Tiny ears", "lab")
    assert [item["id"] for item in one["items"]] == ["lab/teacher", NAME, "lab/ear"]
    assert "not on the Hub" in run(hub, tmp_path, "collect", "Other ears", *items, "lab/absent", code=1)
    assert len(hub.collections) == 1, "a collection with a missing item was begun"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.export
def test_one_command_goes_from_a_recipe_to_the_hub(hub, tmp_path):
    teacher = tmp_path / "teacher"
    shutil.copytree(BUNDLED, teacher, ignore=shutil.ignore_patterns("onnx", "README.md", "provenance.json"))
    write_card(teacher, "cc-by-4.0")
    corpora = [{"source": str(write_corpus(tmp_path / name, 8)), "licence": "CC0-1.0"} for name in ("train", "held")]
    recipe = {
        "name": "tiny",
        "teacher": str(teacher),
        "corpora": corpora[:1],
        "validation": {"corpora": corpora[1:], "clips": 8, "every": 2},
        "steps": 2,
        "batch": 4,
        "crop_seconds": 0.5,
        "workers": 0,
        "output": str(tmp_path / "run"),
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    command = ["distill", tmp_path / "recipe.yaml", "--publish", "lab/tiny", "--anyway"]
    assert "hf auth login" in run(hub, tmp_path, *command, token=None, code=1)
    assert not (tmp_path / "run").exists(), "it trained before it knew whether it may publish"
    assert "published" in run(hub, tmp_path, *command)
    names = hub.repos["models", "lab/tiny"].names()
    assert {
        "README.md",
        "provenance.json",
        "onnx/model.onnx",
        "onnx/model_q4.onnx",
        "results/speed.json",
        "results/1-held.json",
    } <= set(names)
