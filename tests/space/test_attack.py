"""The real page under attack: every request is answered in one sentence, and its memory stays below 1.5 GB."""

import io
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken
from demo_server import Demo
from fuzz_files import lying_zip, recordings, wav_of

pytest.importorskip("gradio", reason="the demo needs the extra [space]")
from gradio_client import Client, handle_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux tells it"),
]
MEMORY_MB = 1500
PEOPLE, CALLS = 10, 3


def peak_mb(process: int) -> int:
    """The most memory that a process has had."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with Demo(tmp_path_factory.mktemp("attacked")) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Small files that ask for much."""
    folder = tmp_path_factory.mktemp("files")
    contents = {"lies.zip": lying_zip(), "rate.wav": wav_of(2**31 - 1), "slow.wav": wav_of(1)}
    contents["many.wav"] = wav_of(768_000, channels=500)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with soundfile.SoundFile(folder / "hours.flac", "w", RATE, 1) as file:
        for _ in range(6 * 60):
            file.write(np.zeros(60 * RATE, np.int16))
    soundfile.write(folder / "ten.flac", np.tile(spoken(60), 10), RATE)
    with zipfile.ZipFile(folder / "long.zip", "w") as archive:
        for i in range(2):
            archive.write(folder / "ten.flac", f"{i}.flac")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as broken:
        for name, content in list(recordings())[:100]:
            broken.writestr(name, content)
    (folder / "broken.zip").write_bytes(archive.getvalue())
    return {path.name: path for path in folder.iterdir()}


def call(demo: Demo, endpoint: str, *arguments: object) -> str:
    """What the page answers, or its error."""
    try:
        return str(Client(demo.url, verbose=False).predict(*arguments, api_name=endpoint))
    except Exception as error:
        return str(error)


def test_each_request_is_answered_and_the_memory_stays_below_its_bound(demo, files, examples):
    one = {name: handle_file(path) for name, path in files.items()}
    for endpoint, arguments, told in (
        ("/batch", [[one["lies.zip"]]], "cannot be unpacked"),
        ("/batch", [[one["broken.zip"]]], "not readable audio"),
        ("/predict", [one["hours.flac"]], "longer than 10 minutes"),
        ("/predict", [one["rate.wav"]], "has a rate of 2147483647 Hz"),
        ("/predict", [one["slow.wav"]], "has a rate of 1 Hz"),
        ("/predict", [one["many.wav"]], "many.wav"),
        ("/timeline", [one["ten.flac"], 290, 0.1], "window=290"),
        ("/timeline", [one["ten.flac"], 30, 0.1], "it must be at least 4.75 s here"),
        ("/timeline", [one["ten.flac"], 30, 20], "valence"),
        ("/compare", [one["ten.flac"], ["/etc, float", "../x/y, float"]], "is not a model of this page"),
        ("/predict", [{"path": demo.url, "meta": {"_type": "gradio.FileData"}}], "is not fetched"),
        ("/batch", [[one["long.zip"]]], "valence"),
    ):
        assert told in call(demo, endpoint, *arguments), (endpoint, arguments)
        assert peak_mb(demo.process.pid) < MEMORY_MB, (endpoint, arguments)
    good = handle_file(examples / "anger_emodb14.flac")

    def visitor(_: int) -> list[str]:
        return [call(demo, "/predict", good) for _ in range(CALLS)]

    with ThreadPoolExecutor(PEOPLE + 1) as pool:
        attack = pool.submit(lambda: call(demo, "/batch", [one["long.zip"]]))
        answers = [answer for each in pool.map(visitor, range(PEOPLE)) for answer in each]
        attack.result()
    assert all("'arousal': 0." in answer for answer in answers), answers[:3]
    assert peak_mb(demo.process.pid) < MEMORY_MB
    demo.expect_no_files()


def test_a_request_whose_caller_has_left_stops(demo, files):
    client = Client(demo.url, verbose=False)
    job = client.submit(handle_file(files["ten.flac"]), 30.0, 5.0, api_name="/timeline")
    started = threading.Event()
    for _ in job:
        started.set()
        job.cancel()
        break
    assert started.is_set()
    demo.expect_no_files(60)  # the file is deleted where the work ends
