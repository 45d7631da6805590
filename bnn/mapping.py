"""How many columns a layer takes."""

from prcim.errors import InputError


def groups_for(inputs: int, rows: int) -> int:
    """Columns that one output with `inputs` inputs is cut into: the fewest equal parts that fit on `rows` rows.

    Source: input splitting as in Kim et al., arXiv 1811.02187.

    Example:
        >>> groups_for(256, 64), groups_for(1152, 128), groups_for(100, 64)
        (4, 9, 2)
    """
    groups = -(-inputs // rows)
    while inputs % groups:
        groups += 1
    return groups


def check_mapping(layer: str, inputs: int, *, rows: int, n_used: int) -> int:
    """The number of groups of a layer whose columns have the size that a table was made for.

    Raises:
        InputError: the layer needs columns with another number of used rows.
    """
    groups = groups_for(inputs, rows)
    needed = inputs // groups
    if needed != n_used:
        fits = [w for w in range(n_used, 2 * inputs + 8 * rows, n_used) if w // groups_for(w, rows) == n_used]
        near = min(fits, key=lambda width: abs(width - inputs), default=None)
        advice = "" if near is None else f"choose a width of {near}, or "
        raise InputError(
            f"{layer} with {inputs} inputs on {rows} rows needs columns with {needed} used rows, but the table is for"
            f" {n_used}; {advice}characterize with rows={rows} n_used={needed}"
        )
    return groups
