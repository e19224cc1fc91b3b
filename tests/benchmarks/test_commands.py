"""The commands that make the tables of the documents, on a few recordings: rows, columns, and what is known before."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from compilers import need
from conftest import RATE, ROOT, spoken
from typer.testing import CliRunner

import wav2small
from wav2small import Wav2SmallError
from wav2small.bundled import BUNDLED, DEFAULT
from wav2small.inference.predictor import ONNX_FILES
from wav2small.inference.rated_clips import PRIOR
from wav2small.models.adv import LABELS
from wav2small_training.benchmarks import (
    differences,
    folder,
    meaning,
    one_runtime,
    peak_memory,
    predict_torch,
    presets,
    rated_clips,
    runtimes,
    short_audio,
    speaker_baseline,
    speech_detection,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NEUTRAL, ANGER, SADNESS, JOY = (
    f"{name}.flac" for name in ("neutral_emodb15", "anger_emodb14", "sadness_emodb14", "joy_emodb15")
)
MAN, WOMAN, AMUSED, RAIN, SILENCE = (
    f"{name}.flac" for name in ("man_libri1235", "woman_libri1183", "amused_emogator", "rain_esc10", "silence")
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def run(module, *arguments: object) -> str:
    """What a command prints; its errors are raised."""
    app = typer.Typer()
    app.command()(module.main)
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def tables(text: str) -> list[list[dict[str, str]]]:
    """The Markdown tables of a text: rows, cells by the heads of their columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        heads, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines())
        found.append([dict(zip(heads, row, strict=True)) for row in rows])
    return found


def copied(clips: list[str], out: Path) -> Path:
    """A folder of some examples."""
    out.mkdir(parents=True)
    for i, name in enumerate(clips):
        shutil.copy(ROOT / "examples" / name, out / f"{i:02}.flac")
    return out


def corpus(out: Path, rows: list[tuple[str, str, str]], split: str = "validation") -> Path:
    """A folder of examples that has a metadata.csv; each row is speaker, emotion and example."""
    copied([name for _, _, name in rows], out)
    lines = [f"{i:02}.flac,{speaker},{emotion},2.0,{split}" for i, (speaker, emotion, _) in enumerate(rows)]
    (out / "metadata.csv").write_text("\n".join(["file_name,speaker,emotion,duration_s,split", *lines]) + "\n")
    return out


def test_every_command_that_a_document_names_is_there():
    named = set()
    for file in (ROOT / "Makefile", ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        named |= set(re.findall(r"wav2small_training\.benchmarks\.(\w+)", file.read_text(encoding="utf-8")))
    assert {"every_runtime", "meaning", "throughput"} <= named
    for name in named:
        assert callable(import_module(f"wav2small_training.benchmarks.{name}").main)


def test_meaning_has_a_row_for_each_kind_of_sound_and_refuses_silence_and_rain_alone(tmp_path):
    clips = {
        "librispeech_mini": [("1", "", MAN), ("2", "", WOMAN)],
        "pico_commands": [("1", "", WOMAN)],
        "emodb": [("1", "neutral", NEUTRAL), ("1", "anger", ANGER), ("1", "happiness", JOY), ("1", "sadness", SADNESS)],
        "nemo": [("1", "neutral", MAN)],
        "emogator": [("1", "amusement", AMUSED), ("1", "anger", ANGER)],
        "noise": [("", "", RAIN)],
    }
    for name, rows in clips.items():
        corpus(tmp_path / name, rows)
    printed = run(meaning, "--speech", tmp_path)
    (rows,) = tables(printed)
    kinds = {row["kind"]: row for row in rows}
    assert [*kinds] == ["digital silence", "white noise", *meaning.KINDS]
    assert [row["clips"] for row in rows] == ["1", "1", "2", *["1"] * 8], "an emotion has its own clips"
    medians = {}
    for kind, row in kinds.items():
        spans = [[float(value) for value in re.findall(r"-?\d+\.\d+", row[label])] for label in LABELS]
        assert all(low <= median <= high for median, low, high in spans)
        medians[kind] = spans[0][0]
    assert medians["acted anger (EmoDB)"] > medians["acted sadness (EmoDB)"]
    refused = {kind for kind, row in kinds.items() if row["refused, %"] == "100"}
    assert {"digital silence", "white noise", "dogs, rain, engines (ESC-10)"} <= refused
    assert kinds[meaning.READING]["refused, %"] == "0"
    assert float(re.search(r"any number is ([\d.]+)\.$", printed)[1]) < 0.01, "level is not arousal"


def test_the_same_recording_twice_differs_by_nothing(tmp_path):
    same = [(speaker, "neutral", NEUTRAL) for speaker in "aabb"] + [("a", "anger", ANGER), ("b", "anger", SADNESS)]
    corpus(tmp_path / "emodb", same)
    corpus(tmp_path / "nemo", [("a", "neutral", MAN), ("b", "neutral", WOMAN)])
    pairs, widths = tables(run(differences, "--speech", tmp_path))
    piece, speaker, speakers, other_piece, other_speaker, other_speakers = pairs
    assert [row["pairs"] for row in pairs] == ["6", "2", "4", "2", "0", "1"]
    for row in (speaker, speakers):
        assert [row[label] for label in LABELS] == ["0.00"] * 3
    for row in (piece, other_piece, other_speakers):
        assert sum(float(row[label]) for label in LABELS) > 0
    assert [other_speaker[label] for label in LABELS] == ["–"] * 3, "there are no such pairs"
    assert all(float(row[label]) > 0 for row in widths for label in LABELS) and len(widths) == 2


def test_rated_clips_of_one_kind_shrink_the_error_as_the_documents_say(tmp_path):
    clips = corpus(tmp_path / "clips", [("a", "anger", ANGER)] * 12 + [("b", "anger", ANGER)] * 3)
    table = clips / "metadata.csv"
    soundfile.write(clips / "train.flac", spoken(1), RATE)
    table.write_text(table.read_text() + "train.flac,a,sadness,1.0,train\n")
    (rows,) = tables(run(rated_clips, clips))
    assert [(row["RMSE"], row["rated clips"]) for row in rows] == [("clips", n) for n in ("0", "3", "5", "10")]
    for row in rows:
        for label in LABELS:
            expected = float(rows[0][label]) * PRIOR / (PRIOR + int(row["rated clips"]))
            assert float(row[label]) == pytest.approx(expected, abs=0.0011)


def test_a_baseline_of_the_same_emotion_leaves_nothing_to_tell_speakers_apart(tmp_path):
    acted = [("anger", ANGER), ("sadness", SADNESS), ("happiness", JOY), *[("neutral", NEUTRAL)] * 3]
    alike = corpus(tmp_path / "alike", [(speaker, *row) for speaker in "ab" for row in acted])
    tense = [("a", "anger", ANGER), *[("a", "neutral", ANGER)] * 3]
    sad = [("b", "sadness", SADNESS), *[("b", "neutral", SADNESS)] * 3]
    apart = corpus(tmp_path / "apart", tense + sad)
    (rows,) = tables(run(speaker_baseline, alike, apart))
    found = {(row["AUC"], row["dimension"]): [*row.values()][2:] for row in rows}
    assert found["alike", "arousal"] == ["1.000"] * 3
    raw, *relative = found["alike", "valence"]
    assert relative == [raw] * 2 and 0 <= float(raw) <= 1, "two speakers have the same normal"
    assert found["apart", "arousal"] == ["1.000", "0.500", "0.500"]
    assert found["apart", "valence"] == ["–"] * 3, "nobody is happy"


def test_a_crop_that_is_the_whole_clip_has_no_error(tmp_path):
    for i in range(2):
        soundfile.write(tmp_path / f"{i}.flac", spoken(1.0, seed=i), RATE)
    (rows,) = tables(run(short_audio, tmp_path))
    assert [(row["crop"], row[""]) for row in rows] == [
        (f"{seconds:g} s", way) for seconds in short_audio.CROPS for way in ("as it is", "repeated to 2 s")
    ]
    errors = {(row["crop"], row[""]): [float(row[label]) for label in LABELS] for row in rows}
    assert errors["1 s", "as it is"] == [0, 0, 0]
    assert all(sum(each) > 0 for key, each in errors.items() if key != ("1 s", "as it is"))


def test_every_detector_refuses_silence_and_no_speech(tmp_path):
    copied([MAN, WOMAN, NEUTRAL], tmp_path / "speech")
    copied([SILENCE, SILENCE], tmp_path / "silence")
    words, refused = tables(run(speech_detection, tmp_path / "speech", tmp_path / "silence"))
    assert [(row["%"], row["clips"]) for row in words] == [("speech", "3"), ("silence", "2")]
    assert [row["refused"] for row in words] == ["0.0", "100.0"]
    for row in words:
        assert sum(float(row[head]) for head in ("refused", "unsure", "another word")) == pytest.approx(100, abs=0.2)
    found = {row["refused, %"]: row for row in refused}
    assert (f"`{DEFAULT}`" in found) == wav2small.load().predicts_speech
    assert ("WebRTC VAD" in found) == bool(importlib.util.find_spec("webrtcvad"))
    for name, row in found.items():
        assert (row["speech (3)"], row["silence (2)"]) == ("0.0", "100.0"), name


@pytest.mark.parametrize(
    "module", [meaning, differences, speaker_baseline, rated_clips], ids=lambda each: each.__name__
)
def test_a_corpus_that_lacks_a_column_is_named(module, tmp_path):
    for name in {"emodb", "nemo", *(each for each, _ in meaning.KINDS.values())}:
        (copied([MAN], tmp_path / name) / "metadata.csv").write_text("file_name,duration_s\n00.flac,2\n")
    by_option = module in (meaning, differences)
    with pytest.raises(Wav2SmallError, match=r"emodb.* has no column '(speaker|emotion)'"):
        run(module, *(["--speech", tmp_path] if by_option else [tmp_path / "emodb"]))


def test_a_speaker_with_too_few_clips_is_named(tmp_path):
    few = corpus(tmp_path / "few", [("anna", "neutral", NEUTRAL), ("anna", "anger", ANGER)])
    with pytest.raises(Wav2SmallError, match="few: anna has 1 clips of 'neutral', not 3"):
        run(speaker_baseline, few)
    with pytest.raises(Wav2SmallError, match="few: no speaker has more than 10 clips"):
        run(rated_clips, few)


def test_torch_predicts_what_the_command_line_predicts(examples, capsys):
    predict_torch.main(str(BUNDLED), str(examples), "1")
    lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert [Path(file).name for file, *_ in lines] == sorted(path.name for path in examples.glob("*.flac"))
    predictor = wav2small.load()
    for file, *values in lines:
        np.testing.assert_allclose([float(each) for each in values], predictor.logits(file), rtol=0, atol=1e-3)


@linux_only
def test_a_folder_costs_less_memory_without_torch(tmp_path):
    clips = copied([MAN, ANGER], tmp_path / "clips")
    command = [sys.executable, "-m", folder.__name__, str(clips), "--runs", "1"]  # here, memory is used already
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "thread" in line]
    assert printed.startswith("2 files of") and len(rows) == 4
    assert all(float(seconds) > 0 for _, seconds, _, _ in rows)
    peaks = {name: float(peak) for name, _, _, peak in rows}
    without, through = (
        [peak for name, peak in peaks.items() if name.startswith(start)] for start in ("wav2small", "torch")
    )
    assert max(without) < min(through)


@linux_only
def test_a_command_that_fails_is_not_measured():
    with pytest.raises(RuntimeError, match="failed"):
        folder.measure_command([sys.executable, "-c", "raise SystemExit(3)"], 1)


@linux_only
@pytest.mark.parametrize("loader", ["load_onnx", "load_torch"])
def test_one_runtime_prints_what_the_model_predicts(loader, tmp_path, capsys):
    windows = np.stack([spoken(2.0, seed=i) for i in range(2)])
    np.save(tmp_path / "windows.npy", windows)
    file = BUNDLED / (ONNX_FILES["fp32"] if loader == "load_onnx" else "model.safetensors")
    one_runtime.main(f"{runtimes.__name__}:{loader}", str(file), str(tmp_path / "windows.npy"))
    cost = json.loads(capsys.readouterr().out)
    assert cost.keys() == {"ms", "mb", "logits"} and cost["ms"] > 0 and cost["mb"] >= 0
    expected = [wav2small.load().logits((window, RATE)) for window in windows]
    np.testing.assert_allclose(cost["logits"], expected, rtol=0, atol=1e-4)


@linux_only
def test_peak_memory_is_at_least_what_is_used_now(capsys):
    before = one_runtime.memory("VmRSS")
    peak_memory.main(f"{runtimes.__name__}:load_nothing", "", "16000")
    assert before <= int(capsys.readouterr().out) / 1024 < 1000 * before


@pytest.mark.export
@linux_only
def test_latency_has_a_row_for_each_file_of_each_network(monkeypatch):
    pytest.importorskip("onnx", reason="ONNX export needs the extra [export]")
    from wav2small_training.benchmarks import latency

    variant = "Wav2Small, Hub variant"
    monkeypatch.setattr(latency, "PRESETS", {variant: presets.PRESETS[variant]})
    printed = run(latency, BUNDLED)
    (rows,) = tables(printed)
    costs = {row[""]: row for row in rows}
    exported = [f"{variant}: {kind}" for kind in ("torch", "ONNX, untuned", "model.onnx", "model_quantized.onnx")]
    smile = ["openSMILE: eGeMAPSv02"] if importlib.util.find_spec("opensmile") else []
    files = {f"{DEFAULT}: {file.name}": file.stat().st_size for file in (BUNDLED / "onnx").glob("*.onnx")}
    files[f"{DEFAULT}: torch"] = (BUNDLED / "model.safetensors").stat().st_size
    assert set(costs) == {*files, *exported, *smile}
    for name, size in files.items():
        assert costs[name]["bytes"] == f"{size:,}"
    for row in rows:
        assert float(row["times real time"]) == pytest.approx(5000 / float(row["ms"]), rel=0.1)
    idle = float(re.search(r"needs (\d+) MB", printed)[1])
    torch, onnx = (float(costs[f"{DEFAULT}: {kind}"]["peak memory (MB)"]) for kind in ("torch", "model.onnx"))
    assert 0 < idle < onnx < torch


@pytest.mark.export
@linux_only
def test_every_runtime_that_is_here_predicts_what_torch_predicts(tmp_path):
    pytest.importorskip("onnx", reason="ONNX export needs the extra [export]")
    from wav2small_training.benchmarks import every_runtime

    clips = copied([MAN, ANGER, SILENCE], tmp_path / "clips")
    printed = run(every_runtime, BUNDLED, clips)
    (rows,) = tables(printed)
    kinds = [f"{runtime}, {kind}" for runtime in ("ONNX Runtime", "C") for kind in ("float", "8 bits", "4 bits")]
    names = ["torch", *(kinds if shutil.which("gcc") else kinds[:3])]
    if all(map(shutil.which, ("clang", "wasm-ld", "node"))):
        names += [f"WebAssembly under Node, {bits} bits" for bits in (8, 4)]
    devices = {name for name, package in every_runtime.DEVICES.values() if importlib.util.find_spec(package)}
    assert [row[""] for row in rows if row[""].partition(",")[0] not in devices] == names
    costs = {row[""]: row for row in rows}
    assert costs["torch"]["largest difference"] == "" and "over 2 windows" in printed, "silence is not a window"
    assert costs["ONNX Runtime, 4 bits"]["bytes"] == f"{(BUNDLED / ONNX_FILES['q4']).stat().st_size:,}"
    for row in rows[1:]:
        most = 1e-4 if "float" in row[""] else 0.05 if "8 bits" in row[""] else 0.3
        assert float(row["largest difference"]) <= most, row[""]
        assert float(row["memory (MB)"]) >= 0 and float(row["ms"]) > 0


@pytest.mark.export
def test_c_is_exact_in_float_and_smaller_in_fewer_bits(tmp_path):
    pytest.importorskip("onnx", reason="ONNX export needs the extra [export]")
    need("gcc")
    from wav2small_training.benchmarks import c_source

    clips = copied([MAN, ANGER, SADNESS], tmp_path / "clips")
    (rows,) = tables(run(c_source, DEFAULT, clips))
    assert [row["bits"] for row in rows] == ["32", "8", "4"]
    exact, *rounded = (float(row["largest difference to torch"]) for row in rows)
    assert exact < 1e-4 < min(rounded) and max(rounded) < 0.3
    for row in rows:
        assert int(row["state of a clip"].replace(",", "")) > 1000 and float(row["ms for 5 s"]) > 0
        agreement = row["CCC of stream and clip (A, D, V)"].split(", ")
        assert len(agreement) == 3 and all(0 < float(each) <= 1 for each in agreement)
    flash = [row["bytes on a Cortex-M4F"].replace(",", "") for row in rows]
    if shutil.which("arm-none-eabi-gcc"):
        assert int(flash[0]) > int(flash[1]) > int(flash[2])
    else:
        assert flash == [""] * 3
