"""The contract in TypeScript: up to date, and right about types and comments."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from attention_motifs.site.typescript import typescript

CONTRACTS = Path(__file__).parents[2] / "web" / "src" / "contract"


@pytest.mark.parametrize(("of", "name"), [("site", "generated.ts"), ("viewer", "viewer.ts")])
def test_the_committed_files_are_up_to_date(of: Literal["site", "viewer"], name: str) -> None:
    assert (CONTRACTS / name).read_text(encoding="utf-8") == typescript(of=of), (
        "run the commands in attention_motifs/site/typescript.py"
    )


def test_constants_types_and_interfaces() -> None:
    source = '''
VERSION = 3
"""Of the files."""
Kind = Literal["a", "b"]
Value = str | int | float | None

@dataclass(frozen=True)
class Thing:
    """A thing.

    Of two lines.
    """

    name: str
    others: list[Thing]
    """The others."""
    by_name: dict[str, list[float | None]]
    kind: Literal["x", "y"]
    extra: bool | None = None
    """Ends no comment: */ x"""
'''
    built = typescript(source)
    assert built.partition("\n\n")[2] == (
        "/** Of the files. */\n"
        "export const VERSION = 3 as const;\n"
        "\n"
        'export type Kind = "a" | "b";\n'
        "\n"
        "export type Value = string | number | null;\n"
        "\n"
        "/**\n * A thing.\n *\n * Of two lines.\n */\n"
        "export interface Thing {\n"
        "  readonly name: string;\n"
        "  /** The others. */\n"
        "  readonly others: ReadonlyArray<Thing>;\n"
        "  readonly by_name: Readonly<Record<string, ReadonlyArray<number | null>>>;\n"
        '  readonly kind: "x" | "y";\n'
        "  /** Ends no comment: * / x */\n"
        "  readonly extra: boolean | null;\n"
        "}\n"
    )


@pytest.mark.parametrize("annotation", ["set[str]", "Callable", "frozenset[int]", "list"])
def test_a_type_without_counterpart_is_refused_or_named(annotation: str) -> None:
    source = f"class A:\n    x: {annotation}\n"
    if annotation in {"Callable", "list"}:  # a plain name is another interface of the contract
        assert f"x: {annotation};" in typescript(source)
    else:
        with pytest.raises(ValueError, match="no TypeScript for"):
            typescript(source)


def test_dataclasses_of_the_package_are_included_under_the_names_of_the_contract() -> None:
    source = """\
from dataclasses import dataclass
from attention_motifs.evaluation.table import HeadlineCell as Cell
from attention_motifs.evaluation.table import HeadlineRow as Line
"""
    interfaces = typescript(source)
    assert "export interface Cell {" in interfaces
    assert "readonly s5_gain: readonly [number, number, number] | null;" in interfaces
    assert "readonly cells: Readonly<Record<string, Cell>>;" in interfaces
    assert "Headline" not in interfaces
