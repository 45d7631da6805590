"""What can go wrong in a way that a user can mend. Every message says what was got, what was wanted, what to do."""


class PrcimError(Exception):
    """Base of all errors that end a command with one line instead of a traceback."""

    exit_code = 1


class InputError(PrcimError):
    """The input is wrong: an unknown key, a missing or damaged file, a value out of its range. Exit status 2."""

    exit_code = 2


class RunError(PrcimError):
    """The input was right and the work failed all the same: disk full, a simulator that died. Exit status 1."""
