"""Rows of predictions -> a table for people, or JSON, CSV or Parquet."""

import csv
import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..inference.prediction import Prediction
from ..models.errors import Wav2SmallError
from .command import printable

if TYPE_CHECKING:
    from rich.table import Table

NO_PYARROW = "Parquet needs pyarrow: pip install 'wav2small[report]'"
Format = Literal["table", "json", "csv", "parquet"]
Row = tuple[str, Prediction]  # (file, prediction)
COLUMNS = ["file", *Prediction(0, 0, 0, 0, 0, speaker="", text="").as_dict()]


def row_name(file: str, prediction: Prediction) -> str:
    """The name of a row in a picture: of its file, and of its speaker where there is one."""
    if prediction.speaker is None:
        return file
    return str(Path(file).with_suffix("") / prediction.speaker.replace("/", " ").replace(".", " "))


def columns(rows: list[Row]) -> list[str]:
    """The columns of rows: speaker and text only where one of them is known."""
    known = {name for _, row in rows for name in row.as_dict()}
    return [name for name in COLUMNS if name == "file" or name in known]


FORMATS: dict[str, Format] = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table"}


def guess_format(path: Path) -> Format:
    """The format of an output file by its suffix.

    Raises:
        Wav2SmallError: for another suffix.
    """
    if path.suffix.lower() not in FORMATS:
        raise Wav2SmallError(f"{path}: predictions are saved as one of {', '.join(FORMATS)}, or name a --format")
    return FORMATS[path.suffix.lower()]


def check_format(kind: Format, output: Path | None) -> None:
    """Make sure that rows can be written in a format, before they are predicted.

    Raises:
        Wav2SmallError: for Parquet on a terminal, or without pyarrow.
    """
    if kind == "parquet" and output is None:
        raise Wav2SmallError("Parquet cannot be printed on a terminal: name a file with --output")
    if kind == "parquet" and find_spec("pyarrow") is None:
        raise Wav2SmallError(NO_PYARROW)


def format_rows(rows: list[Row], kind: Format, width: int | None = None) -> bytes:
    """Turn rows into the bytes of a file.

    Args:
        rows: at least one.
        kind: format of the file.
        width: of a table, in characters; `None`: as wide as it needs, at most 200.

    Raises:
        Wav2SmallError: for Parquet without pyarrow.
    """
    if kind == "parquet":
        return _parquet(rows)
    if kind == "json":
        return (json.dumps([_record(row) for row in rows], indent=2, ensure_ascii=False) + "\n").encode()
    text = io.StringIO(newline="")
    if kind == "csv":
        writer = csv.DictWriter(text, columns(rows), lineterminator="\n")
        writer.writeheader()
        writer.writerows(_record(row) for row in rows)
    else:
        from rich.console import Console

        Console(file=text, width=width or 200).print(rows_table(rows))
    return text.getvalue().encode()


def rows_table(rows: list[Row]) -> "Table":
    """A table for the terminal, numbers to two digits; rows without speech are grey and have dashes.

    A word in brackets is uncertain: it rests on less than .5 s of speech.
    """
    from rich.markup import escape
    from rich.table import Table

    result = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    known = columns(rows)
    result.add_column("file", overflow="fold")
    if "speaker" in known:
        result.add_column("speaker", overflow="fold")
    for column in ("seconds", "arousal", "dominance", "valence"):
        result.add_column(column, justify="right", no_wrap=True)
    result.add_column("word", no_wrap=True)
    if "text" in known:
        result.add_column("text", overflow="fold")
    for file, row in rows:
        numbers = [f"{value:.2f}" if row.spoken else "-" for value in row.as_array()]
        word = f"({row.word or 'uncertain'})" if row.spoken and row.uncertain else row.word or ""
        who = [row.speaker or ""] if "speaker" in known else []
        said = [row.text or ""] if "text" in known else []
        cells = [file, *who, f"{row.start:.1f}-{row.end:.1f}", *numbers, word, *said]
        result.add_row(*(escape(printable(cell)) for cell in cells), style=None if row.spoken else "dim")
    return result


def _record(row: Row) -> dict[str, Any]:
    file, prediction = row
    values: dict[str, Any] = {"file": file}
    for name, value in prediction.as_dict().items():
        plain = printable(value) if isinstance(value, str) else value
        values[name] = round(plain, 6) if isinstance(plain, float) else plain
    return values


def _parquet(rows: list[Row]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise Wav2SmallError(NO_PYARROW) from error
    sink = io.BytesIO()
    # with types: a column of nothing has none of its own
    texts, flags = ("file", "word", "speaker", "text"), ("uncertain",)
    types = {name: pyarrow.string() if name in texts else pyarrow.bool_() if name in flags else pyarrow.float64()
             for name in columns(rows)}  # fmt: skip
    table = pyarrow.Table.from_pylist([_record(row) for row in rows], schema=pyarrow.schema(types))
    parquet.write_table(table, sink)
    return sink.getvalue()
