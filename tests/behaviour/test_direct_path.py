"""The direct path from heads to the unembedding, family by family, and by hand for three."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attention_motifs.behaviour.direct_path import DirectPath, direct_path
from attention_motifs.behaviour.replay import decoder_layers
from attention_motifs.errors import ModelError
from attention_motifs.extraction import load_model, run_tapped
from attention_motifs.extraction.tap import output_projections
from attention_motifs.models.model import LoadedModel
from tiny_models import FAMILIES, save_family

N_LAYERS, N_HEADS, N = 3, 4, 11
TOKENS = torch.randint(2, 64, (2, N), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tmp_path_factory: Any, own_cache: Path) -> Any:
    folder = save_family(tmp_path_factory.mktemp(request.param), request.param)
    loaded = load_model(f"{request.param}={folder}", language_head=True)
    with torch.no_grad():  # fresh norms do nothing, and would hide that one is forgotten
        generator = torch.Generator().manual_seed(1)
        for name, parameter in loaded.model.named_parameters():
            if "norm" in name or "ln_" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return loaded, direct_path(loaded, TOKENS)


def close(ours: torch.Tensor, expected: torch.Tensor) -> None:
    scale = float(expected.abs().max().clamp(min=1.0))
    torch.testing.assert_close(ours, expected, atol=2e-5 * scale, rtol=0)


def test_running_beside_leaves_the_clean_run_as_it_is(
    family: tuple[LoadedModel, DirectPath],
) -> None:
    loaded, path = family
    plain = run_tapped(loaded, TOKENS, lambda *_: None)
    assert torch.equal(path.clean.hidden, plain)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


def test_only_families_with_a_norm_after_attention_have_one(
    family: tuple[LoadedModel, DirectPath],
) -> None:
    loaded, path = family
    have_one = loaded.info.architecture in {"gemma2", "gemma3_text"}
    assert set(path.after) == (set(range(N_LAYERS)) if have_one else set())


def test_heads_add_up_to_what_attention_adds(family: tuple[LoadedModel, DirectPath]) -> None:
    """The sum over heads is what leaves the projection, less its shift, and the norm after it."""
    loaded, path = family
    for layer, projection in output_projections(loaded.model, range(N_LAYERS)).items():
        outputs = path.clean.outputs[layer]
        with torch.inference_mode():
            difference = projection(outputs.flatten(2)) - projection(
                torch.zeros_like(outputs.flatten(2))
            )
            if layer in path.after:
                difference = decoder_layers(loaded)[layer].post_attention_layernorm(difference)
            close(path.added(layer, outputs).sum(dim=2), difference)


def test_parts_of_the_stream_add_up_to_the_logits(family: tuple[LoadedModel, DirectPath]) -> None:
    """Any split of what the final norm is given, here in three, adds up to what it gave."""
    _, path = family
    given = path.final.given
    shares = torch.rand(*given.shape[:2], 3, given.shape[2]) - 0.3
    shares[:, :, 2] = 1 - shares[:, :, 0] - shares[:, :, 1]
    bias = getattr(path.final.norm, "bias", None)
    with torch.inference_mode():
        whole = path.final(given[:, :, None] * shares).sum(dim=2)
    close(whole + (0.0 if bias is None else bias.detach()), path.clean.hidden)


def test_outputs_are_those_of_heads_attending_to_one_token(
    family: tuple[LoadedModel, DirectPath],
) -> None:
    """Weighted by the pattern, what each token alone would give is what the head gave."""
    _, path = family
    for layer, pattern in path.clean.patterns.items():
        mixed = torch.einsum("shij,sjhd->sihd", pattern, path.alone[layer])
        close(mixed, path.clean.outputs[layer])


@pytest.mark.parametrize("name", ["llama", "gemma3_text", "gpt2"])
def test_contributions_are_those_written_out_in_float64(
    tmp_path: Path, own_cache: Path, name: str
) -> None:
    """From transformers' weights: values, output projection, norms with the scale of the whole."""
    loaded = load_model(f"m={save_family(tmp_path / name, name)}", language_head=True)
    path = direct_path(loaded, TOKENS)
    layer, head, s = 1, 2, 1
    block: Any = decoder_layers(loaded)[layer]
    x = path.clean.inputs[layer][s].double().numpy()
    pattern = path.clean.patterns[layer][s, head].double().numpy()
    numbers = {k: v.detach().double().numpy() for k, v in block.named_parameters()}
    if name == "gpt2":
        normed = layer_norm(x, numbers["ln_1.weight"], numbers["ln_1.bias"])
        joined = normed @ numbers["attn.c_attn.weight"] + numbers["attn.c_attn.bias"]
        values = joined[:, 64 + 8 * head : 64 + 8 * (head + 1)]
        added = pattern @ values @ numbers["attn.c_proj.weight"][8 * head : 8 * (head + 1)]
        given = path.final.given[s].double().numpy()
        gain = loaded.model.ln_f.weight.detach().double().numpy()
        spread = np.sqrt(given.var(axis=1, keepdims=True) + 1e-5)
        expected = (added - added.mean(axis=1, keepdims=True)) / spread * gain
    else:
        one_more = float(name == "gemma3_text")
        eps = float(loaded.model.config.rms_norm_eps)

        def rms(of: np.ndarray) -> np.ndarray:
            return np.asarray(np.sqrt((of**2).mean(axis=1, keepdims=True) + eps))

        normed = x / rms(x) * (one_more + numbers["input_layernorm.weight"])
        rows = slice(8 * (head // 2), 8 * (head // 2 + 1))  # two query heads share a value head
        values = normed @ numbers["self_attn.v_proj.weight"][rows].T
        mixing = numbers["self_attn.o_proj.weight"]
        added = pattern @ values @ mixing[:, 8 * head : 8 * (head + 1)].T
        if one_more:
            whole = path.clean.outputs[layer][s].flatten(1).double().numpy() @ mixing.T
            gain = one_more + numbers["post_attention_layernorm.weight"]
            added = added / rms(whole) * gain
        given = path.final.given[s].double().numpy()
        gain = one_more + loaded.model.norm.weight.detach().double().numpy()
        expected = added / rms(given) * gain
    with torch.inference_mode():
        result = path.contributions(layer, path.clean.outputs[layer])[s, :, head]
    np.testing.assert_allclose(result, expected, atol=2e-5 * max(1.0, np.abs(expected).max()))


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5) * weight + bias)


def test_models_without_a_path_that_is_known_are_told(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(f"m={save_family(tmp_path / 'm', 'llama')}")
    original = loaded.model.norm.forward
    monkeypatch.setattr(loaded.model.norm, "forward", lambda x: original(x).tanh())
    with pytest.raises(ModelError, match="m: its norm LlamaRMSNorm is neither a LayerNorm nor"):
        direct_path(loaded, TOKENS)
    monkeypatch.setattr(loaded.model, "norm", torch.nn.Identity())
    with pytest.raises(ModelError):
        direct_path(loaded, TOKENS)
