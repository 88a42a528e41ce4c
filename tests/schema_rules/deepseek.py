"""DeepSeek: DS-T1 to DS-T3, DS-T5, DS-T6, DS-T9, DS-J1."""

from __future__ import annotations

from typing import Any

from .reading import functions, nodes, open_objects, standard

BEYOND_STRICT = {"minLength", "maxLength", "minItems", "maxItems", "allOf", "oneOf", "patternProperties", "prefixItems"}
BEYOND_STRICT |= {"not", "if"}
FORMATS = {"email", "hostname", "ipv4", "ipv6", "uuid"}
SAYS_WHAT = {"type", "properties", "enum", "const", "anyOf", "$ref"}


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, name=r"[A-Za-z0-9_-]{1,128}")
    thinks = (body.get("thinking") or {}).get("type") != "disabled"
    if thinks and body.get("tool_choice") not in (None, "auto", "none"):
        found.append("a forced choice while it thinks")
    if (body.get("response_format") or {}).get("type") == "json_schema":
        found.append("json_schema is unavailable")
    strict = [function.get("strict", False) for function in functions(body)]
    if any(strict) and not all(strict):
        found.append("strict on some tools only")
    for function in functions(body) if any(strict) else ():
        found += open_objects(function["parameters"])
        for path, node in nodes(function["parameters"]):
            found += [f"{path}: {word}" for word in sorted(BEYOND_STRICT & node.keys())]
            found += [f"{path}: format"] * (node.get("format", "uuid") not in FORMATS)
            found += [f"{path}: no type"] * (not SAYS_WHAT & node.keys())
    return found
