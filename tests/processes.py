"""Processes of their own, for tests that kill them, need two at once, or must not know our package.

They are forked from a server that has imported torch and the other large packages, and nothing of ours: such a process
knows no more than one that a user starts, and need not import torch again. On systems other than Linux it starts anew.
"""

import json
import multiprocessing
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

LARGE = ["accelerate", "audiomentations", "datasets", "torchdata.stateful_dataloader", "transformers.pipelines"]
CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
CONTEXT.set_forkserver_preload(LARGE)


class Running:
    """A function that runs in one or more processes; several are the ranks of torch.distributed.

    Args:
        function: of a module.
        arguments: what can be pickled.
        processes: how many.
        folder: where they run.
        environment: on top of this process's.
    """

    def __init__(
        self,
        function: Callable,
        *arguments: Any,
        processes: int = 1,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ):
        self.printed = tempfile.TemporaryDirectory()
        variables = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", **(environment or {})}
        self.processes = [
            CONTEXT.Process(target=_run, args=(function, arguments, self.printed.name, folder, variables | rank))
            for rank in _ranks(processes)
        ]
        for process in self.processes:
            process.start()

    @property
    def stdout(self) -> str:
        """What was printed so far."""
        return Path(self.printed.name, "stdout").read_text()

    @property
    def stderr(self) -> str:
        """What was printed to stderr so far."""
        return Path(self.printed.name, "stderr").read_text()

    def kill_once(self, happened: Callable[[], Any]) -> None:
        """Kill the processes as soon as something has happened; they must not end before."""
        while not happened():
            assert all(process.is_alive() for process in self.processes), self.stderr
            time.sleep(0.01)
        self._kill()

    def exit_codes(self, seconds: float = 240) -> list[int | None]:
        """Wait for the end; gives the exit code of each process, None for one that is still running."""
        end = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0, end - time.monotonic()))
        codes = [process.exitcode for process in self.processes]
        self._kill()
        return codes

    def _kill(self) -> None:
        """Kill the processes, and with them the workers of a data loader, which can outlive their parent."""
        for process in self.processes:
            if sys.platform != "win32":
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()

    def finish(self) -> str:
        """Wait for the end, which must be a good one; gives what was printed."""
        codes = self.exit_codes()
        assert set(codes) == {0}, f"exit codes {codes}: {self.stderr}"
        return self.stdout


def command(*arguments: object) -> None:
    """Be the command `wav2small` with these arguments."""
    from wav2small.cli.main import main

    sys.argv = ["wav2small", *map(str, arguments)]
    main()


def without_our_package(code: str, *arguments: object) -> None:
    """Be `python -c` where our package cannot be imported."""
    sys.modules["wav2small"] = sys.modules["wav2small_training"] = None  # type: ignore[assignment]
    as_code(code, *arguments)


def as_code(code: str, *arguments: object) -> None:
    """Be `python -c` with these arguments."""
    sys.argv = ["-c", *map(str, arguments)]
    exec(code, {"__name__": "__main__"})


def result(function: Callable, *arguments: Any, **settings: Any) -> Any:
    """The JSON of the last line that a function prints in a process of its own."""
    return json.loads(Running(function, *arguments, **settings).finish().strip().splitlines()[-1])


def _ranks(processes: int) -> list[dict[str, str]]:
    """The variables by which torch.distributed knows each process."""
    if processes == 1:
        return [{}]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(processes)}
    return [shared | {"RANK": str(i), "LOCAL_RANK": str(i)} for i in range(processes)]


def free_port() -> int:
    """A port that nobody else is given before a process binds it: the system gives those from 32768 on."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _run(function: Callable, arguments: tuple, printed: str, folder: Path | None, environment: dict[str, str]) -> None:
    multiprocessing.set_start_method(None, force=True)  # its workers are its children, as for a user
    if sys.platform != "win32":
        os.setpgrp()
    os.environ.clear()
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(Path(printed, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
    function(*arguments)
