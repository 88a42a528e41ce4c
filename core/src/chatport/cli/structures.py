"""`--schema`: a JSON Schema in a file, or a Python type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import jsoncodec
from ..errors import BadRequestError
from .loading import load_object

__all__ = ["structure_of"]


def structure_of(place: str) -> Any:
    """Return what `output=` takes. Raises BadRequestError and ConfigurationError."""
    path = Path(place)
    if path.is_dir():
        raise click.UsageError(f"--schema: {place!r} is a directory.")
    if path.is_file() or place.endswith(".json"):
        return _schema(path)
    return load_object(place, "--schema")


def _schema(path: Path) -> Any:
    try:
        return jsoncodec.decode(path.read_bytes())
    except OSError as error:
        raise BadRequestError(f"Cannot read the schema {path}: {error.strerror}.") from error
    except ValueError as error:
        raise BadRequestError(f"{path} is not JSON: {error}.") from error
