"""The capacity tables follow from the measured constants, by the formula that the page gives."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "README.md"


@pytest.fixture(scope="module")
def capacity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("capacity", ROOT / "benchmarks" / "capacity.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["capacity"] = module
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_page_are_those_of_the_constants(capacity: ModuleType) -> None:
    page, constants = PAGE.read_text(encoding="utf-8"), capacity.read_constants()
    assert capacity.cost_table(constants) in page
    assert capacity.plan_table(constants, capacity.Plan()) in page


def test_the_plan_is_the_sum_over_stages_of_cost_times_number(capacity: ModuleType) -> None:
    plan = capacity.Plan(10, 100, 20, 3, billions=0.5)
    units = plan.units()
    assert units == {
        "pattern": 20_000,
        "head": 1000,
        "pair": 499_500,
        "viewed": 3000,
        "forward": 100.0,
    }
    stage = {"unit": "pattern", "seconds_per_million": 180.0, "bytes_each": 500.0}
    assert capacity.costs(stage, units) == pytest.approx({"hours": 0.001, "gb": 0.01})
    twice = capacity.Plan(20, 100, 20, 3, billions=0.5).units()
    for one in capacity.read_constants():
        times = 1999 * 2000 / (999 * 1000) if one["unit"] == "pair" else 2.0
        before, after = capacity.costs(one, units), capacity.costs(one, twice)
        assert after == pytest.approx({key: times * value for key, value in before.items()})


def test_every_constant_names_where_it_was_measured(capacity: ModuleType) -> None:
    for one in capacity.read_constants():
        assert one["unit"] in capacity.UNITS
        for script in re.findall(r"benchmarks/\w+\.py", one["source"]):
            assert (ROOT / script).is_file()
        assert one["source"]
        assert one["seconds_per_million"] is not None or one["bytes_each"] is not None
