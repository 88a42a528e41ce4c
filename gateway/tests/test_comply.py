"""llm-comply before the gateway: three protocols, with three emulated vendors and a real llama.cpp behind each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from surfaces.tests.complying import ALIASES, FORMS, Form, complied

from .conftest import VENDORS, Served, listening

pytest.importorskip("llm_comply")
on_forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


@on_forms
@pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
def test_all_tests_pass(serve: Callable[..., Served], form: Form, vendor: str) -> None:
    """9, 9 and 13. The two of compaction take a 404 for an answer: no vendor but one could serve it."""
    aliases = {alias: [f"{vendor}:{VENDORS[vendor]}"] for alias in ALIASES}
    assert complied(form, f"{serve(vendor, aliases=aliases).url}/v1") == {}


@on_forms
def test_with_a_real_server_behind(llamacpp: str, form: Form) -> None:
    """All but the one with a picture: the model that is loaded has no eyes, and the server says so by a 400."""
    tables = {
        "providers": {"llamacpp": {"base_url": llamacpp}},
        "aliases": {alias: ["llamacpp:tiny-scripted"] for alias in ALIASES},
    }
    with listening(tables) as gateway:
        failed = complied(form, f"{gateway.url}/v1")
    assert [name.endswith("image-input") for name in failed] == [True]
    assert next(iter(failed.values()))[0] == "HTTP 400 (expected [200])"
