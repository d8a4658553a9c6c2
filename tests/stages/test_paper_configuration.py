"""The paper's configuration, run against a hub on this machine.

Six models of random weights under the names of the paper's Table 1, each of its architecture, and
a dataset in the form of pile-10k: everything but the size of the models and the texts is what a
person with hub access would run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.cli.configuration_file import build_plan, read_configuration
from attention_motifs.models.sources import ALIASES
from attention_motifs.reports.comparison_claims import judged
from attention_motifs.stages.compare import measure
from local_hub import LocalHub, local_hub
from tiny_models import make_tiny_model, texts

PLAN = build_plan(read_configuration("paper"))

# Layers and heads from Table 1 of the paper; architectures and what is special about them from
# the models' configurations on the hub.
TABLE_1: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "gpt2-small": ("gpt2", 12, 12, {}),
    "gpt2-medium": ("gpt2", 24, 16, {}),
    "Llama-3.2-1B": ("llama", 16, 32, {
        "num_key_value_heads": 8, "tie_word_embeddings": True, "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 128,
        },
    }),
    "pythia-1b": ("gpt_neox", 16, 8, {"rotary_pct": 0.25, "use_parallel_residual": True}),
    "gemma-2b": ("gemma", 18, 8, {"num_key_value_heads": 1, "head_dim": 8}),
    "gemma-2-2b": ("gemma2", 26, 8, {
        "num_key_value_heads": 4, "head_dim": 8, "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0, "sliding_window": 16, "query_pre_attn_scalar": 8,
    }),
}  # fmt: skip
GATED = {"meta-llama/Llama-3.2-1B", "google/gemma-2b", "google/gemma-2-2b"}

CARD = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: meta
    struct:
    - name: pile_set_name
      dtype: string
  splits:
  - name: train
    num_bytes: {n_bytes}
    num_examples: {n_texts}
---
"""


WHOLE = "gpt2-small"
"""Keeps its layers and heads, which figures ask for by name."""


def save_model(folder: Path, name: str, *, whole: bool = False) -> Path:
    """Write a model of random weights of eight numbers per head, with a tokenizer that has BOS.

    Unless `whole`, it has three layers, and half of its heads if they are more than eight.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    architecture, n_layers, n_heads, more = TABLE_1[name]
    if not whole:
        n_layers, n_heads = 3, n_heads if n_heads <= 8 else n_heads // 2
    make_tiny_model(folder)
    settings: dict[str, Any] = {
        "vocab_size": 300, "hidden_size": 8 * n_heads, "intermediate_size": 16,
        "num_hidden_layers": n_layers, "num_attention_heads": n_heads,
        "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
        # So that attention is far from uniform, and rounding does not grow from layer to layer.
        "initializer_range": 1.6 / (8 * n_heads) ** 0.5, **more,
    }  # fmt: skip
    if architecture == "gpt2":
        settings["n_inner"] = settings.pop("intermediate_size")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(n_layers)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **settings))
    model.save_pretrained(folder)
    return folder


def save_pile(folder: Path, n_texts: int = 160) -> Path:
    """Write a dataset in the form of pile-10k: card, and parquet of `text` and `meta`."""
    (folder / "data").mkdir(parents=True)
    written = texts(n_texts, n_repeats=8)
    card = CARD.format(n_bytes=sum(map(len, written)), n_texts=n_texts)
    (folder / "README.md").write_text(card)
    table = pl.DataFrame(
        {
            "text": written,
            "meta": [{"pile_set_name": ("Github", "ArXiv")[i % 2]} for i in range(n_texts)],
        }
    )
    table.write_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return folder


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hub")
    result = {
        f"models/{ALIASES[name]}": save_model(folder / name, name, whole=name == WHOLE)
        for name in TABLE_1
    }
    return {**result, "datasets/NeelNanda/pile-10k": save_pile(folder / "pile")}


def motifs(hub: LocalHub, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, whose hub is the one on this machine."""
    of_file = {
        "HF_ENDPOINT": hub.address, "HF_HOME": str(home / "hub"), "HF_HUB_OFFLINE": "0",
        "ATTENTION_MOTIFS_CACHE": str(home / "cache"), "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    code = "from attention_motifs.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, **of_file},
        capture_output=True,
        text=True,
        check=False,
    )


def test_table_1_is_what_the_configuration_asks_for() -> None:
    assert PLAN.configuration.models == tuple(TABLE_1)
    assert sum(layers * heads for _, layers, heads, _ in TABLE_1.values()) == 1_520


@pytest.mark.slow
def test_a_gated_model_names_the_page_of_its_licence(
    repositories: dict[str, Path], tmp_path: Path
) -> None:
    gated = {f"models/{name}" for name in GATED}
    with local_hub(repositories, gated) as hub:
        words = ["--config", "paper", "--model", "gemma-2b", "--atlas", str(tmp_path / "atlas")]
        done = motifs(hub, tmp_path, "build", *words)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 3
    assert len(errors) == 1
    assert f"accept its licence at {hub.address}/google/gemma-2b" in errors[0]
    assert "hf auth login" in errors[0]


OF_SHARED_NUMBERS = ("figure-04", "figure-12", "model-map", "motifs-by-depth")
"""Figures that are drawn from numbers which several figures share."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_configuration_runs_as_it_is(repositories: dict[str, Path], tmp_path: Path) -> None:
    """On 16 texts and not 128, for its time; nothing else is changed."""
    whole = (resources.files("attention_motifs") / "configurations" / "paper.toml").read_text()
    assert whole.count("n_prompts = 128") == 1
    shorter = tmp_path / "paper-16.toml"
    shorter.write_text(whole.replace("n_prompts = 128", "n_prompts = 16"))
    folder, out = tmp_path / "atlas", tmp_path / "figures"
    words = ["paper", "--config", str(shorter), "--atlas", str(folder), "--out", str(out)]
    with local_hub(repositories) as hub:
        done = motifs(hub, tmp_path, *words)
        assert done.returncode == 0, done.stderr
        assert not hub.unknown
    atlas = Atlas.open(folder)
    assert atlas.models == PLAN.configuration.models
    assert len(atlas.heads) == 12 * 12 + 3 * (8 + 16 + 8 + 8 + 8)
    assert len(atlas.prompts) == 16
    assert set(atlas.prompts["source"]) <= {"pile-10k/Github", "pile-10k/ArXiv"}
    assert atlas.embedding().n_components == 16
    assert atlas.metrics() == ["mean"]
    assert {name for name, info in atlas.manifest.models.items() if info.bos} == set(TABLE_1)
    captions = json.loads((out / "captions.json").read_text())
    assert "gpt2-small:L4:H11 (the head of the paper)" in captions["figure-06-look-alikes"]
    assert "previous token (" in captions["figure-06-look-alikes"]  # with the papers that say so
    for name in captions:
        expected = [] if name.startswith("table") else list(PLAN.figures.formats)
        assert all((out / f"{name}.{ending}").is_file() for ending in expected), name
        numbers = [file.suffix for file in (out / "numbers").glob(f"{name}*")]
        assert {".csv", ".parquet"} & set(numbers) or name.startswith(OF_SHARED_NUMBERS), name
    assert (out / "numbers" / "patterns-in-components.csv").is_file()
    assert (out / "numbers" / "motif-shares.csv").is_file()
    verdicts = {row["claim"]: row for row in judged(measure(atlas))}
    assert "no model here" not in verdicts["name-movers"]["measured"]
