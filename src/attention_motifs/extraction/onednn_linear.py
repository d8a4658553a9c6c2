"""Linear layers on the CPU, computed by the faster of the two libraries in PyTorch.

PyTorch computes float32 products on the CPU with MKL, which uses half the vector width on
processors of other makers than Intel. oneDNN, which is part of PyTorch, uses the full width there
(benchmarks/onednn_linear.py). It adds up each sum in one piece, which is less exact than MKL: the
patterns of a model of 30 layers differ from MKL's by up to 3e-5. On processors of Intel MKL is as
fast, so that products there are those of PyTorch, to the bit. The weights are not copied or
changed.
"""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float


def linear(
    x: Float[Tensor, "*batch k"],
    weight: Float[Tensor, "m k"],
    bias: Float[Tensor, " m"] | None = None,
) -> Float[Tensor, "*batch m"]:
    """Return the products of the rows of `x` with those of `weight`, plus the bias.

    For gradients, on other devices and for other dtypes it calls `torch.nn.functional.linear`.

    Args:
        x: any number of axes before the last.
        weight: contiguous, or the transpose of a contiguous matrix; else it is copied.
        bias: added to every row.
    """
    return product(x, weight, bias) if by_onednn(x, weight) else functional.linear(x, weight, bias)


def product(
    x: Float[Tensor, "*batch k"],
    weight: Float[Tensor, "m k"],
    bias: Float[Tensor, " m"] | None = None,
) -> Float[Tensor, "*batch m"]:
    """Return what `linear` does, by oneDNN on any processor."""
    if not (weight.is_contiguous() or weight.t().is_contiguous()):
        weight = weight.contiguous()  # oneDNN has no fast way for others
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Return whether `linear` of these tensors uses oneDNN."""
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        and x.numel() > 0
        and onednn_is_faster()
    )


@lru_cache(maxsize=1)
def onednn_is_faster() -> bool:
    """Return whether oneDNN is available and the processor is not made by Intel.

    The answer does not depend on a measurement, so that the same machine gives the same numbers.
    """
    return onednn_available() and not _made_by_intel()


def _made_by_intel() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # macOS runs on no other x86 processors
        return platform.system() == "Darwin" or "Intel" in platform.processor()


@lru_cache(maxsize=1)
def onednn_available() -> bool:
    """Return whether oneDNN is available: on x86 processors, in a PyTorch that has it."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.enabled:
        return False
    ones = torch.ones(1, 1)
    try:
        with torch.no_grad():
            return bool(torch.ops.mkldnn._linear_pointwise(ones, ones, None, "none", [], "") == 1)
    except (AttributeError, RuntimeError):  # PyTorch without oneDNN, or with other operators
        return False


class Linear(torch.nn.Linear):
    """A linear layer that computes with `linear`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Return input weight^T + bias."""
        return linear(input, self.weight, self.bias)


def use_in(model: torch.nn.Module) -> None:
    """Make the linear layers of a model on the CPU compute with `linear`.

    Layers of other classes, such as those of quantised models, are not changed.
    """
    from transformers.pytorch_utils import Conv1D

    class Transposed(Conv1D):  # type: ignore[misc]  # transformers is not typed
        def forward(self, x: Tensor) -> Tensor:
            return linear(x, self.weight.t(), self.bias)

    if not onednn_is_faster():
        return
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = Linear
        elif type(module) is Conv1D:
            module.__class__ = Transposed
