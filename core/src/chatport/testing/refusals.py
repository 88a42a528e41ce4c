"""What an emulator refuses because its class data say so: the checks that most vendors share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .emulator import VendorEmulator

__all__ = ["CHECKS"]

Check: TypeAlias = "Callable[[VendorEmulator, Mapping[str, Any]], None]"


def _fields(vendor: VendorEmulator, body: Mapping[str, Any]) -> None:
    for name in body:
        if name in vendor.refused_fields:
            raise vendor.refuse(400, vendor.refused_fields[name], param=name)
        if vendor.known_fields and name not in vendor.known_fields:
            raise vendor.refuse(400, f"Unrecognized request argument supplied: {name}", param=name)


def _types(vendor: VendorEmulator, body: Mapping[str, Any]) -> None:
    for name, kind in vendor.types.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise vendor.wrong_type(name, value, body)


def _ranges(vendor: VendorEmulator, body: Mapping[str, Any]) -> None:
    for name, (least, most) in vendor.ranges.items():
        value = body.get(name)
        if value is not None and not least <= value <= most:
            raise vendor.out_of_range(name, value, least, most)
    for name, known in vendor.words.items():
        if body.get(name) is not None and body[name] not in known:
            raise vendor.refuse(400, f"Invalid '{name}': {body[name]!r} is none of {list(known)}", param=name)


def _caps(vendor: VendorEmulator, body: Mapping[str, Any]) -> None:
    for name, most in (("stop", vendor.most_stops), ("tools", vendor.most_tools)):
        value = body.get(name)
        if most is not None and isinstance(value, list) and len(value) > most:
            raise vendor.refuse(400, f"Invalid '{name}': at most {most} are taken, not {len(value)}", param=name)


def _turns(vendor: VendorEmulator, body: Mapping[str, Any]) -> None:
    """Unknown roles, and earlier calls with a wrong id, or with arguments that are no text."""
    for number, message in enumerate(body.get("messages") or ()):
        place = f"messages[{number}]"
        if vendor.roles and message.get("role") not in vendor.roles:
            raise vendor.refuse(400, f"{place}.role: {message.get('role')!r} is not known", param="messages")
        for call in message.get("tool_calls") or ():
            if vendor.call_id_form is not None and not re.fullmatch(vendor.call_id_form, str(call.get("id"))):
                raise vendor.refuse(400, f"{place}.tool_calls: the id {call.get('id')!r} is invalid")
            if not isinstance((call.get("function") or {}).get("arguments", ""), str):
                raise vendor.refuse(400, f"{place}.tool_calls: arguments must be a string")


CHECKS: Mapping[str, Check] = {"fields": _fields, "types": _types, "ranges": _ranges, "caps": _caps, "turns": _turns}
"""By the name that `VendorEmulator.check_data` takes, in the order in which they are made."""
