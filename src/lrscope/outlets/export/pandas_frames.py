"""Pandas frames of the tables of a study: the optional extra `pandas`."""

import importlib
from typing import TYPE_CHECKING, Any

from lrscope.errors import UsageError
from lrscope.outlets.export.tables import table, tables

if TYPE_CHECKING:
    from lrscope.outlets.export.tables import Exportable


def pandas_frames(study: "Exportable") -> dict[str, Any]:
    """Every table of a study, by name, as pandas frames."""
    _require()
    return {one.name: one.read().to_pandas() for one in tables(study)}


def pandas_frame(study: "Exportable", name: str) -> Any:
    """One table as a pandas frame; a missing value is NaN or None, a list is an array."""
    _require()
    return table(study, name).read().to_pandas()


def _require() -> None:
    for package in ("pandas", "pyarrow"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UsageError(
                f"to_pandas needs the package {package} ({error}); type: pip install 'lrscope[pandas]'"
            ) from error
