"""A recipe is strict: what it says is done, what it cannot mean is an error with its line."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from wav2small import Wav2SmallError
from wav2small_training.recipe_file import load_any, load_head, load_mixture, load_recipe

GOOD = """\
name: mine
teacher: some/teacher
corpora:
  - source: a/b
    licence: CC0-1.0
validation:
  corpora: [{source: c/d, licence: CC0-1.0}]
steps: 10
output: runs/mine
"""


def written(tmp_path, text=GOOD):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_defaults_are_filled_in_and_survive_a_round_trip(tmp_path):
    recipe = load_recipe(written(tmp_path))
    assert (recipe.batch, recipe.crop_range, recipe.corpora[0].split) == (128, (5.0, 5.0), "train")
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert load_recipe(again) == recipe


def test_overrides_reach_every_depth(tmp_path):
    overrides = ["steps=7", "corpora.0.weight=2.5", "optimizer.ema_decay=0.9", "trackers=[tensorboard]"]
    recipe = load_recipe(written(tmp_path), overrides)
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
        (("teacher: some/teacher\n", ""), "line 1: give one of: teacher, teacher_labels, or the labels of each corpus"),
        (
            ("teacher: some/teacher", "teacher: t\nteacher_labels: a"),
            "give one of: teacher, teacher_labels, or the labels",
        ),
        (
            ("teacher: some/teacher", "teacher_labels: a\naugmentation: {mix: 0.5}"),
            "the labels are those of single clips: augmentation.mix and .join need a teacher",
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
        (
            ("source: a/b", "source: a/b\n    labels: emotion\n    scale: [1, 7]"),
            "corpora.0: scale is that of ratings: labels must name their three columns",
        ),
        (("source: a/b", "source: a/b\n    labels: [a, d]"), r"line 5: corpora.0.labels.*: "),
        (("steps: 10", "steps: 10\naugmentation: {speed_range: [1.2, 0.8]}"), "speed_range must rise, not 1.2 to 0.8"),
        (("steps: 10", "steps: 10\naugmentation: {speed_range: [0, 1]}"), "line 9: augmentation.speed_range.0"),
        (("steps: 10", "steps: 10\naugmentation: {teacher_input: noise}"), "line 9: augmentation.teacher_input"),
        (("steps: 10", "steps: 10\naugmentation:\n  noise: 0.5"), "line 9: augmentation: noise needs noise_folder"),
        (
            ("steps: 10", "steps: 10\naugmentation: {reverberation: 0.5, rir_folder: r}"),
            "line 9: augmentation: reverberation needs rir_licence",
        ),
        (("steps: 10", "steps: 10\nloss: {ccc: 0, l2: 0}"), "nothing to learn"),
        (("name: mine", "name: [mine"), "recipe.yaml, line"),
        ((GOOD, "just words"), "it must hold keys and values"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, change, told):
    with pytest.raises(Wav2SmallError, match=told) as error:
        load_recipe(written(tmp_path, GOOD.replace(*change)))
    assert "\n" not in str(error.value)


def test_all_faults_of_a_recipe_are_told_at_once_each_with_its_line(tmp_path):
    wrong = GOOD.replace("steps: 10", "stepz: 10\nbatch: 0").replace("licence: CC0-1.0\nval", "weight: -1\nval")
    with pytest.raises(Wav2SmallError) as error:
        load_recipe(written(tmp_path, wrong))
    for told in ("line 5: corpora.0.weight: ", "line 8: stepz: unknown key", "line 9: batch: ", "steps: is missing"):
        assert told in str(error.value), str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_of_the_package_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe(Path("offline"), ["steps=3"]).steps == 3
    assert load_any(Path("offline")).name == load_recipe(Path("offline")).name
    with pytest.raises(Wav2SmallError, match=r"nothing: no such file, and no recipe of this package: .*offline"):
        load_recipe(Path("nothing"))


def test_a_fault_is_told_before_torch_is_loaded(tmp_path):
    path = written(tmp_path, GOOD.replace("steps: 10", "stepz: 10"))
    code = (
        "import sys; from wav2small.cli.main import main; sys.argv = ['wav2small', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit: print('torch' in sys.modules)"
    )
    for command in (["distill", path], ["annotate", path, "out"], ["mix", path, "out"]):
        done = subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True)
        if command[0] != "mix":  # how to train is no part of a mixture
            assert "stepz: unknown key" in done.stderr, done.stderr
            assert done.stdout.strip() == "False"


LABELLED = GOOD.replace("teacher: some/teacher\n", "").replace("c/d, ", "c/d, labels: [a, d, v], ")
LABELLED = LABELLED.replace("    licence: CC0-1.0", "    licence: CC0-1.0\n    labels: [a, d, v]")


def test_labels_a_word_and_several_teachers_survive_a_round_trip(tmp_path):
    recipe = load_recipe(written(tmp_path, LABELLED))
    assert recipe.corpora[0].labels == recipe.validation.corpora[0].labels == ("a", "d", "v")
    again = tmp_path / "again.yaml"
    for each in (
        recipe,
        load_recipe(written(tmp_path, LABELLED), ["corpora.0.labels=null", "corpora.0.word=neutral"]),
        load_recipe(written(tmp_path, LABELLED), ["corpora.0.labels=emotion", "corpora.0.agreement=share"]),
        load_recipe(written(tmp_path), ["teacher=[one, two]"]),
    ):
        again.write_text(each.to_yaml())
        assert load_recipe(again) == each


def test_a_labelled_recipe_needs_no_teacher_and_takes_none(tmp_path):
    with pytest.raises(Wav2SmallError, match="give one of: teacher, teacher_labels, or the labels"):
        load_recipe(written(tmp_path, LABELLED), ["teacher=some/teacher"])
    with pytest.raises(Wav2SmallError, match="some corpora have labels and some have none"):
        load_recipe(written(tmp_path, LABELLED), ["validation.corpora.0.labels=null"])


def test_a_key_that_is_not_used_is_not_written_so_that_older_recipes_keep_their_hash(tmp_path):
    recipe = load_recipe(written(tmp_path, LABELLED))
    assert "scale" not in recipe.to_yaml()
    rated = load_recipe(written(tmp_path, LABELLED), ["corpora.0.scale=[1, 7]"])
    assert rated.corpora[0].scale == (1, 7) and "scale" in rated.to_yaml()


@pytest.mark.parametrize(
    ("override", "told"),
    [("steps", "key=value"), ("stepz=3", "stepz=3: stepz: unknown key"), ("corpora.5.weight=1", "no such place")],
)
def test_a_wrong_override_is_told_as_written(tmp_path, override, told):
    with pytest.raises(Wav2SmallError, match=told):
        load_recipe(written(tmp_path), [override])


def test_a_missing_recipe_is_told(tmp_path):
    with pytest.raises(Wav2SmallError, match=r"nowhere\.yaml cannot be read"):
        load_recipe(tmp_path / "nowhere.yaml")


def test_a_crop_is_a_length_or_a_range(tmp_path):
    recipe = load_recipe(written(tmp_path), ["crop_seconds=[0.5, 10]"])
    assert recipe.crop_range == (0.5, 10.0)
    with pytest.raises(Wav2SmallError, match=r"crop_seconds must rise, not 3.0 to 1.0"):
        load_recipe(written(tmp_path), ["crop_seconds=[3, 1]"])


MIXTURE = "name: mine\nteacher: some/teacher\ncorpora: [{source: a/b, licence: CC0-1.0}]\nseed: 3\n"


def test_a_mixture_needs_no_training_and_is_the_same_from_a_recipe_that_contains_it(tmp_path):
    alone = load_mixture(written(tmp_path, MIXTURE))
    assert load_mixture(written(tmp_path), ["seed=3"]) == alone
    with pytest.raises(Wav2SmallError, match=r"recipe.yaml, line 1: validation: is missing"):
        load_recipe(written(tmp_path, MIXTURE))
    with pytest.raises(Wav2SmallError, match=r"recipe.yaml, line 5: stepz: unknown key"):
        load_mixture(written(tmp_path, MIXTURE + "stepz: 3\n"))


def test_a_recipe_builds_on_another_and_holds_what_differs(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "mixture.yaml").write_text(MIXTURE + "augmentation: {level: 0.5, clipping: 0.1}\n")
    more = "augmentation: {clipping: 0.2}\nsteps: 5\noutput: o\nvalidation: {corpora: [{source: c, licence: MIT}]}\n"
    recipe = load_recipe(written(tmp_path, "base: parts/mixture.yaml\nname: other\n" + more))
    assert (recipe.name, recipe.seed, recipe.steps, recipe.teacher) == ("other", 3, 5, "some/teacher")
    assert (recipe.augmentation.level, recipe.augmentation.clipping) == (0.5, 0.2)
    longer = load_recipe(written(tmp_path, "base: parts/mixture.yaml\ncorpora: [{source: d, licence: MIT}]\n" + more))
    assert [corpus.source for corpus in longer.corpora] == ["d"], "a list is replaced as a whole"
    assert load_mixture(written(tmp_path, "base: parts/mixture.yaml\nteacher: t\n")).teacher == "t"


@pytest.mark.parametrize(
    ("base", "own", "told"),
    [
        (MIXTURE + "batchs: 3\n", "name: other\n", r"base.yaml, line 5: batchs: unknown key"),
        (MIXTURE, "seed: many\n", r"recipe.yaml, line 2: seed: Input should be a valid integer"),
        (MIXTURE.replace("seed: 3", "seed: many"), "name: other\n", r"base.yaml, line 4: seed: Input"),
        ("base: recipe.yaml\n", "name: other\n", r"recipe.yaml: its base leads back to it"),
        (None, "name: other\n", r"recipe.yaml: base: .*base.yaml cannot be read"),
    ],
)
def test_what_is_wrong_is_told_with_the_file_that_says_it(tmp_path, base, own, told):
    if base is not None:
        (tmp_path / "base.yaml").write_text(base)
    with pytest.raises(Wav2SmallError, match=told):
        load_mixture(written(tmp_path, "base: base.yaml\n" + own))


RECIPES = sorted((ROOT / "training" / "recipes").rglob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_project_loads(path):
    text = path.read_text()
    load = load_head if "encoder:" in text else load_recipe if "output:" in text else load_mixture
    assert load(path).name


@pytest.mark.parametrize("written_as", ["fp32", "no", "'no'", "false"])
def test_full_precision_may_be_written_as_yaml_reads_it(tmp_path, written_as):
    recipe = load_recipe(written(tmp_path, f"{GOOD}precision: {written_as}\n"))
    assert recipe == load_recipe(written(tmp_path))
