"""The stream of training clips: endless, shuffled, shared without overlap or loss, and resumed exactly."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from conftest import RATE, write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import Table, parquet

from wav2small import Wav2SmallError
from wav2small_training.data.augment import Augment
from wav2small_training.data.batches import MixedBatches
from wav2small_training.data.corpora import open_rows, waveform
from wav2small_training.data.mixture import Mixture, Shuffled, collate
from wav2small_training.data.units import Units
from wav2small_training.recipe import Augmentation, Corpus


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("mixture")
    return write_corpus(place / "one", 23), write_corpus(place / "two", 11), write_corpus(place / "bad", 10, bad=10)


def corpus(folder, weight=1.0) -> Corpus:
    return Corpus(source=str(folder), licence="CC0-1.0", weight=weight)


def epochs(source: Shuffled, rows: int) -> list[tuple[int, str]]:
    return [(source.epoch, row["id"]) for row in islice(source, rows)]


@pytest.mark.parametrize("consumers", [1, 2, 3, 5, 40])
def test_consumers_share_each_epoch_without_overlap_or_loss(folders, consumers):
    """Also where there are more consumers than clips: 23."""
    seen = []
    for consumer in range(consumers):
        seen += epochs(Shuffled(Units(corpus(folders[0])), 7, consumer, consumers), 60)
    whole = [Counter(name for epoch, name in seen if epoch == number) for number in range(3)]
    assert whole[:2] == [Counter({f"{i:03}.flac": 1 for i in range(23)})] * 2
    assert max(whole[2].values(), default=1) == 1


def test_epochs_and_seeds_differ_in_order(folders):
    orders = {}
    for seed in (1, 2):
        names = [row["id"] for row in islice(Shuffled(Units(corpus(folders[0])), seed), 46)]
        orders[seed] = names[:23], names[23:]
        assert set(names[:23]) == set(names[23:])
    assert len({tuple(order) for pair in orders.values() for order in pair}) == 4


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Three Parquet files in row groups of 5, 40 speakers one after another, as LibriSpeech has them."""
    place = tmp_path_factory.mktemp("shards")
    for shard in range(3):
        rows = [
            {"audio": {"bytes": b"", "path": f"{i}"}, "id": i, "speaker": i // 10}
            for i in range(shard * 200, shard * 200 + 200)
        ]
        parquet.write_table(Table.from_pylist(rows), place / f"{shard}.parquet", row_group_size=5)
    return Corpus(source=f"{place}/*.parquet", licence="CC0-1.0", id="speaker")


@settings(deadline=None, max_examples=10)
@given(taken=st.integers(0, 700), seed=st.integers(0, 1000))
def test_a_stream_goes_on_exactly_from_any_position(shards, taken, seed):
    units = Units(shards)
    source = Shuffled(units, seed, 1, 2, 8)
    stream = iter(source)
    for _ in range(taken):
        next(stream)
    state = json.loads(json.dumps(source.state_dict()))
    expected = [next(stream)["id"] for _ in range(15)]
    other = Shuffled(units, seed, 1, 2, 8)
    other.load_state_dict(state)
    assert [row["id"] for row in islice(other, 15)] == expected


@pytest.mark.parametrize("workers", [1, 4, 8])
def test_a_batch_mixes_speakers_of_a_corpus_that_is_ordered_by_speaker(shards, workers):
    units = Units(shards)
    sources = [iter(Shuffled(units, 3, i, workers, max(8, 64 // workers))) for i in range(workers)]
    for _ in range(5):
        batch = [row["speaker"] for source in sources for row in islice(source, 64 // workers)]
        assert len(set(batch)) >= 35, "of 60 speakers; a random order has 39"


def loader(folders, workers: int, augment: bool = True) -> MixedBatches:
    change = Augment(Augmentation(mix=0.5, level=0.5, clipping=0.3)) if augment else None
    stream = Mixture([corpus(folders[0]), corpus(folders[1], 2.0)], 3, (0.5, 0.5), change)
    return MixedBatches(stream, 6, 8000, workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_goes_on_exactly_with_its_worker_processes(folders, workers):
    first = loader(folders, workers)
    stream = iter(first)
    for _ in range(5):
        next(stream)
    state = first.state_dict()
    expected = [next(stream) for _ in range(4)]
    second = loader(folders, workers)
    second.load_state_dict(state)
    for batch, other in zip(expected, islice(second, 4), strict=True):
        assert batch["ids"] == other["ids"]
        assert torch.equal(batch["input_values"], other["input_values"])


def test_it_goes_on_exactly_after_two_interruptions_also_where_a_worker_had_no_time_between_them(folders):
    whole = [batch["ids"] for batch in islice(loader(folders, 2), 9)]
    found, state = [], None
    for batches in (3, 1, 5):
        part = loader(folders, 2)
        if state is not None:
            part.load_state_dict(json.loads(json.dumps(state)))
        stream = iter(part)
        found += [next(stream)["ids"] for _ in range(batches)]
        state = part.state_dict()
    assert found == whole


def test_the_same_seed_gives_the_same_clips_and_weights_are_kept(folders):
    clips = [list(islice(Mixture([corpus(folders[0]), corpus(folders[1], 3.0)], 5, (0.5, 0.5)), 400)) for _ in range(2)]
    assert [clip["id"] for clip in clips[0]] == [clip["id"] for clip in clips[1]]
    by_size = np.bincount([int(clip["id"][:3]) >= 11 for clip in clips[0]])  # only the first corpus has these
    assert by_size[1] / 400 == pytest.approx(0.25 * 12 / 23, abs=0.06)


def test_a_batch_is_padded_and_masked(folders):
    stream = Mixture([corpus(folders[0])], 0, (0.95, 0.95))
    batch = collate(list(islice(stream, 30)), samples=round(0.95 * RATE))
    assert batch["input_values"].shape == batch["attention_mask"].shape == (30, round(0.95 * RATE))
    lengths = batch["attention_mask"].sum(1)
    assert lengths.min() == round(0.8 * RATE) and lengths.max() == round(0.95 * RATE)
    assert torch.all(batch["input_values"][batch["attention_mask"] == 0] == 0)


def test_crops_are_drawn_from_their_whole_range(folders):
    lengths = [len(clip["recordings"][0]) / RATE for clip in islice(Mixture([corpus(folders[0])], 0, (0.2, 0.7)), 200)]
    assert 0.2 <= min(lengths) < 0.22 and 0.68 < max(lengths) <= 0.7
    assert np.mean(np.array(lengths) < 0.45) == pytest.approx(0.5, abs=0.12)


def test_a_clip_that_is_too_short_for_its_crop_is_repeated_or_joined_by_those_that_follow(folders):
    whole = {row["id"]: waveform(row, corpus(folders[0])) for row in open_rows(corpus(folders[0]))}
    made = {
        kind: next(iter(Mixture([corpus(folders[0])], 0, (3.0, 3.0), short_clips=kind)))
        for kind in ("pad", "repeat", "join")
    }
    first = whole[made["pad"]["id"]]
    np.testing.assert_array_equal(made["pad"]["recordings"][0], first)
    np.testing.assert_array_equal(made["repeat"]["recordings"][0], np.resize(first, 48000))
    joined = made["join"]["recordings"][0]
    assert len(joined) == 48000
    pieces = [
        name
        for name, samples in whole.items()
        if any(np.array_equal(samples[:4000], joined[i : i + 4000]) for i in range(44000) if joined[i] == samples[0])
    ]
    assert len(pieces) >= 2, "neighbours follow one another"


def test_what_is_mixed_in_comes_from_corpora_of_its_own(folders):
    change = Augment(
        Augmentation(mix=1, mix_snr_db=(0, 0), mix_corpora=[corpus(folders[1]).model_copy(update={"speech": False})])
    )
    stream = Mixture([corpus(folders[0])], 0, (0.5, 0.5), change)
    clips = list(islice(stream, 40))
    assert {clip["source"] for clip in clips} == {str(folders[0])}
    taken = sum(slot[1] for slot in stream.state_dict()["sources"][1]["slots"])
    assert taken or stream.state_dict()["sources"][1]["next"] > 11


def test_bad_items_are_skipped_and_counted(folders):
    stream = Mixture([corpus(folders[2])], 0, (0.5, 0.5), max_bad_share=0.9)
    clips = list(islice(stream, 40))
    assert not any("bad" in clip["id"] for clip in clips)
    assert 25 < sum(clip["skipped"] for clip in clips) < 55


def test_too_many_bad_items_stop_with_an_error_that_names_one(folders):
    with pytest.raises(Wav2SmallError, match=r"of \d+ items are bad, the last of them: .*bad\d.flac is not readable"):
        list(islice(Mixture([corpus(folders[2])], 0, (0.5, 0.5), max_bad_share=0.2), 100))


def test_clips_without_a_teacher_label_count_as_bad(folders):
    stream = Mixture([corpus(folders[0])], 0, (0.5, 0.5), teacher_labels=lambda source, name: [], max_bad_share=0.5)
    with pytest.raises(Wav2SmallError, match="has no teacher label"):
        next(iter(stream))


def test_a_clip_with_teacher_labels_is_cropped_to_a_labelled_window(folders):
    def windows(source, name):
        return [(0.25, np.array([0.1, 0.2, 0.3], np.float32))]

    (clip,) = islice(Mixture([corpus(folders[0])], 0, (0.5, 0.5), teacher_labels=windows), 1)
    whole = {row["id"]: row for row in open_rows(corpus(folders[0]))}[clip["id"]]
    samples = waveform(whole, corpus(folders[0]))
    np.testing.assert_array_equal(clip["recordings"][0], samples[4000:12000])
    np.testing.assert_array_equal(clip["target"], np.array([0.1, 0.2, 0.3], np.float32))
