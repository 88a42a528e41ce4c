"""Every row of the vendor's error table comes out as the right class, retryable or not."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from chatport.testing import replay

MOVED = "Sonar is now the Agent API. Use /v1/responses instead of /chat/completions."


def error(message, kind, code):
    return {"error": {"message": message, "type": kind, "code": code}}


ROWS = [
    (403, error(MOVED, "chat_completions_not_available", 403), PermissionDeniedError, False),  # PX-0
    (403, error("Please migrate.", "agent_api_migration_required", 403), PermissionDeniedError, False),
    (403, error("The Router API is currently in limited preview", "forbidden", 403), PermissionDeniedError, False),
    (403, error("Organization keys are not allowed here.", "forbidden", 403), PermissionDeniedError, False),  # PX-B2
    (401, error("Invalid API key provided.", "invalid_api_key", 401), AuthenticationError, False),  # PX-X2
    (401, "<html><head><title>401 Authorization Required</title></head></html>", AuthenticationError, False),
    (401, error("You have run out of credits.", "unauthorized", 401), QuotaExceededError, False),  # PX-X3
    (402, error("This model needs usage tier 2.", "payment_required", 402), PermissionDeniedError, False),  # PX-X4
    (400, error("bad", "invalid_parameter", 400), BadRequestError, False),  # PX-X5
    (400, error("bad", "invalid_date_format", 400), BadRequestError, False),
    (400, error('json: unknown field "x"', "invalid_request", 400), BadRequestError, False),  # PX-P1
    (400, error("Invalid model 'bad model'.", "invalid_model", 400), ModelNotFoundError, False),  # PX-X6
    (400, error("model sonar is not supported", "invalid_request", 400), ModelNotFoundError, False),
    (404, error("response not found", "not_found", 404), BadRequestError, False),  # PX-X7
    (413, error("request body too large", "request_too_large", 413), BadRequestError, False),  # PX-X8
    (424, error("The MCP server failed.", "external_connector_error", 424), ServerError, True),  # PX-X9
    (429, error("Slow down.", "request_rate_limit_exceeded", 429), RateLimitError, True),  # PX-X10
    (500, error("Oops.", "internal_error", 500), ServerError, True),  # PX-X11
    (502, error("Oops.", "bad_gateway", 502), ServerError, True),
    (504, error("Oops.", "gateway_timeout", 504), ServerError, True),
    (500, error("no JSON came", "upstream_structured_output_failed", 500), ServerError, True),  # PX-J1
    (400, {"error": "search_domain_filter is wrong"}, BadRequestError, False),  # PX-X20
    (400, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, BadRequestError, False),
    (400, {"message": "bad"}, BadRequestError, False),
]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
@pytest.mark.parametrize(("status", "data", "kind", "retryable"), ROWS)
def test_error_table(status, data, kind, retryable, path):
    """PX-0, PX-2, PX-B2, PX-X1 to PX-X11, PX-X20, PX-J1, PX-H3, PX-I3, PX-I4"""
    body = data if isinstance(data, str) else json.dumps(data)
    with pytest.raises(kind) as caught:
        replay("perplexity", status=status, body=body, stream=True, path=path)
    assert (type(caught.value), caught.value.retryable) == (kind, retryable)


def test_who_asks_for_sonar_is_told_where_it_went():
    """PX-0"""
    body = json.dumps(error(MOVED, "chat_completions_not_available", 403))
    with pytest.raises(PermissionDeniedError, match=r"ended on 2026-09-27.*Agent API answers"):
        replay("perplexity", status=403, body=body, stream=False, path="/v1/chat/completions")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_200_may_be_a_failure(status):
    """PX-X12, PX-X21, PX-U1: with no usage."""
    whole = {"id": "resp_1", "object": "response", "status": status, "output": [], "usage": None}
    whole["error"] = {"code": "internal_error", "message": "The run was stopped."}
    with pytest.raises(ServerError, match="was stopped"):
        replay("perplexity", body=json.dumps(whole), stream=False, path="/v1/responses")


def test_a_cap_may_be_eaten_by_thoughts():
    """PX-R2, PX-X21"""
    usage = {"input_tokens": 5, "output_tokens": 16, "output_tokens_details": {"reasoning_tokens": 16}}
    whole = {"id": "resp_1", "object": "response", "status": "incomplete", "output": [], "usage": usage}
    whole["incomplete_details"] = {"reason": "max_output_tokens"}
    reply = replay("perplexity", body=json.dumps(whole), stream=False, path="/v1/responses")
    assert (reply.text, reply.finish_reason, reply.usage.reasoning_tokens) == ("", "length", 16)


def test_a_queued_run_is_told_as_it_is():
    """PX-F3"""
    whole = {"id": "resp_1", "object": "response", "status": "queued", "output": [], "model": "fast", "usage": None}
    reply = replay("perplexity", body=json.dumps(whole), stream=False, path="/v1/responses")
    assert (reply.finish_reason, reply.raw_finish_reason, reply.raw["id"]) == ("other", "queued", "resp_1")
