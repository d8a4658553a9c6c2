"""Cost of a number of models: the tables of benchmarks/README.md, from measured constants.

The constants are in `capacity.json`, each with the benchmark it comes from. A test holds the page
against them.

    python benchmarks/capacity.py                       # the tables of the page
    python benchmarks/capacity.py --models 50 --heads-per-model 400 --prompts 256
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONSTANTS = Path(__file__).with_suffix(".json")

UNITS = {
    "pattern": "pattern",
    "head": "head",
    "pair": "pair of heads",
    "viewed": "pattern kept for viewing",
    "forward": "prompt and 10^9 parameters",
}


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    models: int = 1000
    heads_per_model: int = 253
    """The mean of the paper's six models, 1,520 heads."""
    prompts: int = 128
    viewed_prompts: int = 8
    billions: float = 1.3
    """Mean parameters of a model, in 10^9: of the paper's six."""

    def units(self) -> dict[str, float]:
        """How many there are of each unit of cost."""
        heads = self.models * self.heads_per_model
        return {
            "pattern": heads * self.prompts,
            "head": heads,
            "pair": heads * (heads - 1) // 2,
            "viewed": heads * self.viewed_prompts,
            "forward": self.models * self.prompts * self.billions,
        }


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=Plan.models)
    parser.add_argument("--heads-per-model", type=int, default=Plan.heads_per_model)
    parser.add_argument("--prompts", type=int, default=Plan.prompts)
    parser.add_argument("--viewed-prompts", type=int, default=Plan.viewed_prompts)
    parser.add_argument("--billions", type=float, default=Plan.billions, help="of parameters")
    given = parser.parse_args()
    constants = read_constants()
    print(cost_table(constants), "", plan_table(constants, Plan(**vars(given))), sep="\n")


def read_constants(path: Path = CONSTANTS) -> list[dict[str, Any]]:
    """Read the measured constants.

    Each has `stage`, `unit` (a key of `UNITS`), `seconds_per_million`, `bytes_each` (both None
    where it was not measured), `peak_mib` (of the run measured) and `source`.
    """
    constants: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["stages"]
    return constants


def cost_table(constants: list[dict[str, Any]]) -> str:
    """The measured constants as Markdown."""
    rows = ["| stage | per | seconds per million | bytes each | peak MiB | measured |"]
    rows.append("|---|---|---|---|---|---|")
    for one in constants:
        seconds, size, peak = (one[k] for k in ("seconds_per_million", "bytes_each", "peak_mib"))
        rows.append(
            f"| {one['stage']} | {UNITS[one['unit']]} | {_number(seconds)} | {_number(size)} | "
            f"{_number(peak)} | {one['source']} |"
        )
    return "\n".join(rows)


def plan_table(constants: list[dict[str, Any]], plan: Plan) -> str:
    """What the plan would take by stage, and in all, as Markdown."""
    units = plan.units()
    rows = ["| stage | how many | hours | GB |", "|---|---|---|---|"]
    total = {"hours": 0.0, "gb": 0.0}
    for one in constants:
        if one.get("left_out"):
            continue
        cost = costs(one, units)
        total = {key: total[key] + cost[key] for key in total}
        rows.append(
            f"| {one['stage']} | {units[one['unit']]:,.0f} | {_amount(cost['hours'])} | "
            f"{_amount(cost['gb'])} |"
        )
    rows.append(f"| **all** | | **{_amount(total['hours'])}** | **{_amount(total['gb'])}** |")
    return "\n".join(rows)


def costs(constant: Mapping[str, Any], units: Mapping[str, float]) -> dict[str, float]:
    """Hours and gigabytes (10^9 bytes) of one stage: the constant times how many there are."""
    n = units[constant["unit"]]
    return {
        "hours": (constant["seconds_per_million"] or 0.0) * n / 1e6 / 3600,
        "gb": (constant["bytes_each"] or 0.0) * n / 1e9,
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _amount(value: float) -> str:
    if value == 0:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
