"""The progress bar of long work on clips."""

from collections.abc import Collection, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")


class ClipsPerSecond(ProgressColumn):
    """Speed of a task, once there is one."""

    def render(self, task: Task) -> Text:
        """Print the mean speed."""
        return Text(f"{task.speed:.1f} clips/s" if task.speed else "")


def tracked(items: Collection[Item], description: str) -> Iterator[Item]:
    """Yield items with a bar, which disappears at the end."""
    with progress(transient=True) as bar:
        yield from bar.track(items, total=len(items), description=description)


def progress(*columns: ProgressColumn, disable: bool = False, transient: bool = False) -> Progress:
    """A bar on stderr with count, time left and more columns; none where stderr is not a terminal.

    Args:
        columns: added at the end.
        disable: print nothing, as on all processes but the main one.
        transient: it disappears at the end.
    """
    console = Console(stderr=True)
    usual = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*usual, *columns, console=console, disable=disable or not console.is_terminal,
                    transient=transient)  # fmt: skip
