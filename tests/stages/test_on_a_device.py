"""From the attention tap to the rows on a GPU, played on the CPU: what is copied to the host?

No GPU is needed. A kind of tensor says that it lies on one, refuses to be mixed with tensors that
do not, and writes down what is read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from attention_motifs.atlas import Atlas
from attention_motifs.extraction import stream, tap
from attention_motifs.features import compute_features, feature_names, features_of
from attention_motifs.features.registry import BUILT_IN_SETS
from attention_motifs.models.tokenizing import TokenizedPrompt
from attention_motifs.prompts import Prompt, prompts_digest
from attention_motifs.stages.create import prompts_table
from attention_motifs.stages.parts import PatternSource, Sink, extract_from
from attention_motifs.store.settings import Configuration
from features.patterns import softmax_pattern

GPU = torch.device("cuda:0")
READS = {"item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "nonzero"}
reads: list[tuple[str, int]] = []
"""What copied values to the host, and how many bytes."""


class OnGpu(torch.Tensor):
    """Values in main memory that say that they lie on a GPU."""

    device = property(lambda _: GPU)  # type: ignore[assignment]
    is_cuda = True  # type: ignore[assignment]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return on_gpu(func, args, kwargs or {})


class Factories(TorchFunctionMode):
    """Makes tensors that are asked for on the GPU of the kind that says so."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made_there = kwargs.get("device") == GPU
        return on_gpu(func, args, kwargs) if made_there else func(*args, **kwargs)


def on_gpu(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run a function of torch on the values, and note what it copies to the host."""
    with torch._C.DisableTorchFunctionSubclass():
        leaves = _note(func.__name__, list(flat([*args, *kwargs.values()])))
        args = [torch.device("cpu") if x is GPU else x for x in args]
        kwargs = {k: torch.device("cpu") if x is GPU else x for k, x in kwargs.items()}
        kind = torch.Tensor if leaves else OnGpu
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            return result.as_subclass(kind)
        if isinstance(result, tuple) and any(isinstance(x, torch.Tensor) for x in result):
            return type(result)([x.as_subclass(kind) for x in result])
    return result


def _note(name: str, given: list[Any]) -> bool:
    """Write down a read; return whether the result is a tensor on the host."""
    tensors = [x for x in given if isinstance(x, torch.Tensor)]
    if len({type(x) for x in tensors if x.ndim}) > 1:
        raise AssertionError(f"{name} of tensors on two devices")
    leaves = name == "cpu" or (name == "to" and any(str(x) == "cpu" for x in given))
    by_mask = name == "__getitem__" and any(x.dtype == torch.bool for x in tensors[1:])
    if leaves or by_mask or name in READS:
        reads.append((name, tensors[0].nbytes))
    return leaves


def flat(values: Any) -> Iterator[Any]:
    """Values, and those in lists and tuples of them."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from flat(value)
        else:
            yield value


@pytest.fixture
def gpu() -> Iterator[None]:
    reads.clear()
    with Factories():
        yield


def random_patterns(count: int, n: int) -> torch.Tensor:
    rng = np.random.default_rng(n)
    return torch.from_numpy(np.stack([softmax_pattern(rng, n) for _ in range(count)]))


@pytest.mark.parametrize("set_name", BUILT_IN_SETS)
def test_only_a_flag_is_read_while_features_are_computed(gpu: None, set_name: str) -> None:
    patterns = random_patterns(4, 20)
    rows = compute_features(patterns.as_subclass(OnGpu), set_name)
    assert type(rows) is OnGpu
    assert rows.shape == (4, len(features_of(set_name)))
    assert reads == [("__bool__", 1)]
    expected = compute_features(patterns, set_name)
    close = np.isclose(rows.cpu().numpy(), expected.numpy(), rtol=1e-3, atol=1e-4)
    assert close.mean() > 0.98


N_LAYERS, N_HEADS, N_TOKENS, N_VIEWED = 3, 4, 12, 2
SETS = ("paper", "extended")


def attention(loaded: Any, token_ids: torch.Tensor, sink: tap.LayerSink, **_: Any) -> None:
    """Stands for `run_tapped`: the tapped attention of every layer, on the GPU."""
    batch, n = token_ids.shape
    mask = torch.full((n, n), -torch.inf).triu(1).as_subclass(OnGpu)
    with tap._sending_to(sink, None):
        for layer in range(N_LAYERS):
            generator = torch.Generator().manual_seed(int(token_ids.sum()) + layer)
            query, key, value = (
                torch.randn(batch, heads, n, 8, generator=generator).as_subclass(OnGpu)
                for heads in (N_HEADS, 2, 2)
            )
            tap.tapped_attention(
                SimpleNamespace(layer_idx=layer), query, key, value, mask[None, None]
            )  # type: ignore[arg-type]


def atlas_of_made_up_prompts(path: Path) -> tuple[Atlas, list[TokenizedPrompt]]:
    prompts = [Prompt(f"Made-up prompt {i}.", "synthetic") for i in range(5)]
    configuration = Configuration(
        models=("model",),
        prompts="synthetic",
        n_prompts=len(prompts),
        max_tokens=N_TOKENS,
        feature_sets=SETS,
        n_view_prompts=N_VIEWED,
    )
    ids = tuple(range(N_TOKENS))
    tokenized = [TokenizedPrompt(p.prompt_id, ids, ("x",) * N_TOKENS) for p in prompts]
    return Atlas.create(
        path, configuration, prompts_table(prompts), prompts_digest(prompts)
    ), tokenized


def test_from_the_tap_to_the_rows_nothing_else_leaves_the_device(
    gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas, tokenized = atlas_of_made_up_prompts(tmp_path / "atlas")
    loaded: Any = SimpleNamespace(info=SimpleNamespace(name="model", n_layers=N_LAYERS))
    monkeypatch.setattr(stream, "run_tapped", attention)

    def run_block(positions: Sequence[int], sink: Sink) -> None:
        stream.for_each_layer(loaded, [tokenized[i] for i in positions], sink)

    info = {"name": "model", "weights_sha256": "0", "n_layers": N_LAYERS, "n_heads": N_HEADS}
    tokens = [(p.token_ids, p.tokens) for p in tokenized]
    extract_from(atlas, PatternSource("model", info, tokens, run_block))

    rows = len(tokenized) * N_HEADS * len(feature_names(list(SETS))) * 4
    viewed = N_HEADS * N_TOKENS**2 * 4
    of_a_layer = [("__bool__", 1), ("__bool__", 1), ("cpu", rows), *N_VIEWED * [("cpu", viewed)]]
    assert reads == N_LAYERS * of_a_layer
    (part,) = atlas.feature_parts("model")
    assert len(part) == len(tokenized) * N_LAYERS * N_HEADS
    assert np.isfinite(part.select(feature_names(list(SETS))).to_numpy()).all()


def test_the_stand_in_notices_what_must_not_happen(gpu: None) -> None:
    there = random_patterns(2, 5).as_subclass(OnGpu)
    for leave in (lambda x: x.cpu(), lambda x: x.to("cpu"), lambda x: x.sum().item()):
        reads.clear()
        leave(there)
        assert reads
    reads.clear()
    there[there > 0.5]
    assert reads
    with pytest.raises(AssertionError, match="two devices"):
        there + torch.zeros(5)
    assert torch.zeros(5, device=there.device).is_cuda
    assert (there + torch.zeros(5, device=there.device)).is_cuda
