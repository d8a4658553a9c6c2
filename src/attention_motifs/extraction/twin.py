"""Twins of modules: new modules that compute with the same weights.

A model that a user holds must not change. So its twin gets our attention function, our hooks and
the evaluation mode. Its modules, configuration and buffers that a pass may replace are new objects;
its weights are the same memory, on the same device.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attention_motifs.errors import ModelError


def twin_of(model: torch.nn.Module, *, shared: tuple[Any, ...] = ()) -> Any:
    """Return a copy of a model's modules that shares its weights, in evaluation mode.

    Args:
        model: any module; it is not changed.
        shared: other objects that the twin refers to instead of copying them.

    Raises:
        ModelError: if an object in the model cannot be copied.
    """
    memo: dict[int, Any] = {id(thing): thing for thing in shared}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                memo[id(parameter)] = _without_gradient(parameter)
        for buffer in module._buffers.values():
            if buffer is not None:
                memo[id(buffer)] = buffer
    try:
        with _SharedTensors():
            twin = copy.deepcopy(model, memo)
    except Exception as error:  # locks, streams and generators refuse in their own ways
        reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise ModelError(
            f"{type(model).__name__}: its modules cannot be copied ({reason}). Save the model with "
            "save_pretrained and give the folder"
        ) from error
    for module in twin.modules():
        _run_own_forward(module)
    return twin.eval()


def _run_own_forward(module: torch.nn.Module) -> None:
    """Remove the wrapper of nnsight (0.7), a function of the module that it was put on."""
    attributes = vars(module)
    if attributes.pop("__nnsight_forward__", None) is not None:
        attributes.pop("forward", None)


def _without_gradient(parameter: Tensor) -> Tensor:
    """Return a parameter over the same memory that asks for no gradient."""
    if type(parameter) is not torch.nn.Parameter:
        return parameter  # of a quantised layer, with a state of its own
    return torch.nn.Parameter(parameter.detach(), requires_grad=False)


class _SharedTensors(TorchFunctionMode):
    """Makes copies of tensors refer to the tensors themselves."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "__deepcopy__":
            return args[0]
        return func(*args, **(kwargs or {}))
