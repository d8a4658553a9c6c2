"""Train a small model until it has induction heads, and save checkpoints on the way.

A Llama of two layers with four heads each learns the built-in prompts, cut into pieces, mixed with
sequences of random tokens that repeat. At every checkpoint its loss on the second half of such a
sequence is measured: it falls when the model learns to copy what followed a token before.

    python examples/train_tiny.py --out runs                 # three seeds of twelve checkpoints
    motifs track runs/seed-0 runs/seed-1 runs/seed-2 --max-tokens 96 --out training.html

Needs the package and nothing else; a few minutes on two cores. A run that is whole is left alone,
and one that was interrupted starts again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from attention_motifs import load_prompts
from attention_motifs.progress import ConsoleReport

FIRST, LAST = "<s>", "</s>"
VOCABULARY = 320
N_LAYERS, N_HEADS, WIDTH = 2, 4, 64
CONTEXT = 96
BLOCK = (8, 32)
"""Smallest and largest number of random tokens that repeat."""
BATCH = 32
RATE = 1e-2
WARM_UP = 40
REPEATED = 0.6
"""Share of the sequences of a batch that are repeated random tokens."""


def main() -> None:
    """Parse the arguments and train one model per seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--steps", type=int, default=800, help="batches per run")
    parser.add_argument("--checkpoints", type=int, default=12, help="checkpoints per run")
    arguments = parser.parse_args()
    texts = [prompt.text for prompt in load_prompts("builtin")]
    tokenizer = train_tokenizer(texts)
    tokens = np.concatenate([tokenizer(text)["input_ids"] for text in texts])
    for seed in range(arguments.seeds):
        folder = arguments.out / f"seed-{seed}"
        if (folder / "losses.json").exists():
            print(f"{folder}: trained already")
            continue
        shutil.rmtree(folder, ignore_errors=True)
        train(folder, tokenizer, tokens, seed, arguments.steps, arguments.checkpoints)


def train_tokenizer(texts: list[str]) -> Any:
    """Return a byte-level BPE tokenizer of 320 tokens that begins every text with BOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[FIRST, LAST],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{FIRST} $A", special_tokens=[(FIRST, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=FIRST, eos_token=LAST, pad_token=LAST
    )


def train(
    folder: Path, tokenizer: Any, tokens: np.ndarray, seed: int, n_steps: int, n_checkpoints: int
) -> None:
    """Train one model; write `step-NNNN` folders, then losses.json."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=N_HEADS,
            max_position_embeddings=128,
            # Biases let a head attend by position alone; with tied embeddings, a large start and
            # fast rotations, induction heads form within minutes.
            attention_bias=True,
            rope_parameters={"rope_type": "default", "rope_theta": 100.0},
            tie_word_embeddings=True,
            initializer_range=0.1,
            bos_token_id=0,
            eos_token_id=1,
        )
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    saved = {round(n_steps * k / (n_checkpoints - 1)) for k in range(n_checkpoints)}
    held_out = torch.from_numpy(repeated_tokens(np.random.default_rng(1_000_000), 64))
    losses = []
    with ConsoleReport(Console(stderr=True))(f"training {folder.name}", n_steps) as advance:
        for step in range(n_steps + 1):
            if step in saved:
                losses.append({"step": step, "loss_on_repeats": loss_on_repeats(model, held_out)})
                target = folder / f"step-{step:04d}"
                model.save_pretrained(target)
                tokenizer.save_pretrained(target)
            if step == n_steps:
                break
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP)
            batch = torch.from_numpy(make_batch(rng, tokens))
            optimiser.zero_grad()
            model(input_ids=batch, labels=batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            advance(1)
    (folder / "losses.json").write_text(json.dumps(losses, indent=1), encoding="utf-8")


def make_batch(rng: np.random.Generator, tokens: np.ndarray) -> np.ndarray:
    """Return (batch, context) token ids: pieces of text, and repeated random tokens."""
    n_repeated = round(BATCH * REPEATED)
    starts = rng.integers(len(tokens) - CONTEXT, size=BATCH - n_repeated)
    text = tokens[starts[:, None] + np.arange(CONTEXT)]
    text[:, 0] = 0
    return np.concatenate([text, repeated_tokens(rng, n_repeated)])


def repeated_tokens(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return (n, context) token ids: BOS, then a block of random tokens over and over."""
    rows = np.zeros((n, CONTEXT), dtype=np.int64)
    for row in rows:
        block = rng.integers(2, VOCABULARY, size=rng.integers(BLOCK[0], BLOCK[1] + 1))
        row[1:] = np.resize(block, CONTEXT - 1)
    return rows


@torch.no_grad()
def loss_on_repeats(model: Any, rows: torch.Tensor) -> float:
    """Return the mean loss (nats per token) where every token was seen before."""
    first = BLOCK[1] + 1
    logits, targets = model(input_ids=rows).logits[:, first:-1], rows[:, first + 1 :]
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()))


if __name__ == "__main__":
    main()
