"""A recipe is strict: what it says is done, what it cannot mean is an error with its line."""

import pytest
from conftest import ROOT

from wav2small import Wav2SmallError
from wav2small_training.recipe import load

GOOD = """\
name: mine
teacher: some/teacher
corpora:
  - source: a/b
    licence: CC0-1.0
evaluation:
  corpora: [{source: c/d, licence: CC0-1.0}]
steps: 10
output: runs/mine
"""


def written(tmp_path, text=GOOD):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_defaults_are_filled_in_and_survive_a_round_trip(tmp_path):
    recipe = load(written(tmp_path))
    assert (recipe.batch, recipe.crop_seconds, recipe.corpora[0].split) == (64, 5.0, "train")
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert load(again) == recipe


def test_overrides_reach_every_depth(tmp_path):
    overrides = ["steps=7", "corpora.0.weight=2.5", "optimizer.ema_decay=0.9", "trackers=[tensorboard]"]
    recipe = load(written(tmp_path), overrides)
    assert (recipe.steps, recipe.corpora[0].weight, recipe.optimizer.ema_decay) == (7, 2.5, 0.9)
    assert recipe.trackers == ["tensorboard"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("steps: 10", "stepz: 10"), r"recipe.yaml, line 8: stepz: unknown key|recipe.yaml, line 1: steps: is missing"),
        (("    licence: CC0-1.0", "    license: CC0-1.0"), "line (4|5): corpora.0.licen[sc]e"),
        (("steps: 10", "steps: many"), "line 8: steps: Input should be a valid integer"),
        (("steps: 10", "steps: 0"), "line 8: steps: Input should be greater than or equal to 1"),
        (("source: a/b", "source: a/b\n    weight: -1"), "line 5: corpora.0.weight"),
        (("teacher: some/teacher\n", ""), "line 1: give one of: teacher, annotations, or the labels of each corpus"),
        (("teacher: some/teacher", "teacher: t\nannotations: a"), "give one of: teacher, annotations, or the labels"),
        (
            ("teacher: some/teacher", "annotations: a\naugmentation: {mix: 0.5}"),
            "annotations and labels hold answers for single clips: augmentation.mix needs a teacher",
        ),
        (("source: a/b", "source: a/b\n    labels: emotion"), "some corpora have labels and some have none"),
        (
            ("source: a/b", "source: a/b\n    labels: emotion\n    word: neutral"),
            "line 4: corpora.0: give labels or word, not both",
        ),
        (("source: a/b", "source: a/b\n    agreement: share"), "corpora.0: agreement is with an emotion word"),
        (
            ("source: a/b", "source: a/b\n    labels: [a, d, v]\n    agreement: share"),
            "corpora.0: agreement is with an emotion word: labels must name its column",
        ),
        (("source: a/b", "source: a/b\n    labels: [a, d]"), r"line 5: corpora.0.labels.*: "),
        (("steps: 10", "steps: 10\naugmentation: {speed_range: [1.2, 0.8]}"), "speed_range must rise, not 1.2 to 0.8"),
        (("steps: 10", "steps: 10\naugmentation: {speed_range: [0, 1]}"), "line 9: augmentation.speed_range.0"),
        (("steps: 10", "steps: 10\naugmentation: {teacher_hears: noise}"), "line 9: augmentation.teacher_hears"),
        (("steps: 10", "steps: 10\naugmentation:\n  noise: 0.5"), "line 9: augmentation: noise needs noise_folder"),
        (
            ("steps: 10", "steps: 10\naugmentation: {rooms: 0.5, rooms_folder: r}"),
            "line 9: augmentation: rooms needs rooms_licence",
        ),
        (("steps: 10", "steps: 10\nloss: {ccc: 0, l2: 0}"), "nothing to learn"),
        (("name: mine", "name: [mine"), "recipe.yaml, line"),
        ((GOOD, "just words"), "it must hold keys and values"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, change, told):
    with pytest.raises(Wav2SmallError, match=told) as error:
        load(written(tmp_path, GOOD.replace(*change)))
    assert "\n" not in str(error.value)


LABELLED = GOOD.replace("teacher: some/teacher\n", "").replace("c/d, ", "c/d, labels: [a, d, v], ")
LABELLED = LABELLED.replace("    licence: CC0-1.0", "    licence: CC0-1.0\n    labels: [a, d, v]")


def test_labels_a_word_and_several_teachers_survive_a_round_trip(tmp_path):
    recipe = load(written(tmp_path, LABELLED))
    assert recipe.corpora[0].labels == recipe.evaluation.corpora[0].labels == ("a", "d", "v")
    again = tmp_path / "again.yaml"
    for each in (
        recipe,
        load(written(tmp_path, LABELLED), ["corpora.0.labels=null", "corpora.0.word=neutral"]),
        load(written(tmp_path, LABELLED), ["corpora.0.labels=emotion", "corpora.0.agreement=share"]),
        load(written(tmp_path), ["teacher=[one, two]"]),
    ):
        again.write_text(each.to_yaml())
        assert load(again) == each


def test_a_labelled_recipe_needs_no_teacher_and_takes_none(tmp_path):
    with pytest.raises(Wav2SmallError, match="give one of: teacher, annotations, or the labels"):
        load(written(tmp_path, LABELLED), ["teacher=some/teacher"])
    with pytest.raises(Wav2SmallError, match="some corpora have labels and some have none"):
        load(written(tmp_path, LABELLED), ["evaluation.corpora.0.labels=null"])


@pytest.mark.parametrize(
    ("override", "told"),
    [("steps", "key=value"), ("stepz=3", "stepz=3: stepz: unknown key"), ("corpora.5.weight=1", "no such place")],
)
def test_a_wrong_override_is_told_as_written(tmp_path, override, told):
    with pytest.raises(Wav2SmallError, match=told):
        load(written(tmp_path), [override])


def test_a_missing_recipe_is_told(tmp_path):
    with pytest.raises(Wav2SmallError, match=r"nowhere\.yaml cannot be read"):
        load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "training" / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_project_loads(path):
    assert load(path).name
