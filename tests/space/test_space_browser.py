"""The demo in a real browser: every tab, as a visitor uses it.

Each tab leaves its pictures in out/screenshots; `make screenshots` makes those of the README from them.
"""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from conftest import ROOT
from demo_server import Demo

pytest.importorskip("gradio", reason="the demo needs the extra [space]")
pytest.importorskip("playwright", reason="driving a browser needs playwright")
from playwright.sync_api import Locator, Page, expect, sync_playwright

expect.set_options(timeout=20_000)  # ms, for what may come late on a busy machine

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
SHOTS = ROOT / "out" / "screenshots"
WIDE, PHONE = {"width": 1180, "height": 900}, {"width": 390, "height": 844}
CONTEXTS = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with Demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="module")
def microphone(tmp_path_factory, examples) -> Path:
    """What the fake microphone hears: speech, at the rate of a sound card."""
    samples, rate = soundfile.read(examples / "news_woman.flac")
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, soxr.resample(samples, rate, 48000), 48000, "PCM_16")
    return path


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        yield lambda *more: playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, *more])


@pytest.fixture(scope="module")
def browser(chromium, microphone):
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    running = chromium(*fake, f"--use-file-for-fake-audio-capture={microphone}")
    yield running
    running.close()


@pytest.fixture
def page(request, browser, demo):
    """The page, light unless a test asks for another; whatever leaves loopback, or breaks in the page, is an error."""
    kind = getattr(request, "param", "light")
    context = browser.new_context(permissions=["microphone"], **CONTEXTS[kind])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.kind = kind
    outside, broken = [], []
    page.on("request", lambda sent: outside.append(sent.url) if not local(sent.url) else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(demo.url)
    yield page
    context.close()
    assert not outside, f"the page asked {outside}"
    assert not broken, f"errors in the page: {broken}"


def local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "http://localhost:", "blob:", "data:"))


def tab(page: Page, name: str) -> Locator:
    """Open a tab; gives its panel."""
    page.get_by_role("tab", name=name, exact=True).click()
    panel = page.locator("#" + name.lower().replace(" ", "-"))
    expect(panel).to_be_visible()
    return panel


def upload(panel: Locator, *files: Path, at: int = 0) -> None:
    panel.locator("input[type=file]").nth(at).set_input_files([str(file) for file in files])


def shoot(page: Page, name: str) -> None:
    """Keep a picture, at rest, and check that nothing hangs over the side of the screen."""
    page.evaluate("document.activeElement?.blur(); window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{page.kind}.png", full_page=True)
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"{name}: {widths[0]} px of page on {widths[1]} px of screen"


def value(panel: Locator, axis: str) -> float:
    return float(panel.get_by_role("meter", name=axis).get_attribute("aria-valuenow"))


everywhere = pytest.mark.parametrize("page", CONTEXTS, indirect=True)


@everywhere
def test_an_example_is_answered_over_time_and_plays_from_where_it_is_clicked(page):
    panel = tab(page, "Listen")
    panel.get_by_role("button", name="News, 17 s").click()
    strip = panel.locator("[data-seek]")
    expect(strip).to_be_visible()
    audio = panel.locator("audio")
    page.wait_for_function("document.querySelector('audio').duration > 16")
    shoot(page, "listen")
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] * 0.5, "y": 90})
    page.wait_for_function("document.querySelector('audio').currentTime > 8")
    assert 8 < audio.evaluate("audio => audio.currentTime") < 14
    assert not audio.evaluate("audio => audio.paused")
    panel.get_by_text("windows as a table").click()
    assert panel.locator("tbody tr").count() == 13


def test_an_upload_gets_the_answer_of_the_library_and_leaves_nothing_on_disk(page, demo, examples):
    import wav2small

    panel = tab(page, "Listen")
    upload(panel, examples / "angry_man.flac")
    expect(panel.get_by_role("meter")).to_have_count(3)
    prediction = wav2small.load()(examples / "angry_man.flac")
    for axis in ("arousal", "dominance", "valence"):
        assert value(panel, axis) == pytest.approx(getattr(prediction, axis), abs=0.006)
    expect(panel.locator(".verdict strong")).to_have_text(prediction.word, ignore_case=True)
    expect(panel.get_by_text("computed in")).to_be_visible()
    page.wait_for_function("document.querySelector('audio').duration > 2.9")  # from the memory of the browser
    demo.expect_no_files()
    log = demo.log.read_text()
    assert "angry_man" not in log, log


def test_silence_and_noise_are_called_by_their_names(page):
    panel = tab(page, "Listen")
    for button, said in (("Silence", "silence"), ("Noise", "no speech")):
        panel.get_by_role("button", name=button).click()
        expect(panel.locator(".verdict strong")).to_have_text(said)


def test_the_microphone_is_recorded_and_answered(page, demo):
    panel = tab(page, "Listen")
    panel.get_by_role("button", name="Record audio").click()
    panel.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2000)
    panel.get_by_role("button", name="Stop", exact=True).click()
    expect(panel.get_by_role("meter")).to_have_count(3)
    expect(panel.locator(".verdict strong")).not_to_have_text("silence")
    demo.expect_no_files()


@everywhere
def test_live_curves_move_with_the_microphone(page, demo):
    panel = tab(page, "Live")
    panel.get_by_role("button", name="Record", exact=True).click()
    curve = panel.locator(".strip.live path.arousal")
    points = "path => (path.getAttribute('d').match(/[ML]/g) || []).length"
    expect(curve).to_have_count(1)
    page.wait_for_function(f"({points})(document.querySelector('.strip.live path.arousal')) > 8")
    expect(panel.get_by_role("meter")).to_have_count(3)
    page.wait_for_timeout(3000)
    shoot(page, "live")
    panel.get_by_role("button", name="Stop", exact=True).click()
    if page.kind == "light":
        demo.expect_no_files(seconds=30)  # blocks that come after the end lie there for some seconds


@everywhere
def test_one_recording_goes_through_float_8_bit_and_4_bit(page, demo, examples):
    panel = tab(page, "Compare")
    upload(panel, examples / "excited_woman.flac")
    expect(panel.get_by_role("button", name="Clear")).to_have_count(1)
    panel.get_by_label("Another model on the Hub").fill("nobody/nothing")
    panel.get_by_role("button", name="Compare models").click()
    rows = panel.locator("tbody tr")
    expect(rows).to_have_count(3)
    sizes = [int(row.locator("td").nth(3).inner_text().replace(",", "")) for row in rows.all()]
    assert sizes[0] > sizes[1] > sizes[2] > 0
    expect(panel.get_by_role("alert")).to_contain_text("nobody/nothing")
    shoot(page, "compare")
    demo.expect_no_files()


def test_two_recordings_are_told_apart(page, demo, examples):
    tab(page, "Compare")
    panel = tab(page, "Two recordings")
    upload(panel, examples / "calm_woman.flac", at=0)
    expect(panel.get_by_role("button", name="Clear")).to_have_count(1)
    upload(panel, examples / "excited_woman.flac", at=-1)
    expect(panel.get_by_role("button", name="Clear")).to_have_count(2)
    panel.get_by_role("button", name="Compare recordings").click()
    arousal = panel.locator("tbody tr").first
    expect(arousal).to_contain_text("arousal")
    calm, excited, difference = (float(cell.inner_text()) for cell in arousal.locator("td").all())
    assert excited > calm and difference == pytest.approx(excited - calm, abs=0.02)
    shoot(page, "two-recordings")
    demo.expect_no_files()


@everywhere
def test_a_batch_gives_a_table_a_scatter_plot_and_a_csv_file(page, demo, examples, tmp_path):
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as more:
        more.write(examples / "short_woman.flac", "inside/short_woman.flac")
        more.writestr("inside/readme.txt", "no audio")
        more.writestr("inside/broken.wav", "no audio")
    panel = tab(page, "Batch")
    upload(panel, *sorted(examples.glob("*.flac")), archive)
    expect(panel.get_by_text("silence")).to_be_visible()
    panel.get_by_role("button", name="Start").click()
    expect(panel.locator(".answer tbody tr")).to_have_count(10)
    assert panel.locator(".plane .dot").count() == 10
    expect(panel.get_by_role("alert")).to_contain_text("inside/broken.wav")
    shoot(page, "batch")
    with page.expect_download() as download:
        panel.get_by_role("link", name="Save as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("file,arousal,dominance,valence") and len(lines) == 11
    demo.expect_no_files()


def test_broken_files_get_a_message_and_the_next_one_is_answered(page, demo, examples, tmp_path):
    panel = tab(page, "Listen")
    for name, content, said in (
        ("broken.wav", b"no audio", "not readable audio"),
        ("empty.wav", b"", "empty (0 bytes)"),
        ("text.txt", b"hello", None),
        ("long.flac", None, "longer than 10 minutes"),
    ):
        file = tmp_path / name
        if content is None:
            soundfile.write(file, np.zeros(601 * 16000, np.int16), 16000)
        else:
            file.write_bytes(content)
        upload(panel, file)
        if said:
            expect(panel.get_by_role("alert")).to_contain_text(said)
        else:
            expect(page.get_by_text("Invalid file type")).to_be_visible()
    upload(panel, examples / "angry_man.flac")
    expect(panel.get_by_role("meter")).to_have_count(3)
    demo.expect_no_files()


def test_a_file_above_50_mb_gets_a_message(page, demo, tmp_path):
    panel = tab(page, "Listen")
    large = tmp_path / "large.wav"
    soundfile.write(large, np.zeros(27 * 2**20, np.int16), 48000)
    upload(panel, large)
    expect(page.get_by_text("maximum allowed size")).to_be_visible()
    panel.get_by_role("button", name="Calm woman").click()
    expect(panel.get_by_role("meter")).to_have_count(3)
    demo.expect_no_files()


def test_an_unplugged_microphone_gets_a_message(chromium, demo):
    browser = chromium()
    page = browser.new_page()
    page.goto(demo.url)
    panel = tab(page, "Live")
    expect(panel.get_by_label("Select input device")).to_have_text("No microphone found")
    panel.get_by_role("button", name="Record", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("No microphone can be heard")
    panel = tab(page, "Listen")
    panel.get_by_role("button", name="Calm woman").click()
    expect(panel.get_by_role("meter")).to_have_count(3)
    browser.close()


@everywhere
def test_the_page_says_what_it_is_and_is_not(page):
    panel = tab(page, "About")
    expect(panel).to_contain_text("not for judging people")
    expect(panel).to_contain_text("Nothing.")
    shoot(page, "about")


@everywhere
def test_a_screen_reader_finds_nothing_amiss(page):
    from axe_playwright_python.sync_playwright import Axe

    panel = tab(page, "Listen")
    panel.get_by_role("button", name="News, 17 s").click()
    expect(panel.get_by_role("meter")).to_have_count(3)
    for name in ("Listen", "Live", "Compare", "Batch", "About"):
        tab(page, name)
        page.wait_for_timeout(300)
        found = Axe().run(page, context=".gradio-container", options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        amiss = {
            f"{violation['id']}: {node['html'][:160]}"
            for violation in found.response["violations"]
            for node in violation["nodes"]
        }
        assert not amiss, f"{name}: {amiss}"


def test_the_keyboard_alone_is_enough(page):
    tab(page, "Listen")
    page.get_by_role("tab", name="Listen", exact=True).focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Calm woman":
            break
    else:
        raise AssertionError("Tab does not reach the examples")
    page.keyboard.press("Enter")
    expect(page.get_by_role("meter")).to_have_count(3)
