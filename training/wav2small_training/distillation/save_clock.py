"""When the state of a training is saved: after some steps, after some minutes, and when the process is asked to end."""

import signal
import threading
import time
from types import FrameType
from typing import Any, Self

import torch
from accelerate import Accelerator


class Termination:
    """Remembers that SIGTERM came, as a cluster sends it before it kills, instead of ending at once."""

    asked = False

    def __enter__(self) -> Self:
        self.before: Any = None
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            self.before = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


class SaveClock:
    """Says after each step whether it is time to save; all processes hear the same.

    Args:
        steps: from one save to the next.
        minutes: after which it is time, too.
        accelerator: of the run.
    """

    def __init__(self, steps: int, minutes: float, accelerator: Accelerator):
        self.steps, self.seconds, self.accelerator = steps, 60 * minutes, accelerator
        self.last = time.monotonic()

    def due(self, step: int, asked_to_end: bool) -> tuple[bool, bool]:
        """Whether to stop after this step, and whether to save."""
        late = time.monotonic() - self.last >= self.seconds
        if self.accelerator.num_processes > 1:  # their clocks differ, and a signal may reach one of them alone
            said = torch.tensor([[asked_to_end, late]], device=self.accelerator.device, dtype=torch.int)
            asked_to_end, late = self.accelerator.gather(said).max(dim=0).values.bool().tolist()
        save = asked_to_end or (step > 0 and (late or step % self.steps == 0))
        if save:
            self.last = time.monotonic()
        return asked_to_end, save
