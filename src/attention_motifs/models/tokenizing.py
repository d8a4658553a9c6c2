"""Prompts to tokens: cut to one budget, with or without a BOS token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from attention_motifs.models.model import LoadedModel

BOS_POLICIES = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt as one model sees it."""

    prompt_id: str
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Text of each token, for display."""


def tokenize(
    loaded: LoadedModel,
    prompts: Sequence[tuple[str, str]],
    *,
    max_tokens: int,
    bos: str = "auto",
) -> list[TokenizedPrompt]:
    """Tokenize prompts and cut them to `max_tokens`, BOS included.

    Args:
        loaded: the model with its tokenizer.
        prompts: pairs of id and text.
        max_tokens: at least 2.
        bos: `auto` does as the tokenizer does, so as the model was trained; `always` puts BOS
            first (or the end-of-text token, as GPT-2 is often used); `never` leaves it out.

    Raises:
        InputError: if a prompt gives fewer than 2 tokens (it is named), `max_tokens` is below 2 or
            above the model's context, or the policy is not known.
    """
    if max_tokens < 2:
        raise InputError(f"--max-tokens {max_tokens}: a pattern needs at least 2 tokens")
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    if isinstance(context, int) and max_tokens > context:
        raise InputError(
            f"--max-tokens {max_tokens}: the context of {loaded.info.name} is {context} tokens"
        )
    first = first_token(loaded, bos)
    texts: dict[int, str] = {}
    tokenized = []
    for prompt_id, text in prompts:
        ids = loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        ids = ([] if first is None else [first]) + list(ids)
        ids = ids[:max_tokens]
        if len(ids) < 2:
            raise InputError(
                f"prompt {prompt_id} gives {len(ids)} token(s) with {loaded.info.name}; a pattern "
                "needs at least 2: remove or lengthen it"
            )
        for i in ids:
            if i not in texts:  # each token is decoded, and its text held, once for all prompts
                texts[i] = loaded.tokenizer.decode([i], clean_up_tokenization_spaces=False)
        tokenized.append(TokenizedPrompt(prompt_id, tuple(ids), tuple(texts[i] for i in ids)))
    return tokenized


def first_token(loaded: LoadedModel, bos: str = "auto") -> int | None:
    """Return the id put before every text under a policy, or None.

    Raises:
        InputError: if the policy is not known, or `always` is asked of a tokenizer without BOS.
    """
    if bos not in BOS_POLICIES:
        raise InputError(f"--bos {bos!r}: choose {', '.join(BOS_POLICIES)}")
    tokenizer = loaded.tokenizer
    if bos == "never":
        return None
    if bos == "auto":
        ids = tokenizer("a")["input_ids"]
        return int(ids[0]) if ids and ids[0] == tokenizer.bos_token_id else None
    token = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if token is None:
        raise InputError(
            f"--bos always: the tokenizer of {loaded.info.name} has no BOS token; use --bos never"
        )
    return int(token)
