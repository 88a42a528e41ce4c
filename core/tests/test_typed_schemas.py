"""The typed subset: what means the same is rewritten, what cannot be said is a loss or a misfit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chatport.standard.typed_schemas import Misfit, fit_typed


def of(part: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": part}}


@pytest.mark.parametrize(
    ("part", "sent", "lost"),
    [
        ({"title": "X", "type": "string"}, {"type": "string"}, []),
        ({"const": 1}, {"type": "integer", "enum": [1]}, []),
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, []),
        ({"allOf": [{"type": "string"}, {"description": "d"}]}, {"type": "string", "description": "d"}, []),
        (
            {"type": "string", "maxLength": 3},
            {"type": "string", "description": "(maxLength: 3)"},
            [("properties.x", "maxLength")],
        ),
        (
            {"type": "array", "prefixItems": None, "items": {"type": "string"}},
            {"type": "array", "items": {"type": "string"}},
            [],
        ),
        (
            {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]},
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            [("properties.x", "items")],
        ),
    ],
)
def test_a_schema_in_the_typed_subset(part: Any, sent: Any, lost: list[tuple[str, str]]) -> None:
    fitted, losses = fit_typed(of(part))
    assert fitted == of(sent)
    assert [(loss.path, loss.keyword) for loss in losses] == lost


@pytest.mark.parametrize("schema", [{"type": "array"}, of(False), of({"$ref": "elsewhere.json"}), of({"enum": [[]]})])
def test_a_schema_outside_of_it(schema: Mapping[str, Any]) -> None:
    with pytest.raises(Misfit):
        fit_typed(schema)
