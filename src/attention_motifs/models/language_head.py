"""The language-model head of a model: from the last hidden states to logits.

Architectures scale, cap and shift logits differently. The head is therefore the architecture's own
causal model, with its base model replaced by a module that returns given hidden states. No weight
is copied.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


class Head(Protocol):
    """From the last hidden states of a model to its logits."""

    @property
    def unembedding(self) -> Float[Tensor, "words width"]:
        """The matrix from hidden states to logits."""

    @property
    def n_words(self) -> int:
        """Width of the logits."""

    def __call__(self, hidden: Float[Tensor, "rows n width"]) -> Float[Tensor, "rows n words"]:
        """Return the logits in float32."""


@dataclass(frozen=True)
class LanguageHead:
    """Function from hidden states to logits, for any number of positions."""

    causal_model: Any
    """The causal model of transformers without its base model."""
    unembedding: Float[Tensor, "words width"]
    """The matrix from hidden states to logits."""

    def __call__(self, hidden: Float[Tensor, "rows n width"]) -> Float[Tensor, "rows n words"]:
        """Return the logits in float32, as the architecture computes them."""
        logits: Tensor = self.causal_model(inputs_embeds=hidden, use_cache=False).logits
        return logits.float()

    @property
    def n_words(self) -> int:
        """Width of the logits."""
        return int(self.unembedding.shape[0])


def without_head(causal_model: Any) -> tuple[Any, LanguageHead]:
    """Return the base model and the head of a causal model, which both share its weights."""
    base = causal_model.base_model
    alone = copy.copy(causal_model)  # shallow: the modules are the same objects
    alone._modules = {**causal_model._modules, causal_model.base_model_prefix: _GivenHidden()}
    return base, LanguageHead(alone, causal_model.get_output_embeddings().weight)


class _GivenHidden(torch.nn.Module):
    """Replacement of a base model whose last hidden states are known."""

    def forward(self, *_inputs: Any, inputs_embeds: Tensor, **_options: Any) -> Any:
        return _LastHidden(inputs_embeds)

    @property
    def decoder(self) -> _GivenHidden:
        """OPT calls its base model's decoder."""
        return self


class _LastHidden(tuple[Tensor]):
    """Output of a base model that holds only the last hidden states."""

    __slots__ = ()

    def __new__(cls, hidden: Tensor) -> _LastHidden:
        return super().__new__(cls, (hidden,))

    def __getattr__(self, name: str) -> Tensor | None:
        """Return None for every other output that an architecture may read."""
        return self[0] if name == "last_hidden_state" else None
