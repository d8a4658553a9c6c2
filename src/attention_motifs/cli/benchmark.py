"""The command that runs the semi-planted benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from attention_motifs.evaluation import PlantedScore
    from attention_motifs.stages.benchmark import Benchmark


StrengthOption = Annotated[
    list[float] | None,
    o.value_option(
        "--strength",
        "NUMBER",
        "Weight of the rule in the patterns of its hosts; repeatable.",
        unset="0.5, 0.25, 0.1",
        min=0,
        max=1,
    ),
]
HostsOption = Annotated[
    int | None,
    o.count_option(
        "--hosts",
        "Number of hosts per rule.",
        least=2,
        unset="a third of the heads, up to 10 per rule",
    ),
]
OutOption = Annotated[
    Path | None,
    o.value_option(
        "--out",
        "DIR",
        "New folder to keep the planted atlases in; with --distances, that of an earlier run.",
        unset="they are deleted",
        callback=o.check_writable,
    ),
]
DistancesOption = Annotated[
    list[str] | None,
    o.value_option(
        "--distances",
        "NAME",
        "Score distances of your own, saved in --out as NAME-0.5.npy, NAME-0.25.npy...; "
        "repeatable.",
    ),
]


@app.command()
def benchmark(
    atlas: o.AtlasOption = None,
    metric: o.MetricsOption = None,
    strength: StrengthOption = None,
    n_prompts: Annotated[
        int, o.count_option("--n-prompts", "Number of prompts to run the models on.", least=2)
    ] = 32,
    hosts: HostsOption = None,
    seed: Annotated[int, o.seed_option("the draw of the hosts")] = 0,
    out: OutOption = None,
    distances: DistancesOption = None,
    device: o.DeviceOption = "auto",
    json: o.JsonOption = False,
) -> None:
    """Plant known rules in real heads, and measure which metrics find them again.

    Examples:
      motifs benchmark --atlas demo-atlas
      motifs benchmark --metric recommended --metric mean --out planted --json
      motifs benchmark --out planted --distances mine
    """
    from attention_motifs.evaluation import STRENGTHS
    from attention_motifs.stages.benchmark import benchmark as run_benchmark

    if distances:
        _score_own(out, distances, json=json)
        return
    result = run_benchmark(
        Atlas.open(o.find_atlas(atlas)),
        metrics=metric,
        strengths=strength or STRENGTHS,
        n_prompts=n_prompts,
        n_hosts=hosts,
        seed=seed,
        out=out,
        device=device,
        report=report,
    )
    if json:
        print_json(result.to_json())
        return
    _print_result(result)
    if out is not None:
        print_line(f"The planted atlases are in {out}.")


def _score_own(out: Path | None, names: list[str], *, json: bool) -> None:
    """Score distances of the user on kept atlases."""
    from attention_motifs.stages.benchmark import score_kept

    if out is None:
        raise InputError("--distances needs the folder of planted atlases. Give it with --out")
    kept = {name: score_kept(out, name) for name in names}
    if json:
        print_json({n: {f"{k:g}": s.to_json() for k, s in by.items()} for n, by in kept.items()})
        return
    strengths = list(next(iter(kept.values())))
    print_table(
        _TITLE,
        ["distances", *_headings(strengths)],
        [[name, *map(_cell, by.values())] for name, by in kept.items()],
    )


_TITLE = "Mean average precision of planted heads, with 95 % interval, by strength of the rule"


def _print_result(result: Benchmark) -> None:
    order = sorted(result.scores, key=lambda n: -result.scores[n][result.strengths[0]].mean_ap)
    best = result.best
    score = result.scores[best][result.strengths[0]]
    print_line(
        f"Best at strength {result.strengths[0]:g}: {best}, which finds {score.mean_ap:.0%} of "
        f"what there is to find; a random order {score.chance:.0%}."
    )
    real = ["real classes"] if result.real else []
    print_table(
        _TITLE,
        ["distance", *_headings(result.strengths), "behind the best", "nothing planted", *real],
        [
            [
                name,
                *(_cell(result.scores[name][s]) for s in result.strengths),
                _behind(result.scores[name][result.strengths[0]], score) if name != best else "",
                f"{result.scores[name][0.0].mean_ap:.2f}",
                *([f"{result.real[name]:.2f}"] if real else []),
            ]
            for name in order
        ],
    )
    if not real:
        print_line("Run `motifs score` to compare with classes of real heads.")
        return
    known = [(k, v) for k, v in result.agreement.items() if v is not None]
    if known:
        text = ", ".join(f"{value:.2f} at {strength:g}" for strength, value in known)
        print_line(
            f"Order of the distances on planted heads and on {len(result.real_classes)} classes of "
            f"real heads (Spearman): {text}."
        )


def _headings(strengths: list[float]) -> list[str]:
    return [f"{strength:g}" for strength in strengths]


def _behind(score: PlantedScore, best: PlantedScore) -> str:
    value, low, high = best.minus(score)
    return f"{value:.2f} ({low:.2f}-{high:.2f})"


def _cell(score: PlantedScore) -> str:
    return f"{score.mean_ap:.2f} ({score.low:.2f}-{score.high:.2f})"
