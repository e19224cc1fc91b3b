"""The command `wav2small demo`, before any page is served."""

import socket
import subprocess
import sys

import pytest
from demo_server import COMMAND
from typer.testing import CliRunner

from wav2small import Wav2SmallError
from wav2small_demo import cli


def test_without_gradio_the_demo_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "wav2small_demo.app", raising=False)
    error = CliRunner().invoke(cli.app).exception
    assert isinstance(error, Wav2SmallError)
    assert str(error) == "this command needs gradio: pip install 'wav2small[space]'"


def test_the_help_of_wav2small_lists_the_demo_without_importing_gradio():
    code = "import sys; from wav2small.cli.main import main; sys.argv[1:] = ['--help']\ntry: main()\nfinally: {}"
    check = "print([name for name in ('gradio', 'onnxruntime', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code.format(check)], capture_output=True, text=True)
    assert "Serve the demo page on this computer." in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_model_that_cannot_be_loaded_and_a_taken_port_are_each_reported_in_one_line(tmp_path):
    pytest.importorskip("gradio", reason="the demo needs the extra [space]")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, reason in (
            (["--model", str(tmp_path)], f"{tmp_path} has no config.json"),
            (["--port", str(port)], "choose another port"),
        ):
            done = subprocess.run([COMMAND, "demo", *arguments], capture_output=True, text=True)
            assert done.returncode == 1 and reason in done.stderr
            assert done.stderr.startswith("wav2small: ") and done.stderr.count("\n") == 1
