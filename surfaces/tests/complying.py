"""llm-comply, a conformance suite that others have written, put to whoever answers at an address."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

__all__ = ["ALIASES", "FORMS", "Form", "complied"]


@attrs.frozen
class Form:
    """A protocol as the suite calls it, how many tests it has, and the name by which the suite believes in thoughts."""

    name: str
    tests: int
    alias: str


FORMS: Sequence[Form] = (
    Form("openai-chat", 9, "gpt-5-behind"),
    Form("anthropic", 9, "claude-opus-behind"),
    Form("open-responses", 13, "gpt-5-behind"),
)
ALIASES = tuple({form.alias for form in FORMS})


def complied(form: Form, url: str) -> dict[str, list[str]]:
    """Return the tests that did not pass, with what is wrong; the address ends in `/v1`.

    Raises AssertionError if a test is missing or skipped.
    """
    results = _results(form, url)
    assert len(results) == form.tests
    assert "skipped" not in {result.status.value for result in results}
    return {result.id: result.errors for result in results if result.status.value != "passed"}


def _results(form: Form, url: str) -> Sequence[Any]:
    from llm_comply import cli, specs
    from llm_comply.config import ComplianceConfig
    from llm_comply.runner import TestRunner
    from llm_comply.schema import SpecLoader

    shapes = SpecLoader(str(Path(str(specs.__file__)).parent / cli._SPEC_FILES[form.name]))
    runner = TestRunner(ComplianceConfig(url, "any", form.alias), cli._get_tests(form.name), shapes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "jsonschema.RefResolver is deprecated", DeprecationWarning)  # its own
        results: Sequence[Any] = runner.run_all().results
    return results
