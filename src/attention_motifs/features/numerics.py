"""Settings of torch that change numbers: replaced by fixed values while this package computes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class _Setting:
    """A setting of the whole process, and the value that it has while this package computes."""

    read: Callable[[], Any]
    write: Callable[[Any], Any]
    value: Any


def _attribute(owner: Any, name: str, value: Any) -> _Setting:
    return _Setting(lambda: getattr(owner, name), lambda new: setattr(owner, name, new), value)


_mkldnn: Any = torch.backends.mkldnn

# TF32 and bfloat16 products have 3 digits. The functions that set both backends at once fail where
# a caller has set one of them.
_SETTINGS = (
    _attribute(torch.backends.cuda.matmul, "fp32_precision", "ieee"),
    _attribute(_mkldnn.matmul, "fp32_precision", "ieee"),
    _attribute(torch.backends.cuda.matmul, "allow_fp16_accumulation", False),
    _attribute(torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", True),
    _attribute(torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", True),
    _Setting(torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    _Setting(
        torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 0
    ),  # algorithms that are not deterministic are refused on a GPU
)

_process = os.getpid()

_lock = threading.Lock()
_n_inside = 0
_replaced: list[tuple[_Setting, Any]] = []


def use_own_threads() -> None:
    """Use one thread in a forked process: it would wait for ever for the threads of its parent."""
    if os.getpid() != _process and torch.get_num_threads() > 1:  # of this thread
        torch.set_num_threads(1)


def _after_fork() -> None:
    """Forget other threads of the parent, which may have been inside."""
    global _lock, _n_inside
    _lock, _n_inside = threading.Lock(), 0


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def fixed_numerics() -> Iterator[None]:
    """Compute with fixed settings of torch, and restore those of the caller afterwards.

    Numbers then depend neither on autocast, on the default dtype or device, on the precision of
    products, nor on deterministic algorithms. Threads may enter at the same time: the settings of
    the process are restored when the last one leaves. Also a decorator.
    """
    global _n_inside
    use_own_threads()
    with _lock:
        if _n_inside == 0:
            for setting in _SETTINGS:
                before = setting.read()
                if before != setting.value:
                    _replaced.append((setting, before))
                    setting.write(setting.value)
        _n_inside += 1
    try:
        with contextlib.ExitStack() as of_thread:
            for device in ("cpu", "cuda", "mps", "xpu"):
                if torch.is_autocast_enabled(device):
                    of_thread.enter_context(torch.autocast(device, enabled=False))
            if torch.get_default_device().type != "cpu":
                of_thread.enter_context(torch.device("cpu"))
            yield
    finally:
        with _lock:
            _n_inside -= 1
            while _n_inside == 0 and _replaced:
                setting, before = _replaced.pop()
                setting.write(before)
