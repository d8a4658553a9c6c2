"""Models of TransformerLens and nnsight: our patterns are those that the library itself gives."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

import attention_motifs as am
from attention_motifs.errors import ModelError
from attention_motifs.extraction import run_tapped
from attention_motifs.models.in_memory import in_memory
from tiny_models import make_tiny_model

PROMPT = "one two three one two three"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny", architecture="gpt2")


def of_transformers(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    return model.eval(), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def hooked(folder: Path) -> Any:
    """A HookedTransformer of random weights."""
    lens = pytest.importorskip(
        "transformer_lens", reason="TransformerLens is not installed", exc_type=ImportError
    )
    if int(version("transformer_lens").partition(".")[0]) > 3:
        pytest.skip("TransformerLens from version 4 on has no HookedTransformer")
    _, tokenizer = of_transformers(folder)
    config = lens.HookedTransformerConfig(
        n_layers=2, d_model=16, n_ctx=256, d_head=8, n_heads=2, d_mlp=32, act_fn="gelu",
        d_vocab=len(tokenizer), normalization_type="LN", seed=1, initializer_range=0.4,
        device="cpu",
    )  # fmt: skip
    return lens.HookedTransformer(config, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Any:
    lens = pytest.importorskip(
        "transformer_lens.model_bridge",
        reason="TransformerLens from version 3 on is not installed",
        exc_type=ImportError,
    )
    model, tokenizer = of_transformers(folder)
    return lens.TransformerBridge.boot_transformers(
        str(folder), hf_model=model, tokenizer=tokenizer, device="cpu"
    )


@pytest.fixture(scope="module", params=["hooked", "bridge"])
def lens_model(request: Any) -> Any:
    return request.getfixturevalue(request.param)


def hooks(model: Any) -> dict[str, tuple[int, int]]:
    return {
        name: (len(module._forward_hooks), len(module._forward_pre_hooks))
        for name, module in model.named_modules()
    }


def test_patterns_are_those_of_the_cache(lens_model: Any) -> None:
    lens_model.train()
    loaded = am.load_model(lens_model)
    ids = torch.tensor([lens_model.tokenizer(PROMPT)["input_ids"]])
    lens_model.eval()
    _, cache = lens_model.run_with_cache(ids)
    before, count = lens_model(ids), hooks(lens_model)
    batches = list(am.extract_patterns(lens_model, PROMPT))
    assert [b.layer for b in batches] == list(range(loaded.info.n_layers))
    for batch in batches:
        expected = cache[f"blocks.{batch.layer}.attn.hook_pattern"][0]
        torch.testing.assert_close(batch.patterns, expected.detach(), atol=1e-5, rtol=0)
    assert loaded.info.tap == "hook points"
    assert torch.equal(lens_model(ids), before)
    assert hooks(lens_model) == count


def test_features_of_the_cache_are_those_of_the_batches(lens_model: Any) -> None:
    ids = torch.tensor([lens_model.tokenizer(PROMPT)["input_ids"]])
    _, cache = lens_model.run_with_cache(ids)
    features = am.compute_features(cache)
    for batch in am.extract_patterns(lens_model, PROMPT):
        torch.testing.assert_close(
            features[batch.layer, 0], am.compute_features(batch.patterns), atol=1e-4, rtol=1e-4
        )


def test_the_head_gives_the_logits(lens_model: Any) -> None:
    loaded = am.load_model(lens_model, language_head=True)
    ids = torch.tensor([[5, 6, 7, 5, 6]])
    hidden = run_tapped(loaded, ids, lambda *_: None)
    assert loaded.head is not None
    with torch.inference_mode():
        torch.testing.assert_close(loaded.head(hidden), lens_model(ids), atol=1e-4, rtol=1e-4)


def test_outputs_of_heads_are_replaced(lens_model: Any) -> None:
    loaded = am.load_model(lens_model)
    ids = torch.tensor([[5, 6, 7, 5, 6]])
    shapes = []

    def without_first(_layer: int, output: torch.Tensor) -> None:
        shapes.append(tuple(output.shape))
        output[:, :, 0] = 0

    changed = run_tapped(loaded, ids, lambda *_: None, output_sink=without_first)
    plain = run_tapped(loaded, ids, lambda *_: None)
    width = lens_model.cfg.d_head
    assert shapes == [(1, 5, loaded.info.n_heads, width)] * loaded.info.n_layers
    assert changed is not None
    assert plain is not None
    assert not torch.equal(changed, plain)


def test_a_lens_model_is_scored_and_ablated(lens_model: Any, tmp_path: Path) -> None:
    settings = am.Configuration(
        models="x", n_prompts=16, max_tokens=24, n_components=4, n_probes=2, probe_tokens=40,
        n_view_prompts=1,
    )  # fmt: skip
    mine = {"mine": lens_model}
    atlas = am.build(tmp_path / "atlas", settings, models=mine, metrics=["mean"])
    scored = am.score(atlas.path, models=mine)
    assert scored.heads["induction"].null_count() == 0
    rows = am.ablate(
        atlas.path, "mine:L1:H0", model=lens_model, designs="repeated", n_sequences=2, n_controls=1
    )
    assert rows["effect"].is_finite().all()


def test_changed_weights_of_a_lens_model_are_noticed(lens_model: Any) -> None:
    first = in_memory(lens_model, "m").weights_sha256
    weight = next(p for p in lens_model.parameters() if p.is_floating_point()).data
    weight += 0.5
    second = in_memory(lens_model, "m").weights_sha256
    weight -= 0.5
    assert first != second


def test_a_lens_model_without_patterns_is_refused(hooked: Any) -> None:
    from unittest.mock import patch

    kept = {name: point for name, point in hooked.hook_dict.items() if "pattern" not in name}
    with patch.object(hooked, "hook_dict", kept), pytest.raises(ModelError, match="hook_pattern"):
        am.load_model(hooked)


@pytest.mark.filterwarnings("ignore:LanguageModel is deprecated")
def test_a_model_of_nnsight_is_the_model_in_it(folder: Path) -> None:
    nnsight = pytest.importorskip(
        "nnsight", reason="nnsight is not installed", exc_type=ImportError
    )
    model, tokenizer = of_transformers(folder)
    wrapped = nnsight.LanguageModel(model, tokenizer=tokenizer)
    ids = tokenizer(PROMPT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before = model(ids).logits
        expected = model(ids, output_attentions=True).attentions
    for batch in am.extract_patterns(wrapped, PROMPT):
        torch.testing.assert_close(batch.patterns, expected[batch.layer][0], atol=1e-5, rtol=0)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, before)


def test_a_model_of_nnterp_is_the_model_in_it(folder: Path) -> None:
    nnterp = pytest.importorskip("nnterp", reason="nnterp is not installed", exc_type=ImportError)
    model, tokenizer = of_transformers(folder)
    wrapped = nnterp.StandardizedTransformer(model, tokenizer=tokenizer)
    expected = [b.patterns for b in am.extract_patterns((model, tokenizer), PROMPT)]
    for batch in am.extract_patterns(wrapped, PROMPT):
        torch.testing.assert_close(batch.patterns, expected[batch.layer], atol=1e-5, rtol=0)


def test_a_model_quantised_by_bitsandbytes_is_tapped_as_it_runs(
    tmp_path: Path, own_cache: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    folder = make_tiny_model(tmp_path / "tiny")
    sizes = {"hidden_size": 128, "intermediate_size": 128, "head_dim": 64, "vocab_size": 320}
    config = AutoConfig.from_pretrained(folder, **sizes)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=BitsAndBytesConfig(load_in_4bit=True),
        attn_implementation="eager",
        device_map="cpu",
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(PROMPT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before = model(ids, output_attentions=True)
    batches = list(am.extract_patterns((model, tokenizer), PROMPT))
    assert len(batches) == 2
    for batch in batches:
        expected = before.attentions[batch.layer][0].float()
        torch.testing.assert_close(batch.patterns, expected, atol=1e-5, rtol=0)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, before.logits)


def test_8_bit_layers_that_round_tokens_together_are_named(tmp_path: Path, own_cache: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    folder = make_tiny_model(tmp_path / "tiny", n_heads=8)
    model = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=BitsAndBytesConfig(load_in_8bit=True), device_map="cpu"
    )
    with pytest.raises(ModelError, match="8-bit layers"):
        am.load_model((model, AutoTokenizer.from_pretrained(folder)))
