"""Passes side by side, in parts and in half precision give the patterns of one pass alone."""

from __future__ import annotations

import signal
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attention_motifs.errors import ModelError, ResourceError
from attention_motifs.extraction import (
    attention,
    for_each_layer,
    load_model,
    most_at_once,
    run_tapped,
    stream,
    tap,
)
from attention_motifs.features import compute_features
from attention_motifs.features.stopping import Stopped, stopped_by
from attention_motifs.models.model import LoadedModel
from attention_motifs.models.tokenizing import TokenizedPrompt, tokenize
from conftest import Tiny
from tiny_models import make_tiny_model, save_family, texts

N_PROMPTS = 9


@pytest.fixture
def loaded(tiny: Tiny, own_cache: Path) -> LoadedModel:
    return load_model(tiny.model("b"), device="cpu")


def prompts_of(loaded: LoadedModel) -> list[TokenizedPrompt]:
    whole = tokenize(loaded, [(f"p{i}", t) for i, t in enumerate(texts(N_PROMPTS))], max_tokens=20)
    return [
        TokenizedPrompt(p.prompt_id, p.token_ids[: 12 + i % 3], p.tokens)
        for i, p in enumerate(whole)
    ]


def patterns_by(
    loaded: LoadedModel, at_once: int, threads: ThreadPoolExecutor | None = None
) -> dict[tuple[int, int], Tensor]:
    kept: dict[tuple[int, int], Tensor] = {}

    def sink(layer: int, positions: Any, patterns: Tensor) -> None:
        for row, position in enumerate(positions):
            assert (layer, position) not in kept
            kept[layer, position] = patterns[row].clone()

    for_each_layer(loaded, prompts_of(loaded), sink, 24, at_once=at_once, threads=threads)
    return kept


def passes_alive() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("attention-motifs pass")]


def test_passes_side_by_side_give_the_same_patterns(loaded: LoadedModel) -> None:
    threads = torch.get_num_threads()
    alone = patterns_by(loaded, 1)
    for at_once in (2, 3, 50):
        together, again = patterns_by(loaded, at_once), patterns_by(loaded, at_once)
        assert together.keys() == alone.keys()
        assert len(together) == 3 * N_PROMPTS
        for key, pattern in alone.items():
            assert torch.equal(together[key], again[key])
            torch.testing.assert_close(together[key], pattern, rtol=0, atol=1e-5)
    assert torch.get_num_threads() == threads
    assert not passes_alive()


def test_the_sink_is_called_from_several_threads(loaded: LoadedModel) -> None:
    at_the_same_time = threading.Barrier(2)

    def sink(layer: int, _positions: Any, _patterns: Tensor) -> None:
        if layer == 0:
            at_the_same_time.wait(timeout=60)

    for_each_layer(loaded, prompts_of(loaded)[:2], sink, 24, at_once=2)


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt])
def test_what_the_sink_raises_ends_every_pass(
    loaded: LoadedModel, kind: type[BaseException]
) -> None:
    threads = torch.get_num_threads()

    def sink(layer: int, positions: Any, _patterns: Tensor) -> None:
        if 0 in positions and layer == 1:
            raise kind("the sink's own")

    with pytest.raises(kind, match="the sink's own"):
        for_each_layer(loaded, prompts_of(loaded), sink, 24, at_once=3)
    assert not passes_alive()
    assert torch.get_num_threads() == threads


def test_a_stop_takes_effect_within_a_layer(loaded: LoadedModel) -> None:
    stop = threading.Event()
    query, mask = torch.randn(1, 1, 1, 512, 8), torch.full((512, 512), -1e30).triu(1)[None, None]
    scoring = attention.Scoring(scale=1.0, mask=mask)
    with stopped_by(stop):
        attention.attention_weights(query, query[:, :, 0], scoring, hides_later=True)
        stop.set()
        with pytest.raises(Stopped):
            attention.attention_weights(query, query[:, :, 0], scoring, hides_later=True)
    with pytest.raises(Stopped):
        for_each_layer(loaded, prompts_of(loaded), lambda *_: pytest.fail("went on"), stopped=stop)


def test_an_interrupt_does_not_wait_for_a_long_kernel(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_PATIENCE", 0.01)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
    begun, end = threading.Event(), threading.Event()

    def sink(_layer: int, positions: Any, _patterns: Tensor) -> None:
        if 0 in positions:
            begun.wait(60)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        begun.set()
        end.wait(60)  # as a native kernel, which nothing can stop

    with pytest.raises(KeyboardInterrupt):
        for_each_layer(loaded, prompts_of(loaded)[:2], sink, 24, at_once=2)
    assert passes_alive()
    end.set()
    for thread in threading.enumerate():
        if thread.name.startswith("attention-motifs pass"):
            thread.join(60)


def test_threads_that_are_given_serve_every_call(loaded: LoadedModel) -> None:
    cores = torch.get_num_threads()
    alone = patterns_by(loaded, 1)
    seen: set[threading.Thread] = set()

    def failing(layer: int, _positions: Any, _patterns: Tensor) -> None:
        seen.add(threading.current_thread())
        if layer == 1:
            raise KeyError("the sink's own")

    with ThreadPoolExecutor(2, "attention-motifs pass") as threads:
        for _ in range(3):
            with pytest.raises(KeyError, match="the sink's own"):
                for_each_layer(loaded, prompts_of(loaded), failing, 24, at_once=2, threads=threads)
            assert torch.get_num_threads() == cores
            for key, pattern in patterns_by(loaded, 2, threads).items():
                torch.testing.assert_close(pattern, alone[key], rtol=0, atol=1e-5)
        assert len(seen) <= 2
        assert 1 <= len(passes_alive()) <= 2
    assert not passes_alive()


def test_a_pattern_of_nan_is_named(tiny: Tiny, own_cache: Path) -> None:
    loaded = load_model(tiny.model("a"), device="cpu")
    with torch.no_grad():
        loaded.model.layers[1].self_attn.k_proj.weight[8:].fill_(float("nan"))  # of the second head
    with pytest.raises(ModelError, match=r"a:L1:H1: its pattern on prompt p[0-9]+ holds NaN"):
        for_each_layer(loaded, prompts_of(loaded), lambda *_: None, 24, at_once=2)


def stand_in(config: SimpleNamespace, device: str) -> torch.nn.Module:
    """A model without layers."""
    model = torch.nn.Module()
    model.config, model.device = config, torch.device(device)  # type: ignore[assignment]
    return model


def test_passes_that_share_state_run_alone(loaded: LoadedModel) -> None:
    assert most_at_once(loaded, 20) == torch.get_num_threads()
    hooked = replace(loaded, info=replace(loaded.info, tap="output_attentions"))
    assert most_at_once(hooked, 20) == 1
    for rope in ({"rope_type": "dynamic"}, {"full_attention": {"rope_type": "longrope"}}):
        config = SimpleNamespace(hidden_size=8, rope_parameters=rope)
        assert most_at_once(replace(loaded, model=stand_in(config, "cpu")), 20) == 1
    on_a_gpu = stand_in(SimpleNamespace(), "meta")
    assert most_at_once(replace(loaded, model=on_a_gpu), 20) == 1


def test_prompts_too_long_for_the_memory_are_refused(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "free_memory", lambda _device: 5 * 10**8)
    assert most_at_once(loaded, 256) >= 1
    with pytest.raises(ResourceError, match=r"20000 tokens need 4\.\d GB and 0\.5 GB.*--max-tok"):
        most_at_once(loaded, 20_000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(
        stream, "free_memory", lambda _device: 4 * stream.pass_bytes(loaded, 256) + 8
    )
    assert most_at_once(loaded, 256) == 2  # half of what is free


# Attention in parts


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt_oss", "gpt2"])
def test_attention_in_parts_is_attention(
    family: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(f"m={save_family(tmp_path / 'm', family)}", device="cpu")
    ids = torch.randint(2, 64, (3, 13), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0

    def run() -> tuple[list[Tensor], Tensor | None]:
        kept: list[Tensor] = []
        hidden = run_tapped(loaded, ids, lambda _layer, w: kept.append(w.clone()), mask)
        return kept, hidden

    whole, hidden = run()
    head = 13 * 13 * 4
    sizes = (1, head, 2 * head, 3 * head, 4 * head, 9 * head)
    for size, queries in [*((s, 128) for s in sizes), (1 << 20, 5), (2 * head, 4), (1, 1)]:
        monkeypatch.setattr(attention, "PART_BYTES", size)
        monkeypatch.setattr(attention, "PART_QUERIES", queries)
        parts, of_parts = run()
        for one, other in zip(whole, parts, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        torch.testing.assert_close(hidden, of_parts, rtol=1e-4, atol=1e-4)


class Allocations(TorchDispatchMode):
    """Follows the memory of the tensors that live, besides the weights, and its peak."""

    def __init__(self, weights: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live: dict[int, int] = {w.untyped_storage().data_ptr(): 0 for w in weights}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                address = storage.data_ptr()
                if address not in self.live:
                    self.live[address] = storage.nbytes()
                    weakref.finalize(storage, self.live.pop, address, None)
                    self.peak = max(self.peak, sum(self.live.values()))
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_patterns_of_2048_tokens_are_held_once(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, heads, width = 2048, 12, 8
    query = torch.randn(1, heads, n, width).to(dtype)
    key, value = (torch.randn(1, heads // 3, n, width).to(dtype) for _ in range(2))
    mask = torch.full((n, n), -1e30).triu(1).to(dtype)[None, None]
    patterns = heads * n * n * 4
    handed: list[int] = []
    monkeypatch.setattr(tap, "_pass_weights", lambda _layer, w, _head: handed.append(w.nbytes))
    with torch.inference_mode(), Allocations() as allocations:
        tap.tapped_attention(SimpleNamespace(layer_idx=0), query, key, value, mask)  # type: ignore[arg-type]
    assert handed == [patterns]
    assert patterns <= allocations.peak < 1.4 * patterns
    # What it is measured by sees a copy where there is one.
    with torch.inference_mode(), Allocations() as allocations:
        weights = torch.zeros(1, heads, n, n)
        torch.softmax(weights, dim=-1)
    assert allocations.peak >= 2 * patterns


def test_features_of_long_patterns_copy_none_of_them() -> None:
    import tracemalloc

    patterns = torch.softmax(
        torch.randn(6, 1024, 1024).masked_fill(torch.ones(1024, 1024).triu(1).bool(), -1e30), -1
    )

    def peak(rows: Tensor) -> int:
        tracemalloc.start()
        try:
            compute_features(rows, ["paper", "extended"], threads=1)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(patterns[:1])  # compiled
    assert peak(patterns) < peak(patterns[:2]) + patterns[0].nbytes


@pytest.mark.parametrize(("architecture", "tap"), [("llama", "attention interface"),
                                                   ("gpt2", "output_attentions")])  # fmt: skip
def test_memory_grows_neither_with_prompts_nor_with_depth(
    architecture: str, tap: Any, tmp_path: Path, own_cache: Path
) -> None:
    def peak(n_layers: int, n_prompts: int, sink: Any = lambda *_: None) -> int:
        folder = tmp_path / f"{n_layers}"
        if not folder.exists():
            make_tiny_model(folder, architecture=architecture, n_layers=n_layers)
        loaded = load_model(f"m{n_layers}={folder}", device="cpu")
        if tap != loaded.info.tap:
            loaded.model.set_attn_implementation("eager")
            loaded = replace(loaded, info=replace(loaded.info, tap=tap))
        given = [(f"p{i}", text) for i, text in enumerate(texts(n_prompts))]
        prompts = tokenize(loaded, given, max_tokens=25)
        weights = [*loaded.model.parameters(), *loaded.model.buffers()]
        with Allocations(weights) as allocations:
            for_each_layer(loaded, prompts, sink, 50)
        return allocations.peak

    kept: list[Tensor] = []
    patterns = 2 * 2 * 25 * 25 * 4  # of one layer of a pass
    least = peak(2, 2)
    assert least > patterns
    assert peak(2, 12) == peak(9, 2) == peak(9, 12) == least
    assert peak(9, 12, lambda _layer, _positions, p: kept.append(p)) > 9 * 6 * patterns


# Half precision


@pytest.mark.parametrize(("dtype", "worst"), [("bfloat16", 0.15), ("float16", 0.02)])
@pytest.mark.parametrize("model", ["a", "b", "c"])
def test_half_precision_stays_near_float32(
    tiny: Tiny, own_cache: Path, model: str, dtype: str, worst: float
) -> None:
    """Scores carry 8 or 11 bits, so weights are off by parts in 2^8 or 2^11 of scores near 10."""
    exact, half = (load_model(tiny.model(model), device="cpu", dtype=d) for d in ("float32", dtype))
    theirs, ours = patterns_by(exact, 2), patterns_by(half, 2)
    assert theirs.keys() == ours.keys()
    errors = []
    for key, pattern in ours.items():
        assert pattern.dtype == torch.float32
        # Not rounded after the softmax: rows sum to 1 as those of float32 do.
        torch.testing.assert_close(
            pattern.sum(-1), torch.ones(pattern.shape[:2]), rtol=0, atol=1e-5
        )
        assert pattern.triu(1).abs().max() == 0
        errors.append((pattern - theirs[key]).abs().max())
    assert 0 < max(errors) < worst


def test_half_precision_gives_features(tiny: Tiny, own_cache: Path) -> None:
    half = load_model(tiny.model("b"), device="cpu", dtype="bfloat16")
    exact = load_model(tiny.model("b"), device="cpu")
    rows = [
        np.concatenate(
            [compute_features(p, "paper").numpy() for _, p in sorted(patterns_by(m, 1).items())]
        )
        for m in (half, exact)
    ]
    assert np.isfinite(rows[0]).all()
    spread = rows[1].std(axis=0)
    off = np.abs(rows[0] - rows[1]).mean(axis=0)
    assert np.median(off[spread > 1e-6] / spread[spread > 1e-6]) < 0.1
