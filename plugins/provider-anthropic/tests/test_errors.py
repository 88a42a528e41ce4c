"""The error table row by row, broken streams, counts, headers, prices and retired names."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

import chatport
from chatport import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextLengthError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    Usage,
)
from chatport.call import Call, Context
from chatport.facts import cost_of
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport.testing import decode_events, replay
from chatport.types import Message
from chatport_anthropic import limits, provider
from chatport_anthropic.usage import read_usage

SSE = {"content-type": "text/event-stream", "request-id": "req_1"}
SPEND = {"error_code": "enforced_spend_limit_reached"}
INVALID = "invalid_request_error"
ROWS = [
    ("AN-X1", 400, INVALID, "temperature: range: 0..1", BadRequestError, False),
    ("AN-X2", 400, INVALID, "prompt is too long: 208310 tokens > 200000 maximum", ContextLengthError, False),
    ("AN-X3", 400, INVALID, "input length and `max_tokens` exceed context limit: 1 + 2 > 2", ContextLengthError, False),
    ("AN-X4", 400, INVALID, "Your credit balance is too low to access the Anthropic API.", QuotaExceededError, False),
    ("AN-X5", 400, INVALID, "You have reached your specified workspace API usage limits.", QuotaExceededError, False),
    ("AN-X5", 400, INVALID, "You have reached your specified API usage limits.", QuotaExceededError, False),
    ("AN-X6", 401, "authentication_error", "invalid x-api-key", AuthenticationError, False),
    ("AN-A6", 401, "authentication_error", "CORS requests are not allowed", AuthenticationError, False),
    ("AN-X7", 402, "billing_error", "words", QuotaExceededError, False),
    ("AN-X8", 403, "permission_error", "words", PermissionDeniedError, False),
    ("AN-X9", 404, "not_found_error", "model: claude-does-not-exist", ModelNotFoundError, False),
    ("AN-X10", 409, "conflict_error", "words", ServerError, True),
    ("AN-X11", 413, "request_too_large", "words", BadRequestError, False),
    ("AN-X12", 429, "rate_limit_error", "words", RateLimitError, True),
    ("AN-X14", 500, "api_error", "words", ServerError, True),
    ("AN-X15", 504, "timeout_error", "words", ServerError, True),
    ("AN-X16", 529, "overloaded_error", "Overloaded", OverloadedError, True),
    ("AN-K3", 400, INVALID, "This model does not support effort level 'xhigh'.", BadRequestError, False),
    ("AN-K7", 400, INVALID, "Invalid `signature` in `thinking` block. The block is bound to", BadRequestError, False),
    ("AN-T18", 400, INVALID, "The compiled grammar is too large", BadRequestError, False),
]


def body(kind, message, details=None):
    error = {"details": details, "type": kind, "message": message}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"})


NEVER_INSIDE = ("conflict_error", "request_too_large")


@pytest.mark.parametrize(
    ("inside", "fact", "status", "kind", "message", "error", "retryable"),
    [(inside, *row) for row in ROWS for inside in (False, True) if not inside or row[2] not in NEVER_INSIDE],
)
def test_error_table(inside, fact, status, kind, message, error, retryable):
    """With its status, and inside a stream, where only the type tells the class (AN-S10, AN-P1, AN-H1)."""
    text = f"event: error\ndata: {body(kind, message)}\n\n" if inside else body(kind, message)
    with pytest.raises(error) as caught:
        replay("anthropic", status=200 if inside else status, headers=SSE if inside else {}, body=text, stream=inside)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.request_id == "req_1"
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "text", "error", "retryable", "after"),
    [
        (429, {"retry-after": "7"}, body("rate_limit_error", "words"), RateLimitError, True, 7.0),
        (429, {"x-should-retry": "false"}, body("rate_limit_error", "words"), RateLimitError, False, None),
        (429, {}, body("rate_limit_error", "words", SPEND), QuotaExceededError, False, None),
        (403, {}, '{"error":{"type":"forbidden","message":"no"}}', PermissionDeniedError, False, None),
        (413, {}, "<html>413 Request Entity Too Large</html>", BadRequestError, False, None),
        (503, {}, "upstream", OverloadedError, True, None),
        (200, {}, body("overloaded_error", "Overloaded"), OverloadedError, True, None),
    ],
)
def test_odd_errors(status, headers, text, error, retryable, after):
    """AN-X12, AN-X13, AN-X8, AN-X11, AN-X18, AN-H4, AN-H5"""
    with pytest.raises(error) as caught:
        replay("anthropic", status=status, headers=headers, body=text, stream=False)
    assert (caught.value.retryable, caught.value.retry_after_seconds) == (retryable, after)


# --- streams


def start(message_id="msg_1", **more):
    message = {"id": message_id, "model": "m", "content": [], "usage": {"input_tokens": 43, "output_tokens": 1}, **more}
    return {"type": "message_start", "message": message}


def block(index, content):
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index, kind, **value):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **value}}


def end(reason="end_turn", **usage):
    usage = {"output_tokens": 9, **usage}
    return [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}, {"type": "message_stop"}]


HELLO_CALL = Call((Message.user("hi"),))
HELLO = [block(0, {"type": "text", "text": ""}), delta(0, "text_delta", text="Hello")]
STOP = {"type": "content_block_stop", "index": 0}
THOUGHT = [
    block(0, {"type": "thinking", "thinking": "", "signature": ""}),
    delta(0, "thinking_delta", thinking="hm"),
    delta(0, "signature_delta", signature="abc"),
    STOP,
]


def text_of(events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def read(*events):
    return replay("anthropic", headers=SSE, body=text_of(events), stream=True)


def test_counts_are_totals():
    """AN-S9, AN-P2, AN-U2: a later count replaces, and may correct the input."""
    usage = read(start(), *HELLO, STOP, *end(input_tokens=61, cache_read_input_tokens=None)).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == (61, 9, None)


@pytest.mark.parametrize("tail", [[], [STOP], [STOP, end()[0]]])
def test_without_its_end_a_stream_is_cut(tail):
    """AN-S12"""
    with pytest.raises(StreamInterruptedError) as caught:
        read(start(), *HELLO, *tail)
    assert caught.value.partial.text == "Hello"


def test_odd_streams():
    """AN-S2, AN-S3, AN-S5, AN-S13, AN-S20: duplicates, pings, newer events and kinds of pieces."""
    assert replay(
        "anthropic", headers=SSE, body=text_of([start(), *HELLO, *end()]).replace("data: ", "data:  "), stream=True
    ).text
    given = start(content=[{"type": "text", "text": "Oh. "}])
    odd = [{"type": "ping"}, {"type": "newer_event"}, delta(0, "newer_delta", x=1)]
    reply = read(given, given, *HELLO, *odd, STOP, *end("compaction"))
    assert (reply.text, reply.finish_reason, reply.raw_finish_reason) == ("Oh. Hello", "other", "compaction")
    reply = read(start("msg_0"), start("msg_1"), *HELLO, *end())
    assert (reply.text, reply.id) == ("Hello", "msg_0")
    with pytest.raises(ServerError, match="spliced"):
        read(start(), *HELLO, start("msg_2"), *HELLO, *end())
    with pytest.raises(MalformedReplyError, match="before its start"):
        read(start(), delta(3, "text_delta", text="lost"))


def test_the_sources_of_a_block_that_was_never_closed_are_told():
    cited = delta(0, "citations_delta", citation={"type": "web_search_result_location", "url": "https://a.test/"})
    reply = read(start(), *HELLO, cited, *end())
    assert [(source.url, source.span) for source in reply.citations] == [("https://a.test/", (0, 5))]


def without_index(events):
    return [{name: value for name, value in event.items() if name != "index"} for event in events]


def test_blocks_without_an_index_follow_one_another():
    """Each piece belongs to the block that began last: two calls stay two, and go back behind their thought."""
    calls = [
        piece
        for number, name in enumerate(("first", "second"), 1)
        for piece in (
            block(number, {"type": "tool_use", "id": f"t{number}", "name": name, "input": {}}),
            delta(number, "input_json_delta", partial_json='{"n": '),
            delta(number, "input_json_delta", partial_json=f"{number}}}"),
            {"type": "content_block_stop", "index": number},
        )
    ]
    reply = read(start(), *without_index([*THOUGHT, *HELLO, STOP, *calls]), *end("tool_use"))
    assert (reply.reasoning, reply.text) == ("hm", "Hello")
    kept = [block["type"] for block in reply.message.opaque["turn"]["content"]]
    assert kept == ["thinking", "text", "tool_use", "tool_use"]
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        ("t1", "first", '{"n": 1}'),
        ("t2", "second", '{"n": 2}'),
    ]


@pytest.mark.parametrize("levels", [200, 900, 5_000, 100_000])  # how deep a Python looks by itself is its own affair
def test_a_piece_nested_without_end_is_malformed(levels):
    deep = json.dumps(delta(0, "text_delta", text="a"))[:-1] + ', "x": ' + "[" * levels + "]" * levels + "}"
    stream = text_of([start(), *HELLO]) + f"event: content_block_delta\ndata: {deep}\n\n" + text_of(end())
    with pytest.raises(MalformedReplyError, match="nested too deeply"):
        replay("anthropic", headers=SSE, body=stream, stream=True)


@pytest.mark.parametrize("levels", [150, *range(194, 202), 900, 5_000, 9_000])
def test_a_call_nested_without_end_does_not_make_the_conversation_unsendable(levels, explain):
    """AN-T8, AN-T17: the blocks go back as they came, or not at all where they are too deep to be kept."""
    call = [
        block(1, {"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        delta(1, "input_json_delta", partial_json='{"a":' * levels + "1" + "}" * levels),
        {"type": "content_block_stop", "index": 1},
    ]
    reply = read(start(), *THOUGHT, *call, *end("tool_use"))
    assert reply.tool_calls[0].arguments.count("{") == levels
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert explain(["hi", reply.message, {"role": "tool", "tool_call_id": "t", "content": "x"}], tools=[tool])
    assert bool(reply.message.opaque) is (levels < 197)


@pytest.mark.parametrize(
    "event", [{"type": "message_start"}, block(0, "text"), {"type": "content_block_delta", "index": 0}, HELLO[1]]
)
def test_wrong_shapes_are_errors(event):
    with pytest.raises(MalformedReplyError):
        read(start(), event, *end())
    with pytest.raises(MalformedReplyError):
        replay("anthropic", body='{"type": "message", "content": ["text"]}', stream=False)


def test_refusals():
    """AN-S14, AN-S18, AN-X17: possibly without a single block."""
    details = {"type": "refusal", "category": "bio", "explanation": "Not this."}
    last = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
    reply = read(start(), last, {"type": "message_stop"})
    assert (reply.finish_reason, reply.refusal, reply.text) == ("content_filter", "Not this.", "")
    assert reply.raw["stop_details"] == details
    assert read(start(), *end("refusal")).refusal is None


def test_calls_and_half_characters():
    """AN-S6, AN-S7: whole calls in the start, cut ones without an end, and an emoji over two pieces."""
    whole = block(0, {"type": "tool_use", "id": "toolu_0", "name": "f", "input": {"a": 1}})
    cut = [block(2, {"type": "tool_use", "id": "toolu_1", "name": "g", "input": {}})]
    cut += [delta(2, "input_json_delta", partial_json=piece) for piece in ("", '{"b": "\ud83d', '\ude00", "c')]
    events = [start(), whole, STOP, block(1, {"type": "thinking", "thinking": "hm", "signature": ""}), *cut]
    reply = read(*events, *end("max_tokens"))
    calls = [(call.id, call.name, call.arguments, call.complete) for call in reply.tool_calls]
    assert calls == [("toolu_0", "f", '{"a": 1}', True), ("toolu_1", "g", '{"b": "😀", "c', False)]
    assert (reply.finish_reason, reply.opaque) == ("length", {})


def test_blocks_are_kept_as_they_came():
    """AN-T16, AN-S4, AN-S8, AN-K4, AN-T17: in order, with empty thoughts, citations and the vendor's own tools."""
    redacted = {"type": "redacted_thinking", "data": "abc"}
    own = {"type": "server_tool_use", "id": "srv_1", "name": "s", "input": {}}
    events = [
        block(0, {"type": "thinking", "thinking": "", "signature": ""}), delta(0, "signature_delta", signature="s1"),
        block(1, redacted), block(2, own), delta(2, "input_json_delta", partial_json='{"q": 1}'),
        block(3, {"type": "text", "text": ""}), delta(3, "text_delta", text="So. "),
        delta(3, "citations_delta", citation={"n": 1}), block(4, {"type": "thinking", "thinking": "cut"}),
        block(5, {"type": "compaction", "content": ""}), delta(5, "compaction_delta", content="short"),
    ]  # fmt: skip
    reply = read(start(), *events, *end())
    assert reply.opaque["turn"] == {
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "", "signature": "s1"}, redacted, {**own, "input": {"q": 1}},
            {"type": "text", "text": "So. ", "citations": [{"n": 1}]}, {"type": "compaction", "content": "short"},
        ],
    }  # fmt: skip
    assert (reply.text, reply.reasoning, reply.tool_calls) == ("So. ", "cut", ())


def test_the_compatible_shape_is_left_to_the_standard():
    """AN-C6, AN-C9: such as a fall-back route gives, whose calls are numbered by block."""
    call = {"index": 1, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chunks = [{"choices": [{"index": 0, "delta": d}]} for d in ({"content": "a"}, {"tool_calls": [call]})]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    events = decode_events("anthropic", headers=SSE, body=text)
    assert [event.index for event in events if isinstance(event, chatport.ToolCallEnded)] == [0]
    plain = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    assert replay("anthropic", body=json.dumps(plain), stream=False).text == "hi"


def test_a_piece_of_a_block_that_never_began_is_no_answer():
    start = {"type": "message_start", "message": {"id": "m", "model": "claude-haiku-4-5", "usage": {}}}
    piece = {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "Hi"}}
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in (start, piece))
    with pytest.raises(MalformedReplyError, match="A piece of the content block 3 came before its start"):
        replay("anthropic", headers=SSE, body=body, stream=True)


def test_the_input_of_a_call_has_no_more_values_than_any_body():
    """Where it is kept, to go back behind its thinking."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    pieces = ['{"a":[', *(["1," * 500_000] * 4), "1]}"]
    events = [
        {"type": "message_start", "message": {"id": "m", "model": "claude-haiku-4-5", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": thinking},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": call},
        *(
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}
            for piece in pieces
        ),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    words = r"The input of a call has more than 2000000 JSON values; raise limits\.values"
    with pytest.raises(MalformedReplyError, match=words):
        replay("anthropic", headers=SSE, body=body, stream=True)


# --- counts, headers, facts


def test_usage():
    """AN-U1, AN-U2, AN-U3, AN-K1"""
    parts = [{"type": "message", "input_tokens": 9}, {"type": "compaction", "input_tokens": 100, "output_tokens": 7},
             {"type": "advisor_message", "model": "other", "input_tokens": 5}]  # fmt: skip
    counts = {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 4,
              "output_tokens_details": {"thinking_tokens": 1}, "iterations": parts}  # fmt: skip
    assert read_usage(counts) == Usage(115, 11, 2, 3, 1)
    assert read_usage({"input_tokens": 1, "cache_read_input_tokens": None}) == Usage(1)


def test_rate_limits():
    """AN-H2, AN-H3: moments become seconds from the reply's date; without one they are not known."""
    head = {f"anthropic-ratelimit-input-tokens-{k}": v for k, v in (("limit", "5"), ("reset", "2025-08-21T12:40:59Z"))}
    context = Context(provider, "m", "")
    dated = provider_limits({**head, "date": "Thu, 21 Aug 2025 12:40:50 GMT"}, context)
    assert (dated.tokens_limit, dated.tokens_reset_seconds, dated.requests_limit) == (5, 9, None)
    assert provider_limits(head, context).tokens_reset_seconds is None
    for date in ("soon", "", "Thu, 21 Aug 2025 12:40:50 -0000", "Thu, 99 Aug 2025 12:40:50 GMT"):
        unread = provider_limits({**head, "date": date}, context)
        assert (unread.tokens_limit, unread.tokens_reset_seconds) == (5, None)
    late = provider_limits({**head, "date": "Thu, 21 Aug 2025 12:41:00 GMT"}, context)
    assert late.tokens_reset_seconds == 0
    assert provider_limits({"x": "y"}, context) is None


def provider_limits(headers, context):
    return limits.read_rate_limits(headers)


def vendors(environment=None, **table):
    config = load_config({"providers": {"anthropic": table}} if table else {}, environment={"CHATPORT_CONFIG": ""})
    return Vendors(config, environment=environment or {})


def test_addresses():
    """AN-A1, AN-A5, AN-E1"""
    opened = vendors({"ANTHROPIC_API_KEY": "k"}).provider("anthropic")
    assert (opened.base_url, opened.provider.auth.header) == ("https://api.anthropic.com", "x-api-key")
    here = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}
    assert vendors(here).provider("anthropic").base_url == "http://127.0.0.1:1"
    assert provider.dialect.embeddings_path is None


TOKEN = {"ANTHROPIC_AUTH_TOKEN": "t"}
BOTH = {"ANTHROPIC_API_KEY": "k", **TOKEN}


@pytest.mark.parametrize(
    ("environment", "settings", "header"),
    [
        (BOTH, {}, ("x-api-key", "k")),
        (TOKEN, {}, ("authorization", "Bearer t")),
        ({}, {"api_key": "given"}, ("x-api-key", "given")),
        (BOTH, {"auth": "key"}, ("x-api-key", "k")),
        (BOTH, {"auth": "token"}, ("authorization", "Bearer t")),
        ({}, {"auth": "token", "api_key": "given"}, ("authorization", "Bearer given")),
        (BOTH, {"protocol": "chat"}, ("authorization", "Bearer k")),
        (BOTH, {"protocol": "chat", "auth": "token"}, ("authorization", "Bearer t")),
    ],
)
def test_keys_and_tokens(environment, settings, header):
    """AN-A2, AN-A5: one of them, in one header."""
    route = Routes(vendors(environment, **settings)).route(
        HELLO_CALL, "anthropic:claude-opus-5-5", timeouts={}, options={}
    )
    sent = dict(route.request.all_headers())
    assert {name: sent[name] for name in ("x-api-key", "authorization") if name in sent} == dict([header])


@pytest.mark.parametrize(
    ("environment", "settings", "variable"),
    [
        ({}, {}, "ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": "k"}, {"auth": "token"}, "ANTHROPIC_AUTH_TOKEN"),
    ],
)
def test_a_key_never_stands_in_for_a_token(environment, settings, variable):
    """AN-A5"""
    with pytest.raises(ConfigurationError, match=variable):
        Routes(vendors(environment, **settings)).route(HELLO_CALL, "anthropic:claude-opus-5-5", timeouts={}, options={})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("claude-sonnet-4-20250514", "claude-sonnet-4-5"),
        ("claude-opus-4-0", "claude-opus-4-5"),
        ("claude-3-5-haiku-latest", "claude-haiku-4-5"),
    ],
)
def test_retired_models(old, new):
    route = Routes(vendors(api_key="k")).route(
        HELLO_CALL, f"anthropic:{old}", timeouts={}, options={}, today="2026-11-22"
    )
    assert route.wire.body["model"] == new
    assert [note.kind for note in route.wire.adjustments] == ["redirected"]


KEPT = {"cache_creation": {"ephemeral_5m_input_tokens": 150_000, "ephemeral_1h_input_tokens": 50_000}}


def test_prices_of_the_cache_follow_from_the_price_of_the_input():
    """AN-U4"""
    for price in provider.facts.prices:
        for rates in (price, *price.tiers):
            written = (rates.cache_write, rates.cache_write_1h)
            known = (pytest.approx(1.25 * rates.input), pytest.approx(2 * rates.input))
            assert written in (known, (None, None)), price.match


@pytest.mark.parametrize(
    ("model", "usage", "amount"),
    [
        ("claude-opus-5-5", Usage(1_000_000, 100_000, 400_000, 200_000), 0.4 * 4 + 0.4 * 0.2 + 0.2 * 5 + 2),
        ("claude-opus-5-5", Usage(1_000_000, 0, 0, 200_000, raw=KEPT), 0.8 * 4 + 0.15 * 5 + 0.05 * 8),
        ("claude-haiku-5-5", Usage(200_000, 0, 0, 100_000, raw=KEPT), 0.1 * 0.5 + 0.05 * 0.625 + 0.05 * 1),
        ("claude-sonnet-4-5", Usage(300_000, 0, 0, 100_000, raw=KEPT), None),
        ("claude-haiku-5-5", Usage(100_000, 0, 0, 0), 0.01),
        ("claude-haiku-5-5", Usage(200_000, 0, 0, 0), 0.1),
        ("claude-sonnet-4-5-20250929", Usage(300_000, 0, 0, 0), 1.8),
        ("claude-fable-5-1", Usage(10, 10, 5, 0), None),
        ("claude-unheard-of", Usage(10, 10, 0, 0), None),
    ],
)
def test_prices(model, usage, amount):
    """AN-U4"""
    cost = cost_of(usage, provider.facts.describe(model).prices, at=datetime(2026, 11, 22, tzinfo=UTC))
    assert (cost and cost.amount) == (amount and pytest.approx(amount))
