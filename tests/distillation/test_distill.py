"""Distillation makes a student that predicts what its teacher predicts, and survives what happens to long runs."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from conftest import Payload, write_card, write_corpus, write_labelled
from processes import Running, command
from reference import wav2small as reference
from safetensors.torch import load_file

from wav2small import Wav2SmallConfig, Wav2SmallError, Wav2SmallForAudioClassification
from wav2small.bundled import BUNDLED
from wav2small.convert.student import hub_variant_keys, load_renamed
from wav2small.provenance.provenance import read_provenance
from wav2small.testing import write_dawn_checkpoint
from wav2small_training.data.corpora import label, open_rows, waveform
from wav2small_training.distillation.annotate import annotate
from wav2small_training.distillation.distill import distill
from wav2small_training.distillation.save_clock import SaveClock
from wav2small_training.metrics import ccc
from wav2small_training.recipe import Recipe
from wav2small_training.recipe_file import load_recipe
from wav2small_training.run_folder import locked


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("distill")
    teacher = Wav2SmallForAudioClassification(Wav2SmallConfig())
    load_renamed(teacher, reference.random_weights("token"), hub_variant_keys(), "test")
    teacher.save_pretrained(place / "teacher")
    write_card(place / "teacher", "mit")
    write_corpus(place / "train", 24)
    write_corpus(place / "held", 8)
    return place


def recipe(place: Path, name: str = "run", **more) -> Recipe:
    values = {
        "name": "test",
        "teacher": str(place / "teacher"),
        "corpora": [{"source": str(place / "train"), "licence": "CC0-1.0"}],
        "validation": {"corpora": [{"source": str(place / "held"), "licence": "CC0-1.0"}], "clips": 8, "every": 3},
        "augmentation": {"mix": 0.3, "level": 0.3},
        "optimizer": {"learning_rate": 0.003, "warmup_steps": 2, "ema_decay": 0.5},
        "steps": 6,
        "batch": 8,
        "crop_seconds": 0.5,
        "save_every": 2,
        "workers": 0,
        "output": str(place / name),
        **more,
    }
    return Recipe.model_validate(values)


def history(recipe: Recipe) -> list[dict]:
    return json.loads((Path(recipe.output) / "history.json").read_text())


def student(recipe: Recipe, name: str = "last") -> dict[str, torch.Tensor]:
    return Wav2SmallForAudioClassification.from_pretrained(Path(recipe.output) / name).state_dict()


def learnable(place: Path, name: str) -> Recipe:
    """A recipe with a real teacher and a student that learns from it within seconds."""
    every = {**recipe(place).validation.model_dump(), "every": 60}
    student = {"model": "tcn_adv", "config": {"width": 16}}
    optimizer = {"learning_rate": 0.01, "warmup_steps": 2, "ema_decay": 0.5}
    values = {"teacher": str(BUNDLED), "student": student, "optimizer": optimizer, "augmentation": {}, "steps": 60}
    return recipe(place, name, **values, validation=every, save_every=60)


def test_a_student_learns_to_predict_what_its_teacher_predicts(place):
    mine = learnable(place, "learns")
    state = distill(mine)
    untrained, trained = (sum(entry["ccc"]) / 3 for entry in history(mine))
    assert trained > untrained + 0.4, history(mine)
    assert state.step == 60 and state.best == pytest.approx(max(untrained, trained), abs=1e-3)
    assert load_recipe(Path(mine.output) / "recipe.yaml") == mine
    files = {".lock", "best", "last", "state", "history.json", "recipe.yaml", "report.md", "curve.png"}
    assert {path.name for path in Path(mine.output).iterdir()} == files
    report = (Path(mine.output) / "report.md").read_text()
    for entry in history(mine):
        assert f"| {entry['step']} | {' | '.join(f'{score:.3f}' for score in entry['ccc'])} |" in report


def test_a_student_learns_from_teacher_labels_written_before(place):
    annotate(recipe(place), place / "labels")
    mine = recipe(place, "annotated", teacher=None, teacher_labels=str(place / "labels"), augmentation={"level": 0.5})
    distill(mine)
    assert [entry["step"] for entry in history(mine)] == [0, 3, 6]


def labelled(place: Path, name: str, **more) -> Recipe:
    """A recipe of a corpus with labels, held against two: the same clips with their labels, and with others."""
    if not (place / "labelled").exists():
        write_labelled(place / "labelled", 20)
    entry = {"source": str(place / "labelled"), "licence": "CC0-1.0", "labels": ("arousal", "dominance", "valence")}
    held = [entry | {"where": {"split": "validation"}}, entry | {"labels": "emotion", "agreement": "agreed"}]
    values = {"teacher": None, "corpora": [entry], "augmentation": {"level": 0.5}}
    values |= {"validation": {"corpora": held, "clips": 40, "every": 2}}
    return recipe(place, name, **(values | more))


def test_the_best_student_of_labels_is_the_one_that_is_best_on_its_worst_corpus(place):
    mine = labelled(place, "labels", student={"config": {"channels": 4}})
    distill(mine)
    assert [entry["step"] for entry in history(mine)] == [0, 2, 4, 6]
    student = Wav2SmallForAudioClassification.from_pretrained(Path(mine.output) / "last").eval()
    scores = []
    for corpus in mine.validation.corpora:
        found = list(open_rows(corpus))
        with torch.no_grad():
            heard = [torch.from_numpy(waveform(row, corpus)[:8000])[None] for row in found]
            answers = torch.cat([student(clip).logits for clip in heard]).numpy()
        scores.append(ccc(answers, np.stack([label(row, corpus) for row in found])))
    assert abs(scores[0].mean() - scores[1].mean()) > 0.002, "the two must differ for one to be the worst"
    np.testing.assert_allclose(history(mine)[-1]["ccc"], min(scores, key=np.mean), atol=2e-3)
    best = max(history(mine), key=lambda entry: sum(entry["ccc"]))
    kept = read_provenance(Path(mine.output) / "best")
    assert kept.evaluation["step"] == best["step"]
    assert list(kept.evaluation["ccc_to_targets"].values()) == best["ccc"]
    assert kept.step == "train" and not kept.teachers


def test_publishing_a_student_validated_on_its_training_clips_is_refused_before_the_training(place):
    release = pytest.importorskip("wav2small_training.hub.release", reason="publishing needs the extra [export]")
    with pytest.raises(Wav2SmallError, match=r"10 of the 10 validation clips of .*labelled are training clips"):
        release.check_release(labelled(place, "never"), "org/never")


@pytest.mark.parametrize(
    "chosen",
    [{"config": {"pooling": "gram"}}, {"model": "mobilenet_adv", "config": {"backbone": "mobilenetv3_small_100"}}],
)
def test_every_kind_of_student_can_be_trained(place, chosen):
    mine = recipe(place, f"student-{len(str(chosen))}", student=chosen, steps=2)
    assert distill(mine).step == 2
    assert json.loads((Path(mine.output) / "last" / "config.json").read_text()).items() >= chosen["config"].items()


def test_a_published_teacher_in_its_own_layout_can_be_named(place):
    write_card(write_dawn_checkpoint(place / "published"), "cc-by-nc-sa-4.0")
    mine = recipe(place, "published-run", teacher=[str(place / "published")], steps=2)
    assert distill(mine).step == 2


def test_a_student_can_go_on_from_a_checkpoint(place):
    mine = recipe(place, "further", student={"start": str(place / "teacher")}, steps=1)
    distill(mine)
    assert history(mine)[0]["ccc"] == [1, 1, 1]
    before, after = (load_file(path / "model.safetensors") for path in (place / "teacher", Path(mine.output) / "last"))
    moved = {name for name in before if "log_mel" in name and not torch.equal(before[name], after[name])}
    assert not moved, "the spectrum is a formula, and was trained"


def start(recipe: Recipe, *options: str, processes: int = 1, **settings: str) -> Running:
    """Run a recipe by the command, in a process of its own, with settings of its environment."""
    path = Path(f"{recipe.output}.yaml")
    path.write_text(recipe.to_yaml())
    return Running(command, "distill", path, *options, processes=processes, environment=settings)


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_resumed_it_ends_bit_for_bit_where_it_would_have(place, workers):
    whole = recipe(place, f"whole{workers}", workers=workers)
    distill(whole)
    killed = recipe(place, f"killed{workers}", workers=workers)
    start(killed).kill_once((Path(killed.output) / "state").is_dir)
    start(killed, "--resume").finish()
    expected = student(whole)
    for key, value in student(killed).items():
        assert torch.equal(value, expected[key]), f"{key} differs after a resume"
    assert history(killed) == history(whole)


@pytest.mark.slow
def test_killed_twice_and_resumed_twice_it_ends_bit_for_bit_where_it_would_have(place):
    whole, killed = (recipe(place, name, workers=2, steps=8, save_every=1) for name in ("unharmed", "twice"))
    distill(whole)
    history, state = Path(killed.output) / "history.json", Path(killed.output) / "state" / "parts.pt"
    start(killed).kill_once(state.is_file)
    before = state.stat().st_ino
    start(killed, "--resume").kill_once(lambda: state.is_file() and state.stat().st_ino != before)
    start(killed, "--resume").finish()
    expected = student(whole)
    for key, value in student(killed).items():
        assert torch.equal(value, expected[key]), f"{key} differs after two resumes"
    assert history.read_text() == (Path(whole.output) / "history.json").read_text()


def test_killed_before_its_first_state_it_can_be_started_again(place):
    mine = recipe(place, "early", steps=2)
    start(mine).kill_once((Path(mine.output) / "recipe.yaml").is_file)
    assert not (Path(mine.output) / "state").exists()
    assert distill(mine).step == 2


def test_a_second_process_in_the_same_folder_is_refused(place):
    mine = recipe(place, "shared", steps=2)
    distill(mine)
    with locked(Path(mine.output)):
        second = start(mine, "--resume")
        assert second.exit_codes() == [1]
        assert "shared is in use by another process: wait for its end, or stop it first" in second.stderr
    assert distill(mine, resume=True).step == 2


def test_a_state_that_holds_code_does_not_run_it(place, tmp_path):
    mine = recipe(place, "given", steps=2)
    distill(mine)
    state = Path(mine.output) / "state"
    for file in sorted(path for path in state.iterdir() if path.suffix in (".pt", ".pkl", ".bin")):
        before = file.read_bytes()
        torch.save(Payload(tmp_path / "has-run"), file)
        with suppress(Wav2SmallError):  # accelerate goes on without the state of its random numbers
            distill(mine, resume=True)
        file.write_bytes(before)
        assert not (tmp_path / "has-run").exists(), f"{file.name} ran code"
    torch.save(Payload(tmp_path / "has-run"), state / "parts.pt")
    with pytest.raises(Wav2SmallError, match="state holds no state of this version that can be resumed"):
        distill(mine, resume=True)


def test_compiled_it_trains_and_saves_the_same_student(place):
    """By the compiler's front end alone: its C++ takes longer than the training."""
    plain, compiled = (
        recipe(place, name, student={"config": {"channels": 4}}, augmentation={}, steps=4, save_every=4)
        for name in ("plain", "compiled")
    )
    distill(plain)
    start(compiled, ACCELERATE_DYNAMO_BACKEND="AOT_EAGER").finish()
    expected = student(plain)
    for key, value in student(compiled).items():
        torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-4, msg=key)
    for entry, other in zip(history(compiled), history(plain), strict=True):
        assert entry["ccc"] == pytest.approx(other["ccc"], abs=2e-3)


def test_two_processes_train_like_one(place):
    one, two = learnable(place, "one"), learnable(place, "two")
    distill(one)
    start(two, processes=2).finish()
    assert {"loader_0.json", "loader_1.json"} <= {path.name for path in (Path(two.output) / "state").iterdir()}
    before = sum(history(one)[0]["ccc"]) / 3
    alone, shared = (sum(history(each)[-1]["ccc"]) / 3 for each in (one, two))
    assert history(two)[0] == history(one)[0], "both begin with the same student and the same validation clips"
    assert min(alone, shared) > before + 0.4
    assert shared == pytest.approx(alone, abs=0.3), "the clips differ; the curves agree within the noise of a short run"


def test_a_taken_folder_a_missing_state_and_another_recipe_are_refused(place):
    mine = recipe(place, "taken", steps=2)
    with pytest.raises(Wav2SmallError, match="no state to resume from"):
        distill(mine, resume=True)
    distill(mine)
    with pytest.raises(Wav2SmallError, match="holds a run already"):
        distill(mine)
    with pytest.raises(Wav2SmallError, match="was started with another batch"):
        distill(recipe(place, "taken", steps=2, batch=4), resume=True)


def test_a_run_goes_on_with_more_steps_and_other_workers(place):
    distill(recipe(place, "longer", steps=2, workers=0))
    state = distill(recipe(place, "longer", steps=4, workers=2), resume=True)
    assert state.step == 4 and [entry["step"] for entry in state.history] == [0, 2, 3, 4]
    assert load_recipe(place / "longer" / "recipe.yaml").steps == 4


def test_a_run_does_not_go_on_with_other_processes(place):
    distill(recipe(place, "alone", steps=2))
    running = start(recipe(place, "alone", steps=4), "--resume", processes=2)
    assert set(running.exit_codes()) == {1}
    assert "was started with 1 processes, not 2: go on with as many" in running.stderr


def test_asked_to_end_it_saves_its_state_and_goes_on_bit_for_bit(place):
    whole, asked = recipe(place, "unasked", save_every=100), recipe(place, "asked", save_every=100)
    distill(whole)
    running = start(asked)
    while not (Path(asked.output) / "history.json").is_file():
        time.sleep(0.01)
    os.kill(running.processes[0].pid, signal.SIGTERM)
    assert running.exit_codes() == [143]
    assert "is saved: go on with --resume" in running.stderr and "Traceback" not in running.stderr
    start(asked, "--resume").finish()
    expected = student(whole)
    assert all(torch.equal(value, expected[key]) for key, value in student(asked).items())


def test_the_state_is_saved_by_time_too():
    clocks = [SaveClock(100, minutes, Accelerator(cpu=True)) for minutes in (1e-9, 60)]
    assert [clock.due(1, False) for clock in clocks] == [(False, True), (False, False)]
    assert [clock.due(100, False) for clock in clocks] == [(False, True), (False, True)]
    assert clocks[1].due(1, True) == (True, True)


def test_a_teacher_that_cannot_be_found_is_one_line_and_exit_code_1(place):
    running = start(recipe(place, "lost", teacher=str(place / "nowhere")))
    assert running.exit_codes() == [1]
    assert "nowhere" in running.stderr.strip().splitlines()[-1] and "Traceback" not in running.stderr


def test_trackers_get_the_loss(place):
    mine = recipe(place, "tracked", trackers=["tensorboard"], steps=2)
    distill(mine)
    assert list(Path(mine.output).rglob("events.out.tfevents.*"))
