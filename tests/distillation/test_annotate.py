"""Teacher labels are written once, exactly, whatever interrupts the writing and however many processes share it."""

import json
import os
import socket
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RATE, write_card, write_corpus
from processes import Running
from pyarrow import parquet
from reference import wav2small as reference

from wav2small import Wav2SmallConfig, Wav2SmallError, Wav2SmallForAudioClassification
from wav2small.cli.command import run_command
from wav2small.convert.student import hub_variant_keys, load_renamed
from wav2small.models.audio import read_audio
from wav2small_training.distillation import annotate as module
from wav2small_training.distillation import work
from wav2small_training.distillation.annotate import annotate
from wav2small_training.distillation.teacher_labels import TeacherLabels
from wav2small_training.recipe import Recipe


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A teacher (any model of ours can be one) and a corpus of some shards' length."""
    place = tmp_path_factory.mktemp("annotate")
    teacher = Wav2SmallForAudioClassification(Wav2SmallConfig())
    load_renamed(teacher, reference.random_weights("token"), hub_variant_keys(), "test")
    teacher.save_pretrained(place / "teacher")
    write_card(place / "teacher", "mit")
    write_corpus(place / "train", 21, bad=1)
    write_corpus(place / "held", 5)
    return place


def recipe(place: Path, **more) -> Recipe:
    values = {
        "name": "test",
        "teacher": str(place / "teacher"),
        "corpora": [{"source": str(place / "train"), "licence": "CC0-1.0"}],
        "validation": {"corpora": [{"source": str(place / "held"), "licence": "CC0-1.0"}]},
        "steps": 1,
        "crop_seconds": 0.5,
        "max_bad_share": 0.2,
        "output": str(place / "run"),
        **more,
    }
    return Recipe.model_validate(values)


def rows(out: Path) -> list[dict]:
    found = [row for path in sorted(out.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]
    return sorted(found, key=lambda row: (row["source"], row["id"], row["start"]))


@pytest.fixture(scope="module")
def whole(place) -> Path:
    out = place / "whole"
    annotate(recipe(place), out)
    return out


def test_each_window_has_the_teachers_prediction(place, whole):
    found = rows(whole)
    assert {row["id"] for row in found if "train" in row["source"]} == {f"{i:03}.flac" for i in range(21)}
    teacher = Wav2SmallForAudioClassification.from_pretrained(place / "teacher").eval()
    for row in found[::7]:
        samples = read_audio(Path(row["source"]) / row["id"])[round(row["start"] * RATE) :][
            : round(row["duration"] * RATE)
        ]
        with torch.no_grad():
            expected = teacher(torch.from_numpy(samples)[None]).logits[0].numpy()
        predicted = [row["arousal"], row["dominance"], row["valence"]]
        np.testing.assert_allclose(predicted, expected, atol=1e-4)
        np.testing.assert_allclose(row["members"], [predicted], atol=1e-6)
        assert row["teacher"] == str(place / "teacher")


def test_windows_cover_each_clip_to_its_end(whole):
    ends: dict[str, list] = {}
    for row in rows(whole):
        ends.setdefault(f"{row['source']}/{row['id']}", []).append((row["start"], row["start"] + row["duration"]))
    for path, windows in ends.items():
        assert windows[0][0] == 0
        assert windows[-1][1] == pytest.approx(len(read_audio(path)) / RATE)
        assert all(begin <= end for (_, end), (begin, _) in pairwise(windows))


def test_teacher_labels_are_found_by_clip(whole, place):
    labels = TeacherLabels(whole)
    train = recipe(place).corpora[0]
    windows = labels(train, "003.flac")
    expected = [row for row in rows(whole) if row["id"] == "003.flac" and row["source"] == str(place / "train")]
    assert [start for start, _ in windows] == [row["start"] for row in expected]
    np.testing.assert_allclose(windows[0][1], [expected[0][name] for name in ("arousal", "dominance", "valence")])
    assert labels(train, "nothing.flac") == []
    assert labels(train.model_copy(update={"source": "org/set", "split": "test"}), "003.flac") == []


def annotate_in_small_shards(recipe: Recipe, out: Path) -> None:
    """Annotate in a process of its own, with shards of 4 clips."""
    module.CLIPS = 4
    annotate(recipe, out)


def test_killed_after_a_shard_and_started_again_it_writes_the_same_rows(place, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CLIPS", 4)
    annotate(recipe(place), tmp_path / "whole")
    killed = tmp_path / "killed"
    Running(annotate_in_small_shards, recipe(place), killed).kill_once(lambda: list(killed.glob("*.parquet")))
    assert not (tmp_path / "killed" / "annotations.json").exists(), "it was done before it was killed"
    Running(annotate_in_small_shards, recipe(place), killed).finish()
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    killed, whole = ({path.name for path in (tmp_path / name).glob("[!.]*")} for name in ("killed", "whole"))
    assert killed == whole, "a kill may leave a hidden folder, and nothing that a reader would take for a shard"


def test_workers_that_are_started_anew_read_the_same_windows(place, tmp_path, whole, spawned):
    annotate(recipe(place).model_copy(update={"workers": 2}), tmp_path / "spawned")
    assert rows(tmp_path / "spawned") == rows(whole)


def test_two_processes_write_the_rows_of_one(place, tmp_path, whole):
    Running(annotate_in_small_shards, recipe(place), tmp_path / "two", processes=2).finish()
    shared, alone = rows(tmp_path / "two"), rows(whole)
    assert [(row["id"], row["start"]) for row in shared] == [(row["id"], row["start"]) for row in alone]
    for row, other in zip(shared, alone, strict=True):
        assert row["arousal"] == pytest.approx(other["arousal"], abs=1e-4)


def annotate_in_a_folder_that_is_not_shared(recipe: Recipe, out: Path) -> None:
    work.SEEN = 1.0
    run_command(lambda: annotate(recipe, out / os.environ["RANK"]))


def test_a_folder_that_is_not_shared_is_refused_at_once(place, tmp_path):
    running = Running(annotate_in_a_folder_that_is_not_shared, recipe(place), tmp_path, processes=2)
    assert running.exit_codes() == [1, 1]
    assert "is not the same folder on all machines: put it on a disk that they share" in running.stderr
    assert "Traceback" not in running.stderr and not list(tmp_path.rglob("*.parquet"))


def test_clips_that_share_a_name_are_refused(place, tmp_path):
    corpora = [{"source": str(place / "train"), "licence": "CC0-1.0", "id": "speaker"}]
    with pytest.raises(Wav2SmallError, match=r"train has several clips '\d': name a column that tells them apart"):
        annotate(recipe(place, corpora=corpora), tmp_path / "out")


def test_a_unit_that_a_lost_machine_had_is_taken_by_another(place, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(module, "CLIPS", 4)
    out, claims = tmp_path / "lost", tmp_path / "lost" / ".claims"
    claims.mkdir(parents=True)
    (claims / "00-000000.parquet").write_text("elsewhere 1")
    os.utime(claims / "00-000000.parquet", (0, 0))
    (claims / "00-000004.parquet").write_text(f"{socket.gethostname()} 999999999")
    annotate(recipe(place), out)
    assert [row["id"] for row in rows(out)] == [row["id"] for row in rows(whole)]


def test_other_settings_in_the_same_folder_are_refused(place, whole):
    with pytest.raises(Wav2SmallError, match="started with another crop_seconds"):
        annotate(recipe(place, crop_seconds=0.7), whole)


def test_too_many_bad_items_stop_it(place, tmp_path):
    write_corpus(tmp_path / "rotten", 4, bad=30)
    corpora = [{"source": str(tmp_path / "rotten"), "licence": "CC0-1.0"}]
    with pytest.raises(Wav2SmallError, match=r"30 of 34 items of .*rotten are bad"):
        annotate(recipe(place, corpora=corpora), tmp_path / "out")


def test_unfinished_teacher_labels_are_refused(tmp_path):
    with pytest.raises(Wav2SmallError, match="no finished teacher labels"):
        TeacherLabels(tmp_path)


def test_a_recipe_without_a_teacher_is_refused(place, tmp_path):
    with pytest.raises(Wav2SmallError, match="needs a recipe with a teacher"):
        annotate(recipe(place, teacher=None, teacher_labels="x"), tmp_path / "out")


def test_the_settings_are_kept_beside_the_shards(whole, place):
    settings = json.loads((whole / "annotations.json").read_text())
    assert settings["teacher"] == str(place / "teacher") and settings["crop_seconds"] == 0.5
