"""Models whose tapped weights are not their causal attention are refused with the reason."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from attention_motifs.errors import ModelError
from attention_motifs.extraction import attention, load_model, run_tapped, tap
from attention_motifs.extraction.causal_check import causal_check
from attention_motifs.models.architectures import (
    REFUSED,
    TESTED,
    check_configuration,
    layers_and_heads,
    taps_to_try,
)
from attention_motifs.models.model import LoadedModel
from conftest import Tiny
from tiny_models import make_tiny_model, save_family


@pytest.fixture
def loaded(tiny: Tiny, own_cache: Path) -> LoadedModel:
    return load_model(tiny.model("a"), device="cpu")


def refused(loaded: LoadedModel, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        causal_check(loaded)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("a: ")


def test_a_sound_model_passes(loaded: LoadedModel) -> None:
    causal_check(loaded)
    assert loaded.model.config._attn_implementation == tap.INTERFACE  # as before the check


def test_attention_that_sees_later_tokens(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AttentionInterface

    def without_mask(*arguments: Any, **options: Any) -> Any:
        return tap.tapped_attention(*arguments[:4], None, **options)

    monkeypatch.setitem(AttentionInterface._global_mapping, tap.INTERFACE, without_mask)
    refused(loaded, "layer 0 .*not causal: a token sees later ones")


def test_weights_that_are_not_handed_on(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_on = tap._pass_weights
    monkeypatch.setattr(
        tap, "_pass_weights", lambda layer, *w: hand_on(layer, *w) if layer == 0 else None
    )
    refused(loaded, r"weights came from layers \[0\], not from each of 2 once")


def test_rows_that_do_not_sum_to_one(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    softmax = attention._softmax
    monkeypatch.setattr(attention, "_softmax", lambda *a: 0.5 * softmax(*a))
    refused(loaded, "rows sum to 0.500 to 0.500: not a softmax")


def test_negative_weights(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    softmax = attention._softmax

    def lifted(*arguments: Any) -> torch.Tensor:
        weights = softmax(*arguments)
        weights[..., 3, 0] -= 1
        weights[..., 3, 1] += 1
        return weights

    monkeypatch.setattr(attention, "_softmax", lifted)
    refused(loaded, "not a softmax")


def test_attention_of_another_kind_than_the_models_own(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Causal, a softmax, and it matters: only the model's own attention tells that it is wrong.
    softmax = attention._softmax
    monkeypatch.setattr(attention, "_softmax", lambda scores, sinks: softmax(1.1 * scores, sinks))
    refused(loaded, "the output is not that of its own eager attention")


def test_weights_that_do_not_matter(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_on = tap._pass_weights

    def deaf(layer: int, *weights: Any) -> None:
        hand_on(layer, *weights)

    monkeypatch.setattr(tap, "_pass_weights", deaf)
    refused(loaded, "changing the weights does not change the output")


def test_earlier_rows_that_depend_on_later_tokens(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = loaded.model.forward

    def leaking(input_ids: torch.Tensor, **options: Any) -> Any:
        width = loaded.model.config.hidden_size
        noise = torch.arange(width) * input_ids[:, -1:, None] / width
        embedded = loaded.model.embed_tokens(input_ids) + torch.sin(noise)
        return forward(inputs_embeds=embedded, **options)

    monkeypatch.setattr(loaded.model, "forward", leaking)
    refused(loaded, "the last token changes the rows of earlier ones")


def test_weights_of_another_shape(loaded: LoadedModel) -> None:
    wrong = replace(loaded, info=replace(loaded.info, n_heads=3))
    refused(wrong, r"weights have shape \(1, 2, 6, 6\), not \(1, 3, 6, 6\)")


def test_a_model_that_does_not_run(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded.model.layers[1].self_attn, "q_proj", torch.nn.Linear(3, 3))
    refused(loaded, "layer 1 .*does not run")


def test_nan_is_mended_by_another_dtype(loaded: LoadedModel) -> None:
    with torch.no_grad():
        loaded.model.layers[1].self_attn.q_proj.weight.fill_(float("nan"))
    refused(loaded, "layer 1 .*hold NaN; try --dtype float32")


# Tapped by hooks


@pytest.fixture(params=["gpt_neo", "bloom", "falcon", "gptj"])
def hooked(request: pytest.FixtureRequest, tmp_path: Path, own_cache: Path) -> LoadedModel:
    loaded = load_model(f"a={save_family(tmp_path / 'a', request.param)}", device="cpu")
    assert loaded.info.tap == "output_attentions"
    return loaded


Attention = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def with_attention(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, other: Callable[[Attention], Attention]
) -> None:
    """Let every attention module of the model run another function, made of its own."""
    for module in tap.attention_modules(loaded.model, loaded.layers).values():
        monkeypatch.setattr(module, "forward", other(module.forward))


def sharpened(weights: torch.Tensor) -> torch.Tensor:
    """Another causal attention: rows are distributions, and it follows from the tokens."""
    return weights.square() / weights.square().sum(dim=-1, keepdim=True)


def test_sound_models_tapped_by_hooks_pass_without_a_word(
    hooked: LoadedModel, recwarn: pytest.WarningsRecorder
) -> None:
    causal_check(hooked)
    assert not [str(w.message) for w in recwarn if "held" in str(w.message)]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sound_models_tapped_by_hooks_pass_in_half_precision(
    tmp_path: Path, own_cache: Path, dtype: str
) -> None:
    folder = save_family(tmp_path / "a", "gptj")
    causal_check(load_model(str(folder), device="cpu", dtype=dtype))


def test_returned_weights_that_are_not_those_used(
    hooked: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dishonest(forward: Attention) -> Attention:
        def run(*arguments: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
            output, weights = forward(*arguments, **named)
            return output, sharpened(weights)

        return run

    with_attention(hooked, monkeypatch, dishonest)
    refused(hooked, "tapped by output_attentions: it computes something else with the weights it")


def test_weights_of_one_layer_that_are_not_those_used(
    hooked: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tap.attention_modules(hooked.model, hooked.layers)[1]
    forward = module.forward

    def run(*arguments: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
        output, weights = forward(*arguments, **named)
        return output, sharpened(weights)

    monkeypatch.setattr(module, "forward", run)
    refused(hooked, "it computes something else with the weights it returns")


def test_returned_weights_that_nothing_is_computed_with(
    hooked: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come of a softmax of their own; what the model uses does not depend on them."""

    def two_minds(forward: Attention) -> Attention:
        def run(*arguments: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
            with torch._C.DisableTorchFunction():
                output, used = forward(*arguments, **named)
            return output, torch.softmax(used.log(), dim=-1)

        return run

    with_attention(hooked, monkeypatch, two_minds)
    refused(hooked, "changing the weights does not change the output")


def test_attention_without_a_softmax_that_can_be_held_passes_with_a_word(
    hooked: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_hand(scores: torch.Tensor, dim: int = -1, **_named: Any) -> torch.Tensor:
        powers = (scores - scores.amax(dim=dim, keepdim=True)).exp()
        return powers / powers.sum(dim=dim, keepdim=True)

    monkeypatch.setattr(torch.nn.functional, "softmax", by_hand)
    with pytest.warns(UserWarning, match="^a: its architecture .* takes no softmax that could be"):
        causal_check(hooked)


def test_sinks_leave_no_softmax_that_can_be_held(tmp_path: Path, own_cache: Path) -> None:
    loaded = load_model(f"a={save_family(tmp_path / 'a', 'gpt_oss')}", device="cpu")
    loaded.model.set_attn_implementation("eager")
    with pytest.warns(UserWarning, match="architecture gpt_oss takes no softmax"):
        causal_check(replace(loaded, info=replace(loaded.info, tap="output_attentions")))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_passes(tiny: Tiny, own_cache: Path, dtype: str) -> None:
    loaded = load_model(tiny.model("b"), device="cpu", dtype=dtype)
    causal_check(loaded)
    assert next(loaded.model.parameters()).dtype == getattr(torch, dtype)
    assert loaded.info.dtype == dtype


def test_the_check_is_made_once_for_the_same_weights(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("attention_motifs.extraction.causal_check")
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    checked: list[str] = []

    def check(loaded: LoadedModel) -> None:
        checked.append(loaded.info.dtype)
        if len(checked) == 1:
            raise ModelError("refused")

    monkeypatch.setattr(module, "causal_check", check)
    with pytest.raises(ModelError, match="refused"):
        load_model(tiny.model("a"))
    load_model(tiny.model("a"))  # what failed is not remembered
    load_model(f"other_name={tiny.folder / 'a'}")
    assert checked == ["float32", "float32"]
    load_model(tiny.model("a"), dtype="bfloat16")
    load_model(tiny.model("b"))
    assert checked[2:] == ["bfloat16", "float32"]


def test_a_cache_that_cannot_be_written_costs_only_another_check(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "file"))
    assert load_model(tiny.model("a")).info.n_layers == 2


# Architectures


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_refused_architectures_are_refused_by_name(kind: str) -> None:
    from transformers import AutoConfig

    with pytest.raises(ModelError, match=f"^m: the architecture {kind} is refused: "):
        check_configuration("m", AutoConfig.for_model(kind))


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("pegasus", {}, "an encoder and a decoder"),
        ("t5gemma", {}, "an encoder and a decoder"),
        ("qwen3_next", {}, r"no softmax attention \(linear_attention\)"),
        ("recurrent_gemma", {}, "no softmax attention"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "not causal"),
    ],
)
def test_others_of_their_kind_are_refused_by_their_settings(
    kind: str, settings: dict[str, Any], reason: str
) -> None:
    from transformers import AutoConfig

    assert kind not in REFUSED
    with pytest.raises(ModelError, match=reason):
        check_configuration("m", AutoConfig.for_model(kind, **settings))


@pytest.mark.parametrize("kind", sorted(TESTED))
def test_tested_architectures_are_accepted(kind: str) -> None:
    from transformers import AutoConfig

    check_configuration("m", AutoConfig.for_model(kind))
    assert taps_to_try(kind) == (TESTED[kind].tap,)


def test_the_text_model_of_one_that_sees_is_accepted() -> None:
    from transformers import AutoConfig

    check_configuration("m", AutoConfig.for_model("gemma3"))


def test_a_configuration_without_one_number_of_heads_is_refused() -> None:
    config = SimpleNamespace(
        model_type="of-many-widths", num_hidden_layers=2, num_attention_heads=[4, 8]
    )
    with pytest.raises(ModelError, match="does not state one number of layers"):
        layers_and_heads("m", config)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("olmo", {"intermediate_size": 16}),
        ("cohere", {"intermediate_size": 16}),
        ("mpt", {"d_model": 16, "n_layers": 2, "n_heads": 2}),  # a dropout named after attention
        ("openai-gpt", {"n_embd": 16, "n_layer": 2, "n_head": 2}),  # outputs come in a list
    ],
)
def test_architectures_that_are_not_known_are_tried(
    kind: str, settings: dict[str, Any], tmp_path: Path, own_cache: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    assert kind not in TESTED
    folder = make_tiny_model(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    if kind in {"mpt", "openai-gpt"}:
        sizes = {}
    config = AutoConfig.for_model(
        kind, vocab_size=300, bos_token_id=0, eos_token_id=1, pad_token_id=1, **sizes, **settings
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    loaded = load_model(f"m={folder}", device="cpu")
    ids, kept = torch.arange(2, 10)[None], []
    run_tapped(loaded, ids, lambda _layer, weights: kept.append(weights.clone()))
    loaded.model.set_attn_implementation("eager")
    with torch.inference_mode():
        of_model = loaded.model(input_ids=ids, output_attentions=True).attentions
    for ours, theirs in zip(kept, of_model, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
