"""A network on disk: what comes back is what was saved, and what is no network is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from disk import full_disk
from safetensors.torch import save_file
from tables import make_lut

from prcim.bnn.checkpoint import Checkpoint, load_checkpoint, load_tensors, save_tensors
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.tables import integer_tables
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.file import save_luts
from prcim.errors import InputError, RunError

SPEC = MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=64, hidden=1)


def checkpoint(spec: MlpSpec = SPEC) -> Checkpoint:
    network = Mlp(spec, seed=3)
    network.train()
    network(load_digits()[0].pixels[:200])  # statistics worth saving
    network.eval()
    lut = make_lut()
    return Checkpoint(model="mlp", dataset="digits", network=network, lut=lut, noise="column", seed=3, epochs=7)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "net.safetensors"
    checkpoint().save(path)
    return path


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=128, hidden=2, dac_bits=2, amplifier_w_m=2e-6),
        MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=64, hidden=1, readout="adc", adc_bits=3, adc_step=6),
    ],
    ids=["majority", "two layers", "adc"],
)
def test_network_that_was_saved_predicts_the_same_on_the_same_chip(spec: MlpSpec, tmp_path: Path) -> None:
    before = checkpoint(spec)
    before.save(tmp_path / "net.safetensors")
    after = load_checkpoint(tmp_path / "net.safetensors")
    assert after.network.spec == spec
    assert not after.network.training
    names = ("model", "dataset", "noise", "seed", "epochs")
    assert [getattr(after, name) for name in names] == [getattr(before, name) for name in names]
    assert after.lut.sha256 == before.lut.sha256
    images = load_digits()[1]
    scores = []
    for state in (before, after):
        tables = integer_tables(state.lut, SenseAmplifier(w_m=state.network.spec.amplifier_w_m))
        chip = VirtualChip(tables=tables, model="column", number=1)
        with torch.inference_mode():
            scores.append(state.network(images.pixels, chip, Reads(images=images.index)))
    assert torch.equal(*scores)
    assert len(scores[0].argmax(1).unique()) > 1


def test_same_network_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    load_checkpoint(saved).save(tmp_path / "third.safetensors")
    assert (tmp_path / "third.safetensors").read_bytes() == saved.read_bytes()


def test_missing_network_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.safetensors does not exist; train a network first"):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_cut_file_is_refused(saved: Path, tmp_path: Path, keep: float) -> None:
    whole = saved.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(InputError, match="no prcim network or damaged"):
        load_checkpoint(tmp_path / "cut.safetensors")


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    text, pickled, tensors = tmp_path / "a.txt", tmp_path / "b.pt", tmp_path / "c.safetensors"
    text.write_text("a network\n" * 100)
    torch.save({"weight": torch.zeros(3)}, pickled)
    save_file({"weight": torch.zeros(3)}, tensors)
    for path in (text, pickled, tensors, tmp_path):
        with pytest.raises(InputError, match="no prcim network or damaged"):
            load_checkpoint(path)


def test_other_schema_is_refused_by_its_name(tmp_path: Path) -> None:
    save_tensors(tmp_path / "state", {"network.w": torch.zeros(1)}, {"schema": "prcim-network-99"})
    with pytest.raises(InputError, match="has schema 'prcim-network-99'; this version of prcim reads"):
        load_checkpoint(tmp_path / "state")
    save_tensors(tmp_path / "state", {"network.w": torch.zeros(1)}, {"recipe": {}})
    with pytest.raises(InputError, match="has schema None"):
        load_checkpoint(tmp_path / "state")


@pytest.mark.parametrize("name", ["lut", "network.first.weight", "network.columns.0.threshold"])
def test_missing_part_is_refused(saved: Path, tmp_path: Path, name: str) -> None:
    tensors, about = load_tensors(saved)
    del tensors[name]
    save_tensors(tmp_path / "net", tensors, about)
    # One line: the pattern's dot stops at the end of a line.
    with pytest.raises(InputError, match=f"damaged network file .*{name.removeprefix('network.')}.*; train again$"):
        load_checkpoint(tmp_path / "net")


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", "vgg"), ("spec", {"inputs": 64}), ("spec", {**vars(SPEC), "width": 128})],
    ids=["model", "short spec", "other width"],
)
def test_description_that_does_not_fit_is_refused(saved: Path, tmp_path: Path, key: str, value: object) -> None:
    tensors, about = load_tensors(saved)
    save_tensors(tmp_path / "net", tensors, {**about, key: value})
    with pytest.raises(InputError, match=r"net is a damaged network file|there is no model 'vgg'"):
        load_checkpoint(tmp_path / "net")


def test_table_that_was_changed_inside_is_refused(saved: Path, tmp_path: Path) -> None:
    tensors, about = load_tensors(saved)
    raw = tensors["lut"].numpy().copy()
    raw[np.flatnonzero(raw)[len(np.flatnonzero(raw)) // 2]] ^= 1
    save_tensors(tmp_path / "net", {**tensors, "lut": torch.from_numpy(raw)}, about)
    with pytest.raises(InputError, match=r"is damaged or no prcim table|does not match its checksum"):
        load_checkpoint(tmp_path / "net")


def test_table_other_than_the_named_one_is_refused(saved: Path, tmp_path: Path) -> None:
    """Whole files both, and each with a right checksum of its own."""
    tensors, about = load_tensors(saved)
    assert about["lut_sha256"] == make_lut().sha256
    other = make_lut(columns=18)
    save_luts((other,), tmp_path / "lut.npz")
    inside = torch.frombuffer(bytearray((tmp_path / "lut.npz").read_bytes()), dtype=torch.uint8)
    for changed, named in (
        ({**tensors, "lut": inside}, about),
        (tensors, {**about, "lut_sha256": other.sha256}),
    ):
        save_tensors(tmp_path / "net", changed, named)
        with pytest.raises(InputError, match=r"net names another table than it holds; train again$"):
            load_checkpoint(tmp_path / "net")
    save_tensors(tmp_path / "net", {**tensors, "lut": inside}, {**about, "lut_sha256": other.sha256})
    assert load_checkpoint(tmp_path / "net").lut.sha256 == other.sha256


@pytest.mark.parametrize("free", [0, 1000, 60_000])
def test_full_disk_is_a_failed_run_and_leaves_the_old_network_whole(saved: Path, tmp_path: Path, free: int) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(saved.read_bytes())
    assert len(saved.read_bytes()) > 60_000
    tensors, about = load_tensors(saved)
    made = checkpoint()
    with full_disk(free), pytest.raises(RunError, match=r"cannot write .*net\.safetensors: .*; free some space or"):
        save_tensors(path, tensors, {**about, "seed": 4})
    with full_disk(free), pytest.raises(RunError, match=r"cannot write .*: .*; free some space or"):
        made.save(path)
    assert path.read_bytes() == saved.read_bytes()
    assert list(tmp_path.iterdir()) == [path]
    assert load_checkpoint(path).seed == 3


def test_folder_that_cannot_be_made_is_a_failed_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write"):
        checkpoint().save(tmp_path / "file" / "net.safetensors")
