"""Patches: hook objects of the user's own for a vendor, from packages, files and the client's arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import PluginError
from ..plugins.registry import plugin_name

if TYPE_CHECKING:
    from importlib.abc import Loader

__all__ = ["checked_patch", "patch_from_file", "provider_of_patch"]


def checked_patch(patch: Any, name: str) -> Any:
    """Return a patch that was found under a provider's name; it may leave out its own `provider`, or repeat it."""
    own = getattr(patch, "provider", name)
    if own != name:
        raise PluginError(
            f"The patch {plugin_name(patch)} is registered for {name!r} and calls itself one for {own!r}.",
            provider=name,
        )
    return patch


def provider_of_patch(patch: Any) -> str:
    """Return the name of the provider that a patch is for. Raises PluginError where it does not say."""
    name = getattr(patch, "provider", None)
    if not isinstance(name, str) or not name:
        shown = getattr(patch, "__name__", None) or type(patch).__qualname__
        raise PluginError(f'The patch {shown} does not say which provider it is for: give it provider = "NAME".')
    return name


def patch_from_file(path: Path) -> Any:
    """Import a patch from a single file, under a name of its own. Raises PluginError where it cannot be loaded."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(f"chatport_patch_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"The patch file {path} does not exist.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        _run(spec.loader, module, path)
    except Exception as error:
        raise PluginError(f"The patch file {path} cannot be loaded: {type(error).__name__}: {error}.") from error
    return module


def _run(loader: Loader, module: ModuleType, path: Path) -> None:
    """Run what the file says, and nothing else: beside it might lie compiled code that says something different."""
    from importlib.machinery import SourceFileLoader

    if isinstance(loader, SourceFileLoader):
        exec(loader.source_to_code(path.read_bytes(), str(path)), vars(module))
    else:
        loader.exec_module(module)
