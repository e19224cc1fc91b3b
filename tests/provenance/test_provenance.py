"""A checkpoint records its sources; its licence follows from them, and no other licence can be claimed."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, write_card
from hypothesis import given
from hypothesis import strategies as st
from loopback.hub import LoopbackHub

from wav2small import Wav2SmallError
from wav2small.bundled import BUNDLED
from wav2small.provenance.licences import TABLE
from wav2small.provenance.provenance import (
    AUDIO_USES,
    PROVENANCE_FILE,
    Link,
    Provenance,
    checkout_version,
    code_version,
    link_model,
    read_provenance,
    write_provenance,
)

COMMAND = Path(sys.executable).with_name("wav2small")
TEACHER = Provenance(
    step="train",
    name="a teacher",
    corpora=[Link("its-speech", "CC-BY-NC-SA-4.0", "training"), Link("its-noise", "CC0-1.0", "noise")],
)


def student(**more) -> Provenance:
    values = {
        "step": "distill",
        "name": "a student",
        "teachers": [Link("org/teacher", "CC-BY-NC-SA-4.0", "teacher", "abc123", provenance=TEACHER)],
        "corpora": [Link("speech", "CC-BY-4.0", "training", clips=12, hours=0.5, credit="Speech (Someone 2020)")],
        "recipe": {"name": "test", "sha256": "0" * 64, "steps": 7},
        "evaluation": {"ccc": [0.5, 0.4, 0.3]},
    }
    return Provenance(**(values | more))


# ---- the licence follows ----


def test_the_licence_carries_through_teachers_corpora_and_parents():
    assert student().licence == "CC-BY-NC-SA-4.0"
    assert student(teachers=[]).licence == "CC-BY-4.0"
    further = Provenance(step="distill", name="x", parent=Link("s", student().licence, "parent", provenance=student()))
    assert further.licence == "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize("use", AUDIO_USES)
def test_every_source_affects_the_licence_but_evaluation_data_does_not(use):
    made = student(teachers=[], corpora=[Link("speech", "MIT", "training"), Link("other", "CC-BY-NC-4.0", use)])
    assert made.licence == ("MIT" if use == "evaluation" else "CC-BY-NC-4.0")


def test_an_unknown_licence_is_an_error_that_names_the_source():
    with pytest.raises(Wav2SmallError, match=r"a student: other has no known licence.*`licence:` in the recipe"):
        student(corpora=[Link("other", None, "training")])
    assert student(corpora=[Link("other", None, "evaluation")]).corpora[0].licence is None


def test_a_source_of_a_source_that_does_not_allow_a_licence_is_named():
    deep = Provenance(step="export", name="deep", parent=Link("s", student().licence, "parent", provenance=student()))
    with pytest.raises(Wav2SmallError, match=r"deep: it cannot be Apache-2\.0: the training its-speech is CC-BY-NC-SA"):
        deep.check_licence("apache-2.0")
    deep.check_licence("cc-by-nc-sa-4.0")


def test_links_come_from_the_checkpoint_down_and_roots_are_its_first_sources():
    assert [each.id for each in student().links()] == ["org/teacher", "its-speech", "its-noise", "speech"]
    assert [each.id for each in student().roots()] == ["its-speech", "its-noise", "speech"]


def test_attributions_name_each_source_that_requires_it_once():
    speech = {"id": "speech", "licence": "CC-BY-4.0", "credit": "Speech (Someone 2020)"}
    made = student(corpora=[Link(**speech, use="training"), Link(**speech, use="calibration")])
    assert made.attributions() == [
        "its-speech (CC-BY-NC-SA-4.0): training",
        "Speech (Someone 2020) (CC-BY-4.0): training, calibration",
    ]


# ---- the file ----

links = st.builds(
    Link,
    id=st.text(min_size=1),
    licence=st.sampled_from([licence.id for licence in TABLE if licence.derivatives and "ODbL" not in licence.id]),
    use=st.sampled_from(AUDIO_USES),
    revision=st.none() | st.text(),
    clips=st.none() | st.integers(0, 10**9),
    hours=st.none() | st.floats(0, 1e6),
    credit=st.none() | st.text(),
)


@given(st.lists(links), st.dictionaries(st.text(), st.integers() | st.text()))
def test_a_provenance_that_is_written_is_read_unchanged(corpora, evaluation):
    made = student(corpora=corpora, evaluation=evaluation)
    assert Provenance.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def written(folder: Path, change=lambda values: None) -> Path:
    """A folder with the provenance of a student, changed by hand."""
    write_provenance(student(), folder)
    values = json.loads((folder / PROVENANCE_FILE).read_text())
    change(values)
    (folder / PROVENANCE_FILE).write_text(json.dumps(values))
    return folder


def test_a_provenance_file_records_the_date_and_the_version_of_the_code(tmp_path):
    made = read_provenance(written(tmp_path))
    assert made == student(date=made.date)
    assert made.date.endswith("Z") and made.code == code_version()
    assert [path.name for path in tmp_path.iterdir()] == [PROVENANCE_FILE], "something else was left"


def test_code_of_a_changed_checkout_is_named_by_the_hash_of_its_diff(tmp_path):
    package = tmp_path / "modeling" / "wav2small" / "provenance"
    package.mkdir(parents=True)
    file = package / "provenance.py"
    file.write_text("before\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout.strip()
    assert checkout_version(tmp_path) == {"commit": commit}
    file.write_text("after\n")
    changed = checkout_version(tmp_path)
    diff = subprocess.run([*git, "diff", "HEAD"], cwd=tmp_path, capture_output=True).stdout
    assert changed == {"commit": commit, "diff": hashlib.sha256(diff).hexdigest()}
    assert checkout_version(tmp_path / "modeling") == {"commit": None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v.update(licence="Apache-2.0"), "states the licence Apache-2.0, but CC-BY-NC-SA-4.0 follows"),
        (lambda v: v["teachers"][0].update(licence="MIT"), "the licence of org/teacher is not that of its provenance"),
        (lambda v: v["teachers"][0]["provenance"].update(licence="MIT"), "a teacher states the licence MIT"),
        (lambda v: v["corpora"][0].update(licence="secret"), "speech has a licence that is not known here"),
        (lambda v: v["corpora"][0].update(use="fun"), "use is 'fun'"),
        (lambda v: v["corpora"][0].update(clips="many"), "clips is 'many'"),
        (lambda v: v.update(format=2), "has format 2, but this version reads format 1: install a newer wav2small"),
        (lambda v: v.update(format=None), "format is None"),
        (lambda v: v.pop("name"), "name is None"),
        (lambda v: v.update(colour="red"), "colour"),
        (lambda v: v.update(teachers=3), "not a provenance that can be read"),
        (lambda v: v.update(evaluation=[]), r"evaluation is \[\]"),
    ],
)
def test_a_provenance_file_that_was_changed_is_an_error_of_one_sentence(tmp_path, change, told):
    with pytest.raises(Wav2SmallError, match=told) as error:
        read_provenance(written(tmp_path, change))
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_or_broken_provenance_file_is_an_error(tmp_path):
    with pytest.raises(Wav2SmallError, match=r"has no provenance\.json"):
        read_provenance(tmp_path)
    (tmp_path / PROVENANCE_FILE).write_text("{")
    with pytest.raises(Wav2SmallError, match="not a provenance that can be read"):
        read_provenance(tmp_path)
    with pytest.raises(Wav2SmallError, match="there is no folder"):
        write_provenance(student(), tmp_path / "nowhere")


# ---- what is known of a model ----


def test_a_link_to_a_model_has_its_provenance(tmp_path):
    found = link_model(str(written(tmp_path)), "parent")
    assert (found.id, found.licence, found.provenance) == (tmp_path.name, "CC-BY-NC-SA-4.0", read_provenance(tmp_path))
    with pytest.raises(Wav2SmallError, match=r"has the licence CC-BY-NC-SA-4\.0, not MIT"):
        link_model(str(tmp_path), "parent", licence="MIT")


@pytest.mark.parametrize(
    ("config", "licence"),
    [
        ("{}", None),
        ("no config", None),
        ('{"_name_or_path": "audeering/wav2small"}', "CC-BY-NC-SA-4.0"),
        ('{"_name_or_path": "audeering/another"}', None),
        ('{"members": [{"source": "a", "licence": "MIT"}, {"source": "b", "licence": "CC-BY-4.0"}]}', "CC-BY-4.0"),
        ('{"members": [{"source": "a", "licence": "MIT"}, {"source": "b", "licence": null}]}', None),
    ],
)
def test_a_model_without_provenance_has_the_licence_of_its_config(tmp_path, config, licence):
    (tmp_path / "config.json").write_text(config)
    assert link_model(str(tmp_path), "teacher").licence == licence
    assert link_model(str(tmp_path), "teacher", licence=licence or "MIT").licence == (licence or "MIT")


def test_the_licence_on_a_card_has_priority_over_that_of_the_name_in_the_config(tmp_path):
    (tmp_path / "config.json").write_text('{"_name_or_path": "3loi/SER-Odyssey-Baseline-WavLM-Arousal"}')
    write_card(tmp_path, "cc-by-nc-4.0")
    assert link_model(str(tmp_path), "teacher").licence == "CC-BY-NC-4.0"
    write_card(tmp_path, "other")
    with pytest.raises(Wav2SmallError, match=r"has a licence that is not known here \('other'\)"):
        student(teachers=[link_model(str(tmp_path), "teacher")])
    (tmp_path / "README.md").write_text("---\nlicense: [\n---\n")
    with pytest.raises(Wav2SmallError, match=r"README\.md has front matter that is not YAML") as error:
        link_model(str(tmp_path), "teacher")
    assert "\n" not in str(error.value)


CONVERT = """
import json, sys
from pathlib import Path
from wav2small.convert.student import convert_student
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import read_provenance
convert_student("audeering/wav2small", Path("ours"))
try:
    convert_student("someone/copy", Path("copy"))
except Wav2SmallError as error:
    print(json.dumps([read_provenance("ours").to_dict(), str(error), Path("copy").exists()]))
"""


def test_a_published_model_is_converted_with_its_commit_and_licence_and_one_of_unknown_licence_is_not(tmp_path):
    reference = pytest.importorskip("reference.wav2small")
    from safetensors.torch import save

    weights = save(reference.random_weights("gram"))
    with LoopbackHub() as hub:
        files = {"model.safetensors": weights, "config.json": b"{}"}
        sha = hub.put("models", "audeering/wav2small", files).refs["main"].sha
        hub.put("models", "someone/copy", files)
        made, told, left = hub.run(CONVERT, tmp_path)
    assert (made["step"], made["licence"]) == ("convert", "CC-BY-NC-SA-4.0")
    parent = {"id": "audeering/wav2small", "licence": "CC-BY-NC-SA-4.0", "use": "parent", "revision": sha}
    assert made["parent"] == parent
    assert told.startswith("someone/copy does not state its licence: name it with --licence") and not left


# ---- the command ----


def run(*arguments: object, code: int = 0) -> list[str]:
    command = [COMMAND, "licence", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "COLUMNS": "110"})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return [line.rstrip() for line in (done.stderr if code else done.stdout).splitlines()]


def test_the_command_prints_the_chain_as_a_tree(tmp_path):
    lines = run(written(tmp_path))
    assert lines[:2] == [
        "a student",
        "CC-BY-NC-SA-4.0: no commercial use, name the source, share alike",
    ]
    text = "\n".join(lines)
    assert "├── teacher: org/teacher (abc123)\n" in text and "│   ├── training: its-speech\n" in text
    assert "└── training: Speech (Someone 2020) (12 clips, 30 min)\n    CC-BY-4.0: any use, name the source" in text
    assert run()[1] == f"{read_provenance(BUNDLED).licence}: any use, name the source", (
        "the bundled checkpoint is the default"
    )


def test_the_documentation_shows_what_the_command_prints():
    page = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
    assert "\n".join(run()) in page


def test_a_model_whose_licence_is_not_known_is_an_error_of_one_line(tmp_path):
    changed = written(tmp_path, lambda values: values.update(licence="MIT"))
    (told,) = run(changed, code=1)
    assert told.startswith("wav2small: ") and "changed by hand" in told
    (tmp_path / PROVENANCE_FILE).unlink()
    (told,) = run(tmp_path, code=1)
    assert "has no known licence" in told
    (told,) = run("nobody/nothing", code=1)
    assert "nobody/nothing is not a folder here and cannot be loaded from the Hub" in told
