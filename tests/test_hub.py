"""A checkpoint comes from a folder, the Hub or the cache; an error names the reason and the remedy."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from loopback.hub import LoopbackHub

from wav2small import Wav2SmallError
from wav2small.hub import commit_of, resolve_checkpoint

RESPONSES = {  # status and error code of the Hub for such a repository
    "nothing": (404, "RepoNotFound"),
    "private": (401, "RepoNotFound"),
    "gated": (403, "GatedRepo"),
    "forbidden": (403, ""),
    "token": (401, ""),
    "revision": (404, "RevisionNotFound"),
    "ill": (500, ""),
}
TOLD = {
    "nothing": "there is nothing of that name: check it",
    "private": "there is nothing of that name, or it is private: check the name, or log in with `hf auth login`",
    "gated": "it is gated: ask for access on its page, then log in with `hf auth login`",
    "forbidden": "your token does not give access to it: log in with `hf auth login`",
    "token": "your token does not give access to it: log in with `hf auth login`",
    "revision": "it has no such revision",
    "ill": "the Hub responded with status 500: try again later",
}
ASK = """
import json, sys
from wav2small.models.errors import Wav2SmallError
from wav2small.hub import resolve_checkpoint
told = {}
for name in sys.argv[1:]:
    try:
        resolve_checkpoint(name, ["config.json"])
    except Wav2SmallError as error:
        told[name] = str(error)
print(json.dumps(told))
"""
FETCH = """
import json, sys
from wav2small.hub import commit_of, resolve_checkpoint
folder = resolve_checkpoint("lab/student", ["*.json", "onnx/model.onnx"], *sys.argv[1:])
files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
print(json.dumps([commit_of(folder), files]))
"""


class Refusing(BaseHTTPRequestHandler):
    """Answers for each repository as `RESPONSES` says."""

    def do_GET(self) -> None:
        status, code = next(response for name, response in RESPONSES.items() if f"/lab/{name}" in self.path)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if code:
            self.send_header("X-Error-Code", code)
        elif status == 401:
            self.send_header("X-Error-Message", "Invalid credentials in Authorization header")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_) -> None:
        """Say nothing on stderr."""


@pytest.fixture(scope="module")
def refused(tmp_path_factory) -> dict[str, str]:
    """What is told of each repository, by the real client."""
    hub = LoopbackHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        return hub.run(ASK, tmp_path_factory.mktemp("home"), *(f"lab/{name}" for name in RESPONSES), token="hf_alice")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", RESPONSES)
def test_an_error_of_the_hub_is_one_sentence_with_the_remedy(refused, name):
    assert refused[f"lab/{name}"] == f"lab/{name} is not a folder here and cannot be loaded from the Hub: {TOLD[name]}"


def test_the_named_files_are_downloaded_and_stay_usable_offline(tmp_path):
    files = {"config.json": b"{}", "words.json": b"{}", "README.md": b"#", "onnx/model.onnx": b"x", "onnx/other": b"y"}
    with LoopbackHub() as hub:
        sha = hub.put("models", "lab/student", files).refs["main"].sha
        wanted = ["config.json", "onnx/model.onnx", "words.json"]
        assert hub.run(FETCH, tmp_path) == [sha, wanted]
        hub.put("models", "lab/student", {"config.json": b"{1}"})
        assert hub.run(FETCH, tmp_path, sha) == [sha, wanted], "a commit that was named is the one that is taken"
    assert hub.run(FETCH, tmp_path, sha) == [sha, wanted]
    told = hub.run(ASK, tmp_path, "lab/other")["lab/other"]
    assert told.endswith("the Hub cannot be reached, and it is not in the cache: check the network and the name")


def test_a_local_folder_is_used_as_it_is_and_has_no_commit(tmp_path):
    assert resolve_checkpoint(tmp_path, ["config.json"]) == tmp_path
    assert commit_of(tmp_path) is None


@pytest.mark.parametrize("source", ["no/such/folder", "./nowhere", "with space/x"])
def test_a_name_that_is_neither_a_folder_nor_an_id_is_an_error(source):
    with pytest.raises(Wav2SmallError, match="neither a folder nor an id on the Hub"):
        resolve_checkpoint(source, ["config.json"])


def test_importing_the_hub_module_does_not_import_huggingface_hub():
    code = "import sys, wav2small.hub; print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "False"
