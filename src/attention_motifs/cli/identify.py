"""The command that names the head of an attention pattern."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report
from attention_motifs.cli.query import matching_prompt
from attention_motifs.errors import InputError
from attention_motifs.head import HeadId

if TYPE_CHECKING:
    from attention_motifs.evaluation import HeadIdentifier, IdentifiedPattern


FileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="Pattern to identify: a .npy or .safetensors file of one pattern (tokens, tokens), "
        "of several, or of a whole model (layers, heads, tokens, tokens); rows are queries.",
        show_default=False,
    ),
]
HeadOption = Annotated[
    str | None,
    o.value_option(
        "--head",
        "HEAD",
        "Head whose pattern to identify, with --prompt or --text.",
        autocompletion=o.complete_head,
    ),
]
PromptOption = Annotated[
    str | None,
    o.value_option(
        "--prompt",
        "NUMBER|ID",
        "Prompt of the atlas: its number in `motifs prompts`, or the first characters of "
        "its id. It is left out of what is known of the heads.",
    ),
]
TextOption = Annotated[
    str | None,
    o.value_option("--text", "TEXT", "Text of your own, on which to run the model of --head."),
]
TensorOption = Annotated[
    str | None,
    o.value_option(
        "--tensor", "NAME", "Name of the tensor in a .safetensors file.", unset="the only one"
    ),
]


@app.command()
def identify(
    file: FileArgument = None,
    head: HeadOption = None,
    prompt: PromptOption = None,
    text: TextOption = None,
    tensor: TensorOption = None,
    atlas: o.AtlasOption = None,
    n: Annotated[int, o.count_option("-n", "Number of heads to list.")] = 5,
    model: o.ModelFilterOption = None,
    device: o.DeviceOption = "auto",
    json: o.JsonOption = False,
) -> None:
    """Name the head that an attention pattern is from, with a ranked list and how sure it is.

    Examples:
      motifs identify pattern.npy
      motifs identify --head smollm2-135m-instruct:L18:H6 --prompt 2
      motifs identify --head gemma-3-270m:L5:H1 --text "one two three one two three" --json
    """
    from attention_motifs.atlas.identify import (
        checked_patterns,
        fit_identifier,
        is_whole_model,
        read_patterns,
    )
    from attention_motifs.atlas.identify import identify as identify_patterns
    from attention_motifs.stages.identify import model_patterns_on_text

    _check_question(file, head, prompt, text, tensor)
    opened = Atlas.open(o.find_atlas(atlas))
    prompt_id = None if prompt is None else matching_prompt(opened, prompt)
    if prompt_id is not None:
        fitted = fit_identifier(opened, without_prompt=prompt_id, whole_models=True)
        answers = [
            opened.identify_on_prompt(str(head), prompt_id, n, models=model, identifier=fitted)
        ]
        what = f"{head} on prompt {prompt_id}"
    elif file is not None:
        patterns = read_patterns(file, tensor)
        checked, whole = checked_patterns(patterns), is_whole_model(patterns)
        fitted = fit_identifier(opened, n_tokens=checked.shape[-1], whole_models=whole)
        answers = identify_patterns(opened, patterns, n, models=model, identifier=fitted)
        what = str(file)
    else:
        asked = HeadId.parse(str(head))
        patterns, place = model_patterns_on_text(
            opened, asked, str(text), device=device, report=report
        )
        fitted = fit_identifier(opened, n_tokens=patterns.shape[-1], whole_models=True)
        answers = identify_patterns(opened, patterns, n, models=model, identifier=fitted)
        answers = [answers[place]]
        what = f"{head} on the text"
    if json:
        print_json(_as_json(answers, fitted))
    elif len(answers) == 1:
        _print_answer(opened, what, answers[0], fitted)
    else:
        _print_answers(what, answers, fitted)


def _check_question(
    file: Path | None, head: str | None, prompt: str | None, text: str | None, tensor: str | None
) -> None:
    """Refuse a question that names no pattern, or two."""
    by_head = head is not None and (prompt is None) != (text is None)
    if (file is not None) == by_head or (file is not None and (head or prompt or text)):
        raise InputError(
            "motifs identify needs one pattern. Give a FILE, or --head HEAD with --prompt NUMBER, "
            "or --head HEAD with --text TEXT"
        )
    if tensor is not None and file is None:
        raise InputError("--tensor names an array of a file. Give the FILE too")


def _as_json(answers: list[IdentifiedPattern], fitted: HeadIdentifier) -> dict[str, Any]:
    return {
        "patterns": [answer.to_json() for answer in answers],
        "known_patterns": {"top_1": fitted.top_1, "top_5": fitted.top_5},
    }


def _print_answer(
    atlas: Atlas, what: str, answer: IdentifiedPattern, fitted: HeadIdentifier
) -> None:
    first = answer.heads[0]
    print_line(f"{what}: most likely {first.head}, probability {first.probability:.2f}.")
    if answer.is_unlike_all:
        print_line(
            f"But only {answer.share_farther:.2%} of known patterns are as far from their own "
            "head: it may be from a head that the atlas lacks."
        )
    else:
        print_line(
            f"{answer.share_farther:.0%} of known patterns are as far from their own head: no sign "
            "that the atlas lacks the head, although this test misses most such heads."
        )
    classes = dict(atlas.heads.select("head", "classes").iter_rows())
    print_table(
        "Most likely heads",
        ["rank", "head", "probability", "distance", "classes"],
        [
            [rank, h.head, h.probability, h.distance, ", ".join(classes[h.head])]
            for rank, h in enumerate(answer.heads, 1)
        ],
    )
    _print_accuracy(fitted)


def _print_answers(what: str, answers: list[IdentifiedPattern], fitted: HeadIdentifier) -> None:
    print_table(
        f"Most likely head of each pattern of {what}",
        ["pattern", "head", "probability", "next", "like a known head"],
        [
            [
                number,
                answer.heads[0].head,
                answer.heads[0].probability,
                answer.heads[1].head if len(answer.heads) > 1 else None,
                "no" if answer.is_unlike_all else "yes",
            ]
            for number, answer in enumerate(answers)
        ],
    )
    _print_accuracy(fitted)


def _print_accuracy(fitted: HeadIdentifier) -> None:
    print_line(
        f"On prompts left out, the first head is right for {fitted.top_1:.0%} of the patterns of "
        f"this atlas, and the right head is among five for {fitted.top_5:.0%}."
    )
