"""The example notebook: run as a reader runs it, and written back with what it shows.

`python tests/docs/example.py` runs docs/example.ipynb and writes its outputs into it: of what is shown in
several ways the picture only, which every viewer of notebooks shows.
"""

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[2] / "docs" / "example.ipynb"


def executed(folder: Path) -> Any:
    """The notebook, run in a folder."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=240, resources=resources).execute()
    return notebook


def main() -> None:
    """Run the notebook and write it back."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    notebook = executed(NOTEBOOK.parent)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                del data["text/html"]
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
