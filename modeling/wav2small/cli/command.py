"""Errors of all commands: whatever a user can fix, a missing package or a full disk included, becomes one line."""

import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ..models.errors import Wav2SmallError, Wav2SmallWarning

ROOM = "make room, or choose another place"
DISK_FAULTS = {  # what system and libraries say, in lower case: the remedy
    "no space left": ROOM,
    "disk is full": ROOM,
    "disk quota exceeded": ROOM,
    "failed writing file": ROOM,  # torch
    "read-only file system": "choose a place that can be written to",
    "permission denied": "change its permissions, or choose another place",
    "operation not permitted": "change its permissions, or choose another place",
    "readonly database": "choose a place that can be written to",
    "unable to open database": "choose a place that can be written to",
    "too many open files": "raise the limit (ulimit -n)",
    "file too large": ROOM,
    "file name too long": "choose a shorter name",
}
NOT_SHOWN = ("Cc", "Cs", "Zl", "Zp")  # control characters, bytes that are no Unicode, separators of lines


def run_command(command: Callable[[], Any]) -> None:
    """Run a command; an error that the user can fix is printed as one line on stderr, with exit code 1."""
    warnings.showwarning = _show_warning
    try:
        command()
    except Wav2SmallError as error:
        print_error(str(error))
        sys.exit(1)
    except Exception as error:  # each library that writes files has errors of its own
        fault = disk_fault(error)
        if fault is None:
            raise
        print_error(fault)
        sys.exit(1)


def disk_fault(error: BaseException) -> str | None:
    """One sentence for an error of the disk, or of an operating system's limit; `None` for any other error."""
    from ..hub import error_chain

    for each in error_chain(error):
        said = str(each).strip().splitlines() or [""]
        for words, remedy in DISK_FAULTS.items():
            if words in str(each).lower():
                if isinstance(each, OSError) and each.filename:
                    return f"{each.filename}: {each.strerror}: {remedy}"
                line = next(line for line in [*said, str(each)] if words in line.lower())
                return f"{line}: {remedy}"
    return None


def print_error(message: str) -> None:
    """Print one line to stderr."""
    typer.echo(f"wav2small: {printable(' '.join(message.split()))}", err=True)


def printable(text: str) -> str:
    r"""A text that a terminal shows and any file can hold: control characters and bytes that are no Unicode as escapes.

    >>> print(printable("a\x1b[2Jb\udcffc"))
    a\x1b[2Jb\xffc
    """
    return "".join(_escape(each) if unicodedata.category(each) in NOT_SHOWN else each for each in text)


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # how Python keeps a byte that is no Unicode
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _show_warning(
    message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    if issubclass(category, Wav2SmallWarning):
        print_error(str(message))
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn the import error of a missing package into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Wav2SmallError(f"this command needs {error.name}: pip install 'wav2small[{extra}]'") from error
