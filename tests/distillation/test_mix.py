"""A mixture is rendered once, exactly, whatever interrupts it; students and teachers learn from it and say so."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, voice_like, write_corpus, write_labelled
from processes import Running, result
from pyarrow import parquet
from reference import wav2small as reference
from students import student

from wav2small import Wav2SmallConfig, Wav2SmallError, Wav2SmallForAudioClassification
from wav2small.convert.student import hub_variant_keys, load_renamed
from wav2small.models.audio import read_audio
from wav2small.provenance import provenance
from wav2small.provenance.provenance import Link, Provenance
from wav2small.testing import write_dawn_checkpoint
from wav2small_training.data.corpora import label, open_rows
from wav2small_training.data.norms import emotion_norm
from wav2small_training.distillation import mix as module
from wav2small_training.distillation.distill import distill
from wav2small_training.distillation.mix import flac, mix
from wav2small_training.recipe import Corpus, Recipe
from wav2small_training.teachers import Ensemble, load_teacher

CLIPS = 16  # of a shard, here
NAMES = ("arousal", "dominance", "valence")


@pytest.fixture(scope="module", autouse=True)
def small_shards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHARD", CLIPS)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two teachers, one of them with a history, a corpus with labels, another without, and noise."""
    place = tmp_path_factory.mktemp("mix")
    teacher = Wav2SmallForAudioClassification(Wav2SmallConfig())
    load_renamed(teacher, reference.random_weights("token"), hub_variant_keys(), "test")
    teacher.save_pretrained(place / "teacher")
    heard = Link("its-speech", "CC-BY-NC-4.0", "training")
    provenance.write_provenance(Provenance(step="train", name="a teacher", corpora=[heard]), place / "teacher")
    student().save_pretrained(place / "second")
    provenance.write_provenance(Provenance(step="train", name="another", corpora=[heard]), place / "second")
    write_labelled(place / "labelled", 12)
    write_corpus(place / "speech", 5)
    (place / "noise").mkdir()
    soundfile.write(place / "noise" / "n.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE), RATE)
    return place


def corpus(place: Path, name: str = "labelled", **more) -> dict:
    return {"source": str(place / name), "licence": "CC-BY-4.0", **more}


def recipe(place: Path, **more) -> Recipe:
    """A mixture of two corpora under noise, with the teacher's answers."""
    noise = {"noise": 1, "noise_folder": str(place / "noise"), "noise_licence": "CC0-1.0", "noise_snr_db": (0, 3)}
    values = {
        "name": "test",
        "teacher": str(place / "teacher"),
        "corpora": [corpus(place, credit="Some Speech (2020)"), corpus(place, "speech")],
        "validation": {"corpora": [corpus(place, "speech")]},
        "augmentation": noise,
        "steps": 1,
        "batch": 2,
        "crop_seconds": 1.2,
        "workers": 0,
        "output": str(place / "none"),
    }
    return Recipe.model_validate(values | more)


def by_labels(place: Path, **more) -> Recipe:
    """The same with labels in the place of a teacher."""
    entry = corpus(place, labels="emotion", agreement="agreed")
    return recipe(place, **({"teacher": None, "corpora": [entry], "validation": {"corpora": [entry]}} | more))


def rows(out: Path) -> list[dict]:
    return [row for path in sorted(out.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]


def target(row: dict) -> np.ndarray:
    return np.array([row[name] for name in NAMES], np.float32)


def answer(model, samples: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(samples)[None]).logits[0].numpy()


@pytest.fixture(scope="module")
def rendered(place) -> Path:
    """Two shards, of what the teacher hears clean."""
    mine = recipe(place, augmentation={**recipe(place).augmentation.model_dump(), "teacher_input": "clean"})
    assert mix(mine, place / "rendered", 2 * CLIPS) == 2 * CLIPS
    return place / "rendered"


# ---- what is in it ----


def test_the_target_is_the_teachers_prediction_for_the_clean_clip(place, rendered):
    teacher = Wav2SmallForAudioClassification.from_pretrained(place / "teacher")
    found = rows(rendered)
    assert len(found) == 2 * CLIPS and {row["source"] for row in found} == {"labelled", "speech"}
    for row in found[::3]:
        clean, worn = read_audio(place / row["source"] / row["id"]), read_audio(row["audio"]["bytes"])
        np.testing.assert_allclose(target(row), answer(teacher, clean), atol=1e-4)
        assert len(worn) == len(clean) and np.square(worn - clean).mean() > 0.3 * np.square(clean).mean()
        assert np.abs(answer(teacher, worn) - target(row)).max() > 0.02, "the noise must matter to the teacher"


def test_the_target_is_the_teachers_prediction_for_the_recording_where_the_recipe_says_so(place):
    mix(recipe(place), place / "recordings", CLIPS)
    teacher = Wav2SmallForAudioClassification.from_pretrained(place / "teacher")
    for row in rows(place / "recordings")[::5]:
        np.testing.assert_allclose(target(row), answer(teacher, read_audio(row["audio"]["bytes"])), atol=5e-3)


def test_several_teachers_label_with_their_mean(place):
    pair = [str(place / "teacher"), str(place / "second")]
    mix(recipe(place, teacher=pair, augmentation={}), place / "pair", CLIPS)
    ensemble = load_teacher(pair, torch.device("cpu"))
    assert isinstance(ensemble, Ensemble)
    for row in rows(place / "pair")[::5]:
        heard = torch.from_numpy(read_audio(place / row["source"] / row["id"]))[None]
        with torch.no_grad():
            output = ensemble(heard)
            members = torch.stack([member(heard).logits for member in ensemble.members], dim=1)
        torch.testing.assert_close(output.member_logits, members, rtol=0, atol=1e-5)
        np.testing.assert_allclose(target(row), members.mean(dim=1)[0].numpy(), atol=1e-4)
    assert [link.id for link in provenance.read_provenance(place / "pair").teachers] == ["teacher", "second"]


def test_ours_and_published_teachers_do_not_mix_in_one_sentence(place, tmp_path):
    with pytest.raises(Wav2SmallError) as error:
        load_teacher([str(place / "teacher"), write_dawn_checkpoint(tmp_path / "dawn")], torch.device("cpu"))
    assert str(place / "teacher") in str(error.value) and "\n" not in str(error.value)


def test_recordings_of_a_clip_share_its_label(place):
    changes = {**recipe(place).augmentation.model_dump(), "teacher_input": "clean", "recordings": 2, "join": 0.3}
    changes["voice"] = {"probability": 0.5}
    assert mix(recipe(place, augmentation=changes), place / "twice", CLIPS) == CLIPS
    found = rows(place / "twice")
    for one, two in zip(found[::2], found[1::2], strict=True):
        assert one["id"] == two["id"] and np.array_equal(target(one), target(two))
        assert one["audio"]["bytes"] != two["audio"]["bytes"]
    assert len({row["arousal"] for row in found}) > CLIPS // 4, "the voice changes, and so does its label"


def test_a_corpus_without_speech_has_no_target_and_no_speech(place):
    speechless = corpus(place, "noise", speech=False)
    mix(recipe(place, corpora=[corpus(place, "speech"), speechless], augmentation={}), place / "quiet", CLIPS)
    found = {name: [row for row in rows(place / "quiet") if row["source"] == name] for name in ("speech", "noise")}
    assert found["speech"] and all(np.isfinite(target(row)).all() for row in found["speech"])
    assert found["noise"] and all(np.isnan(target(row)).all() and row["speech"] == 0 for row in found["noise"])


def test_a_student_learns_the_share_of_speech_of_a_mixture(place):
    mine = learner(place, place / "quiet", "hears", student={"model": "tcn_adv", "config": {"width": 8}}, balance=0.5)
    assert distill(mine).step == 2
    made = provenance.read_provenance(place / "hears" / "last")
    assert set(made.evaluation) == {"step", "ccc_to_targets", "speech_error"}


def test_a_label_stays_what_it_is_however_the_clip_is_changed(place):
    changes = {**recipe(place).augmentation.model_dump(), "speed": 0.7}
    mix(by_labels(place, augmentation=changes), place / "words", CLIPS)
    words = {row["id"]: row for row in open_rows(Corpus(**corpus(place)))}
    for row in rows(place / "words"):
        word, share = words[row["id"]]["emotion"], float(words[row["id"]]["agreed"])
        np.testing.assert_allclose(target(row), 0.5 + share * (emotion_norm(word) - 0.5), atol=1e-6)


def test_a_word_for_all_clips_and_numbers_in_columns_are_labels_too(place):
    for more, expected in (
        ({"word": "neutral"}, lambda row: [0.5, 0.5, 0.5]),
        ({"word": "joy"}, None),
        ({"labels": NAMES}, lambda row: [float(row[name]) for name in NAMES]),
        ({"labels": ("arousal", "split", "valence")}, "'train' in its column 'split' is not a number"),
        ({"labels": ("arousal", "power", "valence")}, "has no column 'power'; it has "),
    ):
        entry = Corpus(**corpus(place, **more))
        row = next(iter(open_rows(entry)))
        if callable(expected):
            np.testing.assert_allclose(label(row, entry), expected(row), atol=1e-6)
        else:
            with pytest.raises(Wav2SmallError, match=expected or "there is no norm for the word 'joy'"):
                label(row, entry)


def test_loud_audio_is_kept_in_shape():
    clip = 5 * voice_like(0.5)
    clip *= 3 / np.abs(clip).max()
    kept, rate = soundfile.read(io.BytesIO(flac(clip)), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(3 * kept, clip, atol=3e-4)
    quiet, _ = soundfile.read(io.BytesIO(flac(clip / 6)), dtype="float32")
    np.testing.assert_allclose(quiet, clip / 6, atol=1e-4)


# ---- the same again ----


def test_rendering_again_gives_the_same_rows_and_a_longer_one_begins_with_them(place, rendered):
    mine = recipe(place, augmentation={**recipe(place).augmentation.model_dump(), "teacher_input": "clean"})
    times = {path.name: path.stat().st_mtime_ns for path in rendered.glob("*.parquet")}
    assert mix(mine, rendered, 2 * CLIPS) == 2 * CLIPS
    assert times == {path.name: path.stat().st_mtime_ns for path in rendered.glob("*.parquet")}, "nothing was to do"
    assert mix(mine, place / "longer", 3 * CLIPS) == 3 * CLIPS
    assert rows(place / "longer")[: 2 * CLIPS] == rows(rendered)


def mix_in_small_shards(recipe: Recipe, out: Path, clips: int) -> None:
    """Render in a process of its own, and print how many clips there are."""
    module.SHARD = CLIPS
    print(mix(recipe, out, clips))  # noqa: T201


@pytest.mark.parametrize("workers", [0, 1])
def test_killed_and_started_again_it_gives_what_it_would_have(place, workers):
    mine = recipe(place, workers=workers)
    out = place / f"killed{workers}"
    running = Running(mix_in_small_shards, mine, out, 1_000_000)
    running.kill_once((out / "mixture-00000.parquet").is_file)
    written = len(list(out.glob("*.parquet")))
    clips = (written + 2) * CLIPS
    assert not (out / "provenance.json").exists(), "it is not whole"
    assert result(mix_in_small_shards, mine, out, clips) == clips
    mix(recipe(place), place / f"whole{workers}", clips)  # without workers: they change nothing but the speed
    assert rows(out) == rows(place / f"whole{workers}")
    assert provenance.read_provenance(out).step == "mix"


def test_workers_that_are_started_anew_give_the_same_clips(place, spawned):
    mix(recipe(place, workers=1), place / "spawned", CLIPS)
    mix(recipe(place), place / "here", CLIPS)
    assert rows(place / "spawned") == rows(place / "here")


def test_two_processes_share_the_work_and_give_the_clips_of_one(place):
    clips = 6 * CLIPS
    running = Running(mix_in_small_shards, recipe(place), place / "two", clips, processes=2)
    assert running.finish().split() == [str(clips)] * 2
    mix(recipe(place), place / "one", clips)
    shared, alone = rows(place / "two"), rows(place / "one")
    assert [(row["id"], row["audio"]) for row in shared] == [(row["id"], row["audio"]) for row in alone]
    for row, other in zip(shared, alone, strict=True):
        np.testing.assert_allclose(target(row), target(other), atol=1e-4)


def test_parts_go_through_a_corpus_about_evenly(place):
    mix(recipe(place, augmentation={}, corpora=[corpus(place)]), place / "even", 6 * CLIPS)
    counts = Counter(row["id"] for row in rows(place / "even"))
    assert set(counts.values()) == {6 * CLIPS // 12}, "12 clips"


def test_the_mixture_of_another_recipe_is_refused_and_left_as_it_is(place, rendered):
    before = (rendered / "recipe.yaml").read_bytes(), sorted(path.name for path in rendered.iterdir())
    with pytest.raises(Wav2SmallError, match="rendered was started with another augmentation: use the same, or"):
        mix(recipe(place, seed=5), rendered, CLIPS)
    assert before == ((rendered / "recipe.yaml").read_bytes(), sorted(path.name for path in rendered.iterdir()))


def test_a_recipe_without_a_licence_for_its_mixture_writes_nothing(place):
    with pytest.raises(Wav2SmallError, match="not known here"):
        mix(recipe(place, corpora=[corpus(place) | {"licence": "mine"}]), place / "never", 1)
    assert not (place / "never").exists()


# ---- what learns from it ----


def learner(place: Path, rendered: Path, name: str, **more) -> Recipe:
    entry = {"source": f"{rendered}/*.parquet", "licence": "CC0-1.0", "labels": NAMES}
    values = {"teacher": None, "corpora": [entry], "validation": {"corpora": [entry], "clips": 6, "every": 2}}
    values |= {"augmentation": {}, "steps": 2, "batch": 4, "student": {"config": {"channels": 2}}}
    return recipe(place, **(values | {"output": str(place / name)} | more))


def test_a_student_of_a_mixture_names_its_teacher_corpora_and_noise_and_has_their_licence(place, rendered):
    distill(learner(place, rendered, "student"))
    made = provenance.read_provenance(place / "student" / "best")
    assert (made.step, made.licence) == ("distill", "CC-BY-NC-4.0"), "the teacher's, whatever the recipe says"
    assert [link.id for link in made.teachers] == ["teacher"]
    assert made.teachers[0].provenance == provenance.read_provenance(place / "teacher")
    parts = [(link.id, link.licence, link.use, link.clips) for link in made.corpora]
    assert parts == [
        ("labelled", "CC-BY-4.0", "training", 12),
        ("speech", "CC-BY-4.0", "training", 5),
        ("noise", "CC0-1.0", "noise", 1),
        ("rendered (*.parquet)", "CC0-1.0", "evaluation", 2 * CLIPS),
    ]
    assert "Some Speech (2020) (CC-BY-4.0): training" in made.attributions()
    assert set(made.evaluation) == {"step", "ccc_to_targets"}


def test_a_student_of_rendered_labels_names_the_norms(place):
    mix(by_labels(place), place / "norms", CLIPS)
    distill(learner(place, place / "norms", "of-norms", steps=1))
    made = provenance.read_provenance(place / "of-norms" / "last")
    assert made.step == "train" and not made.teachers
    assert [link.use for link in made.corpora] == ["training", "labels", "noise", "evaluation"]
