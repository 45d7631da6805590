"""No tensor meets one of another device, tried on torch's device without values, which stands for a GPU."""

import contextlib
from typing import Any

import pytest
import torch
from tables import make_tables
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from prcim.bnn.column_sum import code_sum, majority_sum
from prcim.bnn.device import named_device
from prcim.bnn.kernels import fused
from prcim.bnn.models.chain import Chain
from prcim.bnn.models.convnet import ConvNetSpec
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.models.network import Network
from prcim.bnn.models.resnet18 import ResNet18, ResNet18Spec
from prcim.bnn.noise import NOISE_MODELS, LayerErrors, NoiseModel, Reads, VirtualChip
from prcim.cells.readouts.readout import Adc
from prcim.cli.main import status
from prcim.errors import InputError

ROWS = 16
DEVICE = torch.device("meta")
TABLES = make_tables(n_used=ROWS)


class MadeBefore:
    """A chip whose layers were made before: a die is found by values, which there are none of."""

    def __init__(self, network: Network, model: NoiseModel) -> None:
        chip = VirtualChip(tables=TABLES, model=model, number=1)
        self._layers = {layer.index: layer.errors(chip) for layer in network.column_layers()}

    def layer(self, index: int, **sizes: int) -> LayerErrors:
        found = self._layers[index]
        assert found is not None
        return found


@pytest.fixture(autouse=True)
def _without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_narrow", lambda table, device: table)
    # Autocast does not know the device.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    monkeypatch.setattr(torch, "autocast", lambda device, enabled: contextlib.nullcontext())


def network_of(kind: str, readout: str) -> Network:
    options: dict[str, Any] = {"classes": 10, "rows": ROWS, "n_used": ROWS, "readout": readout}
    options["column_norm"] = readout == "majority"
    if kind == "mlp":
        return Mlp(MlpSpec.for_images((1, 8, 8), width=32, hidden=2, **options))
    if kind == "resnet18":
        return ResNet18(ResNet18Spec.for_images((1, 8, 8), factor=0.25, **options))
    return Chain(ConvNetSpec.for_images((1, 8, 8), factor=0.25, bias_rows=0, **options))


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("readout", ["majority", "adc"])
@pytest.mark.parametrize("kind", ["mlp", "convnet", "resnet18"])
def test_networks_keep_to_the_device(kind: str, readout: str, kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In training, forward and backward, and in judging."""
    monkeypatch.setattr("prcim.bnn.column_sum.has_kernel", lambda x: kernel)
    network = network_of(kind, readout)
    chip = MadeBefore(network, "column")
    network = network.to(DEVICE)
    x, labels = torch.zeros(6, 64, device=DEVICE), torch.zeros(6, dtype=torch.int64, device=DEVICE)
    reads = Reads(images=torch.arange(6, device=DEVICE))
    nn.functional.cross_entropy(network(x, chip, reads), labels).backward()
    assert all(weight.grad is not None and weight.grad.device == DEVICE for weight in network.latent_weights())
    network.eval()
    with torch.inference_mode():
        assert network(x, chip, reads).device == DEVICE


@pytest.mark.parametrize("model", NOISE_MODELS)
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_the_definition_keeps_to_the_device(model: NoiseModel, kind: str) -> None:
    shape, window = ((5, 32), (20, 32)) if kind == "linear" else ((5, 8, 4, 4), (20, 8, 2, 2))
    chip, flash = VirtualChip(tables=TABLES, model=model, number=1), Adc(bits=3, step=2, kind="flash")
    errors = [chip.layer(0, groups=2, channels=20, comparators=count) for count in (1, flash.comparators)]
    x, weight = torch.ones(*shape, device=DEVICE), torch.ones(*window, device=DEVICE, requires_grad=True)
    # Where the numbers of the images are plays no part.
    reads, threshold = Reads(images=torch.arange(5)), torch.ones(2, 20, device=DEVICE)
    found: list[Tensor] = [
        majority_sum(x, weight, threshold, errors[0], reads, fused=False),
        code_sum(x, weight, Adc(), errors[0], reads, groups=2, fused=False),
        code_sum(x, weight, flash, errors[1], reads, groups=2, fused=False),
    ]
    for total in found:
        assert total.device == DEVICE
        assert total.shape[:2] == (5, 20)
        total.sum().backward()


def test_a_wrong_device_is_seen() -> None:
    with pytest.raises(RuntimeError, match="device"):
        torch.ones(2, device=DEVICE) + torch.ones(2)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_which_tensors_have_a_kernel(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = kind != torch.float64
    for has_triton in (True, False):
        monkeypatch.setattr(fused, "HAS_TRITON", has_triton)
        assert fused.has_kernel(torch.ones(2, dtype=kind)) == narrow
        assert not fused.has_kernel(torch.ones(2, dtype=kind, device=DEVICE))
        with FakeTensorMode():
            assert fused.has_kernel(torch.ones(2, dtype=kind, device="cuda")) == (narrow and has_triton)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"torch finds no GPU, and torch .* is built .*; take cpu, or check the driver"
    ):
        named_device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(InputError, match="there is no device 'tpu'; known ones are: cpu, cuda"):
        named_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("arguments", [["train"], ["evaluate", "none.safetensors"]], ids=lambda words: str(words[0]))
def test_commands_refuse_it_before_anything_long(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status([*arguments, "--device", "cuda"]) == 2
    assert "torch finds no GPU" in capsys.readouterr().err
