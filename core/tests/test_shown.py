"""What the repr of a value leaves out: what is long, what may hold somebody's secrets, and functions."""

from __future__ import annotations

import attrs

import chatport

HIDDEN = {
    "Attempt": {"error"},
    "Call": {"headers"},
    "ModelInfo": {"raw"},
    "ModelPrice": {"facts", "host"},
    "Protocol": {"form"},
    "Provider": {
        "adapt", "auth_env", "discover", "facts", "headers", "hooks", "locate", "protocols", "settings",
        "settings_env", "settings_headers", "timeouts",
    },
    "Reply": {"audio", "logprobs", "opaque", "output", "rate_limits", "raw"},
    "Tool": {"function"},
    "ToolResult": {"error"},
    "Usage": {"raw"},
}  # fmt: skip


def test_what_is_left_out_of_a_repr() -> None:
    values = {name: value for name in chatport.__all__ if attrs.has(value := getattr(chatport, name))}
    left_out = {name: {field.name for field in attrs.fields(value) if not field.repr} for name, value in values.items()}
    assert {name: fields for name, fields in left_out.items() if fields} == HIDDEN


def test_it_is_not_shown() -> None:
    provider = chatport.Provider("p", "P", "https://p.example/v1", headers={"x": "hidden"}, settings={"y": "hidden"})
    assert "hidden" not in repr(provider)
    assert repr(provider).startswith("Provider(name='p', title='P', base_url='https://p.example/v1', hosts=(), ")
    assert "hidden" not in repr(chatport.Usage(1, 2, raw={"hidden": 1}))
