"""Commands for prompts with labels: make them from templates, and contrast two sets of them."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report
from attention_motifs.errors import InputError


@app.command()
def contrast(
    where: Annotated[
        list[str],
        typer.Option(
            "--where",
            metavar="KEY=VALUE",
            help="Label of the first set of prompts; repeatable: all keys must hold.",
        ),
    ],
    against: Annotated[
        list[str],
        typer.Option(
            "--against",
            metavar="KEY=VALUE",
            help="Label of the second set of prompts; repeatable.",
        ),
    ],
    atlas: o.AtlasOption = None,
    n: Annotated[int, o.count_option("-n", "Number of heads to list.")] = 10,
    metric: Annotated[
        str | None,
        o.value_option(
            "--metric",
            "METRIC",
            "Space of the patterns: mean, or a preset such as natural.",
            unset="the paper's embedding",
        ),
    ] = None,
    within: Annotated[
        str | None,
        o.value_option(
            "--within",
            "KEY",
            "Label that both sets share: random splits exchange prompts of equal value only.",
        ),
    ] = None,
    splits: Annotated[
        int | None,
        o.count_option(
            "--splits", "Number of random splits.", least=19, unset="9999, more with many heads"
        ),
    ] = None,
    seed: Annotated[int, o.seed_option("the random splits")] = 0,
    json: o.JsonOption = False,
) -> None:
    """List the heads whose patterns differ between two sets of prompts.

    Examples:
      motifs contrast --where genre=fiction --against genre=news
      motifs contrast --where condition=ABBA --against condition=BABA --within filling
    """
    from attention_motifs.atlas.prompt_labels import parsed_where

    opened = Atlas.open(o.find_atlas(atlas))
    with report("contrast", 1):
        answer = opened.contrast(
            parsed_where(where),
            parsed_where(against, "--against"),
            metric=metric,
            within=within,
            n_splits=splits,
            seed=seed,
        )
    if json:
        print_json(answer.to_json())
        return
    print_line(answer.sentence)
    print_table(
        f"{answer.where} ({answer.n_where} prompts) against {answer.against} ({answer.n_against})",
        answer.heads.columns,
        [list(row) for row in answer.heads.head(n).iter_rows()],
    )
    which = "all" if answer.exact else "random"
    print_line(
        f"distance: between the patterns of the head on the two sets. noise, noise_95: median and "
        f"95th percentile of {answer.n_splits} {which} splits of the same sizes. q corrects p for "
        f"all {answer.heads.height} heads."
    )


@app.command("make-prompts")
def make_prompts(
    template: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|TEXT]", help="Built-in template, or a text with {slots}."),
    ] = None,
    n: Annotated[
        int, o.count_option("-n", "Number of prompts, a multiple of the template's conditions.")
    ] = 32,
    fill: Annotated[
        list[str] | None,
        o.value_option(
            "--fill",
            "LIST=A,B,...",
            "Entries of a list: {name1} and {name2} stand for two of the list name; repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        o.value_option(
            "--out",
            "FILE",
            "JSON-lines file to write, for --prompts.",
            unset="print",
            callback=o.check_writable,
        ),
    ] = None,
    seed: Annotated[int, o.seed_option("drawing fillings")] = 0,
    json: o.JsonOption = False,
) -> None:
    """Make prompts from a template, with their condition and the places of the filled slots.

    Without a template, list the built-in ones.

    Examples:
      motifs make-prompts
      motifs make-prompts indirect-objects -n 32 --out names.jsonl
      motifs make-prompts "{name1} met {name2}." --fill name=Ann,Bo,Cy,Di -n 4 --json
    """
    from attention_motifs.prompt_templates import prompt_templates, prompts_from_template
    from attention_motifs.prompts import save_prompts

    if template is None:
        _print_templates(prompt_templates(), json=json)
        return
    prompts = prompts_from_template(template, n, fillings=_fillings(fill), seed=seed)
    if out is not None:
        save_prompts(prompts, out)
        print_line(f"{len(prompts)} prompts are in {out}. Use them: motifs build --prompts {out}")
    elif json:
        print_json([{"text": p.text, "meta": p.meta} for p in prompts])
    else:
        print_table(
            f"Prompts of {prompts[0].meta['template']}",
            ["condition", "filling", "text"],
            [[p.meta["condition"], p.meta["filling"], p.text] for p in prompts],
        )


def _fillings(texts: list[str] | None) -> dict[str, list[Any]]:
    """Read LIST=A,B,C.

    Raises:
        InputError: if a text has no `=`, or no entry after it.
    """
    fillings: dict[str, list[Any]] = {}
    for text in texts or ():
        name, _, values = text.partition("=")
        entries = [value.strip() for value in values.split(",") if value.strip()]
        if not name.strip() or not entries:
            raise InputError(f"--fill {text[:60]!r}: write LIST=A,B,C, such as name=Ann,Bo,Cy")
        fillings.setdefault(name.strip(), []).extend(entries)
    return fillings


def _print_templates(templates: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json([vars(template) for template in templates.values()])
        return
    print_table(
        "Templates: motifs make-prompts NAME",
        ["name", "conditions", "what differs between them"],
        [[t.name, ", ".join(t.conditions), t.description] for t in templates.values()],
    )
    example = next(iter(templates.values()))
    text = json_format.dumps(next(iter(example.conditions.values())), ensure_ascii=False)
    print_line(f"Such as {example.name}: {text}")
