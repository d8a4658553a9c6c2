"""Extraction of patterns from prompts, one layer at a time, so that memory does not grow.

On the CPU several passes can run at once, each in its own thread with its share of the cores. That
is faster than one pass on all cores: no core waits for another within a layer, and while the sink
works on the patterns of one pass, the other passes go on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.extraction.attention import part_bytes
from attention_motifs.extraction.loading import free_memory, load_model
from attention_motifs.extraction.tap import run_tapped
from attention_motifs.features.numerics import use_own_threads
from attention_motifs.features.stopping import Stopped, raise_if_stopped, stopped_by
from attention_motifs.features.threads import running_pass, using_cores
from attention_motifs.head import HeadId
from attention_motifs.models.model import LoadedModel
from attention_motifs.models.sources import ModelLike
from attention_motifs.models.tokenizing import BOS_POLICIES, TokenizedPrompt, tokenize
from attention_motifs.prompts import Prompt

if TYPE_CHECKING:
    from jaxtyping import Float

BATCH_TOKENS = 512
"""Tokens per forward pass. More is no faster on a few cores, and takes memory in proportion."""

HEAD_BYTES = 1 << 29
"""Bytes of patterns of a pass that are in memory at once, if a sink takes some heads at a time."""

BlockSink = Callable[..., Any]
"""Takes a layer, the positions of the prompts, and their patterns (B, H, n, n), float32; of some
heads at a time, also the number of the first of them."""


@dataclass(frozen=True)
class PatternBatch:
    """Patterns of all heads of one layer on one prompt.

    Attributes:
        model: name of the model.
        layer: number of the layer, from 0.
        prompt_id: first 16 hex digits of the SHA-256 of the prompt's text.
        heads: the heads, in the order of `patterns`.
        patterns: tensor (heads, tokens, tokens), rows are queries; float32, on the model's device.

    Example:
        >>> import attention_motifs as am
        >>> batch = next(am.extract_patterns("smollm2-135m-instruct", "one two one two"))
        >>> batch.layer, tuple(batch.patterns.shape), str(batch.heads[0])
        (0, (9, 4, 4), 'smollm2-135m-instruct:L0:H0')
    """

    model: str
    layer: int
    prompt_id: str
    heads: tuple[HeadId, ...]
    patterns: Float[Tensor, "heads n n"]


def for_each_layer(
    loaded: LoadedModel,
    prompts: Sequence[TokenizedPrompt],
    sink: BlockSink,
    batch_tokens: int = BATCH_TOKENS,
    *,
    at_once: int = 1,
    threads: ThreadPoolExecutor | None = None,
    stopped: threading.Event | None = None,
    by_heads: bool = False,
) -> None:
    """Run prompts through the model and give every layer's patterns to `sink`.

    Prompts of exactly equal length share a forward pass, the longest first; the batches depend on
    the prompts alone, so that the same prompts give the same numbers.

    Args:
        loaded: the model.
        prompts: in any order and of any lengths.
        sink: called with a layer, positions in `prompts`, and patterns that it must not keep.
        batch_tokens: upper bound of tokens per pass, unless one prompt is longer.
        at_once: passes that run at the same time, at most the value of `most_at_once`. The sink is
            then called from as many threads, for different prompts.
        threads: threads of these passes (default: new ones that end with the call, or the calling
            thread for one pass at a time). Give the same ones to repeated calls, since the memory
            of a thread is not freed in full when it ends.
        stopped: set by another thread to end the passes early.
        by_heads: give the sink the patterns of some heads at a time, so that those of a layer of
            long prompts need not be in memory together. Default: of whole layers.

    Raises:
        ModelError: if a pattern holds NaN; the head and the prompt are named.
        Stopped: if `stopped` was set.
    """
    stopped = threading.Event() if stopped is None else stopped

    def run(positions: Sequence[int]) -> None:
        def checked(layer: int, weights: Tensor, *first_head: int) -> None:
            raise_if_stopped()
            patterns = weights.float()
            # A row of a softmax is finite everywhere or nowhere.
            if not torch.isfinite(patterns[..., 0].sum()):
                of_pass = [prompts[i] for i in positions]
                raise _not_finite(loaded, layer, sum(first_head), patterns, of_pass)
            sink(layer, positions, patterns, *first_head)

        token_ids = torch.tensor([prompts[i].token_ids for i in positions])
        limit = _bytes_at_once(*token_ids.shape) if by_heads else None
        with stopped_by(stopped), running_pass():
            # What follows the attention of the last layer is not needed.
            run_tapped(
                loaded, token_ids, checked, stop_after_layer=loaded.layers[-1], head_bytes=limit
            )

    batches = _batches(prompts, batch_tokens)
    at_once = min(at_once, len(batches))
    if threads is None and at_once <= 1:
        for positions in batches:
            run(positions)
        return
    _run_in_threads(run, batches, max(1, at_once), threads, stopped)


_PATIENCE = 1.0
"""Seconds that an interrupt waits for the running passes: a native kernel may take longer."""


def _run_in_threads(
    run: Callable[[Sequence[int]], None],
    batches: Sequence[Sequence[int]],
    at_once: int,
    threads: ThreadPoolExecutor | None,
    stopped: threading.Event,
) -> None:
    """Run batches in threads, given or new, each with its share of the cores."""
    pool = ThreadPoolExecutor(at_once, "attention-motifs pass") if threads is None else threads
    cores = torch.get_num_threads()
    share = max(1, cores // at_once)

    def run_with_share(positions: Sequence[int]) -> None:
        torch.set_num_threads(share)
        run(positions)

    passes: list[Future[None]] = []
    patience = None
    try:
        passes.extend(pool.submit(run_with_share, positions) for positions in batches)
        for ended in wait(passes, return_when=FIRST_EXCEPTION).done:
            ended.result()
    except BaseException as error:  # running passes stop at their next part of a layer
        stopped.set()
        patience = _PATIENCE if isinstance(error, KeyboardInterrupt) else None
        raise
    finally:
        for running in passes:
            running.cancel()
        unfinished = wait(passes, timeout=patience).not_done
        if threads is None:
            pool.shutdown(wait=not unfinished)
        torch.set_num_threads(cores)  # new threads start with this number too


def _bytes_at_once(n_prompts: int, n_tokens: int) -> int:
    """Return the bytes of patterns of some heads: at least of one head per core."""
    return max(HEAD_BYTES, torch.get_num_threads() * 4 * n_prompts * n_tokens**2)


def most_at_once(
    loaded: LoadedModel,
    n_tokens: int,
    batch_tokens: int = BATCH_TOKENS,
    *,
    by_heads: bool = False,
) -> int:
    """Return how many passes may run at the same time: one per core, if they share no state.

    Args:
        loaded: the model.
        n_tokens: length of the longest prompt.
        batch_tokens: see `for_each_layer`.
        by_heads: see `for_each_layer`.

    Raises:
        ResourceError: if not even one pass fits in the memory that is free.
    """
    needed = pass_bytes(loaded, n_tokens, batch_tokens, by_heads=by_heads)
    free = free_memory(loaded.model.device)
    if free is not None and needed > free:
        raise ResourceError(
            f"{loaded.info.name}: patterns of {n_tokens} tokens need {needed / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} GB of memory are free; use a smaller --max-tokens"
        )
    rope = getattr(loaded.model.config, "rope_parameters", None)
    # Frequencies that depend on the length of the prompt are stored in the model.
    follows_length = "dynamic" in str(rope) or "longrope" in str(rope)
    hooked = loaded.info.tap != "attention interface" or _has_hooks(loaded.model)
    if loaded.model.device.type != "cpu" or hooked or follows_length:
        return 1
    fitting = 1 << 10 if free is None else int(free * _SHARE_OF_MEMORY / needed)
    return max(1, min(torch.get_num_threads(), fitting))


def _has_hooks(model: torch.nn.Module) -> bool:
    """Return whether a user's hooks run with the model, which may keep a state."""
    return any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


_SHARE_OF_MEMORY = 0.5


def pass_bytes(
    loaded: LoadedModel,
    n_tokens: int,
    batch_tokens: int = BATCH_TOKENS,
    *,
    by_heads: bool = False,
) -> int:
    """Return about the bytes of one pass besides the weights: patterns and hidden states."""
    config = loaded.model.config
    n_prompts = max(1, batch_tokens // n_tokens)
    wide = [getattr(config, name, None) for name in ("hidden_size", "intermediate_size")]
    hidden = 8 * max(w for w in (*wide, 1) if isinstance(w, int))
    # A tap by hooks holds what the model's own attention makes: scores, and weights twice.
    in_blocks = loaded.info.tap == "attention interface"
    copies = 1 if in_blocks else 3
    patterns = 4 * n_prompts * loaded.info.n_heads * n_tokens**2
    if by_heads and in_blocks:
        patterns = min(patterns, _bytes_at_once(n_prompts, n_tokens))
    parts = 2 * min(part_bytes(loaded.model.device), patterns)
    return copies * patterns + parts + 4 * n_prompts * hidden * n_tokens


def _batches(prompts: Sequence[TokenizedPrompt], batch_tokens: int) -> list[list[int]]:
    by_length: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt.token_ids), []).append(i)
    batches = []
    for length, positions in sorted(by_length.items(), reverse=True):
        size = max(1, batch_tokens // length)
        batches += [positions[i : i + size] for i in range(0, len(positions), size)]
    return batches


def _not_finite(
    loaded: LoadedModel,
    layer: int,
    first_head: int,
    patterns: Tensor,
    prompts: Sequence[TokenizedPrompt],
) -> ModelError:
    wrong = (~torch.isfinite(patterns)).flatten(2).any(dim=-1).nonzero()[0].tolist()
    head = HeadId(loaded.info.name, layer, first_head + wrong[1])
    return ModelError(
        f"{head}: its pattern on prompt {prompts[wrong[0]].prompt_id} holds NaN; run the model "
        f"with --dtype float32 (it was {loaded.info.dtype}), or leave out the prompt"
    )


def extract_patterns(
    model: ModelLike | LoadedModel,
    prompts: str | Prompt | Sequence[str | Prompt],
    *,
    max_tokens: int = 128,
    bos: str = "auto",
    device: str = "auto",
    dtype: str = "float32",
    softmax_only: bool = False,
) -> Iterator[PatternBatch]:
    """Yield the patterns of one layer and one prompt at a time, with their heads.

    The model runs in threads of its own, at most 256 MB of patterns (or one layer of each pass)
    ahead, so that memory grows neither with the prompts nor with the depth.

    Args:
        model: a name, a path, (model, tokenizer), or a loaded model; see `load_model`.
        prompts: texts or prompts; a single text is one prompt.
        max_tokens: length in tokens to which prompts are cut (default 128).
        bos: BOS policy, see `tokenize`.
        device: see `load_model`.
        dtype: see `load_model`.
        softmax_only: see `load_model`.

    Returns:
        An iterator of `PatternBatch`: all layers of the prompts of one pass, then the next pass.

    Raises:
        InputError, ModelError, ResourceError: as `load_model`, `tokenize` and `for_each_layer`.

    Example:
        >>> import attention_motifs as am
        >>> for batch in am.extract_patterns("smollm2-135m-instruct", ["one two one two"]):
        ...     features = am.compute_features(batch.patterns, "paper")
        >>> batch.layer, tuple(features.shape)
        (29, (9, 94))
    """
    use_own_threads()
    texts = _prompts(prompts)
    if not isinstance(bos, str) or bos not in BOS_POLICIES:
        raise InputError(f"--bos {bos!r}: choose {', '.join(BOS_POLICIES)}")
    loaded = model if isinstance(model, LoadedModel) else load_model(
        model, device=device, dtype=dtype, max_tokens=max_tokens, softmax_only=softmax_only
    )  # fmt: skip
    tokenized = tokenize(
        loaded, [(p.prompt_id, p.text) for p in texts], max_tokens=max_tokens, bos=bos
    )
    name, n_heads = loaded.info.name, loaded.info.n_heads
    for layer, positions, patterns in _in_thread(loaded, tokenized):
        heads = tuple(HeadId(name, layer, i) for i in range(n_heads))
        for row, position in enumerate(positions):
            yield PatternBatch(name, layer, tokenized[position].prompt_id, heads, patterns[row])


def _prompts(prompts: Any) -> list[Prompt]:
    """Return prompts from texts or prompts; a single one stands for a list of itself."""
    if isinstance(prompts, str | Prompt):
        prompts = [prompts]
    if isinstance(prompts, bytes | Mapping) or not isinstance(prompts, Iterable):
        raise InputError(
            f"prompts are a {type(prompts).__name__}: give a text, a Prompt, or a list of these"
        )
    try:
        prompts = list(prompts)
    except TypeError as error:  # an array without axes
        raise InputError(f"prompts = {prompts!r:.80}: give a text or a list of texts") from error
    for position, prompt in enumerate(prompts):
        if not isinstance(prompt, str | Prompt):
            raise InputError(f"prompt {position} is {prompt!r:.80}: give a text or a Prompt")
    return [p if isinstance(p, Prompt) else Prompt(p) for p in prompts]


AHEAD_BYTES = 1 << 28
"""Bytes of patterns that passes may hold before the caller takes them, if they run at once."""

_Layer = tuple[int, Sequence[int], Tensor]


class _Ahead:
    """Layers that are computed and not yet taken, by pass.

    Each pass may hold one layer. Passes that come later in the order may hold more, up to a number
    of bytes, so that they go on while the caller takes the layers of an earlier one.
    """

    def __init__(self, n_passes: int, stopped: threading.Event) -> None:
        self.held: list[deque[_Layer]] = [deque() for _ in range(n_passes)]
        self.n_bytes = 0
        self.changed = threading.Condition()
        self.stopped = stopped
        self.error: BaseException | None = None
        self.ended = False

    def put(self, number: int, layer: _Layer) -> None:
        """Keep a layer of a pass, once there is room for it.

        Raises:
            Stopped: if the caller takes no more.
        """
        size = layer[2].nbytes
        with self.changed:
            self.changed.wait_for(
                lambda: (
                    self.stopped.is_set()
                    or not self.held[number]
                    or self.n_bytes + size <= AHEAD_BYTES
                )
            )
            if self.stopped.is_set():
                raise Stopped
            self.held[number].append(layer)
            self.n_bytes += size
            self.changed.notify_all()

    def take(self, number: int) -> _Layer | None:
        """Return the next layer of a pass; None, or the error that ended it, if there is none."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or self.held[number])
            if not self.held[number]:
                if self.error is not None:
                    raise self.error
                return None
            layer = self.held[number].popleft()
            self.n_bytes -= layer[2].nbytes
            self.changed.notify_all()
            return layer

    def end(self, error: BaseException | None = None) -> None:
        """Wake all that wait: all passes ended, one failed, or the caller leaves."""
        with self.changed:
            self.error, self.ended = error, True
            self.changed.notify_all()


def _in_thread(loaded: LoadedModel, prompts: Sequence[TokenizedPrompt]) -> Iterator[_Layer]:
    """Turn the callbacks of `for_each_layer` into an iterator over passes and their layers.

    Several passes run at once, as in an extraction: one pass on all cores would compete for them
    with what the caller computes, and threads of one pass wait for each other.
    """
    batches = _batches(prompts, BATCH_TOKENS)
    at_once = most_at_once(loaded, max((len(p.token_ids) for p in prompts), default=2))
    at_once = min(at_once, max(1, len(batches)))
    stopped = threading.Event()
    number_of = {positions[0]: number for number, positions in enumerate(batches)}
    ahead = _Ahead(len(batches), stopped)

    def keep(layer: int, positions: Sequence[int], patterns: Tensor) -> None:
        ahead.put(number_of[positions[0]], (layer, positions, patterns))

    def work() -> None:
        try:
            with using_cores(at_once):
                for_each_layer(loaded, prompts, keep, at_once=at_once, stopped=stopped)
            ahead.end()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            ahead.end(error)

    worker = threading.Thread(target=work, name="attention-motifs patterns", daemon=True)
    worker.start()
    try:
        for number in range(len(batches)):
            for _ in loaded.layers:
                layer = ahead.take(number)
                if layer is not None:
                    yield layer
    finally:
        stopped.set()
        ahead.end()
        worker.join(_PATIENCE)
