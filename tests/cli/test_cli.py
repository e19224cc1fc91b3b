"""`wav2small predict` and `convert`, as a user runs them."""

import csv
import errno
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken
from processes import Running, command
from reference import wav2small as reference
from safetensors.torch import save_file

import wav2small
from wav2small.bundled import BUNDLED
from wav2small.cli.command import run_command
from wav2small.cli.main import main
from wav2small.cli.plot import draw_plot

COMMAND = Path(sys.executable).with_name("wav2small")
INTERVALS = [f"{name}_{end}" for name in ("arousal", "dominance", "valence") for end in ("low", "high")]
COLUMNS = ["file", "arousal", "dominance", "valence", "start", "end", "speech", "word", *INTERVALS, "uncertain"]


def run(*arguments, stdin: bytes = b"", code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run the installed command; it never shows a traceback."""
    done = subprocess.run([COMMAND, *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd)
    stderr = done.stderr.decode()
    assert "Traceback" not in stderr, stderr
    assert done.returncode == code, f"exit code {done.returncode}: {stderr}"
    return done


def rows(content: bytes) -> list[dict]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.fixture
def folder(tmp_path, wav) -> Path:
    """Two good files, one of them in a subfolder, two bad ones, and one that is no audio by its name."""
    place = tmp_path / "recordings"
    (place / "more").mkdir(parents=True)
    shutil.copy(wav, place / "a.wav")
    soundfile.write(place / "more" / "b.flac", spoken(2, rate=44100), 44100)
    (place / "bad.wav").write_text("text")
    (place / "empty.mp3").write_bytes(b"")
    (place / "notes.txt").write_text("not audio")
    return place


def test_the_version_is_that_of_the_package():
    assert run("--version").stdout.decode() == f"wav2small {wav2small.__version__}\n"


def test_the_help_lists_the_commands_of_users_and_of_makers_in_80_columns():
    lines = run("--help").stdout.decode().splitlines()
    end = lines.index("", lines.index("Commands:"))
    listed = [line.split()[0] for line in lines[lines.index("Commands:") + 1 : end]]
    assert "Article 50(3)" in " ".join(lines[end:]) and "meaning.html" in " ".join(lines[:end])
    assert {"predict", "licence", "convert", "distill", "evaluate", "publish"} <= set(listed)
    assert listed[0] == "predict" and max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and "Usage" not in line], "a sentence is cut"
    for name in ("predict", "licence", "convert", "evaluate", "distill"):
        help = run(name, "--help").stdout.decode()
        assert "...]" not in help and "...}" not in help, "a list is marked as a list twice"


def test_the_table_shows_the_numbers_to_two_digits(wav):
    prediction = wav2small.load()(wav)
    numbers = [f"{x:.2f}" for x in prediction.as_array()]
    assert run("predict", wav).stdout.decode().splitlines()[1].split()[-5:-1] == ["0.0-1.5", *numbers]


def test_csv_json_and_parquet_hold_the_same_values(wav, tmp_path):
    from pyarrow import parquet

    (row,) = rows(run("predict", wav, "--format", "csv").stdout)
    assert list(row) == COLUMNS
    (record,) = json.loads(run("predict", wav, "--format", "json").stdout)
    run("predict", wav, "--output", tmp_path / "out.parquet")
    (cells,) = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert record == cells
    assert {name: str(value) for name, value in record.items()} == row


def test_a_folder_is_searched_and_its_bad_files_are_listed_at_the_end(folder, tmp_path):
    done = run("predict", folder, "--output", tmp_path / "out.csv", code=1)
    found = [Path(row["file"]).name for row in rows((tmp_path / "out.csv").read_bytes())]
    assert found == ["a.wav", "b.flac"]
    told = done.stderr.decode().splitlines()
    assert len(told) == 3
    assert "bad.wav is not readable audio" in told[0]
    assert "empty.mp3 is empty" in told[1]
    assert told[2] == "wav2small: 2 of 4 files could not be read"


def test_a_recording_comes_from_standard_input(wav):
    (row,) = rows(run("predict", "-", "--format", "csv", stdin=wav.read_bytes()).stdout)
    (expected,) = rows(run("predict", wav, "--format", "csv").stdout)
    assert row == {**expected, "file": "-"}
    assert b"standard input is empty" in run("predict", "-", code=1).stderr


def test_a_timeline_has_one_row_for_each_window(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, spoken(8), RATE)
    found = rows(run("predict", path, "--timeline", "--window", 4, "--hop", 2, "--format", "csv").stdout)
    assert [(row["start"], row["end"]) for row in found] == [("0.0", "4.0"), ("2.0", "6.0"), ("4.0", "8.0")]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_plot_of_timelines_is_drawn_and_labels_each_recording(folder, tmp_path, suffix):
    (folder / "bad.wav").unlink()
    (folder / "empty.mp3").unlink()
    picture = tmp_path / f"plot.{suffix}"
    run("predict", folder, "--timeline", "--window", "0.5", "--hop", "0.25", "--plot", picture)
    if suffix == "png":
        from matplotlib.image import imread

        pixels = imread(picture)
        assert pixels.shape[0] > 300 and pixels.shape[1] > 600
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20, "the picture is empty"
    else:
        assert {"a", "b"} <= svg_texts(picture), "a recording has no label"


def svg_texts(picture: Path) -> set[str]:
    """All that is written in a picture; matplotlib repeats each text as a comment beside its letters."""
    return {text.strip() for text in re.findall(r"<!-- (.*?) -->", picture.read_text())}


def test_a_plot_of_many_files_labels_what_can_be_read_and_counts_the_others(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        (
            f"speakers/{i % 3}/clip_{i:03}.wav",
            wav2small.Prediction(*([np.nan] * 3 if i == 7 else map(float, random.normal(0.5, 0.1, 3))), 0, 1),
        )
        for i in range(80)
    ]
    draw_plot(rows, tmp_path / "many.svg")
    texts = svg_texts(tmp_path / "many.svg")
    labels = {text for text in texts if text.startswith("clip_")}
    assert 10 < len(labels) < 80
    assert any(text.startswith(f"{79 - len(labels)} of 79 files are not labelled") for text in texts)
    assert any("without speech, not drawn: 1" in text for text in texts)


def test_a_plot_labels_every_one_of_nine_files_and_shows_their_numbers(tmp_path):
    rows = [(f"{i}.wav", wav2small.Prediction(i / 10, 0.5, 0.3 + i / 30, 0, 1, word="calm")) for i in range(9)]
    draw_plot(rows, tmp_path / "nine.svg")
    texts = svg_texts(tmp_path / "nine.svg")
    assert {str(i) for i in range(9)} <= texts and {f"{i / 10:.2f}" for i in range(9)} <= texts


def test_without_speech_there_is_a_word_and_no_number_in_any_format(examples, tmp_path):
    from pyarrow import parquet

    for name, word in (("silence", "silence"), ("rain_esc10", "no speech")):
        file = examples / f"{name}.flac"
        (row,) = rows(run("predict", file, "--format", "csv").stdout)
        assert (row["arousal"], row["dominance"], row["valence"], row["word"]) == ("", "", "", word)
        assert float(row["speech"]) < 0.1
        (record,) = json.loads(run("predict", file, "--format", "json").stdout)
        assert record["arousal"] is None and record["word"] == word
        run("predict", file, "--output", tmp_path / "out.parquet", "--plot", tmp_path / "plot.png")
        table = parquet.read_table(tmp_path / "out.parquet")
        assert table.to_pylist() == [record] and str(table.schema.field("arousal").type) == "double"
        shutil.copy(file, tmp_path / f"{name}.flac")
        table = run("predict", f"{name}.flac", cwd=tmp_path).stdout.decode().splitlines()
        assert table[-1].split()[2:] == ["-", "-", "-", *word.split()]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.wav"], "missing.wav: no such file"),
        (["{wav}", "--model", "nowhere"], "nowhere is neither a folder nor an id"),
        (["{wav}", "--format", "parquet"], "name a file with --output"),
        (["{wav}", "--output", "{tmp}/no/folder/out.csv"], "there is no folder"),
        (["{wav}", "--plot", "{tmp}/plot.txt"], "a plot is saved as one of"),
        (["{wav}", "--timeline", "--hop", "0"], "hop=0.0: it must be above 0 s"),
        (["{tmp}/none"], "holds no audio files"),
    ],
)
def test_an_error_that_a_user_can_fix_is_one_line(arguments, told, wav, tmp_path):
    (tmp_path / "none").mkdir()
    done = run("predict", *(str(a).format(wav=wav, tmp=tmp_path) for a in arguments), code=1)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and told in lines[0]


def test_an_output_that_fails_leaves_the_old_file_and_nothing_else(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "plot.txt").write_text("old")
    run("predict", folder / "a.wav", "--plot", out / "plot.txt", code=1)
    run("predict", folder / "bad.wav", "--output", out / "new.csv", code=1)
    assert {path.name: path.read_text() for path in out.iterdir()} == {"plot.txt": "old"}


def test_many_files_in_threads_keep_their_order(tmp_path):
    for i in range(12):
        soundfile.write(tmp_path / f"{i:02}.wav", spoken(2 - i / 8, seed=i), RATE)
    many = run("predict", tmp_path, "--format", "csv", "--threads", 4).stdout
    assert many == run("predict", tmp_path, "--format", "csv", "--threads", 1).stdout
    assert [Path(row["file"]).stem for row in rows(many)] == [f"{i:02}" for i in range(12)]


def test_the_command_imports_neither_torch_nor_matplotlib(wav):
    code = (
        "import sys; from wav2small.cli import main as cli; sys.argv = ['wav2small', 'predict', sys.argv[1]]\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'matplotlib', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(wav)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_convert_writes_a_checkpoint_that_loads(tmp_path):
    source = tmp_path / "published"
    source.mkdir()
    save_file(reference.random_weights("gram"), source / "model.safetensors")
    converted = ("convert", source, tmp_path / "ours")
    unknown = Running(command, *converted)
    assert unknown.exit_codes() == [1] and "name it with --licence" in unknown.stderr
    Running(command, *converted, "--licence", "CC-BY-NC-SA-4.0").finish()
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} <= {
        path.name for path in (tmp_path / "ours").iterdir()
    }
    again = Running(command, *converted, "--licence", "CC-BY-NC-SA-4.0")
    assert again.exit_codes() == [1] and "exists already" in again.stderr


def test_emodb_gives_535_rows(speech, tmp_path):
    run("predict", speech / "emodb", "--format", "csv", "--output", tmp_path / "out.csv")
    found = rows((tmp_path / "out.csv").read_bytes())
    assert len(found) == 535
    refused = [row for row in found if row["arousal"] == ""]
    assert len(refused) < 0.01 * len(found), "acted speech is taken for none"


def test_names_of_any_kind_are_shown_in_one_line_and_never_raw(tmp_path, examples):
    names = [b"caf\xe9.flac", b"a[red]b.flac", b"5$ or 6$.flac", b"esc\x1b[2J.flac", b"new\nline.flac", b"=1+1.flac"]
    for name in names:
        shutil.copy(examples / "anger_emodb14.flac", os.fsencode(tmp_path) + b"/" + name)
    shown = {r"caf\xe9.flac", "a[red]b.flac", "5$ or 6$.flac", r"esc\x1b[2J.flac", r"new\x0aline.flac", "=1+1.flac"}
    table = run("predict", ".", cwd=tmp_path).stdout.decode()
    assert "\x1b" not in table and len(table.splitlines()) == 1 + len(names)
    for kind, read in (("csv", rows), ("json", json.loads)):
        content = run("predict", ".", "-o", f"out.{kind}", "--plot", "out.svg", cwd=tmp_path)
        assert content.stdout == b""
        assert {row["file"] for row in read((tmp_path / f"out.{kind}").read_bytes())} == shown
    error = run("predict", "esc\x1b[2J.wav", cwd=tmp_path, code=1).stderr
    assert error == b"wav2small: esc\\x1b[2J.wav: no such file\n"
    error = run("predict", "x" * 300, code=1).stderr  # Python 3.14 finds no such file, and asks no more
    assert re.fullmatch(rb"wav2small: x+(: no such file| cannot be opened: File name too long)\n", error)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--output", "out.xlsx"], "predictions are saved as one of .csv, .json, .parquet, .txt, or name a --format"),
        (["--output", "nowhere/out.csv"], "there is no folder nowhere"),
        (["--plot", "out.gif"], "out.gif: a plot is saved as one of"),
        (["--plot", "nowhere/out.png"], "there is no folder nowhere"),
        (["--window", "3"], "--window and --hop are those of a timeline: add --timeline, or leave them out"),
        (["--format", "parquet"], "Parquet cannot be printed on a terminal"),
    ],
)
def test_what_is_wrong_with_the_output_is_told_before_the_work(options, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["wav2small", "predict", "a.wav", *options])
    monkeypatch.setattr("wav2small.inference.predictor.load", lambda *_, **__: pytest.fail("a model was loaded"))
    with pytest.raises(SystemExit):
        main()
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "missing", "told"),
    [
        (["--plot", "out.png"], "matplotlib", "a plot needs matplotlib: pip install 'wav2small[report]'"),
        (["--output", "out.parquet"], "pyarrow", "Parquet needs pyarrow: pip install 'wav2small[report]'"),
    ],
)
def test_a_missing_package_is_told_before_the_work(options, missing, told, tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    for module in ("formats", "plot"):
        monkeypatch.setattr(f"wav2small.cli.{module}.find_spec", lambda name: None if name == missing else find(name))
    test_what_is_wrong_with_the_output_is_told_before_the_work(options, told, tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/a.csv"),
            "out/a.csv: No space left on device: make room",
        ),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/a"), "/a: Permission denied: change its permiss"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/a"), "/a: Read-only file system: choose a place"),
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full: make room"),
        (
            RuntimeError("[enforce fail] . PytorchStreamWriter failed writing file data/0: file write failed"),
            "make room",
        ),
        (
            RuntimeError("I/O error: No space left on device (os error 28)\nmore"),
            "No space left on device (os error 28): ",
        ),
    ],
)
def test_a_fault_of_the_disk_is_one_line_whatever_library_tells_it(error, told, capsys):
    def fail():
        try:
            raise error
        except Exception as cause:
            raise ValueError("could not save") from cause

    with pytest.raises(SystemExit) as end:
        run_command(fail)
    shown = capsys.readouterr().err
    assert end.value.code == 1 and told in shown and len(shown.splitlines()) == 1


def test_any_other_fault_of_a_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process, as on Linux")
def test_an_output_that_does_not_fit_on_the_disk_is_one_line_and_leaves_nothing(wav, tmp_path):
    limited = [sys.executable, "-c", "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50)); "
               "os.execv(sys.argv[1], sys.argv[1:])"]  # fmt: skip
    done = subprocess.run([*limited, str(COMMAND), "predict", str(wav), "-o", str(tmp_path / "out.csv")],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1 and "File too large: make room" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and [path.name for path in tmp_path.iterdir()] == [wav.name]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 4])
def test_ctrl_c_stops_the_work_of_all_threads(tmp_path, threads):
    soundfile.write(tmp_path / "long.flac", np.tile(spoken(60), 60), RATE)
    for i in range(1, 4):
        shutil.copy(tmp_path / "long.flac", tmp_path / f"{i}.flac")
    running = subprocess.Popen(
        [COMMAND, "predict", tmp_path, "--timeline", "--hop", "0.1", "--threads", str(threads)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    try:
        time.sleep(20)  # it predicts
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        assert running.wait(20) in (1, 130)  # far less than its work; on an idle machine below 2 s
        assert b"Traceback" not in running.stderr.read()
    finally:
        running.kill()


def test_a_quiet_recording_gives_a_warning_in_one_line(tmp_path):
    samples = spoken(2)
    soundfile.write(tmp_path / "quiet.wav", 2e-3 * samples / np.abs(samples).max(), RATE, subtype="FLOAT")
    shown = run("predict", tmp_path / "quiet.wav").stderr.decode()
    assert "a recording stays below -60 dB" in shown and len(shown.splitlines()) == 1
    assert run("predict", tmp_path / "quiet.wav").returncode == 0


def test_a_training_that_was_not_exported_is_told_how(tmp_path, wav):
    (tmp_path / "best").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(BUNDLED / name, tmp_path / "best")
    error = run("predict", wav, "--model", tmp_path / "best", code=1).stderr.decode()
    assert "has no onnx/model.onnx: `wav2small export` writes it" in error
