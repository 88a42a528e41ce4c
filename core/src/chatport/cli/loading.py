"""Python objects that are named on the command line: `module:name`, or `file.py:name`.

The working folder is looked at last, so that a file in it stands in the place of no installed module.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigurationError

__all__ = ["load_object"]


def load_object(place: str, option: str) -> Any:
    """Return the object. Raises ConfigurationError that says what is wrong with it, and where in the user's file."""
    where, colon, name = place.rpartition(":")
    if not colon or not where or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(f"{option} {place!r} is not MODULE:NAME, such as weather:forecast or tools.py:search.")
    try:
        value: Any = _module_of_file(where) if where.endswith(".py") else _module(where)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{option} {place!r} cannot be loaded: {_told(error)}.") from error
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise ConfigurationError(f"{option} {place!r}: there is no {name!r} in {where}.") from None
    return value


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    return import_module(name)


def _module_of_file(place: str) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    path = Path(place).expanduser().resolve()
    name = f"chatport_cli_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known  # several objects of one file are of one module
    spec = spec_from_file_location(name, path)
    assert spec is not None  # the ending is that of a Python file
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and annotations look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _told(error: BaseException) -> str:
    """Return an error's words, with the last place in the user's own code that it came from."""
    from traceback import extract_tb

    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    own = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{place}"
