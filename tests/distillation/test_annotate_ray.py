"""Teacher labels on a Ray cluster are those of `wav2small annotate`, whatever is lost on the way."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator
from conftest import write_card, write_corpus
from pyarrow import parquet
from students import student

from wav2small_training.distillation import annotate as module
from wav2small_training.distillation.annotate import annotate, open_annotation
from wav2small_training.distillation.annotate_ray import Annotator, annotate_on_ray
from wav2small_training.distillation.work import CLAIMS
from wav2small_training.recipe import Recipe

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CPUS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of this machine, as small as they come."""
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # no worker gives way, nothing is sent
    ray.init(num_cpus=CPUS, include_dashboard=False, object_store_memory=80 << 20)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def recipe(cluster, tmp_path_factory) -> Iterator[Recipe]:
    """Small shards, and paths that are relative to a folder where the cluster was not started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CLIPS", 8)
        patch.chdir(tmp_path_factory.mktemp("place"))
        student().save_pretrained("teacher")
        write_card("teacher", "mit")
        corpora = [{"source": str(write_corpus(Path(name), 20)), "licence": "CC0-1.0"} for name in ("train", "held")]
        values = {"name": "on-ray", "teacher": "teacher", "corpora": corpora[:1], "steps": 1, "output": "run"}
        values |= {"validation": {"corpora": corpora[1:]}, "crop_seconds": 1, "workers": 0}
        yield Recipe.model_validate(values)


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory) -> Path:
    """The folder that one process writes: six shards."""
    folder = tmp_path_factory.mktemp("alone")
    annotate(recipe, folder)
    return folder


def assert_same(folder: Path, alone: Path) -> None:
    names = [sorted(path.name for path in each.glob("*.parquet")) for each in (folder, alone)]
    assert names[0] == names[1] and len(names[0]) == 6
    for name in names[0]:
        tables = [parquet.read_table(each / name).to_pylist() for each in (folder, alone)]
        for row, other in zip(*tables, strict=True):
            assert (row["id"], row["start"]) == (other["id"], other["start"])
            assert row["arousal"] == pytest.approx(other["arousal"], abs=1e-4)


def kill_one_actor(folder: Path) -> None:
    """Kill the process that claims a unit first, as soon as it has."""
    owner = ""
    while not owner:
        time.sleep(0.01)
        with suppress(FileNotFoundError):
            owner = "".join(file.read_text() for file in sorted((folder / CLAIMS).glob("*.parquet"))[:1])
    os.kill(int(owner.split()[1]), signal.SIGKILL)


def test_shards_are_those_of_annotate_though_an_actor_is_lost(recipe, alone, tmp_path):
    killer = threading.Thread(target=kill_one_actor, args=[tmp_path], daemon=True)
    killer.start()
    annotate_on_ray(recipe, tmp_path, actors=CPUS + 1, gpus=0)
    assert not killer.is_alive(), "it was done before an actor was lost"
    assert_same(tmp_path, alone)


def test_a_machine_that_does_not_share_the_folders_says_so(recipe, alone, tmp_path):
    for out, place, named in ((tmp_path, Path.cwd(), tmp_path), (alone, tmp_path / "absent", tmp_path / "absent")):
        actor = Annotator(open_annotation(recipe, alone, Accelerator()), out, place)
        [error] = actor({"item": np.array([0])})["error"]
        assert error == f"{named} is not the same folder on all machines: put it on a disk that they share"


def test_an_error_is_one_sentence_and_the_folder_goes_on(recipe, alone, tmp_path):
    clip = Path(recipe.corpora[0].source) / "019.flac"
    sound = clip.read_bytes()
    clip.write_text("no audio")
    strict = recipe.model_copy(update={"max_bad_share": 0})
    try:
        with pytest.raises(
            ValueError, match=r"^1 of \d+ items of .*train are bad, the last of them: .*019.flac"
        ) as error:
            annotate_on_ray(strict, tmp_path, actors=1, gpus=0)
    finally:
        clip.write_bytes(sound)
    assert "\n" not in str(error.value)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")}
    assert annotate_on_ray(recipe, tmp_path, actors=1, gpus=0) == annotate(recipe, alone)
    assert_same(tmp_path, alone)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
