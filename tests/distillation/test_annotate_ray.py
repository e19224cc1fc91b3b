"""Teacher labels on a Ray cluster are those of `wav2small annotate`."""

from pathlib import Path

import pytest
from conftest import write_card, write_corpus
from pyarrow import parquet
from students import student

from wav2small_training.distillation import annotate as module
from wav2small_training.recipe import Recipe

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def rows(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]


def test_shards_of_ray_are_those_of_annotate(tmp_path):
    from wav2small_training.distillation.annotate_ray import annotate_on_ray

    student().save_pretrained(tmp_path / "teacher")
    write_card(tmp_path / "teacher", "mit")
    corpora = [{"source": str(write_corpus(tmp_path / name, 300)), "licence": "CC0-1.0"} for name in ("train", "held")]
    values = {"name": "on-ray", "teacher": str(tmp_path / "teacher"), "corpora": corpora[:1], "steps": 1}
    values |= {"validation": {"corpora": corpora[1:]}, "crop_seconds": 1, "workers": 0, "output": str(tmp_path / "run")}
    recipe = Recipe.model_validate(values)
    alone = module.annotate(recipe, tmp_path / "alone")
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        assert annotate_on_ray(recipe, tmp_path / "ray", actors=2, gpus=0) == alone
    finally:
        ray.shutdown()
    names = [sorted(path.name for path in (tmp_path / kind).glob("*.parquet")) for kind in ("ray", "alone")]
    assert names[0] == names[1] and len(names[0]) == 4
    for row, other in zip(rows(tmp_path / "ray"), rows(tmp_path / "alone"), strict=True):
        assert (row["id"], row["start"]) == (other["id"], other["start"])
        assert row["arousal"] == pytest.approx(other["arousal"], abs=1e-4)
