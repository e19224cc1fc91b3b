"""Rendered mixtures are decoded once, come as their weights say, and go on from any position."""

import io
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, voice_like
from pyarrow import Table, parquet

from wav2small import Wav2SmallError
from wav2small_training.data.rendered import DECODED, FULL_SCALE, RenderedClips, balance, is_rendered
from wav2small_training.recipe import Corpus, Recipe

LABELS = ("arousal", "dominance", "valence")
CLIPS = 40


def rendered(folder: Path, first: int = 0, **columns) -> Path:
    """A shard of clips of 0.2 to 1.2 s; the target of a clip is its number."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(CLIPS):
        content = io.BytesIO()
        soundfile.write(content, voice_like(0.2 + i / CLIPS, seed=i), RATE, format="FLAC")
        row = {"audio": {"bytes": content.getvalue(), "path": f"{i}.flac"}, "speech": i / CLIPS, "half": str(i % 2)}
        rows.append({**row, **dict.fromkeys(LABELS, float(first + i)), **columns})
    parquet.write_table(Table.from_pylist(rows), folder / "mixture-00000.parquet")
    (folder / "provenance.json").write_text("{}")  # it says that targets are a teacher's, which may leave 0..1
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return rendered(tmp_path_factory.mktemp("rendered") / "one")


def recipe(*corpora: dict, **more) -> Recipe:
    entries = [{"licence": "CC0-1.0", "labels": LABELS, **corpus} for corpus in corpora]
    values = {"name": "test", "corpora": entries, "validation": {"corpora": entries}, "steps": 1, "batch": 8}
    return Recipe.model_validate({**values, "output": "o", **more})


def corpus(folder: Path, **more) -> dict:
    return {"source": f"{folder}/*.parquet", **more}


def drawn(clips: RenderedClips, batches: int) -> list[int]:
    return [int(value) for batch in islice(clips, batches) for value in batch["target"][:, 0]]


def sound(number: int) -> np.ndarray:
    """The clip of a number, without the zeros with which it may begin."""
    clip = np.round(voice_like(0.2 + number / CLIPS, seed=number) * FULL_SCALE) / FULL_SCALE
    return np.trim_zeros(clip, "f")


def test_a_batch_holds_the_clips_their_masks_targets_and_shares_of_speech(folder):
    for batch in islice(RenderedClips(recipe(corpus(folder))), 5):
        assert batch["input_values"].shape == batch["attention_mask"].shape
        for values, mask, target, share in zip(
            batch["input_values"], batch["attention_mask"], batch["target"], batch["speech"], strict=True
        ):
            number, length = int(target[0]), int(mask.sum())
            clip, heard = sound(number), np.trim_zeros(values[:length].numpy(), "f")
            expected = clip[: len(heard)] if length > len(heard) else clip[-len(heard) :]
            np.testing.assert_allclose(heard, expected, atol=1.5 / FULL_SCALE)
            assert not values[length:].any() and float(share) == pytest.approx(number / CLIPS)


def test_a_clip_begins_at_another_moment_each_time_and_loses_little(folder):
    clips, found = RenderedClips(recipe(corpus(folder))), {}
    for batch in islice(clips, 40):
        for values, mask, target in zip(batch["input_values"], batch["attention_mask"], batch["target"], strict=True):
            silence = int(values.ne(0).nonzero()[0])
            number, length = int(target[0]), int(mask.sum())
            found.setdefault(number, []).append(silence if silence > 1 else length - len(sound(number)))
    for number, shifts in found.items():
        assert len(shifts) == 8 and len(set(shifts)) > 1
        assert max(map(abs, shifts)) <= min(0.1 * RATE, len(sound(number)) / 10) + 2
    assert min(map(min, found.values())) < -0.05 * RATE and max(map(max, found.values())) > 0.05 * RATE


def test_each_epoch_holds_every_clip_once_in_another_order(folder):
    found = drawn(RenderedClips(recipe(corpus(folder))), 10)
    assert sorted(found[:CLIPS]) == sorted(found[CLIPS:]) == list(range(CLIPS))
    assert found[:CLIPS] != found[CLIPS:]
    assert drawn(RenderedClips(recipe(corpus(folder), seed=1)), 5) != found[:CLIPS]


def test_clips_of_similar_length_share_a_batch(folder):
    lengths = torch.stack(  # as they were rendered: each begins a little earlier or later
        [(0.2 + batch["target"][:, 0] / CLIPS) * RATE for batch in islice(RenderedClips(recipe(corpus(folder))), 5)]
    )
    assert (lengths.max(1).values - lengths.min(1).values).max() <= 0.2 * RATE, "40 clips of .2 to 1.2 s, 8 in a batch"


def test_longer_clips_are_cropped(folder):
    clips = RenderedClips(recipe(corpus(folder), crop_seconds=0.5))
    assert {batch["input_values"].shape[1] for batch in islice(clips, 5)} == {RATE // 2}


def test_it_goes_on_from_any_position_and_processes_share_each_batch(folder):
    whole = list(islice(RenderedClips(recipe(corpus(folder))), 12))
    for first in (0, 4, 7):
        clips = RenderedClips(recipe(corpus(folder)))
        clips.load_state_dict({"batch": first})
        assert torch.equal(next(iter(clips))["input_values"], whole[first]["input_values"])
    parts = [list(islice(RenderedClips(recipe(corpus(folder)), rank, 2), 12)) for rank in (0, 1)]
    for batch, one, two in zip(whole, *parts, strict=True):
        assert torch.equal(batch["target"][0::2], one["target"]) and torch.equal(batch["target"][1::2], two["target"])


def test_corpora_come_as_their_weights_say_and_noise_has_no_target(folder, tmp_path):
    noise = rendered(tmp_path / "noise", first=100)
    entries = corpus(folder, weight=3), corpus(noise, speech=False, labels=None)
    batches = list(islice(RenderedClips(recipe(*entries)), 20))
    targets, shares = (torch.cat([batch[name] for batch in batches]) for name in ("target", "speech"))
    noisy = targets.isnan().any(dim=1)
    assert noisy.float().mean() == pytest.approx(0.25, abs=0.02)
    assert not shares[noisy].any()


def test_where_chooses_rows(folder):
    assert {number % 2 for number in drawn(RenderedClips(recipe(corpus(folder, where={"half": "1"}))), 4)} == {1}


def test_shards_are_decoded_once_and_again_when_they_change(tmp_path):
    folder = rendered(tmp_path / "again")
    RenderedClips(recipe(corpus(folder)))
    decoded = folder / DECODED / "mixture-00000.npy"
    before = decoded.stat().st_mtime_ns
    RenderedClips(recipe(corpus(folder)))
    assert decoded.stat().st_mtime_ns == before
    rendered(folder, first=100)
    assert min(drawn(RenderedClips(recipe(corpus(folder))), 5)) == 100
    assert decoded.stat().st_mtime_ns > before


def test_a_shard_of_bad_clips_is_refused(tmp_path):
    folder = rendered(tmp_path / "bad", audio={"bytes": b"no audio", "path": "a.flac"})
    with pytest.raises(Wav2SmallError, match=r"40 of 40 clips of .*bad.* are bad"):
        RenderedClips(recipe(corpus(folder)))
    with pytest.raises(Wav2SmallError, match=r"has no column 'power'; it has "):
        RenderedClips(recipe(corpus(rendered(tmp_path / "good"), labels=("power", *LABELS[1:]))))


def test_only_local_shards_with_targets_are_rendered(folder):
    shards = {"source": "a/*.parquet", "licence": "MIT"}
    assert is_rendered(Corpus(**shards, labels=LABELS)) and is_rendered(Corpus(**shards, speech=False))
    others = ({"source": "a", "labels": LABELS}, {"labels": "emotion"}, {}, {"source": "hf://a.parquet"})
    assert not any(is_rendered(Corpus(**{**shards, **other})) for other in others)


def test_the_balance_lets_rare_regions_of_the_plane_come_more_often():
    random = np.random.default_rng(0)
    common, rare = random.normal(0.4, 0.02, (980, 3)), random.normal(0.8, 0.02, (20, 3))
    targets = np.concatenate([common, rare, np.full((10, 3), np.nan)])
    assert (balance(targets, 0.0) == 1).all()
    half, full = (balance(targets, strength) for strength in (0.5, 1.0))
    ratios = [weights[980:1000].mean() / weights[:980].mean() for weights in (half, full)]
    assert 1.5 < ratios[0] < ratios[1]
    assert (full[1000:] == 1).all() and full.max() <= 10
