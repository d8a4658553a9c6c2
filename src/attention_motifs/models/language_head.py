"""The language-model head by itself: from the last hidden states to logits.

Architectures scale, cap and shift logits in ways of their own. The head is therefore the
architecture's own causal model, in which what hands on the hidden states given takes the place of
the base model: nothing of it is written again here, and no weight is copied.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class LanguageHead:
    """Turns hidden states into logits, for as many positions as it is given."""

    causal_model: Any
    """transformers' causal model without its base model."""
    unembedding: Float[Tensor, "words width"]
    """The matrix from hidden states to logits."""

    def __call__(self, hidden: Float[Tensor, "rows n width"]) -> Float[Tensor, "rows n words"]:
        """Logits in float32, as the architecture computes them."""
        logits: Tensor = self.causal_model(inputs_embeds=hidden, use_cache=False).logits
        return logits.float()

    @property
    def n_words(self) -> int:
        """Width of the logits."""
        return int(self.unembedding.shape[0])


def without_head(causal_model: Any) -> tuple[Any, LanguageHead]:
    """Take a causal model apart; both parts share its weights, and it stays as it is."""
    base = causal_model.base_model
    alone = copy.copy(causal_model)  # shallow: the modules are the same objects
    alone._modules = {**causal_model._modules, causal_model.base_model_prefix: _Handed()}
    return base, LanguageHead(alone, causal_model.get_output_embeddings().weight)


class _Handed(torch.nn.Module):
    """Stands in for a base model whose last hidden states are known."""

    def forward(self, *_inputs: Any, inputs_embeds: Tensor, **_options: Any) -> Any:
        return _LastHidden(inputs_embeds)

    @property
    def decoder(self) -> _Handed:
        """OPT calls its base model's decoder."""
        return self


class _LastHidden(tuple[Tensor]):
    """Output of a base model of which only the last hidden states are there."""

    __slots__ = ()

    def __new__(cls, hidden: Tensor) -> _LastHidden:
        return super().__new__(cls, (hidden,))

    def __getattr__(self, name: str) -> Tensor | None:
        """Everything else that an architecture may ask for is not there."""
        return self[0] if name == "last_hidden_state" else None
