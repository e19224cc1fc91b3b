"""`wav2small models`: counts of the papers, and a table that fits a terminal of 80 columns."""

import io

import pytest
from rich.console import Console

from wav2small import Wav2SmallError
from wav2small.bundled import DEFAULT
from wav2small_training.benchmarks import model_table

STUDENTS = {name: config for name, config in model_table.PRESETS.items() if config.model_type != "adv_teacher"}


def test_the_presets_are_the_papers_teacher_and_five_students_and_the_hub_variant():
    mobilenets = {f"MobileNet{version}" for version in ("V4-S", "V4-M", "V3-S", "V3-L")}
    assert set(model_table.PRESETS) == {"teacher of the paper", "Wav2Small", "Wav2Small, Hub variant"} | mobilenets


@pytest.mark.parametrize(
    ("name", "millions", "gmac"),
    [
        ("Wav2Small", 0.072477, 0.388),
        ("Wav2Small, Hub variant", 0.015888, 0.322),
        ("MobileNetV4-S", 2.496291 + 0.005082, 0.289),
        ("MobileNetV3-S", 1.520643 + 0.005082, 0.094),
    ],
)
def test_values_and_multiply_accumulates_are_those_of_the_papers(name, millions, gmac):
    config = STUDENTS[name]
    model = model_table.CLASSES[config.model_type](config).eval()
    assert model_table.count_values(model) / 1e6 == pytest.approx(millions, abs=1e-9)
    assert model_table.count_gmac(model) == pytest.approx(gmac, abs=1e-3)


@pytest.mark.timing
def test_the_table_has_a_row_for_each_model_and_fits_80_columns(monkeypatch):
    printed = io.StringIO()
    presets = {name: STUDENTS[name] for name in ("Wav2Small", "MobileNetV3-S")}
    monkeypatch.setattr(model_table, "PRESETS", presets)
    monkeypatch.setattr(model_table, "Console", lambda: Console(file=printed, width=80))
    model_table.main()
    text = printed.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    values = {"Wav2Small": "72,477", "MobileNetV3-S": "1,525,725"}
    for name, count in values.items():
        (line,) = [line for line in text.splitlines() if count in line and name in line]
        milliseconds, megabytes = line.partition(count)[2].split()[3:5]
        assert float(milliseconds) > 0 and float(megabytes) > 50
    assert DEFAULT in text


def test_a_folder_without_a_checkpoint_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(model_table, "PRESETS", {})
    with pytest.raises(Wav2SmallError, match=f"{tmp_path} is not a checkpoint that loads"):
        model_table.main([tmp_path])
