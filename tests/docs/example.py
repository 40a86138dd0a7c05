"""The example notebook: run as a reader runs it, and written back with what it shows.

`python tests/docs/example.py` runs docs/example.ipynb and writes its outputs into it: of what is shown in
several ways the picture only, which every viewer of notebooks shows.
"""

import base64
import io
import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "docs" / "example.ipynb"


def executed(folder: Path) -> Any:
    """The notebook, run in a folder."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=240, resources=resources).execute()
    return notebook


def _small(picture: str) -> str:
    """The same dots in a third of the bytes."""
    squeezed = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(picture))).save(squeezed, "PNG", optimize=True)
    return base64.b64encode(squeezed.getvalue()).decode("ascii")


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
                data["image/png"] = _small(data["image/png"])
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
