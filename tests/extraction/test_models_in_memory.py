"""Models in memory: their patterns are their own, and they are the same objects afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attention_motifs as am
from attention_motifs.errors import InputError, ModelError, MotifsError
from attention_motifs.extraction import run_tapped
from attention_motifs.models.in_memory import in_memory, is_model_object
from attention_motifs.models.model import LoadedModel
from tiny_models import make_tiny_model

PROMPTS = ["one two three one two three", "the cat sat on the mat"]


@pytest.fixture(scope="module", params=["llama", "gpt2", "gpt_neo"])
def mine(request: Any, tmp_path_factory: Any, own_cache: Path) -> Any:
    """A causal model in training mode with sdpa attention and a hook, and its tokenizer."""
    return load(make_model(tmp_path_factory.mktemp(request.param), request.param))


def make_model(folder: Path, family: str) -> Path:
    if family != "gpt_neo":
        return make_tiny_model(folder, architecture=family)
    make_tiny_model(folder)
    from transformers import AutoTokenizer, GPTNeoConfig, GPTNeoForCausalLM

    config = GPTNeoConfig(
        hidden_size=16, num_layers=2, num_heads=2, window_size=5, initializer_range=0.4,
        vocab_size=len(AutoTokenizer.from_pretrained(folder)), max_position_embeddings=256,
        attention_types=[[["global", "local"], 1]],
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        GPTNeoForCausalLM(config).save_pretrained(folder)
    return folder


def load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    model.train()
    model.get_input_embeddings().eval()  # a mode of its own
    next(iter(model.parameters())).requires_grad_(False)
    return model, AutoTokenizer.from_pretrained(folder)


def eager_patterns(model: Any, tokenizer: Any, text: str) -> list[Tensor]:
    """Patterns as transformers returns them, of another model with the same weights."""
    import copy

    if type(model).__module__.startswith("transformers.") and not changed_layers(model):
        from transformers import AutoModelForCausalLM

        config = copy.deepcopy(model.config)
        with torch.random.fork_rng(devices=[]):
            own = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        own.load_state_dict(model.state_dict())
    else:
        own = copy.deepcopy(model)
        own.set_attn_implementation("eager")
    own.eval()
    with torch.no_grad():
        output = own(**tokenizer(text, return_tensors="pt"), output_attentions=True)
    return [a[0] for a in output.attentions]


def changed_layers(model: Any) -> bool:
    return any(
        not type(m).__module__.startswith(("transformers.", "torch.")) for m in model.modules()
    )


def state(model: Any) -> dict[str, Any]:
    """Everything of a model that a run could change."""
    modules = dict(model.named_modules())
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "weights": {n: (t.data_ptr(), t.dtype, t.device, t.requires_grad, t.grad is None,
                        t.detach().float().numpy().tobytes()) for n, t in tensors.items()},
        "modes": {name: m.training for name, m in modules.items()},
        "classes": {name: type(m) for name, m in modules.items()},
        "attributes": {name: sorted(vars(m)) for name, m in modules.items()},
        "hooks": {name: (list(m._forward_hooks), list(m._forward_pre_hooks),
                         list(m._backward_hooks)) for name, m in modules.items()},
        "config": model.config.to_dict() if hasattr(model, "config") else str(model.cfg),
        "attention": getattr(getattr(model, "config", None), "_attn_implementation", None),
        # numpy's global state is what other libraries draw from.
        "random": (torch.get_rng_state().tolist(), str(np.random.get_state())  # noqa: NPY002
, random.getstate()),
        "settings": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads(),
                     torch.is_inference_mode_enabled()),
    }  # fmt: skip


def logits(model: Any, ids: Tensor) -> Tensor:
    """Of the model as it is; dropout draws the same numbers each time."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        output = model(ids)
    return output if isinstance(output, Tensor) else output.logits


@pytest.fixture
def unchanged(mine: Any) -> Iterator[None]:
    """Check that the model is the same after the test, to the bit."""
    model, tokenizer = mine
    ids = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    before, output = state(model), logits(model, ids)
    yield
    assert state(model) == before
    assert torch.equal(logits(model, ids), output)


@pytest.mark.usefixtures("unchanged")
def test_patterns_are_the_models_own(mine: Any) -> None:
    batches = list(am.extract_patterns(mine, PROMPTS))
    assert {b.model for b in batches} == {batches[0].heads[0].model}
    for prompt in PROMPTS:
        expected = eager_patterns(*mine, prompt)
        got = [b for b in batches if b.prompt_id == am.Prompt(prompt).prompt_id]
        assert [b.layer for b in got] == list(range(len(expected)))
        for batch, pattern in zip(got, expected, strict=True):
            torch.testing.assert_close(batch.patterns, pattern, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("unchanged")
def test_the_model_can_be_used_while_patterns_are_read(mine: Any) -> None:
    model, tokenizer = mine
    ids = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    expected, before = logits(model, ids), state(model)
    for _ in am.extract_patterns(mine, PROMPTS):
        assert torch.equal(logits(model, ids), expected)
        assert state(model)["modes"] == before["modes"]
        break  # and the rest is never read


def failing(error: BaseException) -> Callable[[int, Tensor], None]:
    def sink(_layer: int, _weights: Tensor) -> None:
        raise error

    return sink


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("sink")])
def test_nothing_is_changed_after_an_error(mine: Any, error: BaseException) -> None:
    loaded = am.load_model(mine, language_head=True)
    with pytest.raises(type(error)):
        run_tapped(loaded, torch.tensor([[1, 2, 3]]), failing(error))


@pytest.mark.usefixtures("unchanged")
def test_nothing_is_changed_after_a_refusal(mine: Any) -> None:
    with pytest.raises(InputError, match="context"):
        list(am.extract_patterns(mine, PROMPTS, max_tokens=100_000))


def test_a_stopped_causal_check_changes_nothing(
    mine: Any, unchanged: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from attention_motifs.extraction import causal_check

    def stop(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path))  # nothing was checked before
    monkeypatch.setattr(causal_check, "_check_layer", stop)
    with pytest.raises(KeyboardInterrupt):
        am.load_model(mine)


def test_training_goes_on_afterwards(mine: Any) -> None:
    model, tokenizer = mine
    list(am.extract_patterns(mine, PROMPTS))
    batch = tokenizer(PROMPTS[0], return_tensors="pt")
    model(**batch, labels=batch["input_ids"]).loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    model.zero_grad()


def test_weights_are_shared_not_copied(mine: Any) -> None:
    loaded = am.load_model(mine, language_head=True)
    places = {p.data_ptr() for p in mine[0].parameters()}
    assert {p.data_ptr() for p in loaded.model.parameters()} <= places
    assert loaded.head is not None
    assert loaded.head.unembedding.data_ptr() in places


def test_the_language_head_gives_the_models_logits(mine: Any) -> None:
    model, tokenizer = mine
    loaded = am.load_model(mine, language_head=True)
    ids = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    hidden = run_tapped(loaded, ids, lambda *_: None)
    model.eval()
    try:
        expected = logits(model, ids)
    finally:
        model.train()
        model.get_input_embeddings().eval()
    assert loaded.head is not None
    with torch.inference_mode():
        torch.testing.assert_close(loaded.head(hidden), expected, atol=1e-4, rtol=1e-4)


def test_identity_follows_weights_and_settings(mine: Any) -> None:
    model, tokenizer = mine
    first = in_memory((model, tokenizer), "mine")
    tokenizer(PROMPTS, truncation=True, max_length=3)  # a state of the tokenizer, no identity
    model.config.use_cache = not model.config.use_cache
    same = in_memory((model, tokenizer), "mine")
    model.config.use_cache = not model.config.use_cache
    assert first.weights_sha256 == same.weights_sha256
    assert first.tokenizer_sha256 == same.tokenizer_sha256
    assert first.config_sha256 == same.config_sha256
    weight = list(model.parameters())[-1].data
    kept = weight.clone()
    weight[0] += 0.25
    changed = in_memory((model, tokenizer), "mine").weights_sha256
    weight.copy_(kept)
    assert changed != first.weights_sha256
    assert in_memory(model, "mine").weights_sha256 == first.weights_sha256


def test_the_number_format_is_kept(tmp_path: Path, own_cache: Path) -> None:
    model, tokenizer = load(make_tiny_model(tmp_path))
    model.to(torch.bfloat16)
    loaded = am.load_model((model, tokenizer), dtype="float32")
    assert loaded.info.dtype == "bfloat16"
    assert next(loaded.model.parameters()).dtype == torch.bfloat16
    assert next(model.parameters()).dtype == torch.bfloat16


def test_names_come_from_where_the_model_was_loaded(tmp_path: Path, own_cache: Path) -> None:
    model, tokenizer = load(make_tiny_model(tmp_path / "my-run" / "checkpoint 5"))
    assert in_memory((model, tokenizer)).name == "checkpoint-5"
    assert in_memory({"mine": (model, tokenizer)}).name == "mine"
    assert in_memory(model).tokenizer is not None  # saved next to the weights


@pytest.mark.parametrize("value", [3, [], {}, ("a", "b"), object(), torch.nn.Linear(2, 2), None])
def test_other_objects_are_refused_in_one_line(value: Any) -> None:
    with pytest.raises(MotifsError) as caught:
        am.load_model(value)
    assert "\n" not in str(caught.value)


def test_a_name_or_a_path_is_no_object(tmp_path: Path) -> None:
    assert not any(is_model_object(value) for value in ("gpt2-small", tmp_path, None, b"x"))


def test_a_tokenizer_is_needed(tmp_path: Path, own_cache: Path) -> None:
    model, _ = load(make_tiny_model(tmp_path))
    model.config._name_or_path = ""
    with pytest.raises(InputError, match=r"\(model, tokenizer\)"):
        am.load_model(model)
    with pytest.raises(InputError, match="Linear"):
        am.load_model((model, torch.nn.Linear(2, 2)))


def test_a_model_without_weights_in_memory_is_refused(tmp_path: Path, own_cache: Path) -> None:
    model, tokenizer = load(make_tiny_model(tmp_path))
    with pytest.raises(ModelError, match="meta"):
        am.load_model((model.to("meta"), tokenizer))


def test_a_lora_model_is_tapped_with_its_adapter(tmp_path: Path, own_cache: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed: no LoRA models to test")
    model, tokenizer = load(make_tiny_model(tmp_path))
    base = eager_patterns(model, tokenizer, PROMPTS[0])
    settings = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    wrapped = peft.get_peft_model(model, settings)
    before, digest = state(wrapped), in_memory((wrapped, tokenizer), "m").config_sha256
    batches = list(am.extract_patterns((wrapped, tokenizer), PROMPTS[0]))
    assert state(wrapped) == before
    adapted = eager_patterns(wrapped, tokenizer, PROMPTS[0])
    for batch, expected in zip(batches, adapted, strict=True):
        torch.testing.assert_close(batch.patterns, expected, atol=1e-5, rtol=0)
    assert (adapted[0] - base[0]).abs().max() > 1e-2
    with wrapped.disable_adapter():
        off = list(am.extract_patterns((wrapped, tokenizer), PROMPTS[0]))
        switched = in_memory((wrapped, tokenizer), "m").config_sha256
    torch.testing.assert_close(off[0].patterns, base[0], atol=1e-5, rtol=0)
    assert switched != digest


class Int8Linear(torch.nn.Module):
    """A quantised layer: whole numbers and a scale per row, as libraries keep them in buffers."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        scale = linear.weight.detach().abs().amax(dim=1, keepdim=True) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("numbers", (linear.weight.detach() / scale).round().to(torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, self.numbers.to(x.dtype) * self.scale)


def test_a_quantised_model_is_tapped_as_it_runs(tmp_path: Path, own_cache: Path) -> None:
    model, tokenizer = load(make_tiny_model(tmp_path))
    plain = eager_patterns(model, tokenizer, PROMPTS[0])
    for layer in model.model.layers:
        layer.self_attn.q_proj = Int8Linear(layer.self_attn.q_proj)
    before, first = state(model), in_memory((model, tokenizer), "m").weights_sha256
    batches = list(am.extract_patterns((model, tokenizer), PROMPTS[0]))
    assert state(model) == before
    for batch, pattern in zip(batches, eager_patterns(model, tokenizer, PROMPTS[0]), strict=True):
        torch.testing.assert_close(batch.patterns, pattern, atol=1e-5, rtol=0)
    assert not torch.equal(batches[0].patterns, plain[0])
    model.model.layers[0].self_attn.q_proj.numbers[0, 0] += 1
    assert in_memory((model, tokenizer), "m").weights_sha256 != first


def test_a_loaded_model_is_accepted_again(mine: Any) -> None:
    loaded = am.load_model(mine)
    assert isinstance(loaded, LoadedModel)
    assert next(am.extract_patterns(loaded, PROMPTS[0])).layer == 0


@pytest.mark.slow
@pytest.mark.models
def test_the_packaged_model_in_memory_gives_its_own_patterns_and_stays_the_same() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from attention_motifs.models.packaged import converted_folder

    am.load_model("smollm2-135m-instruct")  # fetched and converted, if that was not done before
    folder = converted_folder("smollm2-135m-instruct")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    tokens = [tokenizer(text, return_tensors="pt") for text in PROMPTS]
    with torch.no_grad():
        before = [model(**each, output_attentions=True) for each in tokens]
    batches = list(am.extract_patterns((model, tokenizer), PROMPTS))
    assert len(batches) == 30 * len(PROMPTS)
    ids = [am.Prompt(text).prompt_id for text in PROMPTS]
    for batch in batches:
        expected = before[ids.index(batch.prompt_id)].attentions[batch.layer][0]
        np.testing.assert_allclose(batch.patterns, expected, atol=1e-5, rtol=0)
    with torch.no_grad():
        after = [model(**each) for each in tokens]
    for output, again in zip(before, after, strict=True):
        assert torch.equal(output.logits, again.logits)
    assert model.config._attn_implementation == "eager"
