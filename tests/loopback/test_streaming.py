"""Streaming from a Hub fetches each byte about once, however many consumers there are, and mixes what it reads."""

import io

import numpy as np
import pytest

from loopback.hub import LoopbackHub

pytest.importorskip("datasets", reason="the extra [training] is not installed")
import pyarrow
from pyarrow import parquet

SPEAKERS, CLIPS, GROUP, SIZE = 128, 20, 20, 6000  # clips of each speaker; rows of a row group; bytes of a clip


@pytest.fixture(scope="module")
def hub():
    """A corpus ordered by speaker, as LibriSpeech is, in 1, 8 and 64 files."""
    random = np.random.default_rng(0)
    rows = [
        {"audio": {"bytes": random.bytes(SIZE), "path": f"{i}.flac"}, "id": f"{i // CLIPS}-{i}", "text": "x" * 500}
        for i in range(SPEAKERS * CLIPS)
    ]
    with LoopbackHub() as hub:
        for files in (1, 8, 64):
            content, each = {}, len(rows) // files
            for file in range(files):
                stream = io.BytesIO()
                table = pyarrow.Table.from_pylist(rows[file * each : (file + 1) * each])
                parquet.write_table(table, stream, row_group_size=GROUP)
                content[f"data/train-{file:05}-of-{files:05}.parquet"] = stream.getvalue()
            hub.put("datasets", f"lab/in-{files}", content)
        yield hub


READ = """
import json, os, sys, urllib.request
from itertools import islice
from wav2small_training.data.mixture import Shuffled
from wav2small_training.data.units import Units
from wav2small_training.recipe import Corpus

def sent():
    return int(urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/bytes-sent").read())

def read(corpus, consumers, clips):
    before, speakers, names, streams = sent(), [], [], []
    for first in range(0, consumers, 8):  # processes of up to 8 workers
        units, workers = Units(corpus), range(first, min(consumers, first + 8))
        slots = max(8, 64 // len(workers))
        streams += [iter(Shuffled(units, 1, worker, consumers, slots)) for worker in workers]
    for batch in range(clips // 64):  # of all processes together
        found = [row["id"] for stream in streams for row in islice(stream, 64 // consumers)]
        names += found
        speakers.append(len({name.split("-")[0] for name in found}))
    return {"bytes": (sent() - before) / len(names), "speakers": min(speakers), "clips": len(names)}

clips = int(sys.argv[1])
found = []
for files in (1, 8, 64):
    for consumers in (1, 8, 64):
        corpus = Corpus(source=f"lab/in-{files}", licence="CC0-1.0", id="id")
        found.append({"files": files, "consumers": consumers, **read(corpus, consumers, clips)})
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_byte_is_fetched_about_once_and_batches_are_mixed(hub, tmp_path, capsys):
    """Prints the figures of the documentation."""
    found = hub.run(READ, tmp_path, str(SPEAKERS * CLIPS))
    with capsys.disabled():
        for each in found:
            print(each)  # noqa: T201
    alone = {each["files"]: each["bytes"] for each in found if each["consumers"] == 1}
    assert max(alone.values()) <= 1.3 * SIZE, "a column that no recipe uses is not fetched"
    for each in found:
        assert each["bytes"] <= 1.3 * alone[each["files"]], each
        assert each["speakers"] >= 40, each
