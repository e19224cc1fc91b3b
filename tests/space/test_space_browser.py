"""The demo in a real browser: every tab, as a visitor uses it.

The screenshots of each tab are in out/screenshots; `make screenshots` copies those of the README from there.
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
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
SCREENSHOTS = ROOT / "out" / "screenshots"
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
    """The input of the fake microphone: speech, at the rate of a sound card."""
    samples, rate = soundfile.read(examples / "man_libri1235.flac")
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
    """The page, light unless a test asks for another; requests beyond loopback and errors in the page fail the test."""
    kind = getattr(request, "param", "light")
    context = browser.new_context(permissions=["microphone"], **CONTEXTS[kind])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.kind = kind
    outside, errors = [], []
    page.on("request", lambda sent: outside.append(sent.url) if not local(sent.url) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(demo.url)
    expect(page.locator("#listen .name")).to_have_text("anger_emodb14.flac")  # it opens with an example predicted
    yield page
    context.close()
    assert not outside, f"the page requested {outside}"
    assert not errors, f"errors in the page: {errors}"


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


def take_screenshot(page: Page, name: str) -> None:
    """Save a screenshot, without focus or motion, and check that the page is not wider than the screen."""
    page.evaluate("document.activeElement?.blur(); window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.kind}.png", full_page=True)
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"{name}: {widths[0]} px of page on {widths[1]} px of screen"


def value(panel: Locator, axis: str) -> float:
    return float(panel.get_by_role("meter", name=axis).get_attribute("aria-valuenow"))


in_every_context = pytest.mark.parametrize("page", CONTEXTS, indirect=True)


@in_every_context
def test_a_long_example_is_predicted_over_time_and_plays_from_where_it_is_clicked(page):
    panel = tab(page, "Listen")
    panel.get_by_role("button", name="A man reads, 15 s").click()
    strip = panel.locator("[data-seek]")
    expect(strip).to_be_visible()
    audio = panel.locator("audio")
    page.wait_for_function("document.querySelector('audio').duration > 15")
    take_screenshot(page, "listen")
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] * 0.5, "y": 90})
    page.wait_for_function("document.querySelector('audio').currentTime > 7")
    assert 7 < audio.evaluate("audio => audio.currentTime") < 14
    assert not audio.evaluate("audio => audio.paused")
    panel.get_by_text("windows as a table").click()
    assert panel.locator("tbody tr").count() == 12


def test_an_upload_gets_the_prediction_of_the_library_and_is_neither_kept_nor_logged(page, demo, examples):
    import wav2small

    panel = tab(page, "Listen")
    upload(panel, examples / "joy_emodb15.flac")
    expect(panel.locator(".name")).to_contain_text("joy_emodb15")
    prediction = wav2small.load()(examples / "joy_emodb15.flac")
    for axis in ("arousal", "dominance", "valence"):
        assert value(panel, axis) == pytest.approx(getattr(prediction, axis), abs=0.006)
    expect(panel.locator(".verdict strong")).to_have_text(prediction.word, ignore_case=True)
    expect(panel.get_by_text("computed in")).to_be_visible()
    page.wait_for_function("document.querySelector('audio').duration > 1.5")  # from the memory of the browser
    demo.expect_no_files()
    log = demo.log.read_text()
    assert "joy_emodb15" not in log, log


def test_silence_and_noise_are_shown_as_such_without_a_word_for_a_voice(page):
    panel = tab(page, "Listen")
    for button, verdict in (("Silence", "silence"), ("Rain", "no speech")):
        panel.get_by_role("button", name=button).click()
        expect(panel.locator(".verdict strong")).to_have_text(verdict)


def test_a_recording_of_the_microphone_is_predicted(page, demo):
    panel = tab(page, "Listen")
    panel.get_by_role("button", name="Record audio").click()
    panel.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2000)
    panel.get_by_role("button", name="Stop", exact=True).click()
    expect(panel.locator(".name")).not_to_have_text("anger_emodb14.flac")
    expect(panel.locator(".result.muted")).to_have_count(0)  # as it would be for silence
    demo.expect_no_files()


@in_every_context
def test_live_curves_move_with_the_microphone(page, demo):
    panel = tab(page, "Live")
    page.wait_for_timeout(3000)  # the button shows before the code of Gradio's recorder has arrived
    panel.get_by_role("button", name="Record", exact=True).click()
    curve = panel.locator(".strip.live path.arousal")
    points = "path => (path.getAttribute('d').match(/[ML]/g) || []).length"
    expect(curve).to_have_count(1)
    page.wait_for_function(f"({points})(document.querySelector('.strip.live path.arousal')) > 8")
    expect(panel.get_by_role("meter")).to_have_count(3)
    page.wait_for_timeout(3000)
    take_screenshot(page, "live")
    panel.get_by_role("button", name="Stop", exact=True).click()
    if page.kind == "light":
        demo.expect_no_files()


@in_every_context
def test_one_recording_is_compared_in_float_8_bit_and_4_bit(page, demo, examples):
    panel = tab(page, "Compare")
    upload(panel, examples / "joy_emodb15.flac")
    expect(panel.get_by_role("button", name="Clear")).to_have_count(1)
    panel.get_by_label("Another model on the Hub").fill("nobody/nothing")
    panel.get_by_role("button", name="Compare models").click()
    rows = panel.locator("tbody tr")
    expect(rows).to_have_count(3)
    sizes = [int(row.locator("td").nth(4).inner_text().replace(",", "")) for row in rows.all()]
    assert sizes[0] > sizes[1] > sizes[2] > 0
    expect(panel.get_by_role("alert")).to_contain_text("nobody/nothing")
    take_screenshot(page, "compare")
    demo.expect_no_files()


def test_two_recordings_are_compared_and_the_excited_one_has_the_higher_arousal(page, demo, examples):
    tab(page, "Compare")
    panel = tab(page, "Two recordings")
    upload(panel, examples / "sadness_emodb14.flac", at=0)
    expect(panel.get_by_role("button", name="Clear")).to_have_count(1)
    upload(panel, examples / "joy_emodb15.flac", at=-1)
    expect(panel.get_by_role("button", name="Clear")).to_have_count(2)
    panel.get_by_role("button", name="Compare recordings").click()
    arousal = panel.locator("tbody tr").first
    expect(arousal).to_contain_text("arousal")
    calm, excited, difference = (float(cell.inner_text()) for cell in arousal.locator("td").all())
    assert excited > calm and difference == pytest.approx(excited - calm, abs=0.02)
    take_screenshot(page, "two-recordings")
    demo.expect_no_files()


@in_every_context
def test_a_batch_gives_a_table_a_scatter_plot_and_a_csv_file(page, demo, examples, tmp_path):
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as more:
        more.write(examples / "amused_emogator.flac", "inside/amused_emogator.flac")
        more.writestr("inside/readme.txt", "no audio")
        more.writestr("inside/broken.wav", "no audio")
    panel = tab(page, "Batch")
    upload(panel, *sorted(examples.glob("*.flac")), archive)
    expect(panel.get_by_text("silence")).to_be_visible()  # all files are uploaded
    panel.get_by_role("button", name="Start").click()
    expect(panel.locator(".result tbody tr")).to_have_count(12)
    assert panel.locator(".plane .dot").count() == 9  # silence, rain and dog have no place in the plane
    expect(panel.get_by_role("alert")).to_contain_text("inside/broken.wav")
    take_screenshot(page, "batch")
    with page.expect_download() as download:
        panel.get_by_role("link", name="Save as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("file,arousal,dominance,valence") and len(lines) == 13
    demo.expect_no_files()


def test_unreadable_files_get_a_message_and_the_next_one_is_predicted(page, demo, examples, tmp_path):
    panel = tab(page, "Listen")
    for name, content, reason in (
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
        if reason:
            expect(panel.get_by_role("alert")).to_contain_text(reason)
        else:
            expect(page.get_by_text("Invalid file type")).to_be_visible()
    upload(panel, examples / "joy_emodb15.flac")
    expect(panel.locator(".name")).to_contain_text("joy_emodb15")
    demo.expect_no_files()


def test_a_file_above_50_mb_gets_a_message_and_the_page_still_works(page, demo, tmp_path):
    panel = tab(page, "Listen")
    large = tmp_path / "large.wav"
    soundfile.write(large, np.zeros(27 * 2**20, np.int16), 48000)
    upload(panel, large)
    expect(page.get_by_text("maximum allowed size")).to_be_visible()
    panel.get_by_role("button", name="Joy").click()
    expect(panel.locator(".name")).to_have_text("joy_emodb15.flac")
    demo.expect_no_files()


def test_without_a_microphone_the_page_says_so_and_still_works(chromium, demo):
    browser = chromium()
    page = browser.new_page()
    page.goto(demo.url)
    panel = tab(page, "Live")
    expect(panel.get_by_label("Select input device")).to_have_text("No microphone found")
    panel.get_by_role("button", name="Record", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("No microphone was found: connect one")
    panel = tab(page, "Listen")
    panel.get_by_role("button", name="Joy").click()
    expect(panel.locator(".name")).to_have_text("joy_emodb15.flac")
    browser.close()


@in_every_context
def test_the_page_says_that_it_stores_nothing_and_is_not_for_judging_people(page):
    panel = tab(page, "About")
    expect(panel).to_contain_text("not for judging people")
    expect(panel).to_contain_text("What is stored\nNothing.")
    take_screenshot(page, "about")


@in_every_context
def test_no_tab_breaks_the_rules_of_accessibility_wcag_2_aa(page):
    from axe_playwright_python.sync_playwright import Axe

    panel = tab(page, "Listen")
    panel.get_by_role("button", name="A man reads, 15 s").click()
    expect(panel.locator(".name")).to_have_text("man_libri1235.flac")
    for name in ("Listen", "Live", "Compare", "Batch", "About"):
        tab(page, name)
        page.wait_for_timeout(300)
        found = Axe().run(page, context=".gradio-container", options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        violations = {
            f"{violation['id']}: {node['html'][:160]}"
            for violation in found.response["violations"]
            for node in violation["nodes"]
        }
        assert not violations, f"{name}: {violations}"


def test_an_example_can_be_chosen_by_keyboard_alone(page):
    tab(page, "Listen")
    page.get_by_role("tab", name="Listen", exact=True).focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Joy":
            break
    else:
        raise AssertionError("Tab does not reach the examples")
    page.keyboard.press("Enter")
    expect(page.locator("#listen .name")).to_have_text("joy_emodb15.flac")
