"""The admin API: what it does, that it is as its description says, and that the command line does the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from chatport.testing import Emulator
from chatport.testing.faults import status
from chatport_gateway.admin.app import ROUTES
from chatport_gateway.admin.routes import Route
from chatport_gateway.team_command import command

from ..team.conftest import MODEL
from .conftest import BODIES, AdminWorld, path_of, populate

pytestmark = pytest.mark.anyio
Open = Callable[..., Awaitable[AdminWorld]]


# --- the description


async def test_the_description_has_every_route_and_no_other(admin: Open) -> None:
    described = await (await admin()).get("/api/v1/openapi.json")
    assert described["openapi"].startswith("3.1")
    listed = {(method.upper(), path) for path, its in described["paths"].items() for method in its}
    assert listed == {(route.method, route.path) for route in ROUTES.all}
    operations = [one for its in described["paths"].values() for one in its.values()]
    assert all(one["summary"].endswith(".") for one in operations)
    assert len({one["operationId"] for one in operations}) == len(operations)


async def test_each_answer_and_each_error_fits_its_schema(admin: Open) -> None:
    one = await admin()
    for number, route in enumerate(ROUTES.all):
        await _check_route(one, route, await populate(one, f"project {number}"))


async def _check_route(one: AdminWorld, route: Route, parts: dict[str, str]) -> None:
    described = await one.get("/api/v1/openapi.json")
    operation = described["paths"][route.path][route.method.lower()]
    body = {"json": BODIES[route.name]} if route.body is not None else {}
    answer = await one.ask(route.method, path_of(route, **parts), **body)
    assert answer.status_code == route.status, answer.text
    _check(described, operation["responses"][str(route.status)], answer.json())
    if route.body is not None:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(BODIES[route.name], {**schema, "components": described["components"]})
    wrong = await one.ask(route.method, path_of(route, **parts), params={"nothing": "known"}, **body)
    assert wrong.status_code == 400
    _check(described, described["components"]["responses"]["400"], wrong.json())


def _check(described: Any, response: Any, answer: Any) -> None:
    schema = response["content"]["application/json"]["schema"]
    whole = {**schema, "components": described["components"], "$schema": "https://json-schema.org/draft/2020-12/schema"}
    jsonschema.Draft202012Validator.check_schema(whole)
    jsonschema.validate(answer, whole)


# --- keys


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(admin: Open) -> None:
    one = await admin()
    made = await one.post("/api/v1/keys", name="ci", models=["main"])
    secret, id = made["secret"], made["key"]["id"]
    assert (await one.world.ask(secret)).status_code == 200
    assert (await one.world.ask(secret, model="other")).status_code == 403
    listed = await one.ask("GET", "/api/v1/keys")
    assert secret not in listed.text
    assert listed.json()["keys"][0]["shown"] == secret[:14]
    renewed = (await one.post(f"/api/v1/keys/{id}/rotate"))["secret"]
    assert (await one.world.ask(secret)).status_code == 401  # at once, in this process
    assert (await one.world.ask(renewed)).status_code == 200
    assert (await one.post(f"/api/v1/keys/{id}/revoke"))["state"] == "revoked"
    assert (await one.world.ask(renewed)).status_code == 401
    again = await one.ask("POST", f"/api/v1/keys/{id}/rotate", json={})
    assert again.status_code == 404


async def test_an_old_key_is_kept_for_as_long_as_it_is_told(admin: Open) -> None:
    one = await admin()
    made = await one.post("/api/v1/keys", name="ci")
    renewed = await one.post(f"/api/v1/keys/{made['key']['id']}/rotate", keep_old_seconds=3600)
    for secret in (made["secret"], renewed["secret"]):
        assert (await one.world.ask(secret)).status_code == 200
    assert renewed["key"]["old_until"] is not None


async def test_pages_of_keys_have_each_once(admin: Open) -> None:
    one = await admin()
    made = {(await one.post("/api/v1/keys", name=f"key {n}"))["key"]["id"] for n in range(5)}
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = await one.get("/api/v1/keys", most=2, **after)
        seen += [key["id"] for key in page["keys"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sorted(seen) == sorted(made)


async def test_a_closed_project_has_no_keys_any_more(admin: Open) -> None:
    one = await admin()
    parts = await populate(one)
    closed = await one.post(f"/api/v1/projects/{parts['project_id']}/close")
    assert closed["is_closed"]
    assert (await one.world.ask(parts["secret"])).status_code == 401
    refused = await one.ask("POST", "/api/v1/keys", json={"name": "late", "project_id": parts["project_id"]})
    assert refused.status_code == 404


# --- limits


async def test_limits_hold_from_the_next_call_on_and_say_what_is_left(admin: Open) -> None:
    one = await admin()
    parts = await populate(one)
    shown = await one.get(f"/api/v1/limits/{parts['holder']}")
    by_kind = {limit["kind"]: limit for limit in shown["limits"]}
    usage = await one.get("/api/v1/usage", by="key")
    assert by_kind["usd_day"]["used"] == pytest.approx(usage["total"]["usd"])
    assert by_kind["usd_day"]["left"] == pytest.approx(5 - usage["total"]["usd"])
    assert by_kind["requests_per_minute"]["left"] in (57, 58)
    answer = await one.ask("PUT", f"/api/v1/limits/{parts['holder']}", json={"usd_total": 0})
    assert [limit["kind"] for limit in answer.json()["limits"]] == ["usd_total"]
    assert (await one.world.ask(parts["secret"])).status_code == 429
    for holder in ("gateway", f"project:{parts['project_id']}"):
        assert (await one.ask("PUT", f"/api/v1/limits/{holder}", json={"concurrency": 7})).status_code == 200
    listed = await one.get("/api/v1/limits")
    assert [one["holder"].partition(":")[0] for one in listed["holders"]] == ["gateway", "key", "project"]
    assert (await one.ask("PUT", "/api/v1/limits/key:nobody", json={})).status_code == 404


async def test_limits_of_the_configuration_are_shown_as_such(admin: Open) -> None:
    one = await admin(team={"usd_month": 500})
    shown = await one.get("/api/v1/limits/gateway")
    assert not shown["is_set"]
    assert shown["limits"][0]["limit"] == 500


async def test_nothing_is_used_of_a_key_that_nobody_has_used(admin: Open) -> None:
    one = await admin()
    limits = {"requests_per_minute": 60, "concurrency": 4, "usd_day": 5}
    made = await one.post("/api/v1/keys", name="new", limits=limits)
    shown = await one.get(f"/api/v1/limits/key:{made['key']['id']}")
    assert [(limit["kind"], limit["used"], limit["held"], limit["left"]) for limit in shown["limits"]] == [
        ("usd_day", 0, 0, 5), ("requests_per_minute", 0, 0, 60), ("concurrency", 0, 0, 4)
    ]  # fmt: skip


# --- usage, errors, calls


async def test_sums_are_those_of_the_calls(admin: Open) -> None:
    one = await admin()
    await populate(one)
    calls = (await one.get("/api/v1/calls"))["calls"]
    assert len(calls) == 4
    for by in ("key", "project", "model", "target", "vendor", "outcome"):
        usage = await one.get("/api/v1/usage", by=by)
        assert usage["total"]["calls"] == 4
        assert usage["total"]["usd"] == pytest.approx(sum(call["usd"] or 0 for call in calls))
        assert sum(group["calls"] for group in usage["groups"]) == 4
        assert [sum(day["calls"] for day in group["days"]) for group in usage["groups"]] == [
            group["calls"] for group in usage["groups"]
        ]
        assert usage["rest"]["calls"] == 0
    few = await one.get("/api/v1/usage", by="outcome", most=1)
    assert few["rest"]["calls"] == few["total"]["calls"] - few["groups"][0]["calls"] > 0
    assert {group["name"] for group in (await one.get("/api/v1/usage", by="key"))["groups"]} == {"ci"}
    assert {group["id"] for group in (await one.get("/api/v1/usage", by="vendor"))["groups"]} == {"compatible", ""}


async def test_errors_are_counted_by_kind(admin: Open) -> None:
    one = await admin()
    await populate(one)
    errors = (await one.get("/api/v1/errors"))["errors"]
    assert [(error["error"], error["outcome"], error["calls"]) for error in errors] == [
        ("ModelNotFoundError", "refused", 1)
    ]
    refused = await one.get("/api/v1/calls", outcome="refused")
    assert [call["error"] for call in refused["calls"]] == ["ModelNotFoundError"]


async def test_pages_of_calls_are_the_newest_first_and_have_each_once(admin: Open) -> None:
    one = await admin()
    await populate(one)
    whole = [call["id"] for call in (await one.get("/api/v1/calls"))["calls"]]
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = await one.get("/api/v1/calls", most=1, **before)
        seen += [call["id"] for call in page["calls"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == whole


# --- now


async def test_a_call_under_way_is_seen_and_then_no_more(admin: Open) -> None:
    one = await admin()
    made = await one.world.key("live")
    asked = asyncio.create_task(one.world.ask(made, "say: hi", stream=True))
    live: list[Any] = []
    while not live and not asked.done():
        await asyncio.sleep(0)
        live = (await one.get("/api/v1/live"))["calls"]
    await asked
    assert [(call["key"], call["model"]) for call in live] == [("live", "main")]
    assert await one.get("/api/v1/live") == {"open": 0, "calls": []}
    assert not one.world.team.live


async def test_a_call_that_waits_for_its_turn_is_seen_to_wait(admin: Open) -> None:
    """Two calls of which a target takes one at a time: what was sent for is no longer waiting."""
    one = await admin(pacing={"concurrency": 1})
    made = await one.world.key("live")
    asked = [asyncio.create_task(one.world.ask(made, stream=True)) for _ in range(2)]
    seen: list[list[str]] = []
    while not all(each.done() for each in asked):
        await asyncio.sleep(0)
        seen.append([call["state"] for call in (await one.get("/api/v1/live"))["calls"]])
    assert [each.result().status_code for each in asked] == [200, 200]
    assert any(states in (["asking", "waiting"], ["streaming", "waiting"]) for states in seen), seen
    assert {state for states in seen for state in states} <= {"waiting", "asking", "streaming"}


async def test_a_target_that_is_down_is_seen(admin: Open) -> None:
    one = await admin(
        Emulator("compatible", faults=[status(500)], repeat=True), breaker={"failures": 2}, retry={"attempts": 1}
    )
    made = await one.world.key("ci")
    first = (await one.get("/api/v1/targets"))["targets"]
    assert [(target["target"], target["health"]) for target in first] == [(MODEL, "unused")]
    assert first[0]["aliases"] == ["main", "other"]
    for health in ("failing", "down"):
        await one.world.ask(made)
        await one.world.team.records.flush()
        (target,) = (await one.get("/api/v1/targets"))["targets"]
        assert target["health"] == health
    assert target["breaker"] == "open"
    assert target["open_for_seconds"] > 0
    assert target["today"]["failed_calls"] == 2


# --- who did it


async def test_both_ways_leave_the_same_in_the_log(admin: Open, tmp_path: Path) -> None:
    """The admin port and the command line, one after the other, in one store."""
    one = await admin()
    made = await one.post("/api/v1/keys", name="by the port", limits={"usd_day": 1})
    await one.post(f"/api/v1/keys/{made['key']['id']}/rotate")
    await one.ask("PUT", f"/api/v1/limits/key:{made['key']['id']}", json={"usd_day": 2})
    await one.post(f"/api/v1/keys/{made['key']['id']}/revoke")
    config = tmp_path / "chatport.toml"
    config.write_text(f'[team]\nfolder = "{tmp_path / "team"}"\n')

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(command, ["--config", str(config), *arguments])
        assert done.exit_code == 0, done.output
        return done.output.strip()

    def by_command() -> None:
        secret = run("keys", "create", "by the command", "--usd-day", "1")
        renewed = run("keys", "rotate", secret[:14])
        run("limits", "set", renewed[:14], "--usd-day", "2")
        run("keys", "revoke", renewed[:14])

    await asyncio.to_thread(by_command)
    entries = (await one.get("/api/v1/audit"))["entries"][::-1]
    halves = [[(entry["action"], sorted(entry["details"])) for entry in half] for half in (entries[:4], entries[4:])]
    assert halves[0] == halves[1]
    assert [entry["actor"] for entry in entries[:4]] == ["admin"] * 4
    assert all(entry["actor"].startswith("cli") for entry in entries[4:])
    (newest,) = (await one.get("/api/v1/audit", most=1))["entries"]
    assert newest["id"] == entries[-1]["id"]


# --- what cannot be meant


REFUSED: list[tuple[str, str, Any, str]] = [
    ("POST", "/api/v1/keys", {"name": "x", "colour": "red"}, "colour"),
    ("POST", "/api/v1/keys", {"name": ""}, "name"),
    ("POST", "/api/v1/keys", {"name": "x" * 101}, "name"),
    ("POST", "/api/v1/keys", {"name": "a\u202egnp.exe"}, "direction"),
    ("POST", "/api/v1/keys", {"name": "a\nb"}, "control"),
    ("POST", "/api/v1/keys", {"name": " a"}, "space"),
    ("POST", "/api/v1/keys", {"name": "a", "models": ["a\x00b"]}, "control"),
    ("POST", "/api/v1/keys", {"name": "a", "limits": {"usd_day": -1}}, "usd_day"),
    ("POST", "/api/v1/keys", {"name": "a", "limits": {"usd_day": True}}, "usd_day"),
    ("POST", "/api/v1/keys", {"name": "a", "limits": {"concurrency": 0}}, "concurrency"),
    ("POST", "/api/v1/keys", {"name": "a", "expires_seconds": 10**12}, "expires_seconds"),
    ("POST", "/api/v1/keys", [], "object"),
    ("POST", "/api/v1/projects", {"name": "gateway"}, "gateway"),
    ("GET", "/api/v1/keys?most=201", None, "most"),
    ("GET", "/api/v1/keys?most=1&most=2", None, "twice"),
    ("GET", "/api/v1/keys?after=%00", None, "control"),
    ("GET", "/api/v1/usage?since=2026-13-01", None, "since"),
    ("GET", "/api/v1/usage?since=2026-02-01&until=2026-01-01", None, "after"),
    ("GET", "/api/v1/usage?since=2020-01-01&until=2026-01-01", None, "days"),
    ("GET", "/api/v1/usage?by=secret", None, "by"),
    ("GET", "/api/v1/calls?before=x", None, "next"),
    ("GET", "/api/v1/calls?outcome=ok&key_id=a", None, "one of them"),
    ("GET", "/api/v1/calls", {"a": 1}, "no body"),
]
"""Method, path, body, and a word of the reason."""


async def test_what_cannot_be_meant_is_refused_with_a_reason(admin: Open) -> None:
    one = await admin()
    for method, path, body, words in REFUSED:
        answer = await one.ask(method, path, **({} if body is None else {"json": body}))
        assert answer.status_code == 400, (path, body, answer.text)
        assert words in answer.json()["error"]["message"]
    assert (await one.get("/api/v1/audit"))["entries"] == []


async def test_a_name_is_taken_once(admin: Open) -> None:
    one = await admin()
    await one.post("/api/v1/projects", name="web")
    assert (await one.ask("POST", "/api/v1/projects", json={"name": "web"})).status_code == 409
