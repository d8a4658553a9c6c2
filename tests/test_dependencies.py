"""Tests that the package imports the dependencies that pyproject.toml declares, and no others."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import attention_motifs
from attention_motifs.errors import OPTIONAL_PACKAGES

ROOT = Path(__file__).parents[1]
SOURCES = Path(attention_motifs.__file__).parent

NOT_IMPORTED = {
    "accelerate": "transformers needs it to read GGUF files",
    "gguf": "transformers reads GGUF files through it",
}
"""Declared for another package's sake."""

OPTIONAL_IMPORTS = {"import_module", "require"}
"""Functions that import the module that their first argument names."""


def distribution_name(requirement: str) -> str:
    """`Umap_Learn>=0.5` is about `umap-learn`."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def imported_modules(tree: ast.AST, only_for_types: bool = False) -> Iterator[tuple[str, bool]]:
    """Top-level names that a module imports, and whether only a type checker does."""
    for node in ast.iter_child_nodes(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in OPTIONAL_IMPORTS:
                names = [str(node.args[0].value)]
        yield from ((name.partition(".")[0], only_for_types) for name in names)
        is_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        yield from imported_modules(node, only_for_types or is_types)


@pytest.fixture(scope="module")
def used() -> dict[str, set[bool]]:
    """Distributions that the sources import: {True} where only annotations need them."""
    of_module = packages_distributions()
    seen: dict[str, set[bool]] = {}
    for path in SOURCES.rglob("*.py"):
        for module, only_for_types in imported_modules(ast.parse(path.read_text("utf-8"))):
            if module in sys.stdlib_module_names or module in ("", "attention_motifs"):
                continue
            assert module in of_module, f"{path}: {module} belongs to no installed package"
            name = distribution_name(of_module[module][0])
            seen.setdefault(name, set()).add(only_for_types)
    return seen


@pytest.fixture(scope="module")
def project() -> dict[str, dict[str, list[str]]]:
    """The table `project` of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, dict[str, list[str]]] = tomllib.load(file)["project"]
    return table


def declared(requirements: list[str]) -> set[str]:
    return {distribution_name(one) for one in requirements} - {"attention-motifs"}


def test_every_import_is_declared_and_every_declaration_imported(
    used: dict[str, set[bool]], project: dict[str, dict[str, list[str]]]
) -> None:
    extras = project["optional-dependencies"]
    for_users = declared(list(project["dependencies"]))
    for_users |= {
        n
        for extra, names in extras.items()
        if extra not in ("dev", "docs", "supply")
        for n in declared(names)
    }
    at_run_time = {name for name, kinds in used.items() if False in kinds}
    assert at_run_time - for_users == set(), "imported and not declared"
    assert for_users - at_run_time - set(NOT_IMPORTED) == set(), "declared and not imported"
    only_for_types = {name for name, kinds in used.items() if kinds == {True}}
    assert only_for_types - for_users - declared(extras["dev"]) == set()


def test_optional_packages_are_in_their_extras(project: dict[str, dict[str, list[str]]]) -> None:
    extras = project["optional-dependencies"]
    for package, extra in OPTIONAL_PACKAGES.values():
        assert package in declared(extras[extra])


def test_the_pins_lie_in_the_declared_ranges(project: dict[str, dict[str, list[str]]]) -> None:
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = {
        distribution_name(line): line.partition("==")[2].strip()
        for line in lines
        if "==" in line and not line.startswith("#")
    }
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(one for names in extras for one in names)]:
        requirement = Requirement(text)
        name = distribution_name(text)
        if name != "attention-motifs":
            assert name in pins, f"{name} has no pin in constraints.txt"
            assert requirement.specifier.contains(pins[name]), f"{text}: pinned {pins[name]}"


def test_the_locked_requirements_are_the_pins_and_have_digests(
    project: dict[str, dict[str, list[str]]],
) -> None:
    from packaging.requirements import Requirement

    text = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", " ")
    locked = {}
    for line in text.splitlines():
        requirement, *digests = line.split("--hash=")
        assert digests, f"{line}: no digest"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for digest in digests)
        parsed = Requirement(requirement.strip())
        assert parsed.url is None
        locked[distribution_name(parsed.name)] = str(parsed.specifier).removeprefix("==")
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    )
    pins = {distribution_name(name): version for name, version in pins.items()}
    assert {name: pins[name] for name in locked if name in pins}.items() <= locked.items()
    extras = project["optional-dependencies"]
    used = [
        t
        for name in ("hub", "umap", "leiden", "transport", "nearest", "remote")
        for t in extras[name]
    ]
    for text in [*project["dependencies"], *used]:
        assert distribution_name(text) in locked, f"{text}: run `make lock`"
