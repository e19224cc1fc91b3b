"""Public corpora come from a server, whole and checked, and have the layout that recipes read."""

import csv
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import soundfile
from conftest import SPEECH, voice_like

from wav2small.models.errors import Wav2SmallError
from wav2small_training.data.corpora import open_rows
from wav2small_training.data.fetch_speech import fetch, main
from wav2small_training.data.public_corpora import CORPORA
from wav2small_training.recipe import Corpus

MEMBERS = {  # paths as in the published archives; those that must not become clips say "no" below
    "emodb": {
        "emodb_2.0/wav/03a01Fa.wav": True,
        "emodb_2.0/wav/14b02Wc.wav": True,
        "emodb_2.0/wav/16b10Lb.wav": False,  # nobody rated it
        "emodb_2.0/db.emotion.csv": "file,emotion,emotion.confidence\nwav/03a01Fa.wav,happiness,0.90\n"
        "wav/14b02Wc.wav,anger,1.00\n",
    },
    "emogator": {"EmoGator-0339/data/mp3/000003-23-1.mp3": True, "EmoGator-0339/data/mp3/000001-01-3.mp3": True},
    "librispeech_mini": {
        "LibriSpeech/dev-clean/84/121123/84-121123-0001.flac": True,
        "LibriSpeech/SPEAKERS.TXT": "; ID | SEX\n84   | F | dev-clean | 8.02 | Somebody\n",
    },
    "ljspeech_mini": {"LJSpeech-1.1/wavs/LJ001-0032.wav": True, "LJSpeech-1.1/wavs/LJ001-0033.wav": False},
    "pico_commands": {"speech-to-intent-benchmark-0a23/data/speech/clean/0075d273-51bb.wav": True},
    "pico_wakewords": {"wake-word-benchmark-fb75/audio/smart mirror/007b.flac": True},
    "precise_pd": {
        "Precise-master/athena/en/athena-en-0135.wav": True,
        "Precise-master/athena/en/athena-en-9999.wav": False,  # no dedication
        "Precise-master/licenses/license-1.txt": "Files released into public domain:\nathena/en/athena-en-0135.wav\n",
    },
    "noise": {
        "ESC-50-master/audio/1-100032-A-0.wav": True,
        "ESC-50-master/audio/1-17367-A-10.wav": False,  # of ESC-50 alone: non-commercial
        "ESC-50-master/meta/esc50.csv": "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n1-17367-A-10.wav,1,10,rain,False,17367,A\n",
    },
    "rooms": {
        "web-audio-samples-fd0d/src/archive/impulse-responses/house-impulses/kitchen.wav": True,
        "web-audio-samples-fd0d/src/archive/impulse-responses/house-impulses/kitchen-true-stereo.wav": False,
        "web-audio-samples-fd0d/src/archive/impulse-responses/medium-room1.wav": True,
        "web-audio-samples-fd0d/src/archive/impulse-responses/cosmic-ping.wav": False,
    },
    "nemo": {"nEMO-06f1/samples/EB0_surprised_1.wav": True},
}


def sound(name: str, rate: int = 44100) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, voice_like(0.5, seed=len(name), rate=rate), rate, format=name.rpartition(".")[2].upper())
    return buffer.getvalue()


def pack(name: str, file: str) -> bytes:
    """An archive of small clips in the layout of a corpus."""
    buffer = io.BytesIO()
    contents = {p: c.encode() if isinstance(c, str) else sound(p) for p, c in MEMBERS[name].items()}
    if file.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as zipped:
            for path, content in contents.items():
                zipped.writestr(path, content)
    else:
        with tarfile.open(fileobj=buffer, mode=f"w:{file.rpartition('.')[2]}") as tape:
            for path, content in contents.items():
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tape.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Server:
    """A web server on loopback that can break off, and remembers which ranges it was asked for."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None
        self.ranges: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = server.files.get(self.path)
                if content is None:
                    return self.send_error(404)
                wanted = self.headers.get("Range")
                server.ranges.append(wanted)
                first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(content) - first))
                self.end_headers()
                self.wfile.write(content[first : server.break_after])

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def serve(self, name: str, **changes):
        """A corpus whose archive this server has."""
        corpus = CORPORA[name]
        self.files[f"/{corpus.file}"] = pack(name, corpus.file)
        url = f"http://127.0.0.1:{self.http.server_port}/{corpus.file}"
        return replace(corpus, url=url, **{"sha256": None} | changes)


@pytest.fixture
def server():
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def table(folder) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_becomes_a_folder_that_a_recipe_reads(name, server, tmp_path):
    clips = [path for path, kept in MEMBERS[name].items() if kept is True]
    assert fetch(server.serve(name), tmp_path) == len(clips)
    rows = table(tmp_path / name)
    assert next(iter(rows[0])) == "file_name"
    for row in rows:
        info = soundfile.info(tmp_path / name / row["file_name"])
        assert (info.samplerate, info.channels, info.format) == (16000, 1, "FLAC")
        assert float(row["duration_s"]) == pytest.approx(0.5, abs=0.1)  # MP3 pads
    assert len(list(open_rows(Corpus(source=str(tmp_path / name), licence="CC0-1.0")))) == len(clips)


@pytest.mark.skipif(not SPEECH.is_dir(), reason="no real speech beside the checkout")
@pytest.mark.parametrize("name", [name for name in CORPORA if name != "noise"])
def test_its_columns_are_those_of_the_selection_that_the_recipes_were_written_for(name, server, tmp_path):
    fetch(server.serve(name), tmp_path)
    fetched, selected = table(tmp_path / name)[0].keys(), table(SPEECH / name)[0].keys()
    assert fetched - {"duration_s"} <= selected
    assert selected - fetched <= {"active_s", "age", "rt60_s", "sex"}


def test_labels_speakers_and_splits_come_from_the_names_and_tables_of_the_corpus(server, tmp_path):
    fetch(server.serve("emodb"), tmp_path)
    columns = ("speaker", "sex", "split", "emotion", "rater_agreement")
    shown = [[row[column] for column in columns] for row in table(tmp_path / "emodb")]
    assert shown[0] == ["emodb_03", "m", "train", "happiness", "0.9"]
    assert shown[1] == ["emodb_14", "f", "validation", "anger", "1"]
    fetch(server.serve("emogator"), tmp_path)
    splits = {row["emotion"]: row["split"] for row in table(tmp_path / "emogator")}
    assert splits == {"adoration": "train", "romantic love": "validation"}
    fetch(server.serve("librispeech_mini"), tmp_path)
    assert table(tmp_path / "librispeech_mini")[0]["sex"] == "f"


def test_a_download_that_broke_off_goes_on_where_it_stopped(server, tmp_path):
    corpus = server.serve("emodb")
    server.break_after = 1000
    with pytest.raises(Wav2SmallError, match="run this again"):
        fetch(corpus, tmp_path)
    assert not (tmp_path / "emodb").exists()
    server.break_after = None
    assert fetch(corpus, tmp_path) == 2
    assert server.ranges == [None, "bytes=1000-"]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    corpus = server.serve("nemo")
    assert fetch(corpus, tmp_path) == fetch(corpus, tmp_path) == 1
    assert server.ranges == [None]


def test_an_archive_that_is_not_the_published_one_is_refused(server, tmp_path):
    corpus = server.serve("nemo", sha256=hashlib.sha256(b"another").hexdigest())
    with pytest.raises(Wav2SmallError, match="SHA-256"):
        fetch(corpus, tmp_path)
    assert not (tmp_path / "nemo").exists()


def test_an_archive_that_changed_since_the_first_time_is_refused(server, tmp_path):
    corpus = server.serve("nemo")
    fetch(corpus, tmp_path)
    record = json.loads((tmp_path / "downloads" / "checksums.json").read_text())
    assert record == {corpus.file: hashlib.sha256(server.files[f"/{corpus.file}"]).hexdigest()}
    other = tmp_path / "downloads" / corpus.file
    other.write_bytes(pack("emogator", corpus.file))
    (tmp_path / "nemo" / "metadata.csv").unlink()
    with pytest.raises(Wav2SmallError, match=r"delete its line in .*checksums\.json"):
        fetch(corpus, tmp_path)


def test_without_a_network_it_says_which_file_to_put_where_and_takes_it_from_there(server, tmp_path):
    corpus = server.serve("rooms")
    gone = replace(corpus, url=corpus.url + ".gone")
    place = tmp_path / "downloads" / corpus.file
    with pytest.raises(Wav2SmallError, match="by other means") as caught:
        fetch(gone, tmp_path)
    assert str(place) in str(caught.value) and gone.url in str(caught.value)
    place.write_bytes(server.files[f"/{corpus.file}"])
    assert fetch(gone, tmp_path) == 2


def test_a_broken_archive_is_one_sentence(server, tmp_path):
    corpus = server.serve("nemo")
    server.files[f"/{corpus.file}"] = b"<html>not found</html>"
    with pytest.raises(Wav2SmallError, match="cannot be unpacked"):
        fetch(corpus, tmp_path)


def test_the_list_has_licence_and_amount_and_downloads_nothing(tmp_path, capsys):
    main(tmp_path, ["nemo", "librispeech_mini"], show=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert "NON-COMMERCIAL" in shown and "338 MB" in shown
    assert not list(tmp_path.iterdir())


def test_an_unknown_corpus_is_named_beside_those_there_are(tmp_path):
    with pytest.raises(Wav2SmallError, match="no corpus enterface; there are emodb, emogator"):
        main(tmp_path, ["enterface"])
