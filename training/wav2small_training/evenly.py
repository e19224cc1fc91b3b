"""A part of many clips that stands for all of them."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, from the first to the last at even distances.

    >>> evenly("abcdefg", 3)
    ['a', 'd', 'g']
    """
    places = np.linspace(0, len(items) - 1, min(most, len(items)))
    return [items[i] for i in places.round().astype(int)]
