"""The benchmark of the training measures what it says, on a corpus made here."""

import pytest
from conftest import write_corpus

from wav2small.inference.predictor import BUNDLED
from wav2small_training.benchmarks import throughput
from wav2small_training.recipe import Recipe


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    source = {"source": str(write_corpus(tmp_path / "clips", 8)), "licence": "CC0-1.0"}
    values = {"corpora": [source], "validation": {"corpora": [source]}, "teacher": str(BUNDLED)}
    settings = {"name": "test", "steps": 2, "batch": 4, "crop_seconds": 0.5, "output": str(tmp_path / "run")}
    return Recipe.model_validate({**values, **settings})


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_and_training_are_measured(recipe, monkeypatch, workers):
    monkeypatch.setattr(throughput, "SECONDS", 0.2)
    assert throughput.loading(recipe, workers) > 1
    assert throughput.training_step(recipe, 1, "cpu") > 1


@pytest.mark.parametrize("module", ["annotate", "distill"])
def test_whole_commands_are_measured(recipe, module):
    arguments = ["{folder}/labels"] if module == "annotate" else []
    assert throughput.command(recipe, module, 1, *arguments) > 0.1
