"""Errors of all commands: whatever a user can fix, a missing package included, becomes one line."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ..models.errors import Wav2SmallError


def run_command(command: Callable[[], Any]) -> None:
    """Run a command; an error that the user can fix is printed as one line on stderr, with exit code 1."""
    try:
        command()
    except Wav2SmallError as error:
        print_error(str(error))
        sys.exit(1)


def print_error(message: str) -> None:
    """Print one line to stderr."""
    typer.echo(f"wav2small: {' '.join(message.split())}", err=True)


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn the import error of a missing package into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Wav2SmallError(f"this command needs {error.name}: pip install 'wav2small[{extra}]'") from error
