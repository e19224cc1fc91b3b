"""Heads on frozen encoders: what they learn, what they do not learn, and a teacher from a recipe."""

import csv
import json

import numpy as np
import pytest
import soundfile
import torch
import yaml
from conftest import voice_like
from typer.testing import CliRunner

from wav2small import AdvTeacherForAudioClassification, Wav2SmallError
from wav2small.models.audio import read_audio
from wav2small.provenance.provenance import read_provenance
from wav2small.testing import write_odyssey_checkpoint
from wav2small_training.cli import app
from wav2small_training.distillation import features as feature_module
from wav2small_training.distillation.head_fit import (
    FeatureSet,
    Rows,
    Settings,
    calibrate,
    choose_penalty,
    fit,
    fit_ridge,
    folds,
    predict_unseen,
)
from wav2small_training.distillation.train_head import train_head
from wav2small_training.metrics import ccc, pearson
from wav2small_training.recipe_file import load_head

SIZE = 12


def made_set(name="a", clips=120, speakers=6, shift=0.0, seed=0, copies=0) -> FeatureSet:
    """Features of which the first three hold the targets, under noise, a level of the corpus and of each speaker."""
    random = np.random.default_rng(seed)
    targets = random.normal(0.5, 0.15, (clips, 3))
    speaker = np.arange(clips) % speakers
    features = random.normal(0, 1, (clips, SIZE))
    features[:, :3] = 4 * targets + random.normal(0, 0.2, (clips, 3))
    features += shift
    versions = [features] + [features + 1.5 for _ in range(copies)]  # a room moves all features
    return FeatureSet(
        name, 1.0, np.concatenate(versions), np.tile(targets, (copies + 1, 1)), np.tile(speaker, copies + 1),
        np.repeat(np.arange(copies + 1) == 0, clips),
    )  # fmt: skip


def test_the_ridge_regression_is_the_weighted_least_squares_solution():
    sets = [made_set(), made_set("b", clips=40, shift=7.0, seed=1)]
    rows = Rows.of(sets, np.ones(SIZE))
    found = fit_ridge(rows, [0.5, 2.0])
    for penalty, weight in zip((0.5, 2.0), found, strict=True):
        root = np.sqrt(rows.shares)[:, None]
        stacked = np.concatenate([root * rows.features, np.sqrt(penalty) * np.eye(SIZE)])
        expected = np.linalg.lstsq(stacked, np.concatenate([root * rows.targets, np.zeros((SIZE, 3))]), rcond=None)[0]
        np.testing.assert_allclose(weight, expected, atol=1e-8)


def test_a_corpus_counts_as_much_as_its_weight_says_however_many_clips_it_has():
    large, small = made_set(clips=400), made_set("b", clips=40, seed=1)
    rows = Rows.of([large, small], np.ones(SIZE))
    assert rows.shares[:400].sum() == pytest.approx(0.5) and rows.shares.sum() == pytest.approx(1)


def test_the_level_of_a_corpus_is_not_learned():
    sets = [made_set(), made_set("loud", shift=50.0, seed=1)]
    head = fit(sets, np.ones(SIZE), Settings(penalty=0.01, networks=0))
    assert pearson(head(sets[0].features), sets[0].targets).min() > 0.9
    assert np.abs(head(sets[0].features).mean(axis=0)).max() < 1e-6, "a head is centred on the first corpus"


def test_augmented_copies_are_predicted_like_their_originals():
    bare, copied = made_set(), made_set(copies=1)
    moved = [
        fit([each], np.ones(SIZE), Settings(0.01, networks=0))(bare.features + 1.5).mean(axis=0)
        for each in (bare, copied)
    ]
    assert np.abs(moved[1]).max() < 0.35 * np.abs(moved[0]).max(), "the copies did not teach that a room says nothing"


def test_networks_learn_what_a_line_cannot():
    random = np.random.default_rng(0)
    features = random.normal(0, 1, (600, 4))
    targets = np.repeat(np.abs(features[:, :1]), 3, axis=1) + random.normal(0, 0.05, (600, 3))
    bent = FeatureSet("bent", 1.0, features, targets, np.arange(600) % 10, np.ones(600, bool))
    line = fit([bent], np.ones(4), Settings(0.01, networks=0))
    both = fit([bent], np.ones(4), Settings(0.01, networks=2, units=16, steps=400))
    assert pearson(line(features), targets).max() < 0.3
    assert pearson(both(features), targets).min() > 0.6


def test_the_same_seed_gives_the_same_head():
    one, two = (fit([made_set()], np.ones(SIZE), Settings(1.0, networks=2, steps=20)) for _ in range(2))
    np.testing.assert_array_equal(one.dense, two.dense)


def test_nobody_is_on_both_sides_of_a_split():
    speakers = np.repeat(np.arange(23), 3)
    tests = folds(speakers)
    assert len(tests) == 10 and np.sum(tests, axis=0).tolist() == [1] * len(speakers)
    for test in tests:
        assert not set(speakers[test]) & set(speakers[~test])


def test_the_penalty_that_predicts_unseen_speakers_is_chosen():
    sets = [made_set(), made_set("b", seed=1)]
    for penalties in ([0.1, 1e6], [1e6, 0.1]):
        best, means = choose_penalty(sets, np.ones(SIZE), penalties)
        assert best == 0.1 and best == penalties[int(means.argmax())]


def test_calibrated_predictions_have_the_spread_of_the_targets_and_neutral_speech_in_the_middle():
    scored = made_set()
    settings = Settings(1.0, networks=0)
    unseen = predict_unseen([scored], 0, np.ones(SIZE), settings)
    slope, offset = calibrate(unseen, scored, None)
    assert ccc(unseen * slope + offset, scored.targets) == pytest.approx(pearson(unseen, scored.targets), abs=1e-3)
    neutral = np.array([0.1, -0.2, 0.3])
    slope, offset = calibrate(unseen, scored, neutral)
    np.testing.assert_allclose(neutral * slope + offset, 0.5)


def write_rated(folder, clips=24, word=False):
    """Voices whose pitch is their rating, of four speakers."""
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "speaker", "emotion", "a", "d", "v"])
        for i in range(clips):
            pitch = np.random.default_rng(i).uniform(0, 1)
            soundfile.write(folder / f"{i:02}.wav", voice_like(0.8, seed=i), 16000)
            emotion = "anger" if word else ("anger", "sadness", "happiness")[i % 3]
            table.writerow([f"{i:02}.wav", i % 4, emotion, *([round(pitch, 3)] * 3)])
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an encoder, a rated corpus, noise, and a recipe; the teacher that it gives."""
    place = tmp_path_factory.mktemp("head")
    write_odyssey_checkpoint(place / "encoder")
    write_rated(place / "rated")
    (place / "noise").mkdir()
    soundfile.write(place / "noise" / "n.wav", np.random.default_rng(0).normal(0, 0.05, 32000), 16000)
    recipe = {
        "name": "tiny-teacher",
        "encoder": {"source": str(place / "encoder"), "states": [1, 2], "licence": "MIT"},
        "corpora": [
            {"source": str(place / "rated"), "licence": "CC0-1.0", "labels": ["a", "d", "v"], "speaker": "speaker",
             "copies": 1}
        ],
        "neutral": [{"source": str(place / "rated"), "licence": "CC0-1.0", "where": {"speaker": "0"}}],
        "augmentation": {"noise": 1.0, "noise_folder": str(place / "noise"), "noise_licence": "CC0-1.0"},
        "networks": 2, "units": 4, "steps": 30,
        "cache": str(place / "cache"), "output": str(place / "teacher"),
    }  # fmt: skip
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    result = CliRunner().invoke(app, ["train-head", str(place / "recipe.yaml")])
    assert result.exit_code == 0, result.output
    place.joinpath("told").write_text(result.output)
    return place


def changed(place, *overrides):
    return load_head(place / "recipe.yaml", list(overrides))


def test_the_command_writes_a_teacher_that_loads_and_knows_where_it_comes_from(place):
    teacher = AdvTeacherForAudioClassification.from_pretrained(place / "teacher").eval()
    clip = torch.from_numpy(read_audio(place / "rated" / "00.wav"))[None]
    with torch.no_grad():
        assert teacher(clip).logits.shape == (1, 3)
    made = read_provenance(place / "teacher")
    assert (made.step, made.name, made.parent.licence, made.licence) == ("train", "tiny-teacher", "MIT", "MIT")
    assert set(made.evaluation["pearson"]) == {"arousal", "dominance", "valence"}
    assert "Pearson's r on unseen speakers of rated" in (place / "told").read_text()


def test_neutral_speech_is_predicted_in_the_middle_of_the_scale(place):
    teacher = AdvTeacherForAudioClassification.from_pretrained(place / "teacher").eval()
    with torch.no_grad():
        clips = [torch.from_numpy(read_audio(place / "rated" / f"{i:02}.wav"))[None] for i in range(0, 24, 4)]
        mean = torch.cat([teacher(clip).logits for clip in clips]).mean(dim=0)
    torch.testing.assert_close(mean, torch.full((3,), 0.5), atol=2e-3, rtol=0)


def test_the_encoder_is_stored_in_float16_and_the_head_in_float32(place):
    from safetensors.torch import load_file

    weights = load_file(place / "teacher" / "model.safetensors")
    kinds = {("encoder" if ".encoder." in name else "head"): value.dtype for name, value in weights.items()}
    assert kinds == {"encoder": torch.float16, "head": torch.float32}


def test_features_are_computed_once(place, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("features were computed again")

    monkeypatch.setattr(feature_module, "compute", refuse)
    output = str(place / "again")
    train_head(changed(place, f"output={output}", "penalties=[1]"))
    with pytest.raises(AssertionError, match="computed again"):
        train_head(changed(place, f"output={place / 'other'}", "encoder.states=[2]"))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["corpora.0.licence=CC-BY-NC-SA-4.0"], "does not allow commercial use"),
        (["corpora.0.licence=CC-BY-NC-SA-4.0", "licence=CC-BY-4.0"], "commercial"),
        (["corpora.0.licence=CC-BY-ND-4.0"], "no derivatives"),
        (["encoder.states=[3]"], "the blocks 1 to 2, and no 3"),
        (["corpora.0.speaker=nobody"], "no speaker in the column 'nobody'"),
        (["corpora.0.labels=[a, d, emotion]"], "not a number"),
    ],
)
def test_what_cannot_work_is_told_in_one_sentence_before_any_work(place, monkeypatch, overrides, told):
    monkeypatch.setattr(feature_module, "compute", lambda *arguments: pytest.fail("work was done"))
    with pytest.raises(Wav2SmallError, match=told) as error:
        train_head(changed(place, f"output={place / 'never'}", f"cache={place / 'empty'}", *overrides))
    assert "\n" not in str(error.value)
    assert not (place / "never").exists()


def test_a_corpus_with_one_label_alone_is_refused(place, tmp_path):
    source = write_rated(tmp_path / "angry", word=True)
    with pytest.raises(Wav2SmallError, match="all its clips have the same label"):
        train_head(
            changed(place, f"output={tmp_path / 'out'}", f"corpora.0.source={source}", "corpora.0.labels=emotion")
        )


def test_a_recipe_for_non_commercial_use_says_so(place, tmp_path):
    licence = "CC-BY-NC-SA-4.0"
    train_head(changed(place, f"output={tmp_path / 'out'}", f"corpora.0.licence={licence}", f"licence={licence}"))
    assert read_provenance(tmp_path / "out").licence == licence
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["licence"] == licence


def test_an_output_that_exists_is_left_alone(place):
    before = (place / "teacher" / "model.safetensors").read_bytes()
    with pytest.raises(Wav2SmallError, match="exists already"):
        train_head(changed(place))
    assert (place / "teacher" / "model.safetensors").read_bytes() == before
