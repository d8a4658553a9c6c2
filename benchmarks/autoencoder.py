"""A masked autoencoder of attention patterns as a baseline of the semi-planted benchmark.

In the style of AP-MAE (attention pattern masked autoencoders): patterns on a logarithmic scale,
cut into patches, of which those above the diagonal are left out; half of the others are masked, and
a small transformer restores them. The mean of the encoder's output over the patches of a pattern is
its vector. It is trained on prompts that the benchmark does not use, without labels.

    python benchmarks/autoencoder.py --atlas demo-atlas --epochs 8
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from attention_motifs import Atlas, extract_patterns, load_prompts
from attention_motifs.evaluation.baselines import Embedding
from attention_motifs.stages.benchmark import benchmark
from attention_motifs.stages.model_source import wanted_model

N_TOKENS, PATCH, WIDTH, DEPTH, MASKED = 128, 16, 64, 3, 0.5
SIDE = N_TOKENS // PATCH
LOWER = np.flatnonzero(np.tri(SIDE, dtype=bool).ravel())
BATCH = 128
METRICS = ("natural", "probes", "recommended", "mean", "cosine")


class MaskedAutoencoder(nn.Module):
    """Encoder and decoder of patches on and below the diagonal."""

    def __init__(self) -> None:
        """Start from random weights."""
        super().__init__()

        def layers(depth: int) -> nn.Module:
            layer = nn.TransformerEncoderLayer(
                WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
            )
            return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

        self.embed = nn.Linear(PATCH * PATCH, WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(len(LOWER), WIDTH))
        self.encoder, self.decoder = layers(DEPTH), layers(1)
        self.hidden = nn.Parameter(0.02 * torch.randn(WIDTH))
        self.restore = nn.Linear(WIDTH, PATCH * PATCH)

    def encode(self, patches: Tensor, kept: Tensor | None = None) -> Tensor:
        """Encode patches (B, patches, entries); only the kept ones (B, kept) if given."""
        tokens = self.embed(patches) + self.place
        if kept is not None:
            tokens = torch.take_along_dim(tokens, kept[:, :, None], dim=1)
        return self.encoder(tokens)

    def loss(self, patches: Tensor) -> Tensor:
        """Return the mean squared error on masked patches."""
        n_patches = patches.shape[1]
        order = torch.rand(patches.shape[:2]).argsort(dim=1)
        kept, masked = order.split(
            [n_patches - int(MASKED * n_patches), int(MASKED * n_patches)], 1
        )
        tokens = self.hidden.expand(len(patches), n_patches, WIDTH)
        tokens = tokens.scatter(
            1, kept[:, :, None].expand(-1, -1, WIDTH), self.encode(patches, kept)
        )
        restored = self.restore(self.decoder(tokens + self.place))
        error = (restored - patches) ** 2
        return torch.take_along_dim(error, masked[:, :, None], dim=1).mean()


def patches_of(patterns: np.ndarray) -> Tensor:
    """Return patches (B, patches, entries) of patterns on a logarithmic scale."""
    n = patterns.shape[-1]
    padded = np.zeros((len(patterns), N_TOKENS, N_TOKENS), dtype=np.float32)
    padded[:, :n, :n] = patterns[:, :N_TOKENS, :N_TOKENS]
    scaled = np.log1p(N_TOKENS * padded) / np.float32(np.log1p(N_TOKENS))
    cut = scaled.reshape(-1, SIDE, PATCH, SIDE, PATCH).transpose(0, 1, 3, 2, 4)
    return torch.from_numpy(cut.reshape(-1, SIDE * SIDE, PATCH * PATCH)[:, LOWER])


def training_patches(atlas: Atlas, n_prompts: int) -> Tensor:
    """Return patches of all heads on built-in prompts that the atlas does not hold."""
    held = set(atlas.prompts["prompt_id"].to_list())
    prompts = [p for p in load_prompts() if p.prompt_id not in held][:n_prompts]
    parts = []
    for model in atlas.models:
        requested = wanted_model(atlas, model, "name it again")
        batches = extract_patterns(requested, prompts, max_tokens=N_TOKENS)
        parts += [patches_of(batch.patterns.numpy()).half() for batch in batches]
    return torch.cat(parts)


def train(patches: Tensor, epochs: int, seed: int) -> MaskedAutoencoder:
    """Train an autoencoder, and print its loss after each epoch."""
    torch.manual_seed(seed)
    model = MaskedAutoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    steps = epochs * -(-len(patches) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(patches)).split(BATCH):
            loss = model.loss(patches[chosen].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += len(chosen) * float(loss.detach())
        print(f"epoch {epoch}: loss {total / len(patches):.5f}", flush=True)
    return model.eval()


def main() -> None:
    """Train on one half of the built-in prompts, run the benchmark on the atlas's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atlas", default="demo-atlas")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--n-prompts", type=int, default=32, help="prompts to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="file to keep the weights in, or to load")
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--n-planted", type=int, default=96, help="prompts of the benchmark")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/autoencoder.json"))
    arguments = parser.parse_args()
    atlas = Atlas.open(arguments.atlas)
    if arguments.weights is not None and arguments.weights.is_file():
        model = MaskedAutoencoder().eval()
        model.load_state_dict(load_file(arguments.weights))
    else:
        start = time.perf_counter()
        patches = training_patches(atlas, arguments.n_prompts)
        model = train(patches, arguments.epochs, arguments.seed)
        print(
            f"{len(patches)} patterns, trained in {time.perf_counter() - start:.0f} s", flush=True
        )
        if arguments.weights is not None:
            save_file(model.state_dict(), arguments.weights)
    if arguments.train_only:
        return

    def vectors(patterns: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.encode(patches_of(patterns)).mean(dim=1).numpy()

    autoencoder = Embedding("autoencoder", vectors, standardised=True)
    result = benchmark(
        atlas, metrics=METRICS, embeddings=[autoencoder], n_prompts=arguments.n_planted
    )
    for name, scores in sorted(result.scores.items(), key=lambda item: -item[1][0.5].mean_ap):
        line = "  ".join(f"{s:g}: {score.mean_ap:.2f}" for s, score in scores.items())
        print(f"{name:16s} {line}  real {result.real.get(name, float('nan')):.2f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result.to_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
