"""The rules of the source tree: what may import what, what is never called, what stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

import attention_motifs

PACKAGE = "attention_motifs"
ROOT = Path(attention_motifs.__file__).parent

FLOORS = (
    {"errors", "head", "memory", "notebook", "progress", "prompt_templates", "prompts"},
    {"features", "executors"},
    {"store"},
    {"models", "embedding", "distances", "literature"},
    {"extraction", "projection", "clustering", "evaluation"},
    {"viewer"},
    {"atlas", "behaviour"},
    {"figures", "site", "reports"},
    {"stages"},
    {"live"},
    {"sharing"},
    {"cli"},
    {"__main__"},
)
"""A package imports only packages on lower floors, and itself; the flat modules of the first
floor may import one another, without a circle."""
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS, 1) for name in names}

HEAVY = {
    "datasets",
    "faiss",
    "fsspec",
    "gguf",
    "httpx2",
    "huggingface_hub",
    "matplotlib",
    "numba",
    "obstore",
    "polars",
    "ray",
    "safetensors",
    "scipy",
    "sklearn",
    "starlette",
    "torch",
    "transformers",
    "uvicorn",
}


@dataclass(frozen=True)
class Import:
    """One import of a module of the package by another."""

    importer: str
    imported: str
    where: Literal["module", "function", "types"]
    line: int

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}, imports {self.imported} ({self.where})"


@cache
def trees() -> dict[str, ast.Module]:
    """The parsed modules by their dotted names."""
    parsed = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        parsed[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return parsed


def part_of(module: str) -> str:
    """`attention_motifs.distances.kernels` is a part of `distances`; the package itself, of ``."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


def imports(
    node: ast.AST,
    module: str,
    known: set[str],
    where: Literal["module", "function", "types"] = "module",
) -> Iterator[Import]:
    """All imports of the package's own modules, also those inside functions."""
    for child in ast.iter_child_nodes(node):
        names: list[str] = []
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module}, line {child.lineno}: a relative import"
            base = child.module or ""
            full = [f"{base}.{alias.name}" for alias in child.names]
            names = [name if name in known else base for name in full]
        for name in names:
            if name.partition(".")[0] == PACKAGE:
                yield Import(module, name, where, child.lineno)
        inside = where
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside = "function"
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            inside = "types"
        yield from imports(child, module, known, inside)


@cache
def all_imports() -> tuple[Import, ...]:
    """Every import of every module."""
    known = set(trees())
    return tuple(one for name, tree in trees().items() for one in imports(tree, name, known))


def is_forbidden(one: Import) -> bool:
    """Whether an import goes to the same floor or up."""
    importer, imported = part_of(one.importer), part_of(one.imported)
    if importer in ("", imported) or imported == "":
        return False  # the package loads its parts lazily; any part may read `__version__`
    if FLOOR_OF[importer] == 1:
        return FLOOR_OF[imported] > 1
    return FLOOR_OF[imported] >= FLOOR_OF[importer]


def circles() -> list[list[str]]:
    """Groups of modules that import one another at run time, inside functions too.

    The registration of commands is left out: `cli.app` imports the modules that register in it.
    """
    graph: dict[str, set[str]] = {name: set() for name in trees()}
    for one in all_imports():
        if one.where != "types" and part_of(one.importer) not in ("", "cli"):
            graph[one.importer].add(one.imported)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(graph[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += graph.get(name, ())
        return seen

    return [[name, *sorted(reachable(name))] for name in sorted(graph) if name in reachable(name)]


def test_packages_import_only_lower_floors() -> None:
    assert {part_of(module) for module in trees()} - {""} == set(FLOOR_OF)
    assert not [str(one) for one in all_imports() if is_forbidden(one)]
    assert not circles()


def test_the_rule_on_imports_finds_what_breaks_it() -> None:
    source = (
        "from attention_motifs import prompts, Atlas\n"
        "import attention_motifs.head as h, numpy\n"
        "if TYPE_CHECKING:\n"
        "    from attention_motifs.atlas import Atlas\n"
        "def f():\n"
        "    try:\n"
        "        from attention_motifs.features import kernels\n"
        "    finally:\n"
        "        pass\n"
    )
    known = {f"{PACKAGE}.{name}" for name in ("prompts", "atlas", "features", "features.kernels")}
    seen = list(imports(ast.parse(source), f"{PACKAGE}.store.files", known))
    assert [(part_of(one.imported), one.where, one.line, is_forbidden(one)) for one in seen] == [
        ("prompts", "module", 1, False),
        ("", "module", 1, False),
        ("head", "module", 2, False),
        ("atlas", "types", 4, True),
        ("features", "function", 7, False),
    ]
    assert is_forbidden(Import(f"{PACKAGE}.models.model", f"{PACKAGE}.distances", "function", 1))


# What is never done


def dangers(tree: ast.AST) -> list[str]:
    """Ways to run code that a file brings along."""
    bad = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    calls = {"eval", "exec", "compile", "__import__", "torch.load", "pd.read_pickle"}
    seen = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{name}" for name in names)]
            seen += [name for name in names if name.partition(".")[0] in bad]
            seen += [name for name in names if name == "torch.load"]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in calls:
                seen.append(called)
            for keyword in node.keywords:
                given = ast.unparse(keyword.value)
                if keyword.arg in {"allow_pickle", "trust_remote_code"} and given != "False":
                    seen.append(f"{keyword.arg}={given}")
                if (keyword.arg, given) == ("weights_only", "False"):
                    seen.append("weights_only=False")
    return seen


def test_modules_are_short_well_named_and_run_no_code_of_files() -> None:
    vague = {"common", "helper", "helpers", "misc", "tools", "util", "utilities", "utils"}
    for module, tree in trees().items():
        assert not vague & set(module.split(".")), module
        assert not dangers(tree), module
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 80, f"{module}.{node.name}"
    for path in ROOT.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, path


@pytest.mark.parametrize(
    ("code", "dangerous"),
    [
        ("import pickle", True),
        ("import joblib.numpy_pickle as j", True),
        ("from pickle import loads", True),
        ("from torch import load", True),
        ("torch.load(path)", True),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=allowed)", True),
        ("AutoModel.from_pretrained(name, trust_remote_code=True)", True),
        ("torch.hub.load(name, weights_only=False)", True),
        ("eval(text)", True),
        ("__import__(name)", True),
        ("model.eval()", False),
        ("np.load(p, allow_pickle=False)", False),
        ("re.compile(p)", False),
    ],
)
def test_dangers_are_recognised(code: str, dangerous: bool) -> None:
    assert bool(dangers(ast.parse(code))) == dangerous


@pytest.mark.parametrize("module", ["attention_motifs.embedding", "test_files", "docs.conftest"])
@pytest.mark.parametrize("category", [DeprecationWarning, RuntimeWarning, UserWarning])
def test_our_own_warnings_are_errors_in_tests(module: str, category: type[Warning]) -> None:
    with pytest.raises(category, match="of ours"):
        warnings.warn_explicit("of ours", category, "file.py", 1, module=module)


# Import cost


def loaded_by(statement: str) -> set[str]:
    """Packages that a fresh Python has loaded after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_imports_are_light() -> None:
    loaded = loaded_by("import attention_motifs; attention_motifs.__version__")
    assert "attention_motifs" in loaded
    assert not loaded & {*HEAVY, "numpy", "jaxtyping", "rich", "typer"}
    names = ("atlas.check", "atlas.queries", "embedding", "executors", "models", "prompts", "store")
    loaded = loaded_by("; ".join(f"import attention_motifs.{name}" for name in names))
    assert "numpy" in loaded
    assert not loaded & HEAVY
    loaded = loaded_by("import attention_motifs.cli.app")
    assert "typer" in loaded
    assert not loaded & HEAVY


# The public interface


@pytest.mark.parametrize("name", attention_motifs.__all__)
def test_every_public_name_is_available_and_documented(name: str) -> None:
    value = getattr(attention_motifs, name)
    assert name == "__version__" or (callable(value) and value.__doc__)


def test_public_names_are_the_same_for_python_and_for_the_type_checker() -> None:
    typed = {}
    for node in ast.walk(trees()[PACKAGE]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            where = str(node.module).removeprefix(f"{PACKAGE}.")
            typed |= {alias.name: where for alias in node.names}
    assert typed == attention_motifs._WHERE
    assert sorted(attention_motifs.__all__) == sorted([*typed, "__version__"])
    assert dir(attention_motifs) == sorted(attention_motifs.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_that_name'"):
        _ = attention_motifs.nothing_of_that_name
