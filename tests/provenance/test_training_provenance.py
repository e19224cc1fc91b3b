"""What training writes into a provenance, and a recipe whose student could have no licence stops before any work."""

import hashlib
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, write_corpus
from loopback.hub import LoopbackHub

from wav2small import Wav2SmallError
from wav2small.provenance.licences import derive_licence, published_licence
from wav2small.provenance.provenance import Link, Provenance, read_provenance, write_provenance

TEACHER = Provenance(
    step="train",
    name="a teacher",
    corpora=[Link("its-speech", "CC-BY-NC-SA-4.0", "training"), Link("its-noise", "CC0-1.0", "noise")],
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    from wav2small import Wav2SmallConfig, Wav2SmallForAudioClassification

    place = tmp_path_factory.mktemp("provenance")
    Wav2SmallForAudioClassification(Wav2SmallConfig(channels=2)).save_pretrained(place / "teacher")
    write_provenance(TEACHER, place / "teacher")
    write_corpus(place / "speech", 12, bad=1)
    write_corpus(place / "noise", 4)
    return place


def recipe(place: Path, **more):
    from wav2small_training.recipe import Recipe

    speech = {"source": str(place / "speech"), "licence": "cc-by-4.0", "credit": "Speech (Someone 2020)"}
    noise = {"noise": 0.5, "noise_folder": str(place / "noise"), "noise_licence": "CC-BY-3.0"}
    held = {"source": str(place / "noise"), "licence": "unknown"}
    values = {
        "name": "test",
        "teacher": str(place / "teacher"),
        "corpora": [speech | {"where": {"split": "train"}}],
        "validation": {"corpora": [held], "clips": 4, "every": 1},
        "student": {"config": {"channels": 2}},
        "augmentation": noise,
        "steps": 1,
        "batch": 4,
        "crop_seconds": 0.5,
        "workers": 0,
        "output": str(place / "run"),
    }
    return Recipe.model_validate(values | more)


def test_a_distilled_student_is_saved_with_all_it_was_made_from(place):
    from wav2small_training.distillation.distill import distill

    distill(recipe(place))
    for name in ("best", "last"):
        made = read_provenance(place / "run" / name)
        assert (made.step, made.licence) == ("distill", "CC-BY-NC-SA-4.0")
        (teacher,) = made.teachers
        assert (teacher.id, teacher.provenance) == ("teacher", read_provenance(place / "teacher"))
        parts = [(each.id, each.licence, each.use, each.clips, each.hours) for each in made.corpora]
        assert parts == [
            ("speech", "CC-BY-4.0", "training", 7, 0.002),
            ("noise", "unknown", "evaluation", 4, 0.001),
            ("noise", "CC-BY-3.0", "noise", 4, 0.001),
        ]
        assert made.recipe["sha256"] == hashlib.sha256((place / "run" / "recipe.yaml").read_bytes()).hexdigest()
        assert made.recipe["steps"] == 1 and set(made.evaluation) == {"step", "ccc_to_targets"}
    with pytest.raises(Wav2SmallError, match="its-speech is CC-BY-NC-SA"):
        made.check_licence("Apache-2.0")


def test_the_teacher_of_teacher_labels_is_that_of_their_student(place):
    from wav2small_training.data.provenance import of_student
    from wav2small_training.distillation.annotate import annotate

    annotate(recipe(place), place / "labels")
    assert read_provenance(place / "labels").step == "annotate"
    taught = of_student(recipe(place, teacher=None, teacher_labels=str(place / "labels")))
    assert taught.teachers == of_student(recipe(place)).teachers


@pytest.mark.parametrize(
    ("licence", "told"),
    [("CC-BY-NC-ND-4.0", "speech is CC-BY-NC-ND-4.0, which allows no derivatives"), ("mine", "not known here")],
)
def test_a_recipe_whose_student_can_have_no_licence_stops_before_any_work(place, licence, told):
    from wav2small_training.distillation.annotate import annotate
    from wav2small_training.distillation.distill import distill

    bad = recipe(place, output=str(place / "never"), corpora=[{"source": str(place / "speech"), "licence": licence}])
    with pytest.raises(Wav2SmallError, match=told):
        distill(bad)
    with pytest.raises(Wav2SmallError, match=told):
        annotate(bad, place / "never")
    assert not (place / "never").exists()


def test_a_student_that_starts_from_a_parent_has_the_provenance_of_the_parent(place):
    from wav2small_training.data.provenance import of_student

    made = of_student(recipe(place, student={"start": str(place / "teacher")}))
    assert made.parent == Link("teacher", TEACHER.licence, "parent", provenance=read_provenance(place / "teacher"))


def test_a_student_that_goes_on_from_the_best_step_of_a_run_names_the_run(place):
    from wav2small_training.data.provenance import of_student

    best = place / "first" / "best"
    shutil.copytree(place / "teacher", best)
    assert of_student(recipe(place, student={"start": str(best)})).parent.id == TEACHER.name


@pytest.mark.parametrize(("name", "licence"), [("paper", "CC-BY-NC-SA-4.0"), ("permissive", "CC-BY-4.0")])
def test_the_recipes_of_the_project_leave_their_students_the_licence_that_the_readme_tells(name, licence):
    from wav2small_training.recipe_file import load_recipe

    recipe = load_recipe(ROOT / "training" / "recipes" / f"{name}.yaml")
    teachers = [recipe.teacher] if isinstance(recipe.teacher, str) else recipe.teacher
    parts = [(source, published_licence(source)) for source in teachers]
    parts += [(corpus.source, corpus.licence) for corpus in recipe.corpora]
    assert derive_licence(parts) == licence


CORPUS = """
import json
from wav2small_training.data.provenance import corpus
from wav2small_training.recipe import Corpus
print(json.dumps(corpus(Corpus(source="lab/speech", licence="CC0-1.0", split="train"), "training").to_dict()))
"""


def test_a_data_set_on_the_hub_is_recorded_with_its_commit(tmp_path):
    import io

    import pyarrow as pa
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(pa.table({"audio": [b"", b""]}), content)
    with LoopbackHub() as hub:
        sha = hub.put("datasets", "lab/speech", {"data/train-0.parquet": content.getvalue()}).refs["main"].sha
        made = hub.run(CORPUS, tmp_path)
    assert made == {"id": "lab/speech", "licence": "CC0-1.0", "use": "training", "revision": sha}
