"""What a network gives to its C source."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """A network as C.

    Attributes:
        code: stem of its two files beside this one: the state in `code.h`, the functions in `code.c`.
        shapes: how frames become predictions, in words.
        sizes: of the state; definitions in the header, with the prefix `WAV2SMALL_`.
        tables: definitions and tables of the source that do not depend on the bits of a weight.
        layers: those that do, from the bits.
        outputs: names beyond arousal, dominance and valence.
        behind: seconds that a stream hears before it has a step.
    """

    code: str
    shapes: str
    sizes: dict[str, int]
    tables: str
    layers: Callable[[int], str]
    outputs: tuple[str, ...]
    behind: float
