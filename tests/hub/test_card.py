"""A card says what was measured and recorded, in code that runs and front matter that the Hub reads; nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from card_numbers import recomputed, tables
from conftest import ROOT, spoken, voice_like
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from npm import node_with
from processes import Running, as_code
from students import mobilenet, student, tcn, teacher, whisper_teacher
from typer.testing import CliRunner

import wav2small
from wav2small import Wav2SmallError
from wav2small.bundled import BUNDLED, bundled_checkpoints
from wav2small.cli.main import app
from wav2small.models.adv import LABELS
from wav2small.models.auto import CLASSES
from wav2small.provenance.provenance import Link, Provenance, write_provenance
from wav2small_training.distillation.annotate import annotate
from wav2small_training.evaluation.evaluate import evaluate
from wav2small_training.evaluation.ratings import Ratings
from wav2small_training.hub import card
from wav2small_training.recipe import Corpus, Recipe

MAKERS = {
    "wav2small": student,
    "mobilenet_adv": mobilenet,
    "tcn_adv": tcn,
    "adv_teacher": teacher,
    "whisper": whisper_teacher,
}
EVALUATED = ("wav2small", "mobilenet_adv", "bundled")
CLIPS = 10
DISTILLED = Provenance(
    step="distill",
    name="a student",
    teachers=[Link("org/large-teacher", "MIT", "teacher", revision="0123456789abcdef")],
    corpora=[
        Link("org/speech", "CC-BY-4.0", "training", clips=1234, hours=5.6, credit="Speech, by Some Body (2020)"),
        Link("emodb", "CC-BY-4.0", "training"),
    ],
    recipe={"name": "tiny", "sha256": "0" * 64, "steps": 7},
)
ON_NORMS = Provenance(
    step="train",
    name="a student of words",
    corpora=[
        Link("emodb", "CC-BY-NC-SA-4.0", "training", clips=410),
        Link("norms", "CC0-1.0", "labels", credit="published norms of emotion words"),
    ],
)
ON_WHISPER = replace(
    ON_NORMS,
    corpora=[replace(link, licence="CC-BY-4.0") if link.id == "emodb" else link for link in ON_NORMS.corpora],
    parent=Link("whisper-base-encoder", "MIT", "parent", credit="Whisper base (OpenAI); as it was published"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """A checkpoint of each kind and a Whisper teacher with their cards, and an evaluation of two against ratings."""
    root = tmp_path_factory.mktemp("cards")
    folders = {name: root / name for name in MAKERS}
    for name, make in MAKERS.items():
        make().save_pretrained(folders[name])
        write_provenance(DISTILLED, folders[name])
    rate(root / "rated")
    models = [str(folders[name]) for name in ("wav2small", "mobilenet_adv")]
    ratings = Ratings({name: name[0] for name in LABELS}, (1, 7))
    evaluate(models, Corpus(source=str(root / "rated"), licence=""), ratings, root / "run", all_conditions=True)
    card.write_card(
        folders["wav2small"], [root / "run"], id="org/wav2small", speed=True, compare=[folders["adv_teacher"]]
    )
    card.write_card(folders["mobilenet_adv"], [root / "run"], id="org/mobilenet_adv")
    write_provenance(ON_WHISPER, folders["whisper"])
    for name in ("tcn_adv", "adv_teacher", "whisper"):
        card.write_card(folders[name], id=f"org/{name}")
    return folders | {"bundled": BUNDLED, "run": root / "run"}


def rate(folder: Path) -> None:
    """Make a corpus with ratings of 1 to 7."""
    random = np.random.default_rng(0)
    folder.mkdir()
    lines = ["file_name,speaker,a,d,v"]
    for i in range(CLIPS):
        soundfile.write(folder / f"{i}.flac", voice_like(0.4, seed=i), 16000)
        lines.append(f"{i}.flac,{i % 2}," + ",".join(f"{value:.1f}" for value in random.uniform(1, 7, 3)))
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


CARDS = [*MAKERS, "bundled"]


def text_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def copy(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place / "checkpoint"))


@pytest.mark.parametrize("name", CARDS)
def test_every_number_in_a_table_is_what_was_measured(made, name):
    kinds = recomputed(text_of(made[name]), made[name])
    expected = {"files"} | ({"lead", "agreement", "fairness", "groups"} if name in EVALUATED else set())
    assert kinds >= expected | ({"speed"} if name in ("wav2small", "bundled") else set())


def test_tables_show_all_models_of_an_evaluation_and_mark_this_one(made):
    for this, other in (("wav2small", "mobilenet_adv"), ("mobilenet_adv", "wav2small")):
        kinds = recomputed(text_of(made[this]), made[this])
        assert {"tests_passed", "robustness", "distortions"} <= kinds
        table = next(rows for rows in tables(text_of(made[this])) if "CCC, arousal" in rows[0])
        shown = [row["model"].replace("`", "") for row in table if row["audio"] == "as recorded"]
        assert sorted(shown) == sorted([f"{this}, this model", other, "loudness baseline"])


def test_the_head_of_a_card_shows_this_model_its_teacher_and_loudness_and_folds_the_rest(made, tmp_path):
    folder = copy(made["wav2small"], tmp_path)
    assert "Its teacher was not measured on rated." in text_of(folder)
    write_provenance(replace(DISTILLED, teachers=[Link("lab/mobilenet_adv", "MIT", "teacher")]), folder)
    card.write_card(folder)
    text = text_of(folder)
    assert "lead" in recomputed(text, folder)
    open_part = re.sub(r"<details>.*</details>", "", text, flags=re.DOTALL)
    (shown,) = tables(open_part)
    assert [row["model"] for row in shown] == ["this model", "its teacher, `mobilenet_adv", "loudness baseline"]
    headings = re.findall(r"^## (.*)", open_part, re.MULTILINE)
    assert headings == ["How good it is", "Limits", "The law in the EU", "Licence", "More"]
    (picture,) = re.findall(r"!\[.*\]\((.*)\)", text)
    assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    (folder / picture).unlink()
    with pytest.raises(Wav2SmallError, match=r"lacks results/agreement\.png"):
        card.check_card(folder)


def test_the_card_of_a_whisper_teacher_says_what_its_licence_covers_and_how_long_a_clip_may_be(made):
    text = text_of(made["whisper"])
    assert "On the frozen encoder of Whisper base (OpenAI), a head was fitted to emodb, against published norms" in text
    assert "That grant covers the weights, not the audio that they learned from" in text
    assert "It predicts up to 30 s at once" in text
    assert "Whisper" not in text_of(made["mobilenet_adv"]) and "30 s" not in text_of(made["adv_teacher"])


@pytest.mark.parametrize("name", CARDS)
def test_no_cell_of_a_card_is_empty_or_none(made, name):
    text = text_of(made[name])
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"\b(None|nan|NaN|Undefined)\b|\{\{|\{%", prose)
    for rows in tables(text):
        assert all(cell for row in rows for cell in (*row, *row.values())), rows


@pytest.mark.parametrize("name", CARDS)
def test_the_hub_can_read_the_front_matter(made, name):
    front = metadata_load(made[name] / "README.md")
    data = ModelCard.load(made[name] / "README.md").data
    assert data.to_dict() == front
    assert front["pipeline_tag"] == "audio-classification" and front["library_name"] == "transformers"
    assert front["license"] == json.loads((made[name] / "provenance.json").read_text())["licence"].lower()
    if name not in EVALUATED:
        assert "model-index" not in front
        return
    title, results = model_index_to_eval_results(front["model-index"])
    assert title == data.model_name and results == data.eval_results
    reports = [json.loads(path.read_text()) for path in (made[name] / "results").glob("*.json")]
    scores = {round(row["ccc"], 3) for report in reports for row in report.get("agreement", ())}
    assert len(results) % 3 == 0 and {result.metric_value for result in results} <= scores


def test_the_front_matter_links_only_what_is_on_the_hub(made):
    front = metadata_load(made["wav2small"] / "README.md")
    assert front["base_model"] == ["org/large-teacher"] and front["datasets"] == ["org/speech"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


RUN = """
import json, os, sys
for folder, codes in json.loads(sys.argv[1]).items():
    os.chdir(folder)
    for code in codes:
        print("-- block")
        exec(code, {})
"""


def test_the_python_of_each_card_runs_and_prints_the_predictions_of_its_model(made, tmp_path):
    """Blocks run as they stand, in a copy of the checkpoint; its id on the Hub alone becomes a path."""
    codes = {}
    for name in CARDS:
        folder = copy(made[name], tmp_path / name)
        soundfile.write(folder / "speech.wav", spoken(1.3), 16000)
        codes[str(folder)] = [local(code, folder) for code in blocks(text_of(made[name]), "python")]
        assert len(codes[str(folder)]) == (4 if (folder / "onnx").is_dir() else 2)
    printed = iter(Running(as_code, RUN, json.dumps(codes)).finish().split("-- block")[1:])
    for folder, each in codes.items():
        expected = answer(Path(folder))
        for code in each:
            decimals = re.findall(r"-?\d+\.\d{2,}(?:e-?\d+)?", next(printed))[:3]
            np.testing.assert_allclose(np.array(decimals, float), expected, atol=tolerance(code), err_msg=code)


def tolerance(code: str) -> float:
    """How far a block may be from the float model: a prediction prints two digits, and the small file has 8 bits."""
    return 0.006 if "wav2small.load" in code else 0.02 if "onnxruntime" in code else 1e-3


def local(code: str, folder: Path) -> str:
    """The code of a card with the folder in the place of the id on the Hub."""
    (place,) = set(re.findall(r'from_pretrained\("(.*?)"|model="(.*?)"|load\("(.*?)"\)', code)) or {("", "", "")}
    return code.replace(f'"{"".join(place)}"', f'"{folder}"') if any(place) else code


def answer(folder: Path) -> np.ndarray:
    """What the model says to speech.wav: (3,)."""
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    samples, _ = soundfile.read(folder / "speech.wav", dtype="float32")
    with torch.inference_mode():
        return CLASSES[kind].from_pretrained(folder).eval()(torch.from_numpy(samples)[None]).logits[0].numpy()


def test_the_javascript_of_a_card_runs_and_prints_the_predictions_of_the_model(made, tmp_path):
    packages = ROOT / "tests" / "web" / "transformers_js"
    node = node_with(packages)
    (code,) = blocks(text_of(BUNDLED), "js")
    code, changes = re.subn(r'from_pretrained\(".*?"', 'from_pretrained("checkpoint"', code)
    assert changes == 1
    copy(BUNDLED, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    offline = 'import { env } from "@huggingface/transformers";\nenv.allowRemoteModels = false;\n'
    (tmp_path / "card.mjs").write_text(f'{offline}env.localModelPath = "{tmp_path}";\n{code}')
    done = subprocess.run([node, "card.mjs"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    samples = (0.1 * np.sin(np.arange(32000) / 20)).astype(np.float32)
    expected = wav2small.load(dtype="q8").logits((samples, 16000))
    np.testing.assert_allclose(np.array(done.stdout.split()[-3:], float), expected, atol=1e-4)


@pytest.mark.parametrize("folder", bundled_checkpoints().values(), ids=lambda folder: folder.name)
def test_a_bundled_card_follows_from_its_results_and_provenance(folder):
    place = re.search(r'model="(.*?)"', text_of(folder))[1]
    contents, speed = card.card_results.read_results(folder, []), card.card_results.read_speed(folder)
    again = card.add_seal(card.model_card(folder, contents, speed, place))
    assert again == text_of(folder), f"render it again: wav2small card {folder.relative_to(ROOT)} --id {place}"


def test_a_card_rendered_again_is_the_same_card(made, tmp_path):
    folder = copy(made["wav2small"], tmp_path)
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    card.write_card(folder, id="org/wav2small")
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == before


EDITS = {
    "a line at the end": lambda text: text + "mine\n",
    "a word": lambda text: text.replace("Speech in", "Speech, in", 1),
    "all": lambda text: "# By hand\n",
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_card_that_was_edited_by_hand_is_never_overwritten(made, tmp_path, edit):
    folder = copy(made["mobilenet_adv"], tmp_path)
    edited = EDITS[edit](text_of(folder))
    (folder / "README.md").write_text(edited, encoding="utf-8")
    with pytest.raises(Wav2SmallError, match="by hand and stays as it is: rename it"):
        card.write_card(folder)
    assert text_of(folder) == edited


def test_results_of_other_weights_are_an_error(made, tmp_path):
    folder = copy(made["wav2small"], tmp_path)
    before = text_of(folder)
    student(pooling="gram").save_pretrained(folder)
    with pytest.raises(Wav2SmallError, match=r"run\.json was not measured with the weights in .*: measure again"):
        card.write_card(folder)
    with pytest.raises(Wav2SmallError, match="was not measured with the weights"):
        card.check_card(folder)
    assert text_of(folder) == before
    shutil.rmtree(folder / "results")
    card.write_card(folder)
    assert "Not measured." in text_of(folder) and "model-index" not in text_of(folder)


def test_a_card_and_its_results_name_no_folder_of_this_machine(made, tmp_path_factory):
    for path in [made["wav2small"] / "README.md", *(made["wav2small"] / "results").glob("*.json")]:
        assert str(tmp_path_factory.getbasetemp()) not in path.read_text(encoding="utf-8")


def test_a_card_passes_the_check_once_it_lacks_nothing(made, tmp_path):
    card.check_card(made["wav2small"])
    with pytest.raises(Wav2SmallError, match=r"README\.md lacks results .*; speed"):
        card.check_card(made["adv_teacher"])
    folder = copy(made["wav2small"], tmp_path)
    text = text_of(folder)
    (folder / "README.md").write_text(re.sub(r"^(license|pipeline_tag): .*\n", "", text, flags=re.MULTILINE))
    with pytest.raises(Wav2SmallError, match=r"lacks license; pipeline_tag$"):
        card.check_card(folder)
    (folder / "README.md").unlink()
    with pytest.raises(Wav2SmallError, match="has no card: write it with `wav2small card"):
        card.check_card(folder)


def test_a_card_says_what_the_provenance_says(made, tmp_path):
    folder = copy(made["wav2small"], tmp_path)
    distilled = text_of(folder)
    assert "trained on teacher labels of [org/large-teacher]" in distilled and "imitates a model" in distilled
    assert "Speech, by Some Body (2020) (CC-BY-4.0): training" in distilled
    write_provenance(ON_NORMS, folder)
    card.write_card(folder)
    text = text_of(folder)
    assert "without a teacher" in text and "nobody rated the voices" in text and "imitates" not in text
    assert "published norms of emotion words" in text and "base_model" not in metadata_load(folder / "README.md")
    assert metadata_load(folder / "README.md")["license"] == "cc-by-nc-sa-4.0"
    research = [Link("org/closed", "LicenseRef-research-only", "teacher")]
    write_provenance(replace(DISTILLED, teachers=research), folder)
    card.write_card(folder)
    front = metadata_load(folder / "README.md")
    assert (front["license"], front["license_name"]) == ("other", "research-only")


def test_a_checkpoint_without_provenance_gets_no_card(made, tmp_path):
    folder = copy(made["wav2small"], tmp_path)
    (folder / "provenance.json").unlink()
    with pytest.raises(Wav2SmallError, match=r"has no provenance\.json"):
        card.write_card(folder)


def test_the_command_writes_a_card_or_gives_one_sentence(made, tmp_path):
    folder = copy(made["wav2small"], tmp_path)
    run = CliRunner().invoke(app, ["card", str(folder), "--results", str(made["run"]), "--id", "org/name"])
    assert run.exit_code == 0 and "README.md" in run.output, run.output
    assert 'model="org/name"' in text_of(folder)
    bad = CliRunner().invoke(app, ["card", str(folder), "--compare", str(made["adv_teacher"])])
    assert isinstance(bad.exception, Wav2SmallError) and "--speed" in str(bad.exception)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(Wav2SmallError, match="is neither a checkpoint"):
        card.write_card(tmp_path / "nothing")


@pytest.fixture(scope="module")
def answers(made, tmp_path_factory) -> Path:
    """The annotations of the tiny teacher."""
    out = tmp_path_factory.mktemp("annotations") / "answers"
    corpus = {"source": str(made["run"].parent / "rated"), "licence": "CC0-1.0", "where": {"speaker": "0"}}
    values = {"name": "answers", "teacher": str(made["adv_teacher"]), "corpora": [corpus], "steps": 1}
    annotate(Recipe.model_validate(values | {"validation": {"corpora": [corpus]}, "output": str(out)}), out)
    return out


def test_the_card_of_teacher_labels_counts_them_and_its_code_loads_them(answers, tmp_path):
    card.write_card(answers)
    text = text_of(answers)
    front = metadata_load(answers / "README.md")
    assert front["configs"] == [{"config_name": "default", "data_files": "*.parquet"}]
    assert front["license"] == "cc-by-4.0" and front["size_categories"] in ("n<1K", ["n<1K"])
    counted = next(rows for rows in tables(text) if "segments" in rows[0])
    assert [(row["source"], row["segments"], row["recordings"]) for row in counted] == [("rated", "5", "5")]
    (code,) = blocks(text, "python")
    code = code.replace('"answers"', f'"{answers}"')
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path, env=os.environ | {"HF_DATASETS_CACHE": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = [float(value) for value in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", done.stdout)]
    means = next(rows for rows in tables(text) if "mean" in rows[0])
    np.testing.assert_allclose(printed, [5, *(float(row["mean"]) for row in means)], atol=6e-4)
    assert str(answers.parent) not in text
