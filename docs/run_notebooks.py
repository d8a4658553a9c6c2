"""Run the notebooks and keep what they print, in docs/notebooks/ or elsewhere.

    python docs/run_notebooks.py FOLDER                 # FOLDER holds demo-atlas
    python docs/run_notebooks.py FOLDER --out SOMEWHERE patterns

The outputs in the repository are of `motifs demo` as it is. Execution counts stay and times go, so
that running a notebook again changes only what it prints.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent / "notebooks"


def run(notebook: Path, folder: Path, out: Path) -> Path:
    """Run one notebook in a folder, and write it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    book = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        book,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # Progress and warnings of libraries are no result.
            cell.outputs = joined([o for o in cell.outputs if o.get("name") != "stderr"])
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    target = out / notebook.name
    nbformat.write(book, target)
    return target


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join what a cell prints: on a busy machine it arrives in several pieces."""
    whole: list[nbformat.NotebookNode] = []
    for output in outputs:
        if whole and output.output_type == whole[-1].output_type == "stream":
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def main() -> None:
    """Read the arguments and run the notebooks named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds demo-atlas")
    parser.add_argument("names", nargs="*", help="without .ipynb; default: all")
    parser.add_argument("--out", type=Path, default=NOTEBOOKS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not given.names or notebook.stem in given.names:
            print(run(notebook, given.folder, given.out))


if __name__ == "__main__":
    main()
