"""README and documentation tell the truth: their code prints what they show, their commands and links exist."""

import difflib
import importlib.util
import re
import shlex

import pytest
from code_blocks import PAGES, blocks, run_js, run_python
from conftest import ROOT
from npm import node_with
from typer.main import get_command
from typer.testing import CliRunner

from wav2small.cli.main import app

GROUP = get_command(app)
COMMANDS = {name: GROUP.get_command(None, name) for name in GROUP.list_commands(None)}  # of all packages
HOME = "https://github.com/wav2small/wav2small"
RAW = "https://raw.githubusercontent.com/wav2small/wav2small/main/"
SITE = "https://wav2small.github.io/wav2small/"
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
every_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def shell_lines() -> list[tuple[str, str]]:
    """Every line of a shell block, with the page that shows it; comments and prompts are left out."""
    found = []
    for name, page in zip(NAMES, PAGES, strict=True):
        for block in re.findall(r"^```\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                found.append((name, line.partition(" | ")[2] if line.startswith("cat ") else line))
    return found


def lines_of(program: str) -> list:
    return [pytest.param(line, id=f"{name}: {line}") for name, line in shell_lines() if line.startswith(program)]


def check_outputs(page, language, outputs):
    for block, output in zip(blocks(page, language), outputs, strict=True):
        if block.output is not None and block.output != output:
            shown, printed = block.output.splitlines(), output.splitlines()
            changes = "\n".join(difflib.unified_diff(shown, printed, page.name, "printed", lineterm=""))
            pytest.fail(f"run tests/code_blocks.py if this is meant:\n{changes}")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_prints_what_the_page_shows(page):
    check_outputs(page, "python", run_python(page))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "js")], ids=lambda page: page.name)
def test_javascript_prints_what_the_page_shows(page):
    web = ROOT / "tests" / "web"
    check_outputs(page, "js", run_js(page, node_with(web), web / "node_modules"))


@pytest.mark.parametrize("line", lines_of("wav2small "))
def test_a_command_that_is_shown_can_be_given(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, name, *arguments = shlex.split(line, comments=True)
    for word in filter(str.isupper, arguments):  # FOLDER stands for one that exists
        (tmp_path / word).mkdir(exist_ok=True)
    COMMANDS[name].make_context(name, arguments)  # raises for an unknown option, a wrong value, a missing argument


@pytest.mark.parametrize("line", lines_of("python -m "))
def test_a_module_that_is_shown_can_be_run(line):
    words = shlex.split(line, comments=True)
    assert importlib.util.find_spec(words[2]), f"no module {words[2]}"


@every_page
def test_a_make_target_that_is_named_exists(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets, f"no such target: {named - targets}"


@every_page
def test_links_to_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        url = target.partition("#")[0]
        if url.startswith(SITE):
            assert (ROOT / "docs" / (url.removeprefix(SITE) or "index.html")).with_suffix(".md").is_file(), target
        elif url.startswith(RAW):
            assert (ROOT / url.removeprefix(RAW)).is_file(), target
        elif match := re.match(rf"{HOME}/(?:blob|tree)/main/(.+)", url):
            assert (ROOT / match[1]).exists(), target
        elif url and not url.startswith("http"):
            assert (page.parent / url).exists(), target


def test_the_readme_can_be_read_on_a_package_index():
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[0].read_text(encoding="utf-8")):
        assert target.startswith("https://"), f"{target} leads nowhere outside the repository"


def test_the_readme_fits_on_two_screens():
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 160


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0 and COMMANDS[command].help.split()[0] in result.output
