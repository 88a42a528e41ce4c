"""What the providers' packages declare, written down in one place: `python -m tests.declared` writes it anew.

Environment variables, addresses, headers and paths are names that users and vendors rely on, as they rely on public
names of the API. No test of a package uses each of them, so that a slip in one would be seen by nobody; here a change
of one is a line in the diff.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import msgspec

from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.provider import Provider

__all__ = ["DECLARED", "declared", "written"]

DECLARED = Path(__file__).with_name("declared.json")
_ELSEWHERE = {"facts", "hooks", "protocols", "hook_api"}


@functools.cache
def declared() -> dict[str, Any]:
    """Return what each provider of the house declares, and what its other protocols change of that."""
    providers = [
        load_provider(name)
        for name, plugin in installed_providers().items()
        if plugin.distribution.startswith("chatport-")
    ]
    return {provider.name: _of(provider) for provider in sorted(providers, key=lambda provider: provider.name)}


def _of(provider: Provider) -> dict[str, Any]:
    own = _plain(provider)
    forms = {protocol.name: _plain(protocol.form(provider)) for protocol in provider.protocols}
    others = {
        name: {key: value for key, value in form.items() if own.get(key) != value} for name, form in forms.items()
    }
    return {**own, **({"protocols": others} if others else {})}


def _plain(value: Any) -> Any:
    """Return a value as JSON, of ours without what is as it usually is, and without functions."""
    if attrs.has(type(value)):
        usual = {field.name: field.default for field in attrs.fields(type(value))}
        members = {name: getattr(value, name) for name in usual if name not in _ELSEWHERE}
        return {
            name: _plain(member) for name, member in members.items() if member != usual[name] and not _is_code(member)
        }
    if isinstance(value, msgspec.Struct):
        usual = {field.name: field.default for field in msgspec.structs.fields(value)}
        return {
            name: _plain(getattr(value, name)) for name in usual if getattr(value, name) not in (usual[name], (), {})
        }
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, tuple | list) else value


def _is_code(value: Any) -> bool:
    return callable(value) or value in ({}, ())


def written() -> str:
    """Return the text of the file: a line for each member of each provider."""
    lines = {
        name: ",\n".join(f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in own.items())
        for name, own in declared().items()
    }
    return "{\n" + ",\n".join(f' "{name}": {{\n{own}\n }}' for name, own in lines.items()) + "\n}\n"


if __name__ == "__main__":
    DECLARED.write_text(written(), "utf-8")
