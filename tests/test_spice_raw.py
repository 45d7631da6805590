"""ngspice's binary result file: what was written comes back, and a file that was cut off never does harm."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from prcim.spice.raw import read_raw

Table = NDArray[np.float64] | NDArray[np.complex128]
#: Any double, the two zeros, infinities and NaN included.
TABLES = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)))
#: The folder of a test is shared by its examples; each overwrites the file.
CHEAP = settings(
    derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def plot(table: Table, *, name: str = "DC transfer characteristic", points: int | None = None) -> bytes:
    """A plot as ngspice-39 writes it; `table` has shape (points, vectors)."""
    kind = "complex" if np.iscomplexobj(table) else "real"
    variables = "".join(f"\t{i}\tV(N{i})\tvoltage\n" for i in range(table.shape[1]))
    header = (
        f"Title: * binary: a title\nDate: Sun Feb  5 13:44:35  2023\nPlotname: {name}\nFlags: {kind}\n"
        f"No. Variables: {table.shape[1]}\nNo. Points: {len(table) if points is None else points:<8}\n"
        f"Variables:\n{variables}Binary:\n"
    )
    return header.encode() + table.tobytes()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "out.raw"


@CHEAP
@given(tables=st.lists(TABLES, max_size=4))
def test_what_was_written_comes_back(raw: Path, tables: list[NDArray[np.float64]]) -> None:
    raw.write_bytes(b"".join(plot(table) for table in tables))
    plots = read_raw(raw)
    assert len(plots) == len(tables)
    for found, table in zip(plots, tables, strict=True):
        assert list(found) == [f"v(n{i})" for i in range(table.shape[1])]
        np.testing.assert_array_equal(np.column_stack(list(found.values())), table)


@CHEAP
@given(first=TABLES, second=TABLES, data=st.data())
def test_cut_off_file_gives_a_beginning(
    raw: Path, first: NDArray[np.float64], second: NDArray[np.float64], data: st.DataObject
) -> None:
    whole = plot(first) + plot(second)
    raw.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1), label="bytes kept")])
    plots = read_raw(raw)
    assert len(plots) <= 2
    for found, table in zip(plots, (first, second), strict=False):
        points = np.column_stack(list(found.values()))
        np.testing.assert_array_equal(points, table[: len(points)])


@CHEAP
@given(table=TABLES, place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_damaged_file_does_no_harm(raw: Path, table: NDArray[np.float64], place: float, byte: int) -> None:
    whole = bytearray(plot(table) + plot(table))
    whole[int(place * len(whole))] = byte
    raw.write_bytes(whole)
    assert len(read_raw(raw)) <= 2


@given(noise=st.binary(max_size=200))
@CHEAP
def test_file_of_something_else_holds_no_plot(raw: Path, noise: bytes) -> None:
    raw.write_bytes(noise)
    assert read_raw(raw) == ()


def test_no_file_and_empty_file(raw: Path) -> None:
    assert read_raw(raw) == ()
    raw.write_bytes(b"")
    assert read_raw(raw) == ()


def test_complex_plot_keeps_its_real_part(raw: Path) -> None:
    table = np.array([[1 + 2j, 3 - 4j], [5 + 6j, -7 + 8j]])
    raw.write_bytes(plot(table) + plot(table.imag))
    first, second = read_raw(raw)
    assert first["v(n0)"].tolist() == [1, 5]
    assert first["v(n1)"].tolist() == [3, -7]
    assert second["v(n1)"].tolist() == [-4, 8]


def test_point_count_that_was_never_filled_in(raw: Path) -> None:
    """A run that is killed while it streams leaves a count of 0."""
    table = np.arange(6.0).reshape(3, 2)
    raw.write_bytes(plot(table, points=0) + b"\x00" * 7)
    (found,) = read_raw(raw)
    assert found["v(n1)"].tolist() == [1, 3, 5]


def test_table_of_constants_is_left_out(raw: Path) -> None:
    table = np.ones((1, 2))
    raw.write_bytes(plot(table, name="constants") + plot(2 * table))
    (found,) = read_raw(raw)
    assert found["v(n0)"].tolist() == [2]


def test_values_are_the_callers_own(raw: Path) -> None:
    raw.write_bytes(plot(np.ones((2, 1))))
    (found,) = read_raw(raw)
    found["v(n0)"][0] = 5.0
    assert found["v(n0)"].tolist() == [5, 1]
