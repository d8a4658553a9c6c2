"""Tokens of prompts: cut to one length, with the prefix that a BOS policy asks for."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from attention_motifs.models.model import LoadedModel

BOS_POLICIES = ("auto", "always", "never")

_BROKEN = "\ufffd"
"""What a decoder gives for bytes that are not a whole character."""


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt as one model sees it."""

    prompt_id: str
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Text of each token, for display. Joined, the texts of all tokens but those that the tokenizer
    adds give the prompt, up to the cut; of a character split into several tokens, the first has
    the character and the others have no text."""


def tokenize(
    loaded: LoadedModel,
    prompts: Sequence[tuple[str, str]],
    *,
    max_tokens: int,
    bos: str = "auto",
) -> list[TokenizedPrompt]:
    """Tokenize prompts and cut them to `max_tokens`, prefix included.

    Args:
        loaded: the model with its tokenizer.
        prompts: pairs of id and text.
        max_tokens: at least 2.
        bos: `auto` for the tokens of the tokenizer's own call, as the model was trained; `always`
            for a BOS token (or the end-of-text token, as GPT-2 is often used) before the text;
            `never` for the text alone.

    Returns:
        One tokenized prompt per prompt, in their order.

    Raises:
        InputError: if a prompt gives fewer than 2 tokens or a token that the model does not have
            (the prompt is named), `max_tokens` is below 2 or above the model's context, or the
            policy is not known.
    """
    pairs = _checked_pairs(prompts)
    check_max_tokens(loaded.info.name, loaded.model.config, max_tokens)
    prefix = prefix_tokens(loaded, bos)
    n_embedded = n_embedded_tokens(loaded)
    texts: dict[str, str] = {}  # the text of each token is held once for all prompts
    tokenized = []
    n_doubled = 0
    for prompt_id, text in pairs:
        ids, pieces = _encoded(loaded.tokenizer, text, prefix, bos)
        n_doubled += _begins_twice(ids, prefix)
        ids, pieces = ids[:max_tokens], pieces[:max_tokens]
        _check_tokens(loaded, prompt_id, ids, pieces, n_embedded)
        tokenized.append(
            TokenizedPrompt(prompt_id, tuple(ids), tuple(texts.setdefault(p, p) for p in pieces))
        )
    if n_doubled:
        warnings.warn(
            f"{n_doubled} of {len(tokenized)} prompts begin with the BOS token of "
            f"{loaded.info.name} in their text, and --bos {bos} puts it before them once more: it "
            "is there twice. Use --bos never, or remove it from the texts",
            stacklevel=2,
        )
    return tokenized


def count_tokens(tokenizer: Any, text: str, bos: str = "auto") -> int:
    """Return the number of tokens of a text, prefix included.

    Args:
        tokenizer: of a model.
        text: the text.
        bos: see `tokenize`.
    """
    ids = tokenizer(text, add_special_tokens=bos == "auto", verbose=False)["input_ids"]
    return len(ids) + (bos == "always")


def check_max_tokens(name: str, config: Any, max_tokens: int) -> None:
    """Check a length of prompts against the context of a model.

    Args:
        name: of the model, for errors.
        config: of its text model.
        max_tokens: length of the prompts in tokens.

    Raises:
        InputError: if it is no whole number, below 2, or above the context.
    """
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool):
        raise InputError(f"--max-tokens {max_tokens!r:.80}: give a whole number of tokens")
    if max_tokens < 2:
        raise InputError(f"--max-tokens {max_tokens}: a pattern needs at least 2 tokens")
    context = getattr(config, "max_position_embeddings", None)
    if isinstance(context, int) and max_tokens > context:
        raise InputError(
            f"--max-tokens {max_tokens}: the context of {name} is {context} tokens. Give "
            f"{context} or fewer (max_tokens={context} in Python)"
        )


def _checked_pairs(prompts: Any) -> list[tuple[str, str]]:
    if isinstance(prompts, str | bytes) or not isinstance(prompts, Iterable):
        raise InputError(
            f"prompts are a {type(prompts).__name__}: give a list of pairs of an id and a text"
        )
    pairs = list(prompts)
    for position, pair in enumerate(pairs):
        if not (
            isinstance(pair, tuple | list)
            and len(pair) == 2
            and all(isinstance(part, str) for part in pair)
        ):
            raise InputError(f"prompt {position} is {pair!r:.80}: give a pair of an id and a text")
        try:
            pair[1].encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"prompt {pair[0]}: its text holds an unpaired surrogate at character "
                f"{error.start}, which no tokenizer takes. Save the prompts as UTF-8"
            ) from error
    return [(prompt_id, text) for prompt_id, text in pairs]


def _encoded(
    tokenizer: Any, text: str, prefix: tuple[int, ...], bos: str
) -> tuple[list[int], list[str]]:
    """Return the ids of a text under a policy, and the text of each."""
    encode = _encoded_by_offsets if tokenizer.is_fast else _encoded_by_decoding
    ids, ends = encode(tokenizer, text, special=bos == "auto")
    pieces = iter(_cut(text, [end for end in ends if end is not None]))
    shown = [
        str(tokenizer.convert_ids_to_tokens(token)) if end is None else next(pieces)
        for token, end in zip(ids, ends, strict=True)
    ]
    if bos == "always":
        ids = [*prefix, *ids]
        shown = [*map(str, tokenizer.convert_ids_to_tokens(list(prefix))), *shown]
    return ids, shown


def _encoded_by_offsets(
    tokenizer: Any, text: str, *, special: bool
) -> tuple[list[int], list[int | None]]:
    """Return ids and their ends in the text; None for tokens that the tokenizer adds."""
    encoding = tokenizer(
        text,
        add_special_tokens=special,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    ends = [
        None if added and start == end else end
        for added, (start, end) in zip(
            encoding["special_tokens_mask"], encoding["offset_mapping"], strict=True
        )
    ]
    return list(encoding["input_ids"]), ends


def _encoded_by_decoding(
    tokenizer: Any, text: str, *, special: bool
) -> tuple[list[int], list[int | None]]:
    """Return the same for tokenizers in Python, which report no offsets."""
    text_ids = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    ends: list[int | None] = [*_decoded_ends(tokenizer, text, text_ids)]
    if not special:
        return text_ids, ends
    ids = list(tokenizer(text, verbose=False)["input_ids"])
    start = _position_of(text_ids, ids)
    after = len(ids) - start - len(text_ids)
    return ids, [*[None] * start, *ends, *[None] * max(0, after)][: len(ids)]


def _cut(text: str, ends: Sequence[int]) -> list[str]:
    """Cut a text at the ends of its tokens, so that the pieces joined give the text."""
    pieces = []
    start = 0
    for number, end in enumerate(ends, 1):
        end = len(text) if number == len(ends) else max(start, end)
        pieces.append(text[start:end])
        start = end
    return pieces


def _decoded_ends(tokenizer: Any, text: str, ids: Sequence[int]) -> list[int]:
    """Return the ends of tokens in a text, for tokenizers that do not report them.

    Tokens are decoded one after another, and what they add is looked for in the text; a token that
    is not found ends where the next one begins.
    """
    ends: list[int | None] = []
    position = 0
    before = ""
    for count in range(1, len(ids) + 1):
        after = str(tokenizer.decode(list(ids[:count]), clean_up_tokenization_spaces=False))
        whole = after.rstrip(_BROKEN)
        added = whole[len(before) :] if whole.startswith(before) else ""
        if not added:  # part of a character, or a token without text
            ends.append(None)
            continue
        before = whole
        at = text.find(added.strip() or added, position)
        if at < 0 or at > position + len(added) + 8:  # an unknown token: its text is another
            ends.append(None)
            continue
        position = at + len(added.strip() or added)
        ends.append(position)
    position = 0
    filled = []
    for end in ends:
        position = position if end is None else end
        filled.append(position)
    return filled


def _position_of(part: Sequence[int], whole: Sequence[int]) -> int:
    """Return where `part` begins in `whole`; after the first tokens that differ if it is not."""
    for start in range(len(whole) - len(part) + 1):
        if list(whole[start : start + len(part)]) == list(part):
            return start
    return 0


def n_embedded_tokens(loaded: LoadedModel) -> int | None:
    """Return the number of tokens that a model has embeddings for; None if it is not known."""
    embedding = loaded.model.get_input_embeddings()
    weight = getattr(embedding, "weight", None)
    return None if weight is None else int(weight.shape[0])


def _check_tokens(
    loaded: LoadedModel,
    prompt_id: str,
    ids: Sequence[int],
    pieces: Sequence[str],
    n_embedded: int | None,
) -> None:
    name = loaded.info.name
    if len(ids) < 2:
        raise InputError(
            f"prompt {prompt_id} gives {len(ids)} token(s) with {name}; a pattern needs at least "
            "2: remove or lengthen it"
        )
    beyond = next(
        (i for i, t in enumerate(ids) if n_embedded is not None and t >= n_embedded), None
    )
    if beyond is not None:
        token = loaded.tokenizer.convert_ids_to_tokens(ids[beyond])
        raise InputError(
            f"prompt {prompt_id} holds the token {token!r} ({pieces[beyond]!r}, id {ids[beyond]}), "
            f"but the embedding of {name} ends at id {(n_embedded or 0) - 1}: tokens were added to "
            "the tokenizer without `model.resize_token_embeddings`. Remove the token from the "
            "prompt, or use the tokenizer that belongs to the model"
        )


def shown_token(tokenizer: Any, token: int) -> str:
    """Return the text of one token for display, with the space before it if it has one.

    Args:
        tokenizer: of a model.
        token: id of the token.
    """
    piece = str(tokenizer.convert_ids_to_tokens(int(token)))
    if token in tokenizer.all_special_ids:
        return piece
    text = str(tokenizer.decode([int(token)], clean_up_tokenization_spaces=False))
    # Decoders of SentencePiece leave out the space before the first word.
    return f" {text}" if piece.startswith("\u2581") and not text.startswith(" ") else text


def _begins_twice(ids: Sequence[int], prefix: Sequence[int]) -> bool:
    """Return whether the text itself begins with a token that the policy puts before it."""
    return len(ids) > len(prefix) > 0 and ids[len(prefix)] in (prefix[0], prefix[-1])


def prefix_tokens(loaded: LoadedModel, bos: str = "auto") -> tuple[int, ...]:
    """Return the ids that a policy puts before every text.

    Args:
        loaded: the model with its tokenizer.
        bos: see `tokenize`.

    Raises:
        InputError: if the policy is not known, or `always` is asked of a tokenizer without BOS.
    """
    if bos not in BOS_POLICIES:
        raise InputError(f"--bos {bos!r}: choose {', '.join(BOS_POLICIES)}")
    tokenizer = loaded.tokenizer
    if bos == "never":
        return ()
    if bos == "auto":
        whole = tokenizer("a", verbose=False)["input_ids"]
        text = tokenizer("a", add_special_tokens=False, verbose=False)["input_ids"]
        return tuple(int(i) for i in whole[: _position_of(text, whole)])
    token = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if token is None:
        raise InputError(
            f"--bos always: the tokenizer of {loaded.info.name} has no BOS token; use --bos never"
        )
    return (int(token),)
