"""The documentation that is made from the code holds all of the code, and the site needs nothing from elsewhere."""

import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

import wav2small
from wav2small_training import recipe, recipe_file

sys.path.insert(0, str(ROOT / "docs" / "hooks"))
generated = pytest.importorskip("generated")
pytest.importorskip("griffe", reason="the reference of recipes needs the extra [docs]")


def test_the_tree_is_the_repositorys():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    modules = [path for path in listed if path.startswith(generated.TREES) and path.endswith(".py")]
    top, folder, shown = "", "", []
    for line in generated.tree().splitlines():
        if match := re.match(r"(\S+)/$", line):
            top, folder = match[1], ""
        elif match := re.match(r"  (\S+)/$", line):
            folder = match[1]
        elif match := re.match(r"    (\S+\.py) +\S", line):  # with a line on what it does
            shown.append("/".join(filter(None, (top, folder, match[1]))))
    assert sorted(shown) == sorted(path for path in modules if "/pretrained/" not in path)


def test_the_reference_has_every_key_of_a_recipe_and_its_parts():
    text = generated.recipe()
    sections = dict(zip(*[iter(re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)[1:])] * 2, strict=True))
    for model in (recipe.Recipe, recipe.Corpus, recipe.Augmentation, recipe.Student, recipe.Optimizer, recipe.Loss):
        for name in model.model_fields:
            assert f"| `{name}` |" in sections[model.__name__], f"{model.__name__}.{name} is missing"
    assert "| `weight` | number | `1.0` | share of this source" in sections["Corpus"]


def test_the_reference_has_every_command_with_its_options():
    text = generated.commands()
    assert "wav2small predict PATH..." in text
    assert "| `--output, -o` |" in text and "`--dry-run`" in text


def test_the_python_reference_has_every_public_name():
    text = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert set(wav2small.__all__) <= set(re.findall(r"^::: wav2small\.(\w+)$", text, re.MULTILINE))


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_recipe_that_is_shown_is_one(page, tmp_path):
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        (tmp_path / "recipe.yaml").write_text(block, encoding="utf-8")
        assert recipe_file.load_recipe(tmp_path / "recipe.yaml").name == yaml.safe_load(block)["name"]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_fetches_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"?(https?:[^\s\">]+)", text)
        loaded += re.findall(r"<link[^>]*rel=\"?(?:stylesheet|preconnect|preload)[^>]*href=\"?(https?:[^\s\">]+)", text)
        assert not loaded, f"{page.name} loads {loaded}"
