"""Products by oneDNN are those of PyTorch, and of float64."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from attention_motifs.extraction import load_model, onednn_linear, run_tapped
from tiny_models import save_family

needs_onednn = pytest.mark.skipif(
    not onednn_linear.onednn_available(), reason="PyTorch has no oneDNN for this processor"
)
sizes = st.integers(1, 40)


@pytest.fixture(scope="module", autouse=True)
def on_any_processor() -> Iterator[None]:
    """Use oneDNN also on processors on which MKL is as fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn_linear, "onednn_is_faster", onednn_linear.onednn_available)
        yield


def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the weights that are multiplied by oneDNN from now on."""
    seen: list[tuple[int, ...]] = []
    inner = torch.ops.mkldnn._linear_pointwise

    def watched(x: Tensor, weight: Tensor, *rest: object) -> Tensor:
        seen.append(tuple(weight.shape))
        return inner(x, weight, *rest)  # type: ignore[no-any-return]

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", watched)
    return seen


@given(
    sizes,
    sizes,
    sizes,
    st.sampled_from(["rows", "transposed", "every other column", "one row repeated"]),
    st.sampled_from(["rows", "transposed", "every other column"]),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_products_are_those_of_float64(
    n: int, k: int, m: int, weights: str, rows: str, biased: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)

    def matrix(n_rows: int, layout: str) -> Tensor:
        if layout == "transposed":
            return torch.randn(k, n_rows, generator=generator).t()
        if layout == "every other column":
            return torch.randn(n_rows, 2 * k, generator=generator)[:, ::2]
        if layout == "one row repeated":
            return torch.randn(1, k, generator=generator).expand(n_rows, k)
        return torch.randn(n_rows, k, generator=generator)

    x, weight = matrix(n, rows), matrix(m, weights)
    bias = torch.randn(m, generator=generator) if biased else None
    with torch.inference_mode():
        result = onednn_linear.linear(x, weight, bias)
    exact = x.double() @ weight.double().t() + (0.0 if bias is None else bias.double())
    bound = x.double().abs() @ weight.double().abs().t() + 1.0
    assert result.shape == (n, m)
    assert ((result.double() - exact).abs() <= 1e-6 * bound).all()


def test_leading_axes_and_no_rows_at_all() -> None:
    weight = torch.randn(5, 3)
    with torch.inference_mode():
        for shape in ((3,), (2, 3), (2, 4, 3), (0, 3), (2, 0, 3)):
            x = torch.randn(shape)
            torch.testing.assert_close(
                onednn_linear.linear(x, weight), functional.linear(x, weight)
            )


def test_nan_and_infinity_come_through() -> None:
    x = torch.tensor([[float("nan"), 1.0], [float("inf"), 1.0], [1.0, 1.0]])
    with torch.inference_mode():
        result = onednn_linear.linear(x, torch.ones(2, 2))
    assert result[0].isnan().all()
    assert result[1].isinf().all()
    assert result[2].tolist() == [2.0, 2.0]


def test_gradients_go_through_pytorch() -> None:
    x, weight = torch.randn(4, 3, requires_grad=True), torch.randn(2, 3)
    onednn_linear.linear(x, weight).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, weight.sum(0).expand(4, 3))


@needs_onednn
@pytest.mark.parametrize(("family", "rows"), [("llama", "q_proj"), ("gpt2", "c_attn")])
def test_layers_of_a_loaded_model_compute_by_onednn(
    family: str, rows: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(f"m={save_family(tmp_path / 'm', family)}", device="cpu")
    ids = torch.arange(2, 12)[None]
    seen = calls(monkeypatch)
    hidden = run_tapped(loaded, ids, lambda *_: None)
    attention = next(m for name, m in loaded.model.named_modules() if name.endswith(rows))
    width = attention.weight.shape
    assert tuple(width if family == "llama" else width[::-1]) in seen
    seen.clear()
    monkeypatch.setattr(onednn_linear, "by_onednn", lambda *_: False)
    torch.testing.assert_close(run_tapped(loaded, ids, lambda *_: None), hidden)
    assert not seen
    # It is still the layer that others take it for.
    assert copy.deepcopy(attention).weight.equal(attention.weight)
    if family == "llama":
        assert isinstance(attention, torch.nn.Linear)


@needs_onednn
def test_logits_too(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_family(tmp_path / "m", "llama")
    loaded = load_model(f"m={folder}", device="cpu", language_head=True)
    assert loaded.head is not None
    hidden = run_tapped(loaded, torch.arange(2, 12)[None], lambda *_: None)
    assert hidden is not None
    seen = calls(monkeypatch)
    with torch.inference_mode():
        logits = loaded.head(hidden)
        expected = hidden @ loaded.head.unembedding.t()
    assert seen == [tuple(loaded.head.unembedding.shape)]
    torch.testing.assert_close(logits, expected)


def test_bfloat16_goes_its_old_way(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(f"m={save_family(tmp_path / 'm', 'llama')}", device="cpu", dtype="bfloat16")
    seen = calls(monkeypatch)
    run_tapped(loaded, torch.arange(2, 12)[None], lambda *_: None)
    assert not seen


def test_other_layers_are_left_alone() -> None:
    class Other(torch.nn.Linear):
        pass

    model = torch.nn.Sequential(Other(2, 2), torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    onednn_linear.use_in(model)
    assert type(model[0]) is Other
    assert type(model[2]) is torch.nn.LayerNorm
    assert type(model[1]) is (
        onednn_linear.Linear if onednn_linear.onednn_available() else torch.nn.Linear
    )
