"""Settings of torch that a caller made change no number, and are the caller's again afterwards."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attention_motifs.behaviour.ablation import Ablation, calibrate, run_ablated
from attention_motifs.behaviour.scores import behaviour_scores
from attention_motifs.extraction import extract_patterns, load_model, run_tapped
from attention_motifs.features import compute_features
from attention_motifs.features.numerics import fixed_numerics
from attention_motifs.models.model import LoadedModel
from tiny_models import make_tiny_model, texts


@contextlib.contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def reduced_products() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        assert torch.get_float32_matmul_precision() == "medium"
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def reduced_products_of_one_backend() -> Iterator[None]:
    matmul: Any = torch.backends.mkldnn.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    try:
        yield
    finally:
        assert matmul.fp32_precision == "bf16"
        matmul.fp32_precision = before


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        assert torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(False)


CALLERS: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default dtype": default_dtype,
    "reduced products": reduced_products,
    "reduced products of one backend": reduced_products_of_one_backend,
    "deterministic": deterministic,
    "no gradients": torch.no_grad,
    "default device": lambda: torch.device("meta"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny", n_layers=2)


def numbers(folder: Path) -> dict[str, np.ndarray]:
    """Return everything that is computed of a model, from its files on."""
    loaded = load_model(folder, language_head=True)
    scores = behaviour_scores(loaded, prefix=(), n_sequences=2, designs=[(10, 2)])
    batch = next(iter(extract_patterns(loaded, texts(1), max_tokens=24)))
    wide = batch.patterns.double()
    ids = torch.from_numpy(np.arange(40).reshape(2, 20))
    ablation = Ablation(((0, 1),))
    ablated = run_ablated(loaded, ids, ablation, "mean", calibration=calibrate(loaded, ids))
    return {
        "scores": scores.mean,
        "patterns": np.asarray(batch.patterns),
        "features": np.asarray(compute_features(batch.patterns, ["paper", "extended"])),
        "wide features": np.asarray(compute_features(wide, ["paper", "extended"])),
        "ablated": np.asarray(ablated),
    }


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, np.ndarray]:
    return numbers(folder)


@pytest.mark.parametrize("caller", CALLERS)
def test_a_callers_settings_change_no_number(
    caller: str, folder: Path, expected: dict[str, np.ndarray]
) -> None:
    with CALLERS[caller]():
        before = torch.get_default_dtype(), torch.is_autocast_enabled("cpu")
        seen = numbers(folder)
        assert (torch.get_default_dtype(), torch.is_autocast_enabled("cpu")) == before
    for name, values in expected.items():
        assert seen[name].dtype == values.dtype, name
        np.testing.assert_array_equal(seen[name], values, err_msg=name)


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_the_number_of_threads_changes_no_more_than_the_last_digits(
    n_threads: int, folder: Path, expected: dict[str, np.ndarray]
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        seen = numbers(folder)
    finally:
        torch.set_num_threads(before)
    for name, values in expected.items():
        np.testing.assert_allclose(seen[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_settings_return_when_the_last_thread_leaves() -> None:
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with fixed_numerics():
            inside.set()
            leave.wait(timeout=60)

    with default_dtype():
        thread = threading.Thread(target=work)
        with fixed_numerics():
            thread.start()
            inside.wait(timeout=60)
            assert torch.get_default_dtype() == torch.float32
        assert torch.get_default_dtype() == torch.float32
        leave.set()
        thread.join(timeout=60)
        assert torch.get_default_dtype() == torch.float64


def test_settings_return_after_an_error(folder: Path) -> None:
    loaded: LoadedModel = load_model(folder)

    def fail(_layer: int, _weights: torch.Tensor) -> None:
        raise KeyError("of the sink")

    with default_dtype():
        with pytest.raises(KeyError):
            run_tapped(loaded, torch.arange(8)[None], fail)
        assert torch.get_default_dtype() == torch.float64


def _patterns_in_child(folder: Path, loaded: LoadedModel | None) -> None:
    for batch in extract_patterns(loaded or f"m={folder}", texts(1, 8), max_tokens=200):
        compute_features(batch.patterns.double(), "paper")
        batch.patterns.sum()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_forked_process_does_not_wait_for_threads_of_its_parent(
    is_loaded: bool, folder: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        loaded = load_model(f"m={folder}")
        _patterns_in_child(folder, loaded)
        arguments = (folder, loaded if is_loaded else None)
        child = multiprocessing.get_context("fork").Process(
            target=_patterns_in_child, args=arguments
        )
        child.start()
        child.join(timeout=60)
        assert child.exitcode == 0
        child.close()
    finally:
        torch.set_num_threads(before)
