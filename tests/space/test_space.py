"""The demo's functions, its API as programs call it, and what it leaves behind."""

import asyncio
import io
import os
import re
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, ROOT, voice_like
from demo_server import Demo
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import FileResponse

pytest.importorskip("gradio", reason="the demo needs the extra [space]")
sys.path.insert(0, str(ROOT / "space"))

from gradio_client import Client, handle_file

import answer
import app
import batch
import compare
import live
import pictures
import recording
import wav2small
from wav2small import Prediction, Wav2SmallError
from wav2small.models.audio import SUFFIXES


@pytest.fixture(scope="module")
def predictor():
    return wav2small.load()


@pytest.fixture
def uploads(tmp_path, monkeypatch) -> Path:
    """The folder of uploads."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with Demo(tmp_path_factory.mktemp("demo"), environment={"GRADIO_MCP_SERVER": "False"}) as running:
        yield running


@pytest.fixture(scope="module")
def client(demo):
    return Client(demo.url, verbose=False)


def test_a_short_recording_is_answered_in_one_piece_as_the_library_does(predictor, examples):
    one = answer.answer(predictor, examples / "angry_man.flac", "angry_man.flac")
    assert one.whole.as_array() == pytest.approx(predictor(examples / "angry_man.flac").as_array(), abs=1e-5)
    assert one.windows == [] and one.heard == "speech"


@pytest.mark.parametrize("when", ["before it is opened", "once the answer has begun"])
def test_an_upload_deleted_while_its_page_fetches_it_is_not_found_and_not_named_in_the_log(tmp_path, when):
    recording = tmp_path / "private.wav"
    recording.write_bytes(b"RIFF")
    seen = recording.stat() if when == "once the answer has begun" else None
    recording.unlink()

    def fetch(path: str) -> list[dict]:
        """What is sent to the page; raises what the server would log."""
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            await asyncio.sleep(60)

        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        asyncio.run(app.DeletedMeanwhile(FileResponse(recording, stat_result=seen))(scope, receive, send))
        return sent

    answer, *rest = fetch("/gradio_api/file=private.wav")
    assert answer["status"] == (200 if seen else 404)
    assert all("private" not in str(message) for message in rest)
    with pytest.raises((FileNotFoundError, RuntimeError), match=r"private\.wav"):
        fetch("/another/page")


def test_a_long_recording_is_answered_by_the_mean_of_its_windows(predictor, examples):
    one = answer.answer(predictor, examples / "news_woman.flac", "news")
    expected = np.mean([window.as_array() for window in predictor.timeline(examples / "news_woman.flac")], axis=0)
    assert one.whole.as_array() == pytest.approx(expected, abs=1e-4)
    assert (one.whole.start, one.whole.end) == (0, pytest.approx(one.seconds, abs=0.01))


def test_ten_minutes_have_at_most_120_windows(predictor):
    samples = np.tile(voice_like(20), 30)
    whole, windows = answer.hear(predictor, samples)
    assert 100 <= len(windows) <= answer.ROWS
    assert whole.end == pytest.approx(600, abs=0.1)


def test_what_was_heard(examples):
    said = {name: recording.heard(recording.read(examples / f"{name}.flac", name)) for name in ("silence", "noise")}
    assert said == {"silence": "silence", "noise": "no speech"}
    assert recording.heard(voice_like(2)) == "speech"


def test_real_speech_is_heard_as_speech(speech):
    files = sorted(file for file in (speech / "emodb").rglob("*.*") if file.suffix in SUFFIXES)[::40]
    assert {recording.heard(recording.read(file, file.name)) for file in files} == {"speech"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.txt", b"hello", "text.txt is not readable audio"),
        ("empty.wav", b"", r"^empty.wav is empty \(0 bytes\)"),
        ("missing.wav", None, "^missing.wav: no such file"),
    ],
)
def test_a_bad_file_is_called_by_its_own_name(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Wav2SmallError, match=said) as error:
        recording.read(tmp_path / name, name)
    assert str(tmp_path) not in str(error.value)


def test_the_limits_are_told(tmp_path):
    soundfile.write(tmp_path / "long.flac", np.zeros(601 * RATE, np.int16), RATE)
    soundfile.write(tmp_path / "large.wav", np.zeros(27 * 2**20, np.int16), 48000)
    soundfile.write(tmp_path / "short.wav", np.zeros(100, np.int16), RATE)
    for name, said in (
        ("long.flac", "longer than 10 minutes"),
        ("large.wav", "larger than 50 MB"),
        ("short.wav", "0.1 s"),
    ):
        with pytest.raises(Wav2SmallError, match=said):
            recording.read(tmp_path / name, name)


def test_an_upload_is_gone_after_the_answer_and_after_an_error(uploads):
    for fails in (False, True):
        file = uploads / "abc" / "voice.wav"
        file.parent.mkdir()
        file.write_bytes(b"secret")
        with pytest.raises(RuntimeError) if fails else open(os.devnull), recording.uploaded(str(file)):  # noqa: PTH123
            if fails:
                raise RuntimeError("in the middle")
        assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside.wav", "uploads/../../outside.wav"])
def test_only_uploads_are_read_and_deleted(uploads, path):
    outside = uploads.parent / "outside.wav"
    outside.write_bytes(b"mine")
    target = path if path.startswith("/") else str(uploads / path)
    with pytest.raises(Wav2SmallError, match="was not uploaded"), recording.uploaded(target):
        pass
    assert outside.exists() and Path("/etc/hostname").exists()


def test_uploads_that_nobody_answers_are_swept(uploads):
    now = time.time()
    for name, size, age in (
        ("old.wav", 9, 1000),
        ("new.wav", 9, 10),
        ("audio.wav", 9, 10),
        ("long/audio.wav", 200_000, 10),
    ):
        (uploads / name).parent.mkdir(exist_ok=True)
        (uploads / name).write_bytes(b"x" * size)
        os.utime(uploads / name, (now - age, now - age))
    app.sweep(uploads)
    assert sorted(path.name for path in uploads.rglob("*.wav")) == ["audio.wav", "new.wav"]
    assert (uploads / "long" / "audio.wav").exists()


def test_ten_minutes_of_live_audio_keep_three_seconds_and_answer_at_once(predictor):
    block = voice_like(2 * live.EVERY)
    session = live.Session()
    for _ in range(int(600 / (2 * live.EVERY))):
        session = live.push(predictor, session, block, RATE)
        assert len(session.recent) <= live.WINDOW * RATE
        assert session.answers[-1].end == session.seconds
    assert session.seconds == 600
    assert len(session.answers) == live.SPAN / live.EVERY
    assert len(live.show(session, predictor)) < 40_000
    assert live.EVERY <= 0.5


def test_another_microphone_begins_anew(predictor):
    session = live.push(predictor, live.Session(), voice_like(1), RATE)
    session = live.push(predictor, session, voice_like(1, rate=48000), 48000)
    assert (session.rate, session.seconds, len(session.answers)) == (48000, 1, 1)


def test_comparing_gives_the_sizes_of_the_files_and_close_values(predictor, examples):
    samples = recording.read(examples / "sad_man.flac", "sad_man")
    rows = compare.compare(samples, [*compare.variants(["bundled"]), "bundled, 5 bit"])
    assert [row["bytes"] for row in rows[:3]] == [
        wav2small.load(dtype=dtype).file.stat().st_size for dtype in ("fp32", "q8", "q4")
    ]
    for row in rows[1:3]:
        assert row["arousal"] == pytest.approx(rows[0]["arousal"], abs=0.1)
    assert "write MODEL, BITS" in rows[3]["error"]


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def test_a_zip_is_read_in_memory_and_its_bad_members_are_named(predictor, uploads, examples):
    folder = uploads / "abc"
    folder.mkdir()
    good = (examples / "short_woman.flac").read_bytes()
    archive = zipped(folder / "some.zip", good__flac=good, broken__wav=b"no audio", empty__wav=b"", note__txt=b"hello")
    *_, (total, results) = batch.run(predictor, [str(archive)])
    assert total == len(results) == 3
    assert isinstance(results[0], answer.Answer) and results[0].name == "good.flac"
    assert "broken.wav is not readable audio" in str(results[1]) and "empty.wav is empty" in str(results[2])
    assert list(uploads.iterdir()) == []


def test_a_zip_bomb_is_not_unpacked(predictor, uploads):
    folder = uploads / "abc"
    folder.mkdir()
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.wav", bytes(recording.MAX_BYTES + 1))
    *_, (_, results) = batch.run(predictor, [str(folder / "bomb.zip")])
    assert "larger than 50 MB" in str(results[0])


def test_a_stopped_batch_leaves_nothing(predictor, uploads, examples):
    folder = uploads / "abc"
    folder.mkdir()
    (folder / "a.flac").write_bytes((examples / "short_woman.flac").read_bytes())
    running = batch.run(predictor, [str(folder / "a.flac")])
    next(running)
    running.close()
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("content", [b"no zip", b"PK\x05\x06" + bytes(18)])
def test_a_broken_or_empty_zip_gets_a_message(predictor, uploads, content):
    folder = uploads / "abc"
    folder.mkdir()
    (folder / "bad.zip").write_bytes(content)
    with pytest.raises(Wav2SmallError, match=r"^bad.zip"):
        list(batch.run(predictor, [str(folder / "bad.zip")]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-2, 3), min_size=3, max_size=3), st.text(max_size=20))
def test_pictures_stay_inside_their_frame_and_names_stay_text(values, name):
    import xml.etree.ElementTree as Xml

    one = Prediction(*values, start=0.0, end=1.0, silent=False, word="calm")
    words = wav2small.load().words
    name = "".join(letter for letter in name if letter.isprintable())
    drawn = Xml.fromstring(pictures.plane([(name + "<b>", one)], words))
    for circle in drawn.iter("circle"):
        assert 0 <= float(circle.get("cx")) <= pictures.PLANE and 0 <= float(circle.get("cy")) <= pictures.PLANE
    assert not list(drawn.iter("b"))
    for gauge in Xml.fromstring(pictures.gauges(one, words)):
        assert 0 <= float(gauge.get("aria-valuenow")) <= 1


def test_the_examples_of_the_space_are_those_of_the_project(examples):
    for file in (ROOT / "space" / "examples").iterdir():
        assert file.read_bytes() == (examples / file.name).read_bytes()


def test_the_endpoints_are_named_and_typed(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/predict", "/timeline", "/compare", "/batch"}
    named = {name: [each["parameter_name"] for each in value["parameters"]] for name, value in endpoints.items()}
    assert named["/timeline"] == ["audio", "window", "hop"]
    assert endpoints["/predict"]["parameters"][0]["python_type"]["type"] == "filepath"


def test_a_program_gets_the_answers_of_the_library_and_nothing_is_kept(client, demo, predictor, examples):
    file = examples / "angry_man.flac"
    got = client.predict(audio=handle_file(file), api_name="/predict")
    expected = predictor(file)
    assert (got["arousal"], got["word"], got["heard"]) == (
        pytest.approx(expected.arousal, abs=1e-3),
        expected.word,
        "speech",
    )
    rows = client.predict(handle_file(examples / "news_woman.flac"), 3.0, 2.0, api_name="/timeline")
    assert [row["start"] for row in rows[:3]] == [0, 2, 4]
    rows = client.predict(handle_file(file), ["bundled, 4 bit"], api_name="/compare")
    assert rows[0]["bytes"] == wav2small.load(dtype="q4").file.stat().st_size
    rows = client.predict([handle_file(file), handle_file(examples / "sad_man.flac")], api_name="/batch")
    assert [row["name"] for row in rows] == ["angry_man.flac", "sad_man.flac"]
    demo.expect_no_files()


def test_the_call_in_the_readme_works(demo, capsys, monkeypatch):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = next(
        code for code in re.findall(r"```python notest\n(.*?)```", readme, re.DOTALL) if "gradio_client" in code
    )
    monkeypatch.chdir(ROOT)
    exec(block.replace("http://127.0.0.1:7860", demo.url), {})
    arousal, _, _, word = capsys.readouterr().out.split()[-4:]
    expected = wav2small.load()("examples/angry_man.flac")
    assert float(arousal) == pytest.approx(expected.arousal, abs=1e-3) and word == expected.word


def test_a_program_gets_errors_as_sentences_and_nothing_is_kept_or_logged(client, demo, tmp_path):
    broken = tmp_path / "very_private_name.wav"
    broken.write_bytes(b"no audio")
    for endpoint in ("/predict", "/timeline", "/compare"):
        with pytest.raises(Exception, match=r"very_private_name\.wav is not readable audio"):
            client.predict(handle_file(broken), api_name=endpoint)
    demo.expect_no_files()
    assert "very_private_name" not in demo.log.read_text()


def test_a_program_cannot_have_files_of_the_server_read(demo):
    import httpx

    for path in ("/etc/hostname", str(ROOT / "examples" / "sad_man.flac")):
        asked = httpx.post(f"{demo.url}/gradio_api/call/predict", json={"data": [{"path": path}]}).json()
        said = httpx.get(f"{demo.url}/gradio_api/call/predict/{asked['event_id']}").text
        assert said.startswith("event: error") and Path(path).exists()


def test_twenty_at_once_with_the_same_recording_are_all_answered(demo, examples):
    from demo_load import ask_at_once

    answers = ask_at_once(demo.url, examples / "angry_man.flac", people=20)
    expected = wav2small.load()(examples / "angry_man.flac").arousal
    assert [one["arousal"] for one in answers] == [pytest.approx(expected, abs=1e-3)] * 20
    demo.expect_no_files()


def test_the_endpoints_are_mcp_tools_where_the_packages_are(tmp_path, examples):
    pytest.importorskip("mcp", reason="MCP needs the package mcp")
    import anyio
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def tools(url: str) -> set[str]:
        connection = streamable_http_client(f"{url}/gradio_api/mcp/")
        async with connection as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return {tool.name for tool in (await session.list_tools()).tools}

    with Demo(tmp_path, environment={"GRADIO_MCP_SERVER": "True"}) as running:
        names = anyio.run(tools, running.url)
    assert {name.rpartition("_")[2] for name in names} >= {"predict", "timeline", "compare", "batch"}


def test_a_model_that_is_none_is_one_line(tmp_path):
    import subprocess

    command = [str(Path(sys.executable).parent / "wav2small"), "demo", "--model", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("wav2small: ") and done.stderr.count("\n") == 1


def test_the_space_is_complete_and_pinned():
    from huggingface_hub import metadata_load

    front = metadata_load(ROOT / "space" / "README.md")
    assert front["sdk"] == "gradio" and (ROOT / "space" / front["app_file"]).is_file()
    lines = (ROOT / "space" / "requirements.txt").read_text().split()
    assert lines == [f"wav2small[space]=={wav2small.__version__}", f"gradio=={front['sdk_version']}"]
    assert f"gradio=={front['sdk_version']}" in (ROOT / "constraints.txt").read_text()
    assert len(front["short_description"]) <= 60
    assert io.StringIO((ROOT / "space" / "README.md").read_text()).readline() == "---\n"
