"""A student that learned nothing is not published by itself, and each is evaluated against what it learned from."""

from pathlib import Path

import pytest
from conftest import write_corpus

from wav2small import Wav2SmallError
from wav2small_training.recipe import Corpus, Recipe

release = pytest.importorskip("wav2small_training.hub.release", reason="publishing needs the extra [export]")


def test_a_student_no_better_than_untrained_is_not_published():
    untrained = {"step": 0, "ccc": [0.1, 0.2, 0.3]}
    release.check_gain([untrained, {"step": 2, "ccc": [0.3, 0.3, 0.3]}, {"step": 4, "ccc": [0, 0, 0]}], "x")
    for history in ([untrained], [untrained, {"step": 2, "ccc": [0.2, 0.2, 0.1]}]):
        with pytest.raises(Wav2SmallError, match=r"x learned nothing: .* 0.200, and 0.200 untrained: .*--anyway"):
            release.check_gain(history, "x")


def scored(own: float, loudness: float) -> dict:
    rows = [("x", own), ("loudness baseline", loudness)]
    return {"agreement": [{"model": name, "condition": "as recorded", "ccc": ccc} for name, ccc in rows]}


def test_a_student_no_better_than_loudness_is_not_published():
    release.check_beyond_loudness([scored(0.2, 0.3), scored(0.5, 0.3)], Path("x"))
    with pytest.raises(Wav2SmallError, match=r"no better than loudness alone: .* 0.250, .* 0.300: .*--anyway"):
        release.check_beyond_loudness([scored(0.2, 0.3), scored(0.3, 0.3)], Path("x"))


def test_each_corpus_is_evaluated_against_what_the_recipe_learns_from(tmp_path):
    entry = {"source": str(write_corpus(tmp_path / "clips", 4)), "licence": "CC0-1.0"}
    values = {"name": "x", "corpora": [entry], "validation": {"corpora": [entry]}, "steps": 1, "output": str(tmp_path)}
    taught = Recipe.model_validate(values | {"teacher": ["a", "b"]})
    assert release.target(taught, Corpus(**entry)).source == ("a", "b")
    rated = Corpus(**entry, labels=("a", "d", "v"), scale=(1, 7))
    assert str(release.target(taught, rated)).endswith("valence from `v`; 1 to 7 became 0 to 1.")
    assert release.target(taught, Corpus(**entry, labels="emotion")).column == "emotion"
    assert release.target(taught, Corpus(**entry, word="neutral")) is None
    folder, licence = release.ordinary_speech(taught)
    assert (folder.name, licence) == ("clips", "CC0-1.0")
    assert len(list(folder.glob("*.flac"))) == 4
