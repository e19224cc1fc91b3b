"""Bring the public corpora of the recipes from their homes: `python -m wav2small_training.data.fetch_speech FOLDER`.

Archives go to FOLDER/downloads, where files that came by other means are taken, too. Each corpus becomes a folder of
16 kHz mono FLAC files with a `metadata.csv`, whole or not at all. A download that was stopped goes on.
"""

import csv
import hashlib
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Annotated
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import soundfile
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from wav2small.atomic import whole_file, whole_folder
from wav2small.cli.command import print_error, run_command
from wav2small.models.adv import LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.audio import read_audio
from wav2small.models.errors import Wav2SmallError

from .public_corpora import CORPORA, PublicCorpus, Row

CHUNK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
CHECKSUMS = "checksums.json"


def fetch(corpus: PublicCorpus, folder: Path) -> int:
    """Download and unpack one corpus, unless it is there.

    Args:
        corpus: which one.
        folder: of all corpora.

    Returns:
        How many clips its folder has.

    Raises:
        Wav2SmallError: if the archive cannot be had, is not the one that was expected, or holds no clips.
    """
    target = folder / corpus.name
    if (target / "metadata.csv").is_file():
        with (target / "metadata.csv").open(encoding="utf-8", newline="") as file:
            return sum(1 for _ in csv.DictReader(file))
    archive = folder / "downloads" / corpus.file
    archive.parent.mkdir(parents=True, exist_ok=True)
    if not archive.is_file():
        download(corpus, archive)
    check(corpus, archive)
    return unpack(corpus, archive, target)


def download(corpus: PublicCorpus, archive: Path) -> None:
    """Download an archive; what an earlier try left in `NAME.part` is kept where the server can go on from there."""
    part = archive.with_name(f"{archive.name}.part")
    begun = part.stat().st_size if part.is_file() else 0
    request = Request(corpus.url, headers={"User-Agent": "wav2small"} | ({"Range": f"bytes={begun}-"} if begun else {}))
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == 206
            length = answer.headers.get("Content-Length")
            expected = int(length) + begun * resumed if length else None
            with part.open("ab" if resumed else "wb") as file:
                _copy(answer, file, corpus.name, expected)
    except HTTPError as error:
        if error.code == 416:  # all of it, or of another file, is here: begin again
            part.unlink()
        raise _unreachable(corpus, archive, f"the server says {error.code}") from None
    except (HTTPException, OSError) as error:  # a URLError is an OSError
        raise _unreachable(corpus, archive, str(getattr(error, "reason", error))) from None
    if expected is not None and part.stat().st_size != expected:
        raise _unreachable(corpus, archive, f"it stopped at {part.stat().st_size:,} of {expected:,} bytes")
    part.rename(archive)


def _copy(answer: IO[bytes], file: IO[bytes], name: str, expected: int | None) -> None:
    console = Console(stderr=True)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=expected, completed=file.tell())
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            progress.advance(task, len(chunk))


def _unreachable(corpus: PublicCorpus, archive: Path, reason: str) -> Wav2SmallError:
    return Wav2SmallError(
        f"{corpus.name} did not come from {corpus.url} ({reason}): run this again, "
        f"or bring that file here by other means, as {archive}"
    )


def check(corpus: PublicCorpus, archive: Path) -> None:
    """Compare an archive with its published SHA-256, or else with that of the first one that came.

    Raises:
        Wav2SmallError: if it is another file.
    """
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    record = archive.with_name(CHECKSUMS)
    known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    expected = corpus.sha256 or known.get(corpus.file, found)
    if found != expected:
        remedy = "delete it and run this again"
        if not corpus.sha256:
            remedy += f"; if its publisher has changed it, delete its line in {record}, too"
        raise Wav2SmallError(f"{archive} has the SHA-256 {found} instead of {expected}: {remedy}")
    if known.get(corpus.file) != found:
        with whole_file(record) as temporary:
            temporary.write_text(json.dumps(known | {corpus.file: found}, indent=2, sort_keys=True) + "\n")


def unpack(corpus: PublicCorpus, archive: Path, target: Path) -> int:
    """Turn an archive into a folder of FLAC files with a metadata.csv; unreadable and silent clips are left out."""
    try:
        texts = {
            path: file.read().decode("utf-8", errors="replace")
            for path, file in (members(archive) if corpus.texts else ())
            if re.search(corpus.texts or "", path)
        }
        with whole_folder(target) as temporary:
            rows: dict[str, Row] = {}
            for path, file in members(archive):
                row = corpus.row(path, texts)
                if row is None or row["file_name"] in rows:
                    continue
                seconds = _convert(file, temporary / f"{row['file_name']}.flac")
                if seconds:
                    rows[row["file_name"]] = {
                        **row,
                        "file_name": f"{row['file_name']}.flac",
                        "duration_s": f"{seconds:.3f}",
                        "licence": corpus.licence,
                        "source": corpus.home,
                    }
            if not rows:
                raise Wav2SmallError(f"{archive} holds no clips of {corpus.name}: is it the file from {corpus.url}?")
            _write_table([rows[name] for name in sorted(rows)], temporary / "metadata.csv")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise Wav2SmallError(f"{archive} cannot be unpacked ({error}): delete it and run this again") from None
    return len(rows)


def members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Files of a .zip or .tar archive: path in it, and content; each is to be read before the next one."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    with zipped.open(info) as file:
                        yield info.filename, file
    else:
        with tarfile.open(archive, "r|*") as tape:  # as a stream: seeking in a compressed file begins anew each time
            for member in tape:
                content = tape.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield member.name, content


def _convert(file: IO[bytes], path: Path) -> float:
    """Write one clip as 16 kHz mono FLAC and return its length in s; 0 if it cannot be read, or holds nothing."""
    try:
        samples = read_audio(file.read(), SAMPLING_RATE)
    except Wav2SmallError:
        return 0.0
    seconds = len(samples) / SAMPLING_RATE
    if seconds < LEAST_SECONDS or not np.ptp(samples):
        return 0.0
    soundfile.write(path, np.clip(samples, -1, 1), SAMPLING_RATE, subtype="PCM_16")
    return seconds


def _write_table(rows: list[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def overview(corpora: list[PublicCorpus], folder: Path) -> Table:
    """Licence, amount and home of corpora, and which of them are there."""
    table = Table("corpus", "what", "licence", "home", "here")
    for corpus in corpora:
        here = "yes" if (folder / corpus.name / "metadata.csv").is_file() else "no"
        table.add_row(corpus.name, f"{corpus.title}: {corpus.amount}", corpus.licence, corpus.home, here)
    return table


def main(
    folder: Annotated[Path, typer.Argument(help="Where they go, a folder for each.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[CORPUS]...", help="Default: all.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show licence and amount, and download nothing.")] = False,
) -> None:
    """Bring public corpora from their homes, as folders of 16 kHz FLAC files with a metadata.csv."""
    if unknown := set(names or ()) - CORPORA.keys():
        raise Wav2SmallError(f"there is no corpus {', '.join(sorted(unknown))}; there are {', '.join(CORPORA)}")
    chosen = [CORPORA[name] for name in names or CORPORA]
    Console().print(overview(chosen, folder))
    if show:
        return
    failed = False
    for corpus in chosen:
        try:
            typer.echo(f"{corpus.name}: {fetch(corpus, folder):,} clips in {folder / corpus.name}")
        except Wav2SmallError as error:
            print_error(str(error))
            failed = True
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
