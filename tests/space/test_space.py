"""The Space as it is uploaded, and its API as programs call it."""

import re
import shutil

import pytest
from conftest import ROOT
from demo_server import Demo

pytest.importorskip("gradio", reason="the demo needs the extra [space]")
from gradio_client import Client, handle_file

import wav2small
from wav2small.bundled import DEFAULT

PAGE = ROOT / "space" / "wav2small_demo"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The Space, running from a copy of its files; the copy is marked on the tab About."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "space", folder / "space")
    about = folder / "space" / "wav2small_demo" / "about.md"
    about.write_text(about.read_text(encoding="utf-8") + "\nThis page runs from a copy.\n", encoding="utf-8")
    with Demo(folder, folder / "space" / "app.py", {"GRADIO_MCP_SERVER": "False"}) as running:
        yield running


@pytest.fixture(scope="module")
def client(demo):
    return Client(demo.url, verbose=False)


def test_the_space_runs_from_its_own_files(demo):
    import httpx

    assert "This page runs from a copy." in httpx.get(f"{demo.url}/config").text


def test_the_space_pins_the_versions_that_are_tested():
    from huggingface_hub import metadata_load

    front = metadata_load(ROOT / "space" / "README.md")
    assert front["sdk"] == "gradio" and (ROOT / "space" / front["app_file"]).is_file()
    lines = (ROOT / "space" / "requirements.txt").read_text().split()
    assert lines == [f"wav2small[space]=={wav2small.__version__}", f"gradio=={front['sdk_version']}"]
    assert f"gradio=={front['sdk_version']}" in (ROOT / "constraints.txt").read_text()
    assert len(front["short_description"]) <= 60  # the Hub refuses more


def test_the_example_recordings_of_the_page_are_those_of_the_project(examples):
    from wav2small_demo.listen import EXAMPLES

    assert sorted(EXAMPLES.values()) == sorted(path.name for path in (PAGE / "examples").iterdir())
    for name in EXAMPLES.values():
        assert (PAGE / "examples" / name).read_bytes() == (examples / name).read_bytes()


def test_the_endpoints_have_names_and_types(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/predict", "/timeline", "/compare", "/batch"}
    named = {name: [each["parameter_name"] for each in value["parameters"]] for name, value in endpoints.items()}
    assert named["/timeline"] == ["audio", "window", "hop"]
    assert endpoints["/predict"]["parameters"][0]["python_type"]["type"] == "filepath"


def test_a_program_gets_the_predictions_of_the_library_and_its_uploads_are_deleted(client, demo, examples):
    predictor, file = wav2small.load(), examples / "anger_emodb14.flac"
    expected = predictor(file)
    got = client.predict(audio=handle_file(file), api_name="/predict")
    assert got["arousal"] == pytest.approx(expected.arousal, abs=1e-3)
    assert (got["word"], got["heard"]) == (expected.word, "speech")
    reading = examples / "man_libri1235.flac"
    rows = client.predict(handle_file(reading), 3.0, 2.0, api_name="/timeline")
    windows = predictor.timeline(reading, 3.0, 2.0)
    assert [row["start"] for row in rows] == [window.start for window in windows]
    assert [row["valence"] for row in rows] == pytest.approx([window.valence for window in windows], abs=1e-3)
    rows = client.predict(handle_file(file), [f"{DEFAULT}, 4 bit"], api_name="/compare")
    assert rows[0]["bytes"] == wav2small.load(dtype="q4").file.stat().st_size
    rows = client.predict([handle_file(file), handle_file(examples / "sadness_emodb14.flac")], api_name="/batch")
    assert [row["name"] for row in rows] == ["anger_emodb14.flac", "sadness_emodb14.flac"]
    demo.expect_no_files()


def documented_calls() -> list:
    """Every piece of Python in the documentation that calls the API."""
    pages = [ROOT / "README.md", ROOT / "space" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [
        pytest.param(code, id=page.relative_to(ROOT).as_posix())
        for page in pages
        for code in re.findall(r"```python[^\n]*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        if "gradio_client" in code
    ]
    assert blocks, "the documentation shows no call of the API"
    return blocks


@pytest.mark.parametrize("code", documented_calls())
def test_a_call_in_the_documentation_prints_the_prediction(demo, capsys, examples, code):
    file = examples / "anger_emodb14.flac"
    code = re.sub(r'"[^"]*\.(flac|wav)"', repr(str(file)), code).replace("http://127.0.0.1:7860", demo.url)
    exec(code, {})
    arousal, _, _, word = capsys.readouterr().out.split()[-4:]
    expected = wav2small.load()(file)
    assert float(arousal) == pytest.approx(expected.arousal, abs=1e-3) and word == expected.word


def test_a_program_gets_an_error_as_a_sentence_and_its_upload_is_neither_kept_nor_logged(client, demo, tmp_path):
    broken = tmp_path / "very_private_name.wav"
    broken.write_bytes(b"no audio")
    for endpoint in ("/predict", "/timeline", "/compare"):
        with pytest.raises(Exception, match=r"very_private_name\.wav is not readable audio"):
            client.predict(handle_file(broken), api_name=endpoint)
    demo.expect_no_files()
    assert "very_private_name" not in demo.log.read_text()


def test_a_program_cannot_make_the_server_read_or_delete_its_own_files(demo, tmp_path):
    import httpx

    private = tmp_path / "private.wav"
    private.write_bytes(b"RIFF")
    for path in ("/etc/hostname", str(private)):
        event = httpx.post(f"{demo.url}/gradio_api/call/predict", json={"data": [{"path": path}]}).json()["event_id"]
        assert httpx.get(f"{demo.url}/gradio_api/call/predict/{event}").text.startswith("event: error")
    assert private.exists()


def test_a_program_cannot_make_the_server_fetch_an_address(client, demo):
    given = {"path": f"{demo.url}/config", "url": f"{demo.url}/config", "meta": {"_type": "gradio.FileData"}}
    for value, endpoint in ((given, "/predict"), ([given], "/batch")):
        with pytest.raises(Exception, match="an address on the internet is not fetched: upload the recording itself"):
            client.predict(value, api_name=endpoint)


def test_stopped_it_leaves_no_upload(tmp_path):
    import httpx

    with Demo(tmp_path) as running:
        sent = httpx.post(f"{running.url}/gradio_api/upload", files={"files": ("private.wav", b"RIFF")})
        assert sent.status_code == 200 and running.files()
    assert not running.files()


def test_twenty_people_with_the_same_recording_all_get_its_prediction(demo, examples):
    from demo_load import predict_at_once

    got = predict_at_once(demo.url, examples / "anger_emodb14.flac", people=20)
    expected = wav2small.load()(examples / "anger_emodb14.flac").arousal
    assert [one["arousal"] for one in got] == [pytest.approx(expected, abs=1e-3)] * 20
    demo.expect_no_files()


def test_the_endpoints_are_mcp_tools_if_the_package_mcp_is_installed(tmp_path):
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
