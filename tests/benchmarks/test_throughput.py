"""The benchmark of the training measures what it says, on a corpus made here."""

import re
import time

import pytest
from conftest import write_corpus

from wav2small.bundled import BUNDLED
from wav2small_training.benchmarks import throughput
from wav2small_training.recipe import Recipe

pytestmark = pytest.mark.timing


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    source = {"source": str(write_corpus(tmp_path / "clips", 8)), "licence": "CC0-1.0"}
    values = {"corpora": [source], "validation": {"corpora": [source]}, "teacher": str(BUNDLED)}
    settings = {"name": "test", "steps": 2, "batch": 4, "crop_seconds": 0.5, "output": str(tmp_path / "run")}
    return Recipe.model_validate({**values, **settings})


def test_a_rate_is_clips_a_second(monkeypatch):
    monkeypatch.setattr(throughput, "SECONDS", 0.2)

    def step() -> int:
        time.sleep(0.01)
        return 4

    assert throughput.rate(step) == pytest.approx(400, rel=0.3)


def test_loading_alone_and_training_alone_are_faster_than_the_command_that_does_both(recipe, monkeypatch):
    monkeypatch.setattr(throughput, "SECONDS", 0.5)
    whole = throughput.command(recipe, "distill", 1)
    assert throughput.loading(recipe, 0) > whole
    assert throughput.loading(recipe, 2) > whole
    assert throughput.training_step(recipe, 1, "cpu") > whole


@pytest.mark.parametrize("module", ["annotate", "distill"])
def test_the_rate_of_a_command_leaves_out_the_start_of_its_processes(recipe, module):
    arguments = ["{folder}/labels"] if module == "annotate" else []
    start = time.perf_counter()
    rate = throughput.command(recipe, module, 1, *arguments)
    assert rate > 8 / (time.perf_counter() - start), "8 clips are labelled, or trained on"


def test_the_table_has_a_row_for_each_measurement(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(throughput, "SECONDS", 0.1)
    monkeypatch.setattr(throughput, "CROP_SECONDS", 0.5)
    monkeypatch.setattr(throughput.os, "cpu_count", lambda: 1)  # several threads beside other tests wait for each other
    monkeypatch.setattr(throughput, "command", lambda recipe, module, processes, *_: 1000.0 * processes)
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml(), encoding="utf-8")
    throughput.main(file)
    cells = re.findall(r"[│|] (\S.*?) +[│|] +(\d+) +[│|]", capsys.readouterr().out)
    rows = {name: int(clips) for name, clips in cells}
    assert (rows["annotation, 1 processes"], rows["annotation, 2 processes"]) == (1000, 2000)
    assert {name.partition(",")[0] for name in rows} >= {"loading", "training step of wav2small"}
    assert all(clips > 0 for clips in rows.values())
