"""What becomes of uploads, alone and in a batch: they are read, deleted, and never named in the log."""

import asyncio
import io
import os
import secrets
import threading
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fuzz_files import lying_zip
from starlette.responses import FileResponse

pytest.importorskip("gradio", reason="the demo needs the extra [space]")

import wav2small
from wav2small import Wav2SmallError
from wav2small_demo import batch, recording
from wav2small_demo.analysis import Analysis
from wav2small_demo.upload_folder import make_upload_folder
from wav2small_demo.uploads import (
    BLOCK_FILE,
    NotFoundIfDeleted,
    UploadInOwnFolder,
    UploadLimits,
    delete_abandoned,
    origin,
    uploaded,
    waiting_bytes,
)


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


def upload(uploads: Path, name: str, content: bytes) -> str:
    """Put a file where Gradio puts an upload; returns its path."""
    file = uploads / "abc" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return str(file)


def upload_zip(uploads: Path, **members: bytes) -> str:
    """Put a zip there; `good__flac` stands for the member good.flac."""
    path = Path(upload(uploads, "some.zip", b""))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return str(path)


def test_an_upload_is_deleted_after_its_use(uploads):
    with uploaded(upload(uploads, "voice.wav", b"secret")) as file:
        assert file.read_bytes() == b"secret"
    assert list(uploads.iterdir()) == []


def test_an_upload_is_deleted_after_an_error(uploads):
    with pytest.raises(RuntimeError), uploaded(upload(uploads, "voice.wav", b"secret")):
        raise RuntimeError("in the middle")
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside.wav", "uploads/../../outside.wav"])
def test_a_file_that_was_not_uploaded_is_neither_read_nor_deleted(uploads, path):
    outside = uploads.parent / "outside.wav"
    outside.write_bytes(b"mine")
    target = path if path.startswith("/") else str(uploads / path)
    with pytest.raises(Wav2SmallError, match="was not uploaded"), uploaded(target):
        pass
    assert outside.exists() and Path("/etc/hostname").exists()


def test_abandoned_uploads_are_deleted_live_blocks_after_seconds_and_others_after_minutes(uploads):
    now = time.time()
    for name, size, age in (
        ("old.wav", 9, 1000),
        ("new.wav", 9, 10),
        (f"block/{BLOCK_FILE}", 9, 10),
        (f"new_block/{BLOCK_FILE}", 9, 1),
        ("recording/audio.wav", 9, 10),
    ):
        (uploads / name).parent.mkdir(exist_ok=True)
        (uploads / name).write_bytes(b"x" * size)
        os.utime(uploads / name, (now - age, now - age))
    delete_abandoned(uploads)
    left = sorted(path.relative_to(uploads).as_posix() for path in uploads.rglob("*.wav"))
    assert left == ["new.wav", f"new_block/{BLOCK_FILE}", "recording/audio.wav"], "a short recording is no block"


def test_an_upload_is_counted_while_others_are_used_and_their_folders_deleted(uploads):
    waiting, done = upload(uploads, "voice.wav", b"x" * 9), threading.Event()

    def use_others() -> None:
        while not done.is_set():
            with uploaded(str(uploads / secrets.token_hex(4) / "other.wav")) as other:
                other.parent.mkdir()
                other.touch()

    with ThreadPoolExecutor(4) as others:
        used = [others.submit(use_others) for _ in range(4)]
        try:
            assert [waiting_bytes(uploads) for _ in range(500)] == [9] * 500
            for _ in range(100):
                delete_abandoned(uploads)
        finally:
            done.set()
    assert [one.result() for one in used] == [None] * 4 and Path(waiting).exists()


def received(name: str, **told: str) -> tuple[str, str]:
    """The folder and the name that an upload gets, by what the page tells of it."""
    origin.set(told or None)
    file = UploadInOwnFolder(io.BytesIO(b"x"), filename=name)
    return file.sha.hexdigest(), file.filename


def test_recordings_of_the_recorder_share_a_folder_within_a_page_and_with_no_other(uploads):
    first, again, other = (received("audio.wav", page=page) for page in ("1", "1", "2"))
    assert first == again != other
    assert received("audio.wav") != received("audio.wav"), "of programs"
    assert received("a.wav", page="1") != received("a.wav", page="1"), "of files"
    assert received("audio.wav", page="1", live="1")[1] == BLOCK_FILE
    assert received(BLOCK_FILE)[1] != BLOCK_FILE, "a file of that name is no block"


def test_uploads_wait_in_a_bounded_space(uploads, monkeypatch):
    async def accepted(scope, receive, send):
        await send({"status": 200})

    def status(path: str = "/gradio_api/upload", **headers: str) -> int:
        sent = []

        async def send(message):
            sent.append(message)

        raw = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": path, "headers": raw, "query_string": b""}
        asyncio.run(UploadLimits(accepted)(scope, None, send))
        return sent[0]["status"]

    monkeypatch.setattr("wav2small_demo.uploads.QUOTA", 1000)
    assert status(content_length="900") == 200
    upload(uploads, "waits.wav", bytes(200))
    assert status(content_length="900") == 503
    assert status(content_length="700") == 200
    assert status(transfer_encoding="chunked") == 411
    assert status("/gradio_api/queue/join") == 200


def test_what_a_killed_process_has_left_is_deleted_by_the_next_and_what_is_in_use_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "wav2small-demo-left"
    left.mkdir()
    (left / "private.wav").write_bytes(b"x")
    Path(f"{left}.lock").touch()
    first = Path(make_upload_folder())
    (first / "used.wav").write_bytes(b"x")
    second = Path(make_upload_folder())
    assert not left.exists() and (first / "used.wav").exists() and second.is_dir() and first != second


@pytest.mark.parametrize("when", ["before it is opened", "after the response has started"])
def test_an_upload_deleted_while_the_page_fetches_it_is_not_found_and_not_named_in_the_log(tmp_path, when):
    private = tmp_path / "private.wav"
    private.write_bytes(b"RIFF")
    status = private.stat() if when == "after the response has started" else None
    private.unlink()

    def fetch(path: str) -> list[dict]:
        """What is sent to the page; raises what the server would log."""
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            await asyncio.sleep(60)

        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        asyncio.run(NotFoundIfDeleted(FileResponse(private, stat_result=status))(scope, receive, send))
        return sent

    response, *rest = fetch("/gradio_api/file=private.wav")
    assert response["status"] == (200 if status else 404)
    assert all("private" not in str(message) for message in rest)
    with pytest.raises((FileNotFoundError, RuntimeError), match=r"private\.wav"):
        fetch("/another/page")


def test_a_batch_names_the_unreadable_members_of_a_zip_and_deletes_the_upload(predictor, uploads, examples):
    good = (examples / "amused_emogator.flac").read_bytes()
    archive = upload_zip(uploads, good__flac=good, broken__wav=b"no audio", empty__wav=b"", note__txt=b"hello")
    *_, (total, outcomes) = batch.run(predictor, [archive])
    assert total == len(outcomes) == 3
    assert isinstance(outcomes[0], Analysis) and outcomes[0].name == "good.flac"
    assert outcomes[0].whole.as_array() == pytest.approx(predictor(good).as_array(), abs=1e-5)
    assert "broken.wav is not readable audio" in str(outcomes[1]) and "empty.wav is empty" in str(outcomes[2])
    assert list(uploads.iterdir()) == []


def test_a_member_of_a_zip_above_the_limit_is_refused_before_it_is_unpacked(predictor, uploads, monkeypatch):
    archive = upload_zip(uploads, large__wav=bytes(recording.MAX_BYTES + 1))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was unpacked"))
    *_, (_, outcomes) = batch.run(predictor, [archive])
    assert "large.wav is larger than 50 MB" in str(outcomes[0])


def test_a_member_that_is_larger_than_it_says_is_unpacked_no_further_and_costs_itself_alone(uploads):
    path = Path(upload(uploads, "lies.zip", lying_zip(size=300 * 2**20)))
    ((name, open_source),) = batch.sources([path])
    tracemalloc.start()
    with pytest.raises(Wav2SmallError, match=f"{name} cannot be unpacked"):
        open_source()
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_rare_compression_and_a_broken_member_cost_that_member_alone(predictor, uploads, examples, kind):
    path = Path(upload(uploads, "some.zip", b""))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rare.wav", bytes(1000), compress_type=kind)
        archive.writestr("broken.wav", b"abcdefgh" * 1000, compress_type=zipfile.ZIP_DEFLATED)
        archive.write(examples / "amused_emogator.flac", "good.flac")
    content = bytearray(path.read_bytes())
    place = content.index(b"broken.wav") + 10
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    *_, (_, (rare, broken, good)) = batch.run(predictor, [str(path)])
    assert "rare.wav is compressed in a rare way: create the zip with DEFLATE" in str(rare)
    assert "broken.wav cannot be unpacked" in str(broken)
    assert isinstance(good, Analysis) and good.seconds > 0.5 and not good.samples.size, "a batch keeps no audio"


def test_a_zip_of_a_million_names_is_refused_before_they_are_read(uploads, monkeypatch):
    monkeypatch.setattr("wav2small_demo.batch.MAX_ZIP_DIRECTORY", 10_000)
    archive = upload_zip(uploads, **{f"{i}__wav": b"" for i in range(300)})
    with pytest.raises(Wav2SmallError, match="holds too many files: give up to 500 recordings"):
        batch.sources([Path(archive)])


@pytest.mark.parametrize("content", [b"no zip", b"PK\x05\x06" + bytes(18)])
def test_a_broken_or_empty_zip_is_named_in_the_error(predictor, uploads, content):
    with pytest.raises(Wav2SmallError, match=r"^bad.zip"):
        list(batch.run(predictor, [upload(uploads, "bad.zip", content)]))


def test_a_stopped_batch_deletes_its_uploads(predictor, uploads, examples):
    running = batch.run(predictor, [upload(uploads, "a.flac", (examples / "amused_emogator.flac").read_bytes())])
    next(running)
    running.close()
    assert list(uploads.iterdir()) == []
