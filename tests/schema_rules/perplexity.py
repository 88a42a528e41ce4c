"""Perplexity: PX-T2, PX-T3, PX-J1."""

from __future__ import annotations

from typing import Any

from .reading import functions, output_schema, standard

RESERVED = {"web_search", "search_web", "people_search", "search_people", "fetch_url", "finance_search", "sandbox"}


def violations(body: dict[str, Any]) -> list[str]:
    found = standard(body, most=None)
    found += [f"the name {function['name']}" for function in functions(body) if function["name"] in RESERVED]
    wanted = body.get("response_format")
    if wanted is not None:
        found += [f"the format {wanted['type']}"] * (wanted["type"] != "json_schema" or output_schema(body) is None)
    return found
