"""Random streams. Each item of a stream has a key of its own, (seed, stream, item), so no draw depends on another."""

from enum import IntEnum


class Stream(IntEnum):
    """What is drawn."""

    COLUMN = 1
    PATTERN = 2
    CHIP = 3
    CELL = 4
    REPLICA = 5
    AMPLIFIER = 6
    BENCH = 7
