"""What `wav2small publish` and `publish-space` check before anything is sent."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

pytest.importorskip("datasets", reason="the extra [training] is not installed")

from hub.publishable import NAME

from wav2small import Wav2SmallError
from wav2small.inference.predictor import ONNX_FILES
from wav2small.provenance import provenance
from wav2small.provenance.provenance import Link, Provenance
from wav2small_training.exporters.parity import probe_batches
from wav2small_training.hub import publish, validate

TOKEN = "hf_" + "x" * 34


def write_provenance(folder: Path, licence: str) -> None:
    corpora = [Link("acted speech", "CC-BY-4.0", use="training", clips=12)]
    teachers = [Link("lab/teacher", licence, use="teacher")]
    provenance.write_provenance(Provenance(step="distill", name="student", teachers=teachers, corpora=corpora), folder)


def refused(student: Path, match: str) -> None:
    with pytest.raises(Wav2SmallError, match=match):
        publish.publish(student, NAME, dry_run=True)


def test_a_file_that_does_not_belong_to_a_checkpoint_is_named(student):
    (student / "onnx" / "backup.onnx").write_bytes(b"x")
    refused(student, "backup.onnx does not belong")


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("configuration_tcn_adv.py", f'TOKEN = "{TOKEN}"'),
        ("README.md", "-----BEGIN RSA PRIVATE KEY-----"),
        ("results/speed.json", "AKIA" + "ABCDEFGHIJKLMNOP"),
    ],
)
def test_a_secret_is_reported_by_file_and_line_without_its_text(student, file, line):
    path = student / file
    count = len(path.read_text().splitlines())
    path.write_text(f"{path.read_text()}\n{line}\n")
    with pytest.raises(Wav2SmallError) as error:
        publish.publish(student, NAME, dry_run=True)
    assert f"{file}, line {count + 2}" in str(error.value)
    assert line not in str(error.value)


def test_a_licence_that_the_teacher_does_not_allow_is_an_error(student):
    text = (student / "README.md").read_text()
    (student / "README.md").write_text(text.replace("license: cc-by-4.0", "license: apache-2.0"))
    refused(student, "requires attribution")
    write_provenance(student, "CC-BY-NC-SA-4.0")
    refused(student, "lab/teacher is CC-BY-NC-SA-4.0")


def test_an_incomplete_card_or_one_of_another_model_is_an_error(student):
    text = (student / "README.md").read_text()
    (student / "README.md").write_text(text.replace(NAME, "lab/other"))
    refused(student, "does not load lab/student")
    (student / "README.md").write_text(text.replace("pipeline_tag", "x_tag"))
    refused(student, "pipeline_tag")
    (student / "README.md").unlink()
    refused(student, "has no card")


def test_a_broken_config_or_missing_code_is_an_error(student):
    config = json.loads((student / "config.json").read_text())
    (student / "log_mel.py").unlink()
    refused(student, r"has no log_mel\.py")
    (student / "config.json").write_text(json.dumps(config | {"auto_map": None}))
    refused(student, "names no code")
    (student / "config.json").write_text("{")
    refused(student, "names no code")
    (student / "config.json").unlink()
    refused(student, "has no config.json")


def test_onnx_files_of_other_weights_are_an_error(student, tmp_path):
    weights = load_file(student / "model.safetensors")
    weights["classifier.bias"] += 0.25
    save_file(weights, student / "model.safetensors", metadata={"format": "pt"})
    clips = probe_batches()
    expected = validate.torch_predictions(student, clips)
    for dtype in ("fp32", "q8", "q4"):
        folder = tmp_path / dtype / "onnx"
        folder.mkdir(parents=True)
        shutil.copy(student / ONNX_FILES[dtype], folder)
        with pytest.raises(Wav2SmallError, match=f"{ONNX_FILES[dtype]} differs from model.safetensors"):
            validate.check_onnx(folder.parent, clips, expected)
        validate.check_onnx(folder.parent, clips, [logits - 0.25 for logits in expected])
    (folder / "model_q4.onnx").write_bytes(b"broken")
    with pytest.raises(Wav2SmallError, match="does not run"):
        validate.check_onnx(folder.parent, clips, expected)


def test_a_checkpoint_without_onnx_files_is_refused(student):
    shutil.rmtree(student / "onnx")
    refused(student, r"has no onnx/model_quantized\.onnx: `wav2small export` writes it")


def test_missing_weights_are_an_error(student):
    weights = load_file(student / "model.safetensors")
    del weights["classifier.bias"]
    save_file(weights, student / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Wav2SmallError, match=r"lacks classifier\.bias"):
        validate.check_weights(student)


def test_remote_code_that_imports_our_package_is_an_error(student):
    code = student / "configuration_tcn_adv.py"
    code.write_text(f"from wav2small import Wav2SmallConfig\n{code.read_text()}")
    with pytest.raises(Wav2SmallError, match=r"does not load in a clean process.*wav2small"):
        validate.check_weights(student)


@pytest.mark.parametrize(
    ("file", "old", "new", "match"),
    [
        ("README.md", "sdk: gradio", "sdk: other", "sdk must be"),
        ("README.md", "6.17.3", "6", "sdk_version"),
        ("README.md", "app.py", "absent.py", r"absent\.py is not there"),
        ("README.md", "---", "", "sdk must be"),
        ("README.md", "title: Ear", "title: [", "metadata"),
        ("app.py", "import", "import import", "app.py, line 1"),
        ("requirements.txt", "==0.1.0", "", "not pinned"),
        ("app.py", "gradio", f"gradio  # {TOKEN}", "app.py, line 1, holds what looks like a token"),
    ],
)
def test_a_space_that_would_not_build_is_an_error(space, file, old, new, match):
    (space / file).write_text((space / file).read_text().replace(old, new))
    with pytest.raises(Wav2SmallError, match=match):
        publish.publish_space(space, "lab/ear", dry_run=True)


def test_the_space_of_this_package_is_published_with_its_page_and_passes_all_checks(tmp_path):
    publish.copy_space(None, tmp_path)
    assert validate.check_space(tmp_path)["sdk"] == "gradio"
    validate.check_secrets(tmp_path)
    assert (tmp_path / "wav2small_demo" / "app.py").is_file() and not list(tmp_path.rglob("__pycache__"))


# ---- what must not leave this machine ----


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_is_refused_whatever_its_name(student, space, tmp_path, what):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "passwords").write_text("root")
    target = tmp_path / "private" / ("passwords" if what == "file" else "")
    (student / "onnx" / "model.onnx_data").symlink_to(target)
    (tmp_path / "staged").mkdir()
    with pytest.raises(Wav2SmallError, match=r"onnx/model.onnx_data is a link: put the file itself there"):
        validate.stage(student, tmp_path / "staged")
    (space / "examples" / "more").symlink_to(target)
    with pytest.raises(Wav2SmallError, match="more is a link"):
        publish.copy_space(space, tmp_path / "copied")


def test_what_a_killed_process_left_does_not_stop_a_publication_and_is_not_published(student, tmp_path):
    left = student / "onnx" / ".model.onnx.x1y2z3"
    left.mkdir()
    (left / "model.onnx").write_bytes(b"half")
    (tmp_path / "staged").mkdir()
    validate.stage(student, tmp_path / "staged")
    assert not list((tmp_path / "staged").rglob(".*")) and (tmp_path / "staged" / "onnx" / "model.onnx").is_file()


def test_the_process_that_tries_remote_code_has_no_token(student, tmp_path, monkeypatch):
    class StopError(Exception):
        pass

    seen = {}

    def start(*_, env, **__):
        seen.update(env)
        raise StopError

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "MY_PASSWORD"):
        monkeypatch.setenv(name, "private")
    monkeypatch.setattr(validate.subprocess, "run", start)
    with pytest.raises(StopError):
        validate.load_in_clean_process(student, [])
    assert "private" not in seen.values() and "PATH" in seen
    assert not (Path(seen["HF_HOME"]) / "token").exists(), "the token of `hf auth login` is not there, either"
