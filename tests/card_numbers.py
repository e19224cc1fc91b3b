"""Recomputes each number in the tables of a card from the files that it was filled from."""

import json
import re
from pathlib import Path
from typing import Any

from wav2small.inference.catalogue import digest
from wav2small.models.adv import LABELS

Row = dict[str, str]
OF_RECORD = ("step", "weights from")  # first columns of tables that come from the provenance, not from a measurement


def recomputed(text: str, folder: Path) -> set[str]:
    """Check every table of a card; give the kinds that were met.

    Raises:
        AssertionError: for a number that is not what was measured, or a table that nothing here knows.
    """
    stored = {path.stem: json.loads(path.read_text()) for path in (folder / "results").glob("*.json")}
    speed = stored.pop("speed", None)
    named = {report["settings"]["data"]["source"].rpartition("/")[2]: report for report in stored.values()}
    kinds = set()
    for section in re.split(r"^##+ ", text, flags=re.MULTILINE):
        report = named.get(section.partition("\n")[0])
        for rows in tables(section):
            columns = tuple(rows[0])
            if report:
                this = this_model(report["settings"]["models"], folder)
                kinds.add(of_report(rows, columns, report, this))
            elif columns[0] == "data":
                for row in rows:
                    lead(row, named[row["data"]], folder)
                kinds.add("lead")
            elif columns == ("file", "bytes", "content"):
                for row in rows:
                    check(row["bytes"], (folder / row["file"]).stat().st_size)
                kinds.add("files")
            elif columns[0] == "model":
                of_speed(rows, columns, speed)
                kinds.add("speed")
            else:
                assert columns[0] in OF_RECORD, f"nobody checks the table of {columns}"
    return kinds


def tables(text: str) -> list[list[Row]]:
    """The tables of a text, each a list of rows by header; the marks of Markdown around a cell are left out."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        cells = [[cell.strip(" *`") for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append([dict(zip(cells[0], row, strict=True)) for row in cells[2:]])
    return found


def check(cell: str, *values: float | None) -> None:
    """A cell shows these values, rounded; a dash stands for those that there are not."""
    shown = re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?", cell)
    expected = [value for value in values if value is not None]
    assert len(shown) == len(expected), f"{cell!r} does not show {values}"
    for text, value in zip(shown, expected, strict=True):
        half = 0.5000001 * 10 ** -len(text.partition(".")[2])
        assert abs(float(text.replace(",", "")) - value) <= half, f"{cell!r} does not show {values}"


def this_model(models: list[dict[str, Any]], folder: Path) -> str:
    prints = {digest([folder / "onnx" / "model.onnx"])} if (folder / "onnx" / "model.onnx").is_file() else set()
    prints.add(digest([folder / "model.safetensors"]))
    return next(model["name"] for model in models if model["weights"] in prints)


def model_in(cell: str) -> str:
    """The name of a model in a cell, which may say that it is this one."""
    return cell.removesuffix(", this model").strip("*`")


def pick(rows: list[dict[str, Any]], **values: str) -> list[dict[str, Any]]:
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def lead(row: Row, report: dict[str, Any], folder: Path) -> None:
    """A line of the table at the head: this model, its teacher or the loudness baseline on one corpus."""
    this = this_model(report["settings"]["models"], folder)
    model = {"this model": this}.get(row["model"], row["model"].removeprefix("its teacher, `"))
    for title, metric in (("Pearson's r, A / D / V", "pearson"), ("CCC, A / D / V", "ccc"), ("AUC, A / V", "auc")):
        if title in row:
            rows = report.get("auc", []) if metric == "auc" else report["agreement"]
            own = pick(rows, model=model, condition="as recorded")
            check(row[title], *(one[metric] for name in LABELS for one in pick(own, dimension=name)))


def of_speed(rows: list[Row], columns: tuple[str, ...], speed: dict[str, Any]) -> None:
    if "values" in columns:
        for row, one in zip(rows, speed["models"], strict=True):
            assert model_in(row["model"]) == one["name"]
            check(row["values"], one["values"])
            check(row[columns[2]], one["gmac"])
        return
    for row, one in zip(rows, speed["rows"], strict=True):
        assert (model_in(row["model"]), row["file"], row["runtime"]) == (one["model"], one["file"], one["runtime"])
        check(row["ms"], one["ms"])
        check(row["times real time"], 1000 * speed["seconds"] / one["ms"])
        check(row["peak memory (MB)"], one["peak_mb"])


def of_report(rows: list[Row], columns: tuple[str, ...], report: dict[str, Any], this: str) -> str:
    """Check a table of an evaluation; give its kind."""
    kinds = {
        ("model", "audio"): agreement,
        ("model", "all"): tests_passed,
        ("test", "condition"): robustness,
        ("condition", "unchanged, A/D/V"): distortions,
        ("test", "dimension"): fairness,
    }
    kind = kinds.get(columns[:2], groups)
    for row in rows:
        kind(row, report, this)
    return kind.__name__


def agreement(row: Row, report: dict[str, Any], this: str) -> None:
    assert ("this model" in row["model"]) == (model_in(row["model"]) == this)
    text = next(column for column in row if column.endswith(", arousal")).removesuffix(", arousal")
    metric = {"CCC": "ccc", "Pearson's r": "pearson", "MAE": "mae", "AUC": "auc"}[text]
    table, dimensions = ("auc", {"arousal", "valence"}) if metric == "auc" else ("agreement", set(LABELS))
    own = pick(report[table], model=model_in(row["model"]), condition=row["audio"])
    found = {one["dimension"] for one in own}
    assert found == dimensions or (metric == "auc" and found <= dimensions)  # a corpus may lack the words
    for one in own:
        check(row[f"{text}, {one['dimension']}"], one[metric], *one[f"{metric}_interval"])


def groups(row: Row, report: dict[str, Any], this: str) -> None:
    column = next(iter(row))
    assert ("this model" in row["model"]) == (model_in(row["model"]) == this)
    own = pick(report["groups"], model=model_in(row["model"]), column=column, group=row[column])
    check(row["clips"], own[0]["clips"])
    check(row["CCC, A/D/V"], *(one["ccc"] for one in own))
    check(row["Pearson's r, A/D/V"], *(one["pearson"] for one in own))
    check(row["mean error, A/D/V"], *(one["mean_error"] for one in own))


def tests_passed(row: Row, report: dict[str, Any], this: str) -> None:
    own = pick(report["robustness"], model=model_in(row["model"]))
    for group in set(row) - {"model"}:
        verdicts = [passed for one in own if group in ("all", one["group"]) for passed in one["passed"].values()]
        check(row[group], sum(verdicts), len(verdicts))


def robustness(row: Row, report: dict[str, Any], this: str) -> None:
    (one,) = pick(report["robustness"], model=this, condition=row["condition"], measure=row["measure"])
    check(row["bar"], one["bar"])
    for name in LABELS:
        check(row[name], one["values"].get(name))
        assert ("fail" in row[name]) == (not one["passed"][name])
    for i, reference in enumerate(("CNN14", "w2v2-L-robust")):
        check(row[f"{reference}, A/D/V"], *(one["published"].get(name, (None, None))[i] for name in LABELS))


def distortions(row: Row, report: dict[str, Any], this: str) -> None:
    check(row["unchanged, A/D/V"], *(
        one["unchanged"] for one in pick(report["conditions"], model=this, condition=row["condition"])
    ))  # fmt: skip
    for column in set(row) - {"condition", "unchanged, A/D/V"}:
        model = model_in(column.removeprefix("CCC of ").removesuffix(", A/D/V").strip("*`"))
        check(row[column], *(one["ccc"] for one in pick(report["conditions"], model=model, condition=row["condition"])))


def fairness(row: Row, report: dict[str, Any], this: str) -> None:
    (one,) = pick(report["fairness"], model=this, test=row["test"], dimension=row["dimension"])
    check(row["value"], one["value"])
    check(row["bar"], one["bar"])
    check(row["by chance"], one["chance"])
    check(row["CNN14"], one["published"][0])
    assert ("fail" in row["value"]) == (not one["passed"])
