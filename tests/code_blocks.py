"""Code in Markdown, with the output that is printed below it; as a script, it writes the outputs anew.

A ```text block that follows a ```python or ```js block is what the code prints. The ```python blocks of a page run one
after the other in one process; a block after a comment that begins with `<!-- not run` is only read.
"""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from processes import as_code, result

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?P<skip><!-- not run[^\n]*-->\n+)?```(?P<language>python|js)\n(?P<code>.*?)```\n"
    r"(\n```text\n(?P<output>.*?)```)?",
    re.DOTALL,
)
RUN = """
import contextlib, io, json, sys
outputs, names = [], {"__name__": "__main__"}
for code in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "block", "exec"), names)
    outputs.append(printed.getvalue())
print(json.dumps(outputs))
"""


@dataclass(frozen=True)
class Block:
    """One block of code; `output` is `None` where the document shows none."""

    code: str
    output: str | None


def blocks(page: Path, language: str) -> list[Block]:
    """Blocks of a page that run, in order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(m["code"], m["output"]) for m in found if m["language"] == language and not m["skip"]]


def run_python(page: Path) -> list[str]:
    """What each Python block of a page prints, run from the root of the project."""
    return result(as_code, RUN, json.dumps([block.code for block in blocks(page, "python")]), folder=ROOT)


def run_js(page: Path, node: str, modules: Path) -> list[str]:
    """What each JavaScript block of a page prints, with the packages of a node_modules folder."""
    outputs = []
    for block in blocks(page, "js"):
        with tempfile.TemporaryDirectory(dir=modules) as folder:  # where node looks for the packages
            script = Path(folder) / "block.mjs"
            script.write_text(block.code, encoding="utf-8")
            done = subprocess.run([node, script], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{page.name}: {done.stderr}"
        outputs.append(done.stdout)
    return outputs


def refresh(page: Path) -> None:
    """Write what the blocks of a page print today below them; JavaScript where its packages are installed."""
    modules, node = ROOT / "tests" / "web" / "node_modules", shutil.which("node")
    outputs = {"python": iter(run_python(page))}
    if node and modules.is_dir():
        outputs["js"] = iter(run_js(page, node, modules))

    def replace(match: re.Match) -> str:
        language = match["language"]
        if language not in outputs or match["skip"]:
            return match[0]
        output = next(outputs[language])
        return match[0] if match["output"] is None else f"```{language}\n{match['code']}```\n\n```text\n{output}```"

    page.write_text(BLOCK.sub(replace, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for one in PAGES:
        if blocks(one, "python"):
            refresh(one)
