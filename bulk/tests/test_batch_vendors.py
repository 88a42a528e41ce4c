"""What goes to a vendor for each step of a batch, byte by byte, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

import chatport
from chatport import MalformedReplyError
from chatport.testing import EmulatedRequest, EmulatedResponse
from chatport_bulk.batches.api import Seen, VendorBatches
from chatport_bulk.batches.log import Batch
from chatport_bulk.batches.settings import rule_of

from .batch_world import MODELS, BatchWorld

START = 1767225600.0  # of the clock of an emulated world
BATCH = Batch(1, "creating", "chatport-x-1", "p:m", "/v1/chat/completions", 2, 10, 0.5, began=START)


@pytest.fixture
def world(tmp_path: Path) -> BatchWorld:
    return BatchWorld(tmp_path)


def asked(world: BatchWorld, do: Callable[[VendorBatches], Awaitable[Any]], **rule: Any) -> Any:
    """Do something with the vendor's batches; `rule` corrects what the facts say of them."""
    if rule:
        world.config["models"] = {world.model: {"rules": {"batch": rule}}}

    async def main() -> Any:
        options: dict[str, Any] = {"transport": world.emulator, "clock": world.clock.clock}
        async with chatport.AsyncClient(world.config, **options) as client:
            found = rule_of(client, world.model)
            assert found is not None
            return await do(VendorBatches(client, world.model, found))

    return anyio.run(main)


def telling(world: BatchWorld, name: str, told: Any) -> None:
    """Let the vendor give this answer to requests of a kind."""
    content = told if isinstance(told, bytes) else json.dumps(told).encode()

    def answer(request: EmulatedRequest, *steps: str) -> EmulatedResponse:
        return EmulatedResponse(200, {"content-type": "application/json"}, [content])

    setattr(world.vendor, name, answer)  # the vendor's gateway, not our code


def sent(world: BatchWorld) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in world.emulator.requests]


# --- a request of a batch


@pytest.mark.parametrize(
    ("provider", "line"),
    [
        ("openai", b'{"custom_id":"own","method":"POST","url":"/v1/x","body":{"a":1}}'),
        ("groq", b'{"custom_id":"own","method":"POST","url":"/v1/x","body":{"a":1}}'),
        ("together", b'{"custom_id":"own","body":{"a":1}}'),
        ("mistral", b'{"custom_id":"own","body":{"a":1}}'),
        ("anthropic", b'{"custom_id":"own","params":{"a":1}}'),
    ],
)
def test_a_request_is_a_line_as_the_vendor_wants_it(provider: str, line: bytes, tmp_path: Path) -> None:
    async def do(vendor: VendorBatches) -> bytes:
        return vendor.line("own", "/v1/x", b'{"a":1}')

    assert asked(BatchWorld(tmp_path, provider), do) == line


def test_the_end_of_a_path_says_what_a_batch_calls_the_place(world: BatchWorld) -> None:
    async def do(vendor: VendorBatches) -> list[str | None]:
        urls = ("/a/chat/completions", "/responses?x=1", "/responses/x", "/x?to=/responses", "/x?a=1?to=/responses", "")
        return [vendor.endpoint_of(f"https://v.example/v9{url}") for url in urls]

    assert asked(world, do) == ["/v1/chat/completions", "/v1/responses", None, None, None, None]


# --- its beginning


@pytest.mark.parametrize(
    ("provider", "path", "fields"),
    [
        ("openai", "/v1/files", {"purpose": "batch"}),
        ("together", "/v1/files/upload", {"purpose": "batch-api", "file_name": "name-1.jsonl", "file_type": "jsonl"}),
    ],
)
def test_a_file_is_sent_as_a_form(provider: str, path: str, fields: dict[str, str], tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, provider)
    found = asked(world, lambda vendor: vendor.upload("name-1", b'{"a":1}\n{"b":2}\n'))
    assert world.vendor.files[found] == b'{"a":1}\n{"b":2}\n'
    (request,) = world.emulator.requests
    assert (request.method, request.path) == ("POST", path)
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    parts = [
        *[f'content-disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()],
        'content-disposition: form-data; name="file"; filename="name-1.jsonl"\r\n'
        'content-type: application/jsonl\r\n\r\n{"a":1}\n{"b":2}\n',
    ]
    assert request.content.decode() == "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n"


@pytest.mark.parametrize("told", [b'["file-1"]', b'"file-1"', b"{}", b'{"id": 7}', b'{"id": ""}'])
def test_a_file_without_an_id_is_no_file(world: BatchWorld, told: bytes) -> None:
    telling(world, "upload", told)
    with pytest.raises(MalformedReplyError, match=r"^openai has taken a file, and gave it no id\.$") as caught:
        asked(world, lambda vendor: vendor.upload("name", b""))
    assert caught.value.raw == json.loads(told)


@pytest.mark.parametrize(
    ("provider", "wanted"),
    [
        (
            "openai",
            {
                "input_file_id": "file-7",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                "metadata": {"chatport": "chatport-x-1"},
            },
        ),
        (
            "together",
            {"input_file_id": "file-7", "endpoint": "/v1/chat/completions", "completion_window": "24h"},
        ),
        (
            "mistral",
            {
                "input_files": ["file-7"],
                "endpoint": "/v1/chat/completions",
                "model": "mistral-small-latest",
                "timeout_hours": 24,
                "metadata": {"chatport": "chatport-x-1"},
            },
        ),
    ],
)
def test_a_batch_of_a_file_is_begun_in_the_vendors_words(provider: str, wanted: dict[str, Any], tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, provider)
    world.vendor.files["file-7"] = b""
    seen = asked(world, lambda vendor: vendor.create(with_fields(BATCH, file="file-7"), b"not sent"))
    (request,) = world.emulator.requests
    assert request.json() == wanted
    assert request.headers["content-type"] == "application/json"
    (job,) = world.vendor.jobs.values()
    assert (seen.id, seen.file) == (job.id, "file-7")


def with_fields(batch: Batch, **fields: Any) -> Batch:
    return Batch(**{**{name: getattr(batch, name) for name in Batch.__struct_fields__}, **fields})


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"requests": "{requests}"}, b'{"requests":[{"a":1},{"b":2}]}'),
        ({'asked "so"': "{requests}"}, b'{"asked \\"so\\"":[{"a":1},{"b":2}]}'),
        (
            {"name": "{name}", "requests": "{requests}", "n": 1},
            b'{"name":"chatport-x-1","n":1,"requests":[{"a":1},{"b":2}]}',
        ),
        ({"name": "of {requests}"}, b'{"name":"of {requests}"}'),
    ],
)
def test_requests_stand_where_the_facts_want_them(world: BatchWorld, fields: dict[str, Any], wanted: bytes) -> None:
    telling(world, "create_batch", {"id": "b-1"})
    asked(world, lambda vendor: vendor.create(BATCH, b'{"a":1}\n{"b":2}\n'), jobs={"fields": fields})
    assert world.emulator.requests[0].content == wanted


def test_a_beginning_is_sent_once_whatever_comes(world: BatchWorld) -> None:
    """Other steps are tried again by the client, since nothing is paid for them twice."""
    steps: list[tuple[str, Callable[[VendorBatches], Awaitable[Any]], int]] = [
        ("create_batch", lambda vendor: vendor.create(BATCH, b""), 1),
        ("upload", lambda vendor: vendor.upload("name", b""), 3),
        ("look_at", lambda vendor: vendor.look("b-1"), 3),
        ("cancel_batch", lambda vendor: vendor.cancel("b-1"), 3),
        ("listing", lambda vendor: vendor.find(BATCH, []), 3),
        ("delete_file", lambda vendor: vendor.delete("file-1"), 3),
    ]

    for name, do, tries in steps:
        before = len(world.emulator.requests)

        def broken(request: EmulatedRequest, *steps: str) -> EmulatedResponse:
            return world.vendor.reply(500, {"error": {"message": "No."}})

        setattr(world.vendor, name, broken)  # the vendor's gateway, not our code
        with pytest.raises(chatport.ServerError):
            asked(world, do)
        assert len(world.emulator.requests) - before == tries, name


# --- where it is, what it says


@pytest.mark.parametrize(("provider", "jobs"), [("openai", "/v1/batches"), ("mistral", "/v1/batch/jobs")])
def test_steps_go_where_the_facts_say_and_ids_are_one_step_of_a_path(provider: str, jobs: str, tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, provider)
    telling(world, "look_at", {"id": "b"})
    for name in ("look_at", "cancel_batch", "delete_file", "listing", "file_content"):
        telling(world, name, {"id": "b", "data": []})

    async def do(vendor: VendorBatches) -> None:
        await vendor.look("a/b?c d")
        await vendor.cancel("a/b?c d")
        await vendor.delete("a/b?c d")
        await vendor.find(BATCH, [])
        await vendor.download("a/b?c d", tmp_path / "results")

    asked(world, do)
    query = {"openai": "limit=100", "mistral": "page_size=100"}[provider]
    assert sent(world) == [
        ("GET", f"{jobs}/a%2Fb%3Fc%20d"),
        ("POST", f"{jobs}/a%2Fb%3Fc%20d/cancel"),
        ("DELETE", "/v1/files/a%2Fb%3Fc%20d"),
        ("GET", f"{jobs}?{query}"),
        ("GET", "/v1/files/a%2Fb%3Fc%20d/content"),
    ]
    assert world.emulator.requests[1].json() == {}
    assert world.emulator.requests[4].headers["accept"] == "*/*"


def test_a_list_without_a_query_has_none(tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, "together")
    assert asked(world, lambda vendor: vendor.find(BATCH, [])) is None
    assert sent(world) == [("GET", "/v1/batches")]


@pytest.mark.parametrize("rule", [{"files": None}, {"files": {"deletes": False}}])
def test_no_file_is_deleted_where_that_cannot_be(world: BatchWorld, rule: dict[str, Any]) -> None:
    asked(world, lambda vendor: vendor.delete("file-1"), **rule)
    assert world.emulator.requests == []


@pytest.mark.parametrize(
    "rule",
    [
        {"jobs": {"results": "/results"}},
        {"files": None, "jobs": {"results": "/results"}},
    ],
)
def test_results_may_be_below_the_batch_itself(world: BatchWorld, tmp_path: Path, rule: dict[str, Any]) -> None:
    telling(world, "look_at", {"id": "b"})
    world.vendor.batch_routes = lambda: iter([("GET", "/batches/*/results", world.vendor.look_at)])  # type: ignore[method-assign]
    telling(world, "look_at", b'{"line": 1}\n')
    asked(world, lambda vendor: vendor.download("a/b", tmp_path / "results"), **rule)
    assert sent(world) == [("GET", "/v1/batches/a%2Fb/results")]
    assert (tmp_path / "results").read_bytes() == b'{"line": 1}\n'


def test_results_take_the_place_of_what_was_there(world: BatchWorld, tmp_path: Path) -> None:
    place = tmp_path / "results"
    place.write_bytes(b"much more than comes now" * 10)
    telling(world, "file_content", b"{}\n")
    asked(world, lambda vendor: vendor.download("file-1", place))
    assert place.read_bytes() == b"{}\n"


PROBLEM = {"code": "c", "message": "Words.", "line": 3}


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, {"status": ""}),
        ({"status": None}, {"status": ""}),
        ({"status": "Completed"}, {"status": "completed", "is_ended": True}),
        ({"status": "in_progress"}, {"status": "in_progress"}),
        ({"output_file_id": "o", "error_file_id": "e"}, {"outputs": ("o", "e")}),
        ({"output_file_id": "", "error_file_id": "e"}, {"outputs": ("e",)}),
        ({"output_file_id": None, "error_file_id": 7}, {}),
        ({"request_counts": {"total": 7}}, {"rows": 7}),
        ({"request_counts": {"total": 0}}, {"rows": 0}),
        ({"request_counts": {"total": "7"}}, {}),
        ({"request_counts": [7]}, {}),
        ({"created_at": 5}, {"created": 5.0}),
        ({"created_at": 5.5}, {"created": 5.5}),
        ({"created_at": True}, {}),
        ({"created_at": "1970-01-01T00:00:07Z"}, {"created": 7.0}),
        ({"created_at": "soon"}, {}),
        ({"created_at": ["1970-01-01T00:00:07Z"]}, {}),
        ({"input_file_id": "f"}, {"file": "f"}),
        ({"input_file_id": ["f", "g"]}, {"file": "f"}),
        ({"input_file_id": []}, {}),
        ({"input_file_id": None}, {}),
        ({"errors": {"data": [PROBLEM]}}, {"problems": (("c", "Words.", 3),)}),
        ({"errors": {"data": [{"message": "Words."}]}}, {"problems": (("", "Words.", None),)}),
        ({"errors": {"data": [{"code": "c", "line": 1}]}}, {"problems": (("c", "{'code': 'c', 'line': 1}", 1),)}),
        ({"errors": {"data": [{**PROBLEM, "line": 0}]}}, {"problems": (("c", "Words.", None),)}),
        ({"errors": {"data": [{**PROBLEM, "line": True}]}}, {"problems": (("c", "Words.", None),)}),
        ({"errors": {"data": [{**PROBLEM, "line": "3"}]}}, {"problems": (("c", "Words.", None),)}),
        ({"errors": {"data": ["no object", PROBLEM]}}, {"problems": (("c", "Words.", 3),)}),
        ({"errors": {"data": "All of it."}}, {"problems": (("", "All of it.", None),)}),
        ({"errors": {"data": ""}}, {}),
        ({"errors": {"data": {"a": 1}}}, {}),
        ({"errors": "no object"}, {}),
    ],
)
def test_what_a_vendor_tells_of_a_batch_is_read_and_what_is_no_such_thing_is_not(
    world: BatchWorld, told: dict[str, Any], wanted: dict[str, Any]
) -> None:
    telling(world, "look_at", {"id": "b-1", **told})
    usual: dict[str, Any] = {"status": "", "is_ended": False}
    assert asked(world, lambda vendor: vendor.look("b-1")) == Seen("b-1", **{**usual, **wanted})


@pytest.mark.parametrize("told", [b'{"id": ""}', b"{}", b'{"id": 7}', b"[]", b'"b-1"'])
def test_a_batch_without_an_id_is_none(world: BatchWorld, told: bytes) -> None:
    telling(world, "look_at", told)
    with pytest.raises(MalformedReplyError, match=r"^openai tells of a batch without an id\.$") as caught:
        asked(world, lambda vendor: vendor.look("b-1"))
    assert caught.value.raw == json.loads(told)


def test_requests_are_counted_together(tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, "anthropic")
    telling(world, "look_at", {"id": "b-1", "request_counts": {"processing": 1, "succeeded": 2, "errored": "x"}})
    assert asked(world, lambda vendor: vendor.look("b-1")).rows == 3


@pytest.mark.parametrize("provider", list(MODELS))
def test_of_every_vendor_a_batch_is_seen_as_it_is(provider: str, tmp_path: Path) -> None:
    """Each in its own words: how it goes, how many requests it has, when and of which file it was made."""
    world = BatchWorld(tmp_path, provider)
    world.write(3)
    world.run()
    (job,) = world.vendor.jobs.values()
    seen = asked(world, lambda vendor: vendor.look(job.id))
    word = {"mistral": "success", "anthropic": "ended"}.get(provider, "completed")
    assert attrs.astuple(attrs.evolve(seen, rows=None, outputs=())) == (
        job.id, word, True, (), (), None, START, job.file
    )  # fmt: skip
    assert seen.rows == (None if provider == "together" else 3)
    assert seen.outputs == ((job.id,) if provider == "anthropic" else tuple(job.outputs.values()))


# --- one whose beginning was not answered


def listing(world: BatchWorld, *told: Mapping[str, Any]) -> None:
    telling(world, "listing", {"data": list(told)})


def test_a_batch_of_a_file_is_found_by_its_file_alone(world: BatchWorld) -> None:
    other = {"id": "b-1", "input_file_id": "file-6", "request_counts": {"total": 2}, "created_at": START}
    ours = {"id": "b-2", "input_file_id": "file-7", "request_counts": {"total": 9}, "created_at": 0}
    batch = with_fields(BATCH, file="file-7")
    listing(world, other, ours)
    assert asked(world, lambda vendor: vendor.find(batch, [])).id == "b-2"
    assert asked(world, lambda vendor: vendor.find(batch, ["b-2"])) is None
    listing(world, other)
    assert asked(world, lambda vendor: vendor.find(batch, [])) is None


@pytest.mark.parametrize("told", [b'{"data": {}}', b'{"data": [7, null]}', b"[]", b'{"data": null}'])
def test_a_list_that_is_none_has_no_batch(world: BatchWorld, told: bytes) -> None:
    telling(world, "listing", told)
    assert asked(world, lambda vendor: vendor.find(with_fields(BATCH, file="file-7"), [])) is None


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ([("b-1", 2, START)], "b-1"),
        ([("b-1", 2, START - 120)], "b-1"),
        ([("b-1", 2, START - 121)], None),
        ([("b-1", 3, START)], None),
        ([("b-1", 1, START)], None),
        ([("b-1", 2, None)], None),
        ([("b-1", 2, START + 9), ("b-2", 2, START + 5), ("b-3", 2, START + 7)], "b-2"),
        ([("known", 2, START), ("b-2", 2, START + 5)], "b-2"),
        ([("known", 2, START)], None),
    ],
)
def test_a_batch_without_a_file_is_found_by_its_size_and_its_time(
    tmp_path: Path, told: list[tuple[str, int, float | None]], wanted: str | None
) -> None:
    """The first of its size that was made since, as far as the clocks of two machines agree."""
    world = BatchWorld(tmp_path, "anthropic")
    listing(world, *[{"id": a, "request_counts": {"succeeded": n}, "created_at": at} for a, n, at in told])
    found = asked(world, lambda vendor: vendor.find(BATCH, ["known"]))
    assert (None if found is None else found.id) == wanted
