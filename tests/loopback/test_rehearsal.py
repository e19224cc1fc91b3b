"""The recipes that stream, from check to student, against a Hub with the layouts in which their data are published."""

import io
import json
from pathlib import Path

import pytest
import soundfile
from conftest import RATE, ROOT, voice_like

from loopback.hub import LoopbackHub

pytest.importorskip("datasets", reason="the extra [training] is not installed")
import pyarrow
from pyarrow import parquet

from wav2small.testing import write_dawn_checkpoint, write_odyssey_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
FREE, NOT_FREE = "http://creativecommons.org/licenses/by/3.0/", "http://creativecommons.org/licenses/by-nc/3.0/"
SETS = {  # data set: configuration, splits, column of the names, more columns
    "openslr/librispeech_asr": [
        ("clean", ["train.360"], "id", {"speaker_id": 1}),
        ("other", ["train.500", "validation"], "id", {"speaker_id": 1}),
    ],
    "facebook/voxpopuli": [("en", ["train", "validation"], "audio_id", {"speaker_id": "a"})],
    "edinburghcstr/ami": [("ihm", ["train"], "audio_id", {"meeting_id": "a"})],
    "agkphysics/AudioSet": [("balanced", ["train"], "video_id", {"labels": ["/m/1"]})],
    "Chand0320/fsd50k_hf": [("default", ["train"], "fname", {"license": FREE})],
}


def shard(name: str, column: str, more: dict, clips: int = 24) -> bytes:
    """Clips of .5 to 1.6 s, as Parquet; every other one has a licence that is not free, where they have licences."""
    rows = []
    for i in range(clips):
        sound = io.BytesIO()
        soundfile.write(sound, voice_like(0.5 + 0.05 * i, seed=i), RATE, format="flac")
        row = {column: f"{name}-{i}", "audio": {"bytes": sound.getvalue(), "path": f"{i}.flac"}, "text": "x" * 200}
        rows.append({**row, **more, **({"license": NOT_FREE} if "license" in more and i % 2 else {})})
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), stream, row_group_size=6)
    return stream.getvalue()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    place = tmp_path_factory.mktemp("published")
    with LoopbackHub() as hub:
        for name, configs in SETS.items():
            files, listed = {}, []
            for config, splits, column, more in configs:
                parts = []
                for split in splits:
                    for i in range(2):
                        path = f"{config}/{split}-{i:05}-of-00002.parquet"
                        files[path] = shard(f"{split}-{i}", column, more)
                    parts.append({"split": split, "path": f"{config}/{split}-*"})
                listed.append({"config_name": config, "data_files": parts})
            front = json.dumps({"license": "cc-by-4.0", "configs": listed})
            hub.put("datasets", name, {**files, "README.md": f"---\n{front}\n---\n".encode()})
        for name, write in (
            ("audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", write_dawn_checkpoint),
            ("3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes", write_odyssey_checkpoint),
        ):
            folder = Path(write(place / name.split("/")[1]))
            hub.put("models", name, {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
        yield hub


CODE = """
import json, sys
from pathlib import Path
from wav2small.cli.main import main
from wav2small_training.data.check import check_recipe
from wav2small_training.distillation.distill import distill
from wav2small_training.recipe_file import load_recipe
path, out = sys.argv[1:]
small = ["steps=3", "batch=8", "workers=2", "validation.clips=16", "validation.every=3", "save_every=2"]
small += ["precision=fp32", "crop_seconds=1", f"output={out}", f"cache={{folder: {out}-cache, gigabytes: 1}}"]
recipe = load_recipe(Path(path), small)
found = [str(each) for each in check_recipe(recipe)]
state = distill(recipe)
made = json.loads(Path(out, "best", "provenance.json").read_text())
print(json.dumps({"found": found, "steps": state.step, "commits": json.loads(Path(out, "commits.json").read_text()),
                  "licence": made["licence"], "cached": len(list(Path(f"{out}-cache").glob("*.parquet")))}))
"""


@pytest.mark.parametrize(
    ("name", "licence", "sources"), [("paper", "CC-BY-NC-SA-4.0", 9), ("permissive", "CC-BY-4.0", 8)]
)
def test_a_recipe_goes_from_its_check_to_a_student(hub, tmp_path, name, licence, sources):
    before, faults = hub.bytes_sent, len(hub.faults)
    hub.refuse("GET", "/cdn/", 503, times=2)
    hub.break_off("GET", "/cdn/", times=2)
    told = hub.run(CODE, tmp_path, str(ROOT / "training" / "recipes" / f"{name}.yaml"), str(tmp_path / "run"))
    assert len(told["found"]) == sources and all(": can be used" in each for each in told["found"]), told["found"]
    assert "48 clips in 2 files, 8 row groups" in told["found"][0]
    assert told["steps"] == 3 and told["licence"] == licence and told["cached"] > 8
    pinned = {source.partition("@")[0].removeprefix("datasets/") for source in told["commits"]}
    assert {"openslr/librispeech_asr", "facebook/voxpopuli", "edinburghcstr/ami"} < pinned
    assert all(not fault.times for fault in hub.faults[faults:]), "the Hub did not stumble"
    stored = sum(len(file.content) for (kind, _), repo in hub.repos.items() if kind == "datasets"
                 for file in repo.commit("main").files.values())  # fmt: skip
    assert hub.bytes_sent - before < 3 * stored, "what the check reads, the footers, and each byte about once"
