"""Generator of the contracts in TypeScript: `generated.ts` and `viewer.ts` in `web/src/contract`.

Run `python -m attention_motifs.site.typescript > web/src/contract/generated.ts`, and
`python -m attention_motifs.site.typescript viewer > web/src/contract/viewer.ts`.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Literal

from attention_motifs.site import contract
from attention_motifs.viewer import contract as viewer_contract

_HEADER = """\
// Generated from src/attention_motifs/{source}/contract.py by
//   python -m attention_motifs.site.typescript{argument} > web/src/contract/{name}.ts
// Change that file, or the dataclasses that it imports, not this one: a test compares the two.
"""

_SIMPLE = {"str": "string", "int": "number", "float": "number", "bool": "boolean", "None": "null"}


def typescript(source: str | None = None, of: Literal["site", "viewer"] = "site") -> str:
    """Return the TypeScript of a contract: constants, type aliases, and interfaces.

    Args:
        source: Python text of dataclasses, constants and aliases; by default `contract.py`.
            Dataclasses that it imports from the package are included under their names there.
        of: whose contract.

    Raises:
        ValueError: if the contract uses a type that has no counterpart here.
    """
    module = contract if of == "site" else viewer_contract
    tree = ast.parse(inspect.getsource(module) if source is None else source)
    name, argument = ("generated", "") if of == "site" else ("viewer", " viewer")
    header = _HEADER.format(source=of, argument=argument, name=name)
    parts = [header, *map(_interface, _imported(tree))]
    for node, comment in _with_comments(tree.body):
        if isinstance(node, ast.ClassDef):
            parts.append(_interface(node))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if isinstance(node.value, ast.Constant):
                parts.append(f"{comment}export const {name} = {node.value.value!r} as const;\n")
            else:
                parts.append(f"{comment}export type {name} = {_type(node.value)};\n")
    return "\n".join(parts)


def _imported(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """Yield the dataclasses that a contract imports from the package, by their names there."""
    imports = [
        (node.module, alias.name, alias.asname or alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("attention_motifs.")
        for alias in node.names
    ]
    names = {name: shown for _, name, shown in imports}
    for module, name, shown in imports:
        (node,) = ast.parse(inspect.getsource(getattr(import_module(str(module)), name))).body
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                part.id = names.get(part.id, part.id)
        if isinstance(node, ast.ClassDef):
            node.name = shown
            yield node


def _interface(node: ast.ClassDef) -> str:
    lines = [f"{_comment(ast.get_docstring(node), '')}export interface {node.name} {{\n"]
    for field, comment in _with_comments(node.body, "  "):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            # The export writes fields with defaults too, so none is optional.
            lines.append(f"{comment}  readonly {field.target.id}: {_type(field.annotation)};\n")
    return "".join([*lines, "}\n"])


def _with_comments(body: list[ast.stmt], indent: str = "") -> Iterator[tuple[ast.stmt, str]]:
    """Yield each statement with the string below it, which is its documentation."""
    for node, below in zip(body, [*body[1:], None], strict=True):
        yield node, _comment(_text(below), indent)


def _text(node: ast.stmt | None) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        value = node.value.value
        return inspect.cleandoc(value) if isinstance(value, str) else None
    return None


def _comment(text: str | None, indent: str) -> str:
    if text is None:
        return ""
    lines = text.replace("*/", "* /").splitlines()
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    body = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{body}{indent} */\n"


def _type(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return _SIMPLE.get(node.id, node.id)
    if isinstance(node, ast.Constant) and node.value is None:
        return "null"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        kinds = f"{_type(node.left)} | {_type(node.right)}".split(" | ")
        return " | ".join(dict.fromkeys(kinds))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "list":
            return f"ReadonlyArray<{_type(arguments[0])}>"
        if node.value.id == "tuple":
            return f"readonly [{', '.join(map(_type, arguments))}]"
        if node.value.id in ("dict", "Mapping"):
            return f"Readonly<Record<{_type(arguments[0])}, {_type(arguments[1])}>>"
        if node.value.id == "Literal":
            return " | ".join(f'"{ast.literal_eval(item)}"' for item in arguments)
    raise ValueError(f"line {node.lineno}: no TypeScript for {ast.unparse(node)}")


if __name__ == "__main__":
    sys.stdout.write(typescript(of="viewer" if sys.argv[1:] == ["viewer"] else "site"))
