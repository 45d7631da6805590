"""What a network asks of a chip."""

from typing import Protocol

from prcim.bnn.noise import LayerErrors


class Chip(Protocol):
    """Gives layers their errors: a virtual chip as it was made, or one that something was done to."""

    def layer(self, index: int, *, groups: int, channels: int, comparators: int = 1) -> LayerErrors:
        """The chip's columns that hold one layer."""
