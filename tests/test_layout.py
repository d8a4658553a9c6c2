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

STAGES: dict[str, float] = {
    "prompts": 1,
    "extraction": 2,
    "features": 3,
    "moments": 3.5,
    "quantiles": 3.5,
    "embedding": 4,
    "recommended": 4.5,
    "distances": 5,
    "projection": 6,
    "clustering": 6,
    "literature": 7,
    "behaviour": 8,
    "evaluation": 8.5,
    "comparison": 8.7,
    "figures": 9,
    "site": 9,
}
BASE = {
    "ablation_table",
    "atlas",
    "atlas_paths",
    "cache_folder",
    "contents",
    "errors",
    "executors",
    "files",
    "fitted_files",
    "head",
    "hub",
    "manifest",
    "neighbour_files",
    "neighbour_graph",
    "progress",
    "remote",
    "triangles",
    "user_files",
}
# On top of all stages, each free to use those before it.
TOP = ("queries", "head_export", "checking", "sharing", "stages", "cli", "__main__")

# `atlas.near`, `atlas.head`, `atlas.embedding` and `atlas.recommended` load what they need when
# they are called.
LAZY = {
    ("atlas", "queries"),
    ("atlas", "head_export"),
    ("atlas", "embedding"),
    ("atlas", "recommended"),
}

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
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return found


def part_of(module: str) -> str:
    """`attention_motifs.distances.kernels` is a part of `distances`; of the package, ``."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


def imports(module: str, known: set[str] | None = None) -> Iterator[Import]:
    """All imports of the package's own modules, also those inside of functions."""
    modules = known if known is not None else set(trees())
    yield from _imports(trees()[module], module, modules, "module")


def _imports(
    node: ast.AST, module: str, known: set[str], where: Literal["module", "function", "types"]
) -> Iterator[Import]:
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
        yield from _imports(child, module, known, inside)


def forbidden(one: Import) -> bool:
    """Whether an import goes against the order of the stages."""
    importer, imported = part_of(one.importer), part_of(one.imported)
    if importer in ("", imported) or imported == "":
        return False  # the package loads its parts by name when asked; parts may use `__version__`
    if importer in TOP:
        return imported in TOP and TOP.index(imported) > TOP.index(importer)
    if importer in BASE:
        lazily = (importer, imported) in LAZY and one.where != "module"
        return imported not in BASE and not lazily
    if imported in BASE:
        return False
    return imported in TOP or STAGES[imported] >= STAGES[importer]


MODULES = sorted(trees())


def test_every_module_has_a_place_in_the_order() -> None:
    assert {part_of(module) for module in MODULES} - {""} <= {*STAGES, *BASE, *TOP}


@pytest.mark.parametrize("module", MODULES)
def test_a_stage_imports_only_what_comes_before_it(module: str) -> None:
    assert not [str(one) for one in imports(module) if forbidden(one)]


@pytest.mark.parametrize(
    ("importer", "imported", "where", "is_forbidden"),
    [
        ("features.compute", "embedding", "module", True),
        ("features.compute", "embedding", "function", True),
        ("features.compute", "embedding", "types", True),
        ("embedding", "features", "module", False),
        ("projection", "clustering.linkage", "module", True),
        ("clustering.linkage", "clustering.methods", "module", False),
        ("figures.make", "atlas", "types", False),
        ("figures.make", "site.export", "module", True),
        ("evaluation.clouds", "behaviour", "module", False),
        ("literature", "stages.run", "function", True),
        ("atlas", "queries", "module", True),
        ("atlas", "queries", "function", False),
        ("atlas", "distances", "function", True),
        ("files", "head", "module", False),
        ("queries", "features", "module", False),
        ("queries", "cli.look", "function", True),
        ("cli.look", "queries", "module", False),
    ],
)
def test_the_order_is_what_it_should_be(
    importer: str, imported: str, where: Literal["module", "function"], is_forbidden: bool
) -> None:
    one = Import(f"{PACKAGE}.{importer}", f"{PACKAGE}.{imported}", where, 1)
    assert forbidden(one) == is_forbidden


def test_imports_are_found_wherever_they_stand() -> None:
    source = (
        "from attention_motifs import files, Atlas\n"
        "import attention_motifs.head as h, numpy\n"
        "if TYPE_CHECKING:\n"
        "    from attention_motifs.atlas import Atlas\n"
        "def f():\n"
        "    try:\n"
        "        from attention_motifs.features import kernels\n"
        "    finally:\n"
        "        pass\n"
    )
    known = {f"{PACKAGE}.{name}" for name in ("files", "atlas", "features", "features.kernels")}
    found = [
        (part_of(one.imported), one.where, one.line)
        for one in _imports(ast.parse(source), "m", known, "module")
    ]
    assert found == [
        ("files", "module", 1),
        ("", "module", 1),
        ("head", "module", 2),
        ("atlas", "types", 4),
        ("features", "function", 7),
    ]


# What is never done


def dangers(tree: ast.AST) -> list[str]:
    """Ways to run code that a file brings along."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{name}" for name in names)]
            bad = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
            found += [name for name in names if name.partition(".")[0] in bad]
            found += [name for name in names if name == "torch.load"]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"eval", "exec", "compile", "__import__", "torch.load", "pd.read_pickle"}:
                found.append(called)
            for keyword in node.keywords:
                given = ast.unparse(keyword.value)
                if keyword.arg in {"allow_pickle", "trust_remote_code"} and given != "False":
                    found.append(f"{keyword.arg}={given}")
                if (keyword.arg, given) == ("weights_only", "False"):
                    found.append("weights_only=False")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_no_file_that_is_read_can_run_code(module: str) -> None:
    assert not dangers(trees()[module])


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.numpy_pickle as j",
        "from pickle import loads",
        "from torch import load",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=allowed)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "torch.hub.load(name, weights_only=False)",
        "eval(text)",
        "__import__(name)",
    ],
)
def test_dangers_are_found(code: str) -> None:
    assert dangers(ast.parse(code))


@pytest.mark.parametrize(
    "code", ["model.eval()", "np.load(p, allow_pickle=False)", "re.compile(p)"]
)
def test_what_only_looks_like_a_danger_is_none(code: str) -> None:
    assert not dangers(ast.parse(code))


@pytest.mark.parametrize("module", ["attention_motifs.embedding", "test_files", "docs.conftest"])
@pytest.mark.parametrize("category", [DeprecationWarning, RuntimeWarning, UserWarning])
def test_warnings_of_ours_are_errors_here(module: str, category: type[Warning]) -> None:
    with pytest.raises(category, match="of ours"):
        warnings.warn_explicit("of ours", category, "file.py", 1, module=module)


# Names and sizes


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_named_after_what_they_do(module: str) -> None:
    vague = {"common", "helper", "helpers", "misc", "tools", "util", "utilities", "utils"}
    assert not vague & set(module.split("."))


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


# Import cost


def loaded_by(statement: str) -> set[str]:
    """Packages that a fresh Python has loaded after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = loaded_by("import attention_motifs; attention_motifs.__version__")
    assert "attention_motifs" in loaded
    assert not loaded & {*HEAVY, "numpy", "jaxtyping", "rich", "typer"}


def test_what_all_modules_stand_on_is_light() -> None:
    names = sorted(BASE | {"prompts", "embedding", "queries"})
    loaded = loaded_by("; ".join(f"import attention_motifs.{name}" for name in names))
    assert "numpy" in loaded
    assert not loaded & HEAVY


def test_the_command_line_starts_light() -> None:
    loaded = loaded_by("import attention_motifs.cli.app")
    assert "typer" in loaded
    assert not loaded & HEAVY


# The public interface


@pytest.mark.parametrize("name", attention_motifs.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
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


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_that_name'"):
        _ = attention_motifs.nothing_of_that_name
