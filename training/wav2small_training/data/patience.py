"""A Hub that stumbles: what fails for a while is tried again for minutes, and the progress line says so."""

import multiprocessing
import time
from collections.abc import Callable
from typing import Any, TypeVar

from huggingface_hub.errors import OfflineModeIsEnabled
from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.text import Text

from wav2small.hub import error_chain

AT_START = 1.0  # minutes that an opening is waited for
MINUTES = 15.0  # until a failure is final
CLIENTS = ("aiohttp", "httpcore", "httpx", "requests", "urllib3")  # whose errors without a status are of the connection
FIRST, LONGEST = 1.0, 60.0  # s from one try to the next; doubled each time
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses of a server that may be well again soon
NOTE: Any = multiprocessing.Array("c", 160)  # what is waited for; worker processes that are forked share it

Result = TypeVar("Result")


class Waiting(ProgressColumn):
    """What is waited for, on a progress line."""

    def render(self, task: Task) -> Text:
        """Print it, where something is."""
        return Text(NOTE.value.decode(), style="yellow")


def patiently(
    work: Callable[[], Result], what: str, before_again: Callable[[], None] = lambda: None, minutes: float | None = None
) -> Result:
    """Do something that may need the network, again and again while it fails for a reason that passes.

    Args:
        work: to do.
        what: is waited for, for the progress line.
        before_again: called before each further try.
        minutes: after which the failure is final; default: [`MINUTES`].

    Raises:
        Exception: the last one of `work`, after these minutes or where waiting does not help.
    """
    end, pause = time.monotonic() + 60 * (MINUTES if minutes is None else minutes), FIRST
    waited = False
    while True:
        try:
            if waited:
                before_again()
            result = work()
        except Exception as error:
            reason = passing_reason(error)
            if reason is None or time.monotonic() + pause > end:
                raise
            note = f"waiting for {what}: {reason}"
            NOTE.value = note[:159].encode("ascii", "replace")
            if not waited:
                told = Console(stderr=True)
                if not told.is_terminal:  # which shows the progress line
                    told.print(note, soft_wrap=True)
            time.sleep(pause)
            pause, waited = min(2 * pause, LONGEST), True
        else:
            if waited:
                NOTE.value = b""
            return result


def passing_reason(error: BaseException) -> str | None:
    """Why something failed that may work again soon; None for other failures."""
    for each in error_chain(error):
        status = getattr(getattr(each, "response", None), "status_code", None)
        if status:
            return f"status {status}" if status in PASSING else None
    for each in error_chain(error):
        if isinstance(each, OfflineModeIsEnabled):
            return None
        if isinstance(each, ConnectionError | TimeoutError) or type(each).__module__.split(".")[0] in CLIENTS:
            return "the connection broke"
    return None
