"""What fails for a while is waited for, what fails for good is not; reading goes on at the clip where it broke."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import Table, parquet

from wav2small import Wav2SmallError
from wav2small_training.data import cache as cache_module
from wav2small_training.data import patience, units
from wav2small_training.data.patience import NOTE, patiently
from wav2small_training.recipe import Cache, Corpus


class StatusError(Exception):
    """An error as the clients of the Hub raise it."""

    def __init__(self, status: int):
        super().__init__(f"status {status}")
        self.response = SimpleNamespace(status_code=status)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(patience, "FIRST", 0.0)


@pytest.mark.parametrize("error", [StatusError(503), StatusError(429), ConnectionResetError(), TimeoutError()])
def test_what_passes_is_tried_again_and_a_note_says_what_is_waited_for(error, capsys):
    errors, notes = [error, error], []

    def work() -> str:
        notes.append(NOTE.value.decode())
        if errors:
            raise errors.pop()
        return "done"

    assert patiently(work, "org/speech") == "done"
    assert notes[0] == "" and all(note.startswith("waiting for org/speech: ") for note in notes[1:])
    assert NOTE.value == b"" and capsys.readouterr().err.count("waiting for org/speech") == 1


@pytest.mark.parametrize("error", [StatusError(404), StatusError(401), ValueError("x"), FileNotFoundError()])
def test_what_does_not_pass_is_raised_at_once(error):
    tries = []

    def work() -> None:
        tries.append(1)
        raise error

    with pytest.raises(type(error)):
        patiently(work, "org/speech")
    assert len(tries) == 1


def test_after_some_minutes_a_failure_is_final(monkeypatch):
    def work() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        patiently(work, "org/speech", minutes=-1)


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    rows = [{"audio": {"bytes": bytes(200), "path": f"{i}"}, "id": str(i)} for i in range(40)]
    parquet.write_table(Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=20)
    return Corpus(source=f"{tmp_path}/*.parquet", licence="CC0-1.0")


def test_reading_goes_on_at_the_clip_where_it_broke(corpus, monkeypatch):
    whole = [row["id"] for row in units.Units(corpus).rows(0)]
    plain, breaks = units.RowGroup._batches, [5, 1]

    def breaking(group):
        for i, batch in enumerate(plain(group)):
            if breaks and i == breaks[-1]:
                breaks.pop()
                raise ConnectionResetError
            yield batch

    monkeypatch.setattr(units, "ROWS", 3)
    monkeypatch.setattr(units.RowGroup, "_batches", breaking)
    assert [row["id"] for row in units.Units(corpus).rows(0)] == whole and not breaks


def test_a_hub_that_does_not_come_back_is_one_sentence(corpus, monkeypatch):
    def gone(group):
        raise StatusError(401)
        yield

    parts = units.Units(corpus)
    monkeypatch.setattr(units.RowGroup, "_batches", gone)
    monkeypatch.setattr(units, "is_local", lambda _: False)
    with pytest.raises(Wav2SmallError, match="your token does not give access"):
        list(parts.rows(0))


def test_a_cache_keeps_what_was_read_last_and_its_size(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(cache_module, "GIGABYTE", 1)
    group = units.Units(corpus).all[0]

    def read(name: str, batches: Iterator, cache: Cache) -> Path:
        with cache_module.cached(name, batches, cache) as stream:
            assert parquet.read_table(stream)["id"].to_pylist() == [str(i) for i in range(20)]
            return Path(stream.name)

    folder = tmp_path / "cache"
    size = read("probe", group._batches(), Cache(folder=str(tmp_path / "probe"), gigabytes=1e9)).stat().st_size
    small = Cache(folder=str(folder), gigabytes=2.5 * size)
    files = [read(name, group._batches(), small) for name in "ab"]
    with cache_module.cached("a", iter(()), small) as held:  # it is there: nothing is read
        third = read("c", group._batches(), small)
        assert sorted(folder.iterdir()) == sorted([files[0], third]), "b was read longest ago"
        read("d", group._batches(), small)
        assert files[0] not in folder.iterdir()
        assert len(parquet.read_table(held)) == 20, "another process made room while it was read"
