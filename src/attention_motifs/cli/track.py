"""The command that follows heads through training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report
from attention_motifs.cli.setting_options import setting_option

if TYPE_CHECKING:
    from attention_motifs.atlas.training_track import Track


@app.command()
def track(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Folder of checkpoints whose names end with a step (step-100, checkpoint-100), or "
            "one version (org/name@step1000). Repeatable.",
        ),
    ],
    atlas: o.NewAtlasOption = None,
    prompts: Annotated[str | None, setting_option("prompts", unset="builtin")] = None,
    n_prompts: Annotated[int | None, setting_option("n_prompts", unset="32")] = None,
    max_tokens: Annotated[int | None, setting_option("max_tokens", unset="128")] = None,
    device: o.DeviceOption = "auto",
    metric: o.BestMetricOption = None,
    out: Annotated[
        Path | None,
        o.value_option("--out", "FILE", "Page to write, with a slider.", unset="none"),
    ] = None,
    json: o.JsonOption = False,
) -> None:
    """Follow heads through training: when does each class appear, and where?

    Builds an atlas of all versions, or adds those that the atlas lacks. Then the classes of heads
    at every version, their paths in the map, and heads of different runs matched.

    Examples:
      motifs track runs/seed-0 runs/seed-1 --atlas training-atlas --out training.html
      motifs track EleutherAI/pythia-14m@step512 EleutherAI/pythia-14m@step1000
    """
    from attention_motifs.atlas.training_track import track as follow
    from attention_motifs.reports.track_page import write_track_page
    from attention_motifs.stages.run import is_atlas
    from attention_motifs.stages.versions import build_versions, checkpoints

    given = {"prompts": prompts, "n_prompts": n_prompts, "max_tokens": max_tokens}
    settings: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    folder = o.place(atlas) if atlas else o.DEFAULT_ATLAS
    models = [version for run in runs for version in checkpoints(run)]
    if not is_atlas(folder):
        settings.setdefault("n_prompts", 32)
    opened = build_versions(folder, models, settings, device=device, report=report)
    answer = follow(opened, metric=metric)
    if json:
        print_json(answer.to_json())
    else:
        _print(answer)
    if out is not None:
        path = write_track_page(answer, out)
        if not json:
            print_line(f"Written: {path}")


def _print(answer: Track) -> None:
    print_line(answer.sentence)
    appeared = {a.name for a in answer.appearances if a.earliest is not None}
    print_table(
        "When classes appear: first step from which on there is a head of the class; the range is "
        "with scores larger and smaller by their spread",
        ["run", "class", "step", "range", "heads at the end", "largest score"],
        [
            [a.run, a.name, "never" if a.step is None else a.step, a.step_range,
             " ".join(a.heads[:4]) + (" ..." if len(a.heads) > 4 else ""),
             f"{a.score:.2f} ± {a.spread:.2f}"]
            for a in answer.appearances
            if a.name in appeared
        ],
    )  # fmt: skip
    if answer.matches:
        print_table(
            "Heads of one run matched with those of another, in their last versions",
            ["run", "other run", "labelled heads", "match has the class", "by chance", "p"],
            [
                [m.first, m.second, m.n_labelled, m.n_right, f"{m.null:.1f}", f"{m.p:.4f}"]
                for m in answer.matches
            ],
        )
