"""The OpenAPI description, made of the table of routes and of the values that they take and give."""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

import msgspec

from .routes import Route, Routes
from .told import Problem

__all__ = ["describe"]

_REF = "#/components/schemas/{name}"
_ERRORS = {
    "400": "The request cannot be meant: the message says why.",
    "401": "The token is missing or wrong.",
    "403": "The request comes from a page of somebody else.",
    "404": "There is no such path, key or project.",
    "405": "The path has other methods.",
    "408": "The body did not come in time.",
    "409": "There is one of that name already.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "421": "The request names another host.",
    "500": "A mistake of ours, which is in the log.",
    "503": "The gateway is starting or stopping, or its database is not there.",
}


@functools.cache
def describe(routes: Routes) -> dict[str, Any]:
    """Return the description of OpenAPI 3.1."""
    given = [one for route in routes.all for one in (route.answer, route.body) if one is not None]
    _, schemas = msgspec.json.schema_components([*dict.fromkeys(given), Problem], ref_template=_REF)
    paths: dict[str, Any] = {}
    for route in routes.all:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chatport gateway: admin",
            "version": version("chatport-gateway"),
            "description": "Keys, projects, limits and usage of a gateway for a team. It calls no model.",
        },
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {code: _problem(words) for code, words in _ERRORS.items()},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [*map(_part, route.parts), *_query(route)],
        "responses": {
            str(route.status): {"description": route.summary, "content": _content(route.answer)},
            **{code: {"$ref": f"#/components/responses/{code}"} for code in _ERRORS},
        },
    }
    if route.body is not None:
        made["requestBody"] = {"required": True, "content": _content(route.body)}
    return made


def _content(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def _part(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 80}}


def _query(route: Route) -> list[dict[str, Any]]:
    _, schemas = msgspec.json.schema_components([route.query], ref_template=_REF)
    properties = schemas[route.query.__name__]["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": its} for name, its in properties.items()]


def _problem(words: str) -> dict[str, Any]:
    return {"description": words, "content": _content(Problem)}
