"""Heads taken out through the tap, held against the same done by hand, family by family."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from attention_motifs.behaviour import METHODS, Ablation, calibrate, replay_ablated, run_ablated
from attention_motifs.behaviour.replay import check_replay, clean_run
from attention_motifs.errors import InputError, ModelError
from attention_motifs.extraction import load_model, run_tapped
from attention_motifs.extraction.tap import attention_modules, output_projections
from attention_motifs.models.model import LoadedModel
from tiny_models import FAMILIES, save_family

N_LAYERS, N_HEADS, N = 3, 4, 11
SOME = (
    Ablation(((0, 1),)),
    Ablation(((1, 0), (1, 3))),
    Ablation(((0, 2), (1, 1), (2, 0), (2, 3))),
    Ablation(((2, 2),)),
)


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tmp_path_factory: Any, own_cache: Path) -> Any:
    folder = save_family(tmp_path_factory.mktemp(request.param), request.param)
    return load_model(f"{request.param}={folder}", language_head=True), folder


def tokens(seed: int = 0, rows: int = 2, n: int = N) -> Tensor:
    return torch.randint(2, 64, (rows, n), generator=torch.Generator().manual_seed(seed))


@lru_cache
def by_transformers(folder: Path) -> Any:
    """The model as transformers loads it; loading takes ten times as long as a copy."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()


def by_hand(folder: Path, change: Callable[[list[torch.nn.Module]], Any]) -> Any:
    """The model as transformers runs it, changed at its output projections."""
    whole = copy.deepcopy(by_transformers(folder))
    change(list(output_projections(whole.base_model, range(N_LAYERS)).values()))
    return whole


def without_slices(ablation: Ablation) -> Callable[[list[torch.nn.Module]], None]:
    """Set the weights to zero by which the heads' outputs enter."""

    def change(projections: list[torch.nn.Module]) -> None:
        for layer, head in ablation.heads:
            weight: Any = projections[layer].weight.data
            if type(projections[layer]).__name__ == "Conv1D":  # GPT-2 has it the other way round
                weight = weight.T
            width = weight.shape[1] // N_HEADS
            weight[:, head * width : (head + 1) * width] = 0.0

    return change


def with_outputs(
    ablation: Ablation, instead: Callable[[int, int], Tensor]
) -> Callable[[list[torch.nn.Module]], None]:
    """Put other outputs in place before the projections."""

    def change(projections: list[torch.nn.Module]) -> None:
        for layer, projection in enumerate(projections):

            def hook(_module: Any, inputs: Any, layer: int = layer) -> Any:
                joined = inputs[0].clone()
                width = joined.shape[-1] // N_HEADS
                for head in ablation.of_layer(layer):
                    joined[..., head * width : (head + 1) * width] = instead(layer, head)
                return (joined, *inputs[1:])

            projection.register_forward_pre_hook(hook)

    return change


def logits_of(whole: Any, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = whole(input_ids=ids, use_cache=False).logits
    return logits


def same(ours: Tensor, theirs: Tensor) -> None:
    """To 1e-5 of the largest: these random weights make logits of some tens."""
    scale = float(theirs.abs().max().clamp(min=1.0))
    torch.testing.assert_close(ours, theirs, atol=1e-5 * scale, rtol=0)


def test_the_language_head_gives_the_models_logits(family: tuple[LoadedModel, Path]) -> None:
    loaded, folder = family
    hidden = run_tapped(loaded, tokens(), lambda *_: None)
    assert loaded.head is not None
    assert hidden is not None
    with torch.inference_mode():
        ours = loaded.head(hidden)
    same(ours, logits_of(by_hand(folder, lambda _projections: None), tokens()))
    assert loaded.head.n_words == ours.shape[-1]


@pytest.mark.parametrize("method", METHODS)
def test_ablating_nothing_changes_nothing_bit_for_bit(
    family: tuple[LoadedModel, Path], method: str
) -> None:
    loaded, _ = family
    clean = clean_run(loaded, tokens(), keep_patterns=True)
    plain = run_tapped(loaded, tokens(), lambda *_: None)
    again = run_ablated(
        loaded,
        tokens(),
        Ablation(()),
        method,
        clean=clean,
        calibration=calibrate(loaded, tokens(1)),
        donors=clean.outputs,
    )
    assert torch.equal(again, plain)
    assert torch.equal(clean.hidden, plain)


@pytest.mark.parametrize("ablation", SOME[1:3], ids=str)
def test_zero_is_the_slice_of_the_projection_set_to_zero(
    family: tuple[LoadedModel, Path], ablation: Ablation
) -> None:
    loaded, folder = family
    assert loaded.head is not None
    hidden = run_ablated(loaded, tokens(), ablation, "zero")
    with torch.inference_mode():
        ours = loaded.head(hidden)
    same(ours, logits_of(by_hand(folder, without_slices(ablation)), tokens()))
    untouched = logits_of(by_hand(folder, lambda _projections: None), tokens())
    assert (ours - untouched).abs().max() > 1e-2


def test_in_float64_zero_is_the_same_to_1e_5_of_a_logit(family: tuple[LoadedModel, Path]) -> None:
    """Logits of some tens have a rounding of 4e-6 in float32; here nothing is scaled away."""
    loaded, folder = family
    ablation = SOME[2]
    if loaded.info.architecture == "gpt_oss":
        pytest.skip("its experts are multiplied in float32 at most")
    wide = copy.deepcopy(loaded)
    assert wide.head is not None
    wide.model.double()
    wide.head.causal_model.double()
    hidden = run_ablated(wide, tokens(), ablation, "zero")
    assert hidden.dtype == torch.float64
    with torch.inference_mode():
        ours = wide.head.causal_model(inputs_embeds=hidden, use_cache=False).logits
    expected = logits_of(by_hand(folder, without_slices(ablation)).double(), tokens())
    torch.testing.assert_close(ours.double(), expected.double(), atol=1e-5, rtol=0)


def outputs_by_hand(folder: Path, ids: Tensor) -> list[Tensor]:
    """What comes into the output projections when nothing is changed, heads apart."""
    seen: list[Tensor] = []

    def watch(projections: list[torch.nn.Module]) -> None:
        for projection in projections:
            projection.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0].clone()))

    logits_of(by_hand(folder, watch), ids)
    return [joined.unflatten(-1, (N_HEADS, -1)) for joined in seen]


@pytest.mark.parametrize("method", ["mean", "mean-position", "resample"])
def test_other_outputs_are_put_in_place(family: tuple[LoadedModel, Path], method: str) -> None:
    loaded, folder = family
    assert loaded.head is not None
    ablation = SOME[2]
    others = outputs_by_hand(folder, tokens(1, rows=5, n=N + 2))
    donors = outputs_by_hand(folder, tokens(2))

    def instead(layer: int, head: int) -> Tensor:
        if method == "resample":
            return donors[layer][:, :, head]
        means = others[layer].double().mean(dim=0)[:, head]
        return (means.mean(dim=0) if method == "mean" else means[:N]).float()

    hidden = run_ablated(
        loaded,
        tokens(),
        ablation,
        method,
        calibration=calibrate(loaded, tokens(1, rows=5, n=N + 2), batch=2),
        donors=clean_run(loaded, tokens(2)).outputs,
    )
    with torch.inference_mode():
        ours = loaded.head(hidden)
    same(ours, logits_of(by_hand(folder, with_outputs(ablation, instead)), tokens()))


def test_the_overall_mean_is_a_shift_of_the_projection(family: tuple[LoadedModel, Path]) -> None:
    """By weights alone: the slice set to zero, and what it made of the mean added to the bias."""
    loaded, folder = family
    ablation = SOME[2]
    assert loaded.head is not None
    others = outputs_by_hand(folder, tokens(1, rows=5))
    means = [of_layer.double().mean(dim=(0, 1)).float() for of_layer in others]

    def change(projections: list[torch.nn.Module]) -> None:
        for layer, projection in enumerate(projections):
            joined = torch.zeros_like(means[layer])
            for head in ablation.of_layer(layer):
                joined[head] = means[layer][head]
            with torch.no_grad():
                shifted = projection(joined.flatten()[None, None])[0, 0]
            projection.bias = torch.nn.Parameter(shifted)
        without_slices(ablation)(projections)

    calibration = calibrate(loaded, tokens(1, rows=5), batch=3)
    hidden = run_ablated(loaded, tokens(), ablation, "mean", calibration=calibration)
    with torch.inference_mode():
        ours = loaded.head(hidden)
    same(ours, logits_of(by_hand(folder, change), tokens()))


def test_held_patterns_let_the_value_path_alone_change(
    family: tuple[LoadedModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, folder = family
    assert loaded.head is not None
    ablation = SOME[0]
    clean = clean_run(loaded, tokens(), keep_patterns=True)
    seen: list[Tensor] = []
    hidden = run_ablated(
        loaded,
        tokens(),
        ablation,
        "pattern-preserving",
        clean=clean,
        sink=lambda _layer, weights: seen.append(weights.clone()),
    )
    for ours, kept in zip(seen, clean.patterns.values(), strict=True):
        assert torch.equal(ours, kept)
    plain = run_ablated(loaded, tokens(), ablation, "zero")
    assert (plain - hidden).abs().max() > 1e-3
    whole = by_hand(folder, without_slices(ablation))
    hold_softmax(monkeypatch, list(clean.patterns.values()))
    with torch.inference_mode():
        same(loaded.head(hidden), logits_of(whole, tokens()))


def hold_softmax(monkeypatch: pytest.MonkeyPatch, patterns: Sequence[Tensor]) -> None:
    """Let transformers' own eager attention find kept patterns where it computes its softmax."""
    original = torch.nn.functional.softmax
    layers = iter(patterns)

    def softmax(scores: Tensor, *arguments: Any, **named: Any) -> Tensor:
        weights = original(scores, *arguments, **named)
        if weights.ndim == 4:
            weights = weights.clone()
            weights[..., :N] = next(layers)  # behind them there may be a sink
        return weights

    monkeypatch.setattr(torch.nn.functional, "softmax", softmax)


@pytest.mark.parametrize("method", METHODS)
def test_a_replay_gives_what_whole_runs_give(family: tuple[LoadedModel, Path], method: str) -> None:
    loaded, _ = family
    clean = clean_run(loaded, tokens(), keep_patterns=True)
    check_replay(loaded, clean)
    others = {
        "calibration": calibrate(loaded, tokens(1)),
        "donors": clean_run(loaded, tokens(2)).outputs,
    }
    alone: list[Tensor] = []
    whole: list[dict[int, Tensor]] = []
    for ablation in SOME:
        of_run: dict[int, Tensor] = {}
        alone.append(
            run_ablated(
                loaded,
                tokens(),
                ablation,
                method,
                clean=clean,
                sink=lambda layer, weights, kept=of_run: kept.update({layer: weights.clone()}),
                **others,  # type: ignore[arg-type]
            )
        )
        whole.append(of_run)
    positions = torch.tensor([2, 3, 7, 9])
    for expected in (None, positions):
        patterns: dict[int, Tensor] = {}
        together = replay_ablated(
            loaded,
            clean,
            SOME,
            method,
            positions=expected,
            sink=lambda layer, weights, kept=patterns: kept.update({layer: weights.clone()}),
            **others,  # type: ignore[arg-type]
        )
        for i in range(len(SOME)):
            same(together[i], alone[i] if expected is None else alone[i][:, expected])
            for layer in (1, 2):
                rows = patterns[layer].unflatten(0, (len(SOME), -1))
                torch.testing.assert_close(rows[i], whole[i][layer], atol=1e-5, rtol=0)
    for i, ablation in enumerate(SOME):  # each from its own first layer on
        ours = replay_ablated(
            loaded,
            clean,
            [ablation],
            method,
            positions=positions,
            **others,  # type: ignore[arg-type]
        )
        same(ours[0], alone[i][:, positions])
    assert all("forward" not in vars(m) for m in loaded.model.modules()), "left as it was"


@pytest.fixture
def llama(tmp_path: Path, own_cache: Path) -> LoadedModel:
    return load_model(f"m={save_family(tmp_path / 'm', 'llama')}", language_head=True)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_is_ablated_too(tmp_path: Path, own_cache: Path, method: str) -> None:
    loaded = load_model(f"m={save_family(tmp_path / 'm', 'llama')}", dtype="bfloat16")
    clean = clean_run(loaded, tokens(), keep_patterns=True)
    hidden = run_ablated(
        loaded,
        tokens(),
        SOME[2],
        method,
        clean=clean,
        calibration=calibrate(loaded, tokens(1)),
        donors=clean_run(loaded, tokens(2)).outputs,
    )
    assert hidden.dtype == torch.bfloat16
    assert hidden.isfinite().all()
    assert not torch.equal(hidden, clean.hidden)


def test_mistakes_are_told(llama: LoadedModel) -> None:
    clean = clean_run(llama, tokens())
    zero = Ablation(((0, 0),))
    with pytest.raises(InputError, match=r"m:L3:H0.*layers 0 to 2 and heads 0 to 3"):
        run_ablated(llama, tokens(), Ablation(((3, 0),)), "zero")
    with pytest.raises(InputError, match=r"'meen'.*did you mean mean"):
        run_ablated(llama, tokens(), zero, "meen")
    with pytest.raises(InputError):
        run_ablated(llama, tokens(), zero, "mean")
    with pytest.raises(InputError):
        run_ablated(llama, tokens(), zero, "resample")
    with pytest.raises(InputError):
        run_ablated(llama, tokens(), zero, "pattern-preserving", clean=clean)
    with pytest.raises(ModelError):
        replay_ablated(llama, clean, [zero], "pattern-preserving")
    short = calibrate(llama, tokens(1, n=5))
    with pytest.raises(InputError):
        run_ablated(llama, tokens(), zero, "mean-position", calibration=short)


def test_layers_that_hand_on_more_than_one_stream_are_noticed(
    llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried: list[Tensor] = []
    layers = llama.model.layers
    forwards = [layer.forward for layer in layers]

    def first(hidden: Tensor, *arguments: Any, **named: Any) -> Any:
        carried[:] = [hidden]
        return forwards[0](hidden, *arguments, **named)

    def last(hidden: Tensor, *arguments: Any, **named: Any) -> Any:
        return forwards[2](hidden + carried[0], *arguments, **named)

    monkeypatch.setattr(layers[0], "forward", first)
    monkeypatch.setattr(layers[2], "forward", last)
    clean = clean_run(llama, tokens())
    carried[:] = [torch.ones_like(carried[0])]
    with pytest.raises(ModelError):
        check_replay(llama, clean)


def test_a_projection_without_a_known_name_is_told(llama: LoadedModel) -> None:
    attention: Any = attention_modules(llama.model, range(N_LAYERS))[1]
    attention.mixing = attention.o_proj
    del attention.o_proj
    with pytest.raises(ModelError):
        output_projections(llama.model, range(N_LAYERS))
