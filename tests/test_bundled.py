"""The bundled checkpoint is what its provenance, its recipe and its card say."""

import inspect
import json

import pytest
from conftest import ROOT

from wav2small import Wav2SmallConfig
from wav2small.inference.predictor import BUNDLED
from wav2small.provenance.provenance import read_provenance
from wav2small_training.data.provenance import corpus, facts
from wav2small_training.evaluation.evaluate import evaluate
from wav2small_training.evaluation.ratings import Norms
from wav2small_training.recipe import Corpus
from wav2small_training.recipe_file import load_recipe

HOUSE = ROOT / "training" / "recipes" / "house"


def test_it_tells_what_it_is_made_from(speech):
    made = read_provenance(BUNDLED)
    front = (BUNDLED / "README.md").read_text(encoding="utf-8")
    assert f"license: {made.licence.lower()}\n" in front
    for split, use in (("train", "training"), ("validation", "evaluation")):
        recorded = [each for each in made.corpora if each.use == use and (speech / each.id).is_dir()]  # not rendered
        assert recorded
        for each in recorded:
            source = Corpus(source=str(speech / each.id), licence=each.licence, where={"split": split})
            again = corpus(source, use)
            assert (each.clips, each.hours) == (again.clips, again.hours), each.id


# the keys of recipes have other names since, so their hashes differ: the next checkpoint passes
@pytest.mark.xfail(reason="the bundled checkpoint was made when recipes had other keys")
def test_it_was_made_with_the_house_recipes():
    made = read_provenance(BUNDLED)
    assert made.recipe == facts(load_recipe(HOUSE / "wav2small.yaml"))
    assert made.teachers[0].provenance.recipe == facts(load_recipe(HOUSE / "prosody.yaml"))


def test_it_is_the_network_of_the_house_recipe():
    recipe = load_recipe(HOUSE / "wav2small.yaml")
    expected, shipped = Wav2SmallConfig(**recipe.student.config), Wav2SmallConfig.from_pretrained(BUNDLED)
    names = set(inspect.signature(Wav2SmallConfig.__init__).parameters) - {"self", "kwargs"}
    assert {name: getattr(shipped, name) for name in names} == {name: getattr(expected, name) for name in names}


def test_it_agrees_with_the_norms_as_its_card_says(speech, tmp_path):
    data = Corpus(source=str(speech / "emodb"), licence="CC-BY-4.0", where={"split": "validation"})
    content = evaluate([str(BUNDLED)], data, Norms("emotion"), tmp_path / "out")
    stored = json.loads((BUNDLED / "results" / "emodb.json").read_text())
    again, reported = (
        [row["ccc"] for row in report["agreement"] if row["model"] == name and row["condition"] == "as recorded"]
        for report, name in ((content, "bundled"), (stored, "wav2small"))
    )
    assert len(again) == 3 and again == pytest.approx(reported, abs=0.02)
