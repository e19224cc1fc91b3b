"""Each bundled checkpoint is what its provenance, its recipes and its card say."""

import inspect
import json
from pathlib import Path

import pytest
from conftest import ROOT

from wav2small import Wav2SmallError
from wav2small.bundled import bundled_checkpoints
from wav2small.models.auto import CLASSES
from wav2small.provenance.provenance import read_provenance
from wav2small_training.data.provenance import corpus, facts
from wav2small_training.evaluation.evaluate import evaluate
from wav2small_training.evaluation.ratings import Norms
from wav2small_training.hub.card_results import this_model
from wav2small_training.recipe import Corpus, MixtureRecipe, Recipe
from wav2small_training.recipe_file import load_head, load_mixture, load_recipe

HOUSE = ROOT / "training" / "recipes" / "house"
each_checkpoint = pytest.mark.parametrize("folder", bundled_checkpoints().values(), ids=list(bundled_checkpoints()))


def house_recipes() -> dict:
    """The recipes of the house by the names of their files, each read as what it is."""
    found = {}
    for path in HOUSE.glob("*.yaml"):
        for load in (load_recipe, load_mixture, load_head):
            try:
                recipe = load(path)
            except Wav2SmallError:
                continue
            found[path.stem] = recipe
            break
    return found


@each_checkpoint
def test_it_tells_what_it_is_made_from(folder, speech):
    made = read_provenance(folder)
    front = (folder / "README.md").read_text(encoding="utf-8")
    assert f"license: {made.licence.lower()}\n" in front
    mixtures = [recipe for recipe in house_recipes().values() if isinstance(recipe, MixtureRecipe)]
    students = [recipe for recipe in mixtures if isinstance(recipe, Recipe)]
    sources = {
        "training": [each for recipe in mixtures for each in recipe.corpora],
        "evaluation": [each for recipe in students for each in recipe.validation.corpora],
    }
    for use, listed in sources.items():
        recorded = [each for each in made.corpora if each.use == use and (speech / each.id).is_dir()]  # not rendered
        assert recorded
        for each in recorded:
            source = next(source for source in listed if Path(source.source).name == each.id)
            again = corpus(source.model_copy(update={"source": str(speech / each.id)}), use)
            assert (each.clips, each.hours) == (again.clips, again.hours), each.id


@each_checkpoint
def test_it_and_its_teacher_were_made_with_the_house_recipes(folder):
    made, recipes = read_provenance(folder), [facts(recipe) for recipe in house_recipes().values()]
    for chain in (made, *(link.provenance for link in (made.parent, *made.teachers) if link)):
        assert chain.recipe in recipes


@each_checkpoint
def test_it_is_the_network_of_its_recipe(folder):
    recipe = house_recipes()[folder.name]
    assert isinstance(recipe, Recipe)
    kind = CLASSES[recipe.student.model].config_class
    expected, shipped = kind(**recipe.student.config), kind.from_pretrained(folder)
    names = set(inspect.signature(kind.__init__).parameters) - {"self", "kwargs"}
    assert {name: getattr(shipped, name) for name in names} == {name: getattr(expected, name) for name in names}


@each_checkpoint
def test_it_agrees_with_the_norms_as_its_card_says(folder, speech, tmp_path):
    data = Corpus(source=str(speech / "emodb"), licence="CC-BY-4.0", where={"split": "validation"})
    content = evaluate([str(folder)], data, Norms("emotion"), tmp_path / "out")
    stored = json.loads((folder / "results" / "emodb.json").read_text())
    again, reported = (
        [row["ccc"] for row in report["agreement"] if row["model"] == name and row["condition"] == "as recorded"]
        for report, name in ((content, folder.name), (stored, this_model(stored["settings"]["models"], folder, folder)))
    )
    assert len(again) == 3 and again == pytest.approx(reported, abs=0.02)
