"""Search among the known heads: by class, model and paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.literature.records import Literature, load_known_heads
from attention_motifs.literature.tables import known_heads

if TYPE_CHECKING:
    import polars as pl


def search_heads(
    head_class: str | None = None,
    *,
    model: str | None = None,
    paper: str | None = None,
    extra: Path | None = None,
) -> pl.DataFrame:
    """Return the known heads that match every given text.

    Args:
        head_class: name of a class; or words, all of which are in the class or its group.
        model: any name of a model; or words of its name, such as `llama`.
        paper: words of a paper's title, or its key or address.
        extra: path of a class file of your own, added to the package's.

    Returns:
        Rows of `known_heads`, in its order.

    Raises:
        InputError: if a text matches no class, model or paper, or the class file is malformed.
    """
    literature = load_known_heads(extra)
    classes = _classes(head_class, literature)
    models = _models(model, literature)
    papers = _papers(paper, literature)
    rows = [
        i
        for i, a in enumerate(literature.assignments)
        if a.head_class in classes and a.head.model in models and a.source in papers
    ]
    return known_heads(extra=extra)[rows]


def _classes(text: str | None, literature: Literature) -> set[str]:
    if text is None or text in literature.classes:
        return set(literature.classes) if text is None else {text}
    names = {c.name for c in literature.classes.values() if _holds(f"{c.name} {c.group}", text)}
    return names or _nothing("class", text, literature.classes)


def _models(text: str | None, literature: Literature) -> set[str]:
    names = {a.head.model for a in literature.assignments}
    if text is None or literature.model_name(text) in names:
        return names if text is None else {literature.model_name(text)}
    aliases = {name: literature.models[name].aliases for name in names if name in literature.models}
    matching = {name for name in names if _holds(" ".join((name, *aliases.get(name, ()))), text)}
    return matching or _nothing("model", text, [*names, *sum(aliases.values(), ())])


def _papers(text: str | None, literature: Literature) -> set[str]:
    sources = literature.sources.values()
    if text is None:
        return set(literature.sources)
    keys = {s.key for s in sources if _holds(f"{s.key} {s.title} {s.url}", text)}
    return keys or _nothing("paper", text, literature.sources)


def _holds(where: str, words: str) -> bool:
    """Whether every word is in the text, in any case."""
    return all(word in where.casefold() for word in words.casefold().split())


def _nothing(kind: str, text: str, known: object) -> set[str]:
    advice = did_you_mean(text, list(known))  # type: ignore[call-overload]
    raise InputError(f"{kind} {text[:80]!r} is not known; {advice}")
