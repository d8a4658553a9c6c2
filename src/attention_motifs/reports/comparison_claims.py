"""The paper's claims, and the verdict on each from the measures of an atlas.

A claim's rule for agreement is fixed here and printed beside it, so that no verdict hangs on the
reader's or the writer's mood. The paper gives few numbers; where it shows and does not say, the
page says so.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Measured = Mapping[str, Any]
"""The result of `stages.compare.measure`."""

Verdict = Literal["agrees", "partly", "differs", "no number to compare", "not measurable here"]
NO_NUMBER = "the paper shows, gives no number"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, its section, and the function that judges it."""

    key: str
    claim: str
    section: str
    paper: str
    """The paper's number, or `NO_NUMBER`."""
    figure: str
    """File of the figure that `motifs paper` draws, without ending."""
    rule: str
    judge: Callable[[Measured], tuple[str, Verdict]]
    """A function that returns the measured value in words, and the verdict."""


def _variance(k: int, claimed: float | None) -> Callable[[Measured], tuple[str, Verdict]]:
    def judge(measured: Measured) -> tuple[str, Verdict]:
        share = 100 * measured["variance"][0][str(k)]
        if claimed is None:
            return f"{share:.1f} %", "no number to compare"
        gap = abs(share - claimed)
        return f"{share:.1f} %", "agrees" if gap <= 3 else "partly" if gap <= 10 else "differs"

    return judge


def _overlap(measured: Measured) -> tuple[str, Verdict]:
    result = measured["overlap"]
    if result is None:
        return "one model only", "not measurable here"
    text = (
        f"overlap {result['components']:.2f} (lowest {result['lowest']:.2f}; heads dealt at random "
        f"{result['permuted']:.2f}), mixing {result['mixing']:.2f}"
    )
    if result["lowest"] >= 0.5 and result["mixing"] >= 0.5:
        return text, "agrees"
    return text, "partly" if result["lowest"] >= 0.25 else "differs"


def _regions(measured: Measured) -> tuple[str, Verdict]:
    result = measured["regions"]
    if result is None:
        return "one prompt only", "not measurable here"
    text = (
        f"head known by one pattern: top-1 {result['top_1']:.2f}, top-5 {result['top_5']:.2f} "
        f"(chance {result['chance']:.3f}); silhouette {result['silhouette']:.2f}; "
        f"{result['head_share']:.0%} of the variance is the head's"
    )
    if result["top_1"] >= 0.5 and result["silhouette"] >= 0.25:
        return text, "agrees"
    return text, "partly" if result["top_1"] >= 10 * result["chance"] else "differs"


def _likeness(measured: Measured) -> tuple[str, Verdict]:
    result = measured["likeness"]
    if result is None:
        return "no patterns kept, or of different lengths", "not measurable here"
    ratio = result["nearest"] / result["all"] if result["all"] else 1.0
    text = (
        f"attention on different tokens: {result['nearest']:.2f} from the {result['n_nearest']} "
        f"nearest heads, {result['all']:.2f} from all"
    )
    return text, "agrees" if ratio <= 0.5 else "partly" if ratio <= 0.75 else "differs"


def _classes(kind: str) -> Callable[[Measured], tuple[str, Verdict]]:
    def judge(measured: Measured) -> tuple[str, Verdict]:
        rows = [
            row
            for row in measured["classes"]
            if row["metric"] == "mean"
            and row["kind"] == kind
            and "all varieties" not in row["name"]
        ]
        return _grouped(rows)

    return judge


def _grouped(rows: list[Mapping[str, Any]]) -> tuple[str, Verdict]:
    """Count the classes beyond their null, and return the medians."""
    testable = [row for row in rows if row["p_floor"] <= 0.05 and row["map"] is not None]
    if not testable:
        return "no class of three heads that differs from its layers", "not measurable here"
    beyond = [row for row in testable if row["p"] <= 0.05]
    aurocs = [row["auroc"] for row in testable if row["auroc"] is not None]
    auroc = f"AUROC {statistics.median(aurocs):.2f}, " if aurocs else ""
    text = (
        f"{len(beyond)} of {len(testable)} beyond the layer-matched null; median {auroc}"
        f"MAP {statistics.median(row['map'] for row in testable):.2f} "
        f"(null {statistics.median(row['map_null'] for row in testable):.2f})"
    )
    share = len(beyond) / len(testable)
    return text, "agrees" if share >= 2 / 3 else "partly" if share >= 1 / 3 else "differs"


def _name_movers(measured: Measured) -> tuple[str, Verdict]:
    rows = [
        row
        for row in measured["classes"]
        if row["metric"] == "mean" and row["name"] == "name mover, all varieties"
    ]
    if not rows:
        return "no model here has known name movers", "not measurable here"
    return _grouped(rows)


def _layers(measured: Measured) -> tuple[str, Verdict]:
    result = measured["layers"]
    if not result:
        return "no model with several layers", "not measurable here"
    beyond = [row for row in result if row["p"] <= 0.05]
    clear = [row for row in beyond if row["auroc"] >= 0.6]
    text = "; ".join(
        f"{row['model']}: AUROC {row['auroc']:.2f} (p {row['p']:.3f}) for halves, "
        f"{row['best_auroc']:.2f} (p {row['best_p']:.3f}) for layers before {row['best_cut']} and "
        "the rest"
        for row in result
    )
    half = len(result) / 2
    return text, "agrees" if len(clear) > half else "partly" if len(beyond) > half else "differs"


_TO_SHARE = "agrees within 3 points, partly within 10"

CLAIMS: tuple[Claim, ...] = (
    Claim("variance-3", "The first 3 components explain around 68 % of the variance", "2.3",
          "around 68 %", "figure-11-variance", _TO_SHARE, _variance(3, 68.0)),
    Claim("variance-10", "The first 10 explain nearly 90 %", "2.3", "nearly 90 %",
          "figure-11-variance", _TO_SHARE, _variance(10, 90.0)),
    Claim("variance-16", "The embedding is the first 16", "2.3", NO_NUMBER,
          "figure-11-variance", "none", _variance(16, None)),
    Claim("overlap", "The distributions of all models overlap", "2.3, figures 4 and 12",
          NO_NUMBER, "figure-04-models",
          "agrees where the lowest overlap and the mixing are 0.5 or more, partly where the "
          "lowest overlap is 0.25 or more", _overlap),
    Claim("regions", "All patterns of a head occupy a well-defined region", "2.3, figure 4",
          NO_NUMBER, "figure-04-heads",
          "agrees where top-1 is 0.5 or more and the silhouette 0.25 or more, partly where top-1 "
          "is ten times chance", _regions),
    Claim("look-alikes", "Nearby heads have similar patterns on any prompt",
          "3.1, figures 5, 6, 8 and 9", NO_NUMBER, "figure-09-look-alikes",
          "agrees where the nearest differ half as much as all heads do, partly at three quarters",
          _likeness),
    Claim("known-classes", "Known classes of heads are generally grouped together",
          "3.1, figures 7 and 14", NO_NUMBER + "; precision and recall are left out on purpose",
          "figure-07-isomap",
          "of the classes that could be told from their layers: agrees where two thirds are "
          "beyond the null (MAP, p of 0.05), partly at one third", _classes("literature")),
    Claim("computed-classes", "The same of classes computed from behaviour (not in the paper)",
          "", "not in the paper", "figure-07-isomap", "as above", _classes("computed")),
    Claim("name-movers", "All varieties of name movers are grouped together", "3.1, figure 5",
          NO_NUMBER, "figure-05-look-alikes", "as above", _name_movers),
    Claim("layers", "For most models early and late layers are clearly distinct in the distances",
          "figure 13", NO_NUMBER, "figure-13-distances",
          "agrees where the halves of more than half of the models have an AUROC of 0.6 or more "
          "with p of 0.05 or less, partly where they have the p", _layers),
)  # fmt: skip


def judged(measured: Measured) -> list[dict[str, str]]:
    """Return every claim with its measured value and verdict, as JSON objects."""
    verdicts = []
    for claim in CLAIMS:
        text, verdict = claim.judge(measured)
        verdicts.append({"claim": claim.key, "measured": text, "verdict": verdict})
    return verdicts
