"""How a layer is cut into columns, and what is said when it cannot be."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prcim.bnn.column_layers import ColumnLinear
from prcim.bnn.mapping import check_mapping, groups_for
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.cells.readouts.readout import Majority
from prcim.errors import InputError

LAWS = settings(derandomize=True, deadline=None, max_examples=200)


@LAWS
@given(inputs=st.integers(1, 3000), rows=st.integers(1, 512))
def test_parts_are_equal_fit_on_the_rows_and_are_the_fewest(inputs: int, rows: int) -> None:
    groups = groups_for(inputs, rows)
    assert inputs % groups == 0
    assert inputs // groups <= rows
    assert not [fewer for fewer in range(1, groups) if inputs % fewer == 0 and inputs // fewer <= rows]


def test_published_counts_of_vgg9_at_128_rows() -> None:
    # Kim et al., arXiv 1811.02187: conv2..6 with 3 x 3 windows, then two fully connected layers.
    inputs = [9 * 128, 9 * 128, 9 * 256, 9 * 256, 9 * 512, 8192, 1024]
    assert [groups_for(n, 128) for n in inputs] == [9, 9, 18, 18, 36, 64, 8]


@LAWS
@given(groups=st.integers(1, 40), rows=st.integers(1, 256))
def test_full_columns_are_always_accepted(groups: int, rows: int) -> None:
    assert check_mapping("layer", groups * rows, rows=rows, n_used=rows) == groups


@LAWS
@given(inputs=st.integers(1, 2000), rows=st.integers(1, 256), n_used=st.integers(1, 256))
def test_a_layer_passes_only_with_the_table_of_its_columns(inputs: int, rows: int, n_used: int) -> None:
    needed = inputs // groups_for(inputs, rows)
    if needed == n_used:
        assert check_mapping("layer", inputs, rows=rows, n_used=n_used) * n_used == inputs
    else:
        with pytest.raises(
            InputError, match=f"layer with {inputs} inputs on {rows} rows needs .* {needed} used rows.*for {n_used};"
        ) as caught:
            check_mapping("layer", inputs, rows=rows, n_used=n_used)
        message = str(caught.value)
        assert message.endswith(f"characterize with rows={rows} n_used={needed}")
        # Both pieces of advice hold: the table, and the nearest width for the table there is.
        assert check_mapping("layer", inputs, rows=rows, n_used=needed) * needed == inputs
        advice = re.search(r"; choose a width of (\d+), fill columns", message)
        assert (advice is None) == (n_used > rows)
        if advice is not None:
            width = int(advice[1])
            assert check_mapping("layer", width, rows=rows, n_used=n_used) * n_used == width
            for nearer in range(max(inputs - abs(width - inputs) + 1, 1), inputs + abs(width - inputs)):
                assert nearer // groups_for(nearer, rows) != n_used


@pytest.mark.parametrize(("width", "needed", "fits"), [(100, 50, 128), (96, 48, 64), (32, 32, 64), (67, 1, 64)])
def test_width_that_does_not_fit_is_refused_by_the_layer_s_name(width: int, needed: int, fits: int) -> None:
    with pytest.raises(
        InputError, match=f"column layer 3 with {width} inputs.*choose a width of {fits}, .*n_used={needed}$"
    ):
        ColumnLinear(
            width, 8, index=3, rows=64, n_used=64, readout=Majority(), generator=torch.Generator().manual_seed(0)
        )
    with pytest.raises(InputError, match=f"column layer 0 with {width} inputs"):
        Mlp(MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=width, hidden=2))


def test_layer_has_a_weight_for_every_input_and_a_threshold_for_every_column() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = ColumnLinear(192, 5, index=0, rows=64, n_used=64, readout=Majority(), generator=generator)
    assert (layer.groups, tuple(layer.weight.shape), tuple(layer.threshold.shape)) == (3, (5, 192), (3, 5))


def test_network_takes_only_a_table_of_its_columns() -> None:
    spec = MlpSpec(inputs=64, classes=10, rows=64, n_used=32, width=32, hidden=1)
    spec.check_table(64, 32)
    for rows, n_used in ((64, 64), (32, 32)):
        with pytest.raises(InputError, match=f"for {rows} rows with {n_used} used, the network for 64 with 32"):
            spec.check_table(rows, n_used)
    with pytest.raises(InputError, match="hidden 1 with 100 inputs on 64 rows"):
        MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=100).check_table(64, 64)
