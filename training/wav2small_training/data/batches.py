"""The mixture in batches, each of clips from several worker processes."""

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from wav2small.models.errors import Wav2SmallError

from .mixture import Mixture, collate


class MixedBatches:
    """Batches without end, each made of equal parts from several workers, so that it mixes what they read.

    Args:
        mixture: of this process.
        batch: clips in a batch of this process.
        samples: that a batch is padded to.
        workers: processes that decode and augment; 0 for none.
    """

    def __init__(self, mixture: Mixture, batch: int, samples: int, workers: int):
        self.mixture, self.workers = mixture, workers
        self.parts = max(part for part in range(1, max(1, workers) + 1) if batch % part == 0)
        with warnings.catch_warnings():  # torchdata calls a deprecated function of torch
            warnings.simplefilter("ignore", UserWarning)
            self.loader = StatefulDataLoader(
                mixture,
                batch_size=batch // self.parts,
                collate_fn=partial(collate, samples=samples),
                num_workers=workers,
                worker_init_fn=outlive_one_signal,
            )

    def state_dict(self) -> dict[str, Any]:
        """Position in the data, of all workers."""
        return {"workers": self.workers, "loader": self.loader.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.loader.load_state_dict(state["loader"])

    def fits(self, state: dict[str, Any]) -> bool:
        """Whether a position was saved with as many workers."""
        return bool(state["workers"] == self.workers)

    def go_on_after(self, states: list[dict[str, Any]]) -> None:
        """Go on with other workers: behind all units that those of the positions, one of each process, have begun."""
        places = [place for state in states for place in worker_places(state)]
        consumers = max(1, states[0]["workers"]) * len(states)
        if not places:
            return
        sources = zip(*(place["sources"] for place in places), strict=True)
        begun = [max(place["next"] for place in of_source) * consumers for of_source in sources]
        self.mixture.begin(max(place["draws"] for place in places), begun)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        stream = iter(self.loader)
        while True:
            with errors_of_workers():
                parts = list(islice(stream, self.parts))
            yield {key: together([part[key] for part in parts]) for key in parts[0]}


def worker_places(state: Any) -> Iterator[dict[str, Any]]:
    """The positions of a mixture that a loader keeps of its workers, wherever in its state."""
    if isinstance(state, dict):
        if {"draws", "sources"} <= state.keys():
            if state["sources"]:
                yield state
        else:
            for value in state.values():
                yield from worker_places(value)


def outlive_one_signal(worker: int) -> None:
    """Let a worker outlive the SIGTERM that a cluster sends to all processes: the training saves, then ends it."""
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(signal.SIGTERM, signal.SIG_DFL))


@contextmanager
def errors_of_workers() -> Iterator[None]:
    """Give an error of a worker process in its own words: a loader wraps it into the traceback of the worker."""
    try:
        yield
    except Wav2SmallError as error:
        if "Original Traceback" in str(error):
            raise Wav2SmallError(str(error).rpartition("Error: ")[2].strip()) from None
        raise


def together(values: list[Any]) -> Any:
    """One value of a batch from those of its parts: tensors and lists one after another, counts added."""
    if torch.is_tensor(values[0]):
        return torch.cat(values)
    return sum(values[1:], values[0])
