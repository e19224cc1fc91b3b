"""The page without a server, in a real browser: it predicts what Python predicts, and nothing leaves it."""

import json
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT

import wav2small
from wav2small.inference.words import REGIONS

pytest.importorskip("playwright", reason="driving a browser needs playwright")
from playwright.sync_api import Page, expect, sync_playwright

building = pytest.importorskip("wav2small_training.hub.static_page", reason="needs the extra [training]")
CHROMIUM = shutil.which("chromium")
in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
expect.set_options(timeout=60_000)
NAMES = ("arousal", "dominance", "valence")
CONTEXTS = {
    "light": {"viewport": {"width": 1180, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1180, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps what was asked."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012

    def log_message(self, *_) -> None:
        self.asked.append((self.command, self.path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("page")
    building.write_static_page(out)
    return out


@pytest.fixture(scope="module")
def server(folder):
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory, examples):
    samples, rate = soundfile.read(examples / "man_libri1235.flac")
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, samples, rate, "PCM_16")
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*flags, f"--use-file-for-fake-audio-capture={path}"]
        )
        yield running
        running.close()


@pytest.fixture
def page(request, browser, server):
    """The page; a request beyond its own files, one that sends something, or an error fails the test."""
    kind = getattr(request, "param", "light")
    context = browser.new_context(permissions=["microphone"], **CONTEXTS[kind])
    page, own = context.new_page(), f"http://127.0.0.1:{server.server_port}/"
    page.kind, page.own = kind, own
    wrong, errors = [], []
    context.on(
        "request", lambda sent: wrong.append(sent.url) if sent.method != "GET" or not local(sent.url, own) else None
    )
    page.on("websocket", lambda socket: wrong.append(socket.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(own)
    expect(page.locator("#status")).to_be_empty()
    yield page
    context.close()
    assert not wrong, f"the page requested {wrong}"
    assert not errors, f"errors in the page: {errors}"


def local(url: str, own: str) -> bool:
    return url.startswith((own, "blob:", "data:")) and "?" not in url


def shown(page: Page) -> list[float]:
    return [float(text) for text in page.locator("#gauges b").all_inner_texts()]


def picture(page: Page, name: str) -> None:
    page.evaluate("document.activeElement?.blur(); window.scrollTo(0, 0)")
    (ROOT / "out" / "screenshots").mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ROOT / "out" / "screenshots" / f"static-{name}-{page.kind}.png", full_page=True)
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"{name}: {widths[0]} px of page on {widths[1]} px of screen"


def test_the_page_is_small_and_names_no_other_host(folder):
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 200_000
    for path in folder.rglob("*"):
        if path.suffix in (".html", ".css", ".js"):
            assert "https://" not in path.read_text(encoding="utf-8"), f"{path.name} names a host"


def test_the_words_are_those_of_python(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    own = json.loads(re.search(r'id="words">(.*?)</script>', text)[1])
    words = wav2small.load().words
    assert own["arousal"] == list(words.arousal) and own["valence"] == list(words.valence)
    assert own["grid"] == [list(row) for row in REGIONS.values()]


@in_browser[0]
@in_browser[1]
@pytest.mark.parametrize("page", CONTEXTS, indirect=True)
def test_an_example_is_predicted_as_in_python(page, examples):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page.get_by_role("button", name="anger").click()
    expect(page.locator("#word")).not_to_be_empty()
    expect(page.locator("#status")).to_be_empty()
    model = wav2small.load(dtype="q8")
    expected = model(examples / "anger_emodb14.flac")
    # 1e-3, and two digits are shown
    np.testing.assert_allclose(shown(page), [getattr(expected, name) for name in NAMES], rtol=0, atol=6e-3)
    assert page.locator("#word").inner_text() == expected.word
    intervals = "[...document.querySelectorAll('.interval')].map((each) => each.style.left)"
    lows = [float(each.rstrip("%")) / 100 for each in page.evaluate(intervals)]
    drawn = [max(0, expected.interval(name)[0]) for name in NAMES]  # a gauge ends at 0
    np.testing.assert_allclose(lows, drawn, rtol=0, atol=6e-3)
    picture(page, "example")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@in_browser[0]
@in_browser[1]
def test_two_recordings_are_compared_and_exported(page, examples):
    files = [str(examples / name) for name in ("joy_emodb15.flac", "neutral_emodb15.flac")]
    page.locator("#file").set_input_files(files)
    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.locator("#status")).to_be_empty()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("start,end,arousal,dominance,valence,arousal_low,arousal_high") and len(lines) > 1
    assert all(line.count(",") == lines[0].count(",") for line in lines)
    page.get_by_role("button", name="This is how the speaker").click()
    assert page.locator("#word").inner_text() == REGIONS["middle"][1]
    picture(page, "compared")


@in_browser[0]
@in_browser[1]
def test_silence_and_broken_files_say_so(page, examples, tmp_path):
    page.locator("#file").set_input_files(str(examples / "silence.flac"))
    expect(page.locator("#word")).to_contain_text("No speech")
    assert shown(page) == []
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    page.locator("#file").set_input_files(str(tmp_path / "broken.wav"))
    expect(page.get_by_role("alert")).to_contain_text("broken.wav is not a sound that this browser can read")


@in_browser[0]
@in_browser[1]
def test_the_microphone_is_heard_in_the_page(page):
    page.get_by_role("button", name="Microphone").click()
    expect(page.locator("#gauges b")).to_have_count(3)
    first = shown(page)
    page.wait_for_function("first => document.querySelector('#gauges b').innerText !== first", arg=f"{first[0]:.2f}")
    picture(page, "live")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Microphone")).to_be_visible()


@in_browser[0]
@in_browser[1]
def test_after_the_first_visit_it_works_offline(page):
    page.evaluate("navigator.serviceWorker.ready")
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#status")).to_be_empty()
    page.get_by_role("button", name="anger").click()
    expect(page.locator("#gauges b")).to_have_count(3)


@in_browser[0]
@in_browser[1]
def test_from_a_disk_it_hears_files_and_the_microphone(browser, folder, examples):
    context = browser.new_context(permissions=["microphone"])
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    expect(page.locator("#status")).to_be_empty()
    page.locator("#file").set_input_files(str(examples / "anger_emodb14.flac"))
    expect(page.locator("#gauges b")).to_have_count(3)
    expect(page.locator("#examples")).to_be_hidden()
    page.get_by_role("button", name="Microphone").click()
    expect(page.locator("#name")).to_have_text("Microphone")
    expect(page.locator("#gauges b")).to_have_count(3)
    context.close()
