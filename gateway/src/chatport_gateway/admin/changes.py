"""What the admin port changes: keys, projects and limits. Each by a desk, as the command line does it."""

from __future__ import annotations

from datetime import timedelta

from ..team.values import GATEWAY, Limits
from . import given, told
from .office import Office, at, key_shown, limits_of
from .routes import BadRequest, Given, Route

__all__ = ["ROUTES"]


async def create_key(office: Office, asked: Given) -> told.KeyMade:
    """Make a key. The answer shows it, and nothing else ever does."""
    body: given.NewKey = asked.body
    for text in (*body.models, *body.providers):
        if not text.isprintable():
            raise BadRequest("Names of models and providers have no control characters.")
    seconds = body.expires_seconds
    made = await office.desk.create_key(
        body.name,
        project=body.project_id,
        limits=limits_of(body.limits),
        models=body.models,
        providers=body.providers,
        expires_after=None if seconds is None else timedelta(seconds=seconds),
    )
    await office.changed()
    return told.KeyMade(key=key_shown(made.key, await _projects(office, made.key.project_id)), secret=made.secret)


async def list_keys(office: Office, asked: Given) -> told.Keys:
    """List keys by id."""
    query: given.KeysQuery = asked.query
    found = await office.team.store.keys(query.project_id, most=query.most + 1, after=query.after or "")
    page = found[: query.most]
    names = await office.figures.names(key.project_id or "" for key in page)
    return told.Keys(
        keys=[key_shown(key, names) for key in page], next=page[-1].id if len(found) > query.most else None
    )


async def show_key(office: Office, asked: Given) -> told.KeyShown:
    """Show a key."""
    key = await office.team.store.key(asked.path["key_id"])
    return key_shown(key, await _projects(office, key.project_id))


async def rotate_key(office: Office, asked: Given) -> told.KeyMade:
    """Put a new key in the place of one. The answer shows it, and nothing else ever does."""
    body: given.Rotate = asked.body
    keep = timedelta(seconds=body.keep_old_seconds) if body.keep_old_seconds else None
    made = await office.desk.rotate_key(asked.path["key_id"], keep_old=keep)
    await office.changed()
    return told.KeyMade(key=key_shown(made.key, await _projects(office, made.key.project_id)), secret=made.secret)


async def revoke_key(office: Office, asked: Given) -> told.KeyShown:
    """Refuse a key from now on, for ever."""
    key = await office.desk.revoke_key(asked.path["key_id"])
    await office.changed()
    return key_shown(key, await _projects(office, key.project_id))


async def create_project(office: Office, asked: Given) -> told.ProjectShown:
    """Make a project, which has limits above those of its keys."""
    body: given.NewProject = asked.body
    made = await office.desk.create_project(body.name, limits_of(body.limits))
    await office.changed()
    return told.ProjectShown(id=made.id, name=made.name, is_closed=False, created_at=at(made.created_us))


async def list_projects(office: Office, asked: Given) -> told.Projects:
    """List projects by name."""
    query: given.ProjectsQuery = asked.query
    found = await office.figures.projects(query.after or "", query.most + 1)
    page = found[: query.most]
    return told.Projects(
        projects=[
            told.ProjectShown(
                id=one.id, name=one.name, is_closed=one.closed_us is not None, created_at=at(one.created_us)
            )
            for one in page
        ],
        next=page[-1].name if len(found) > query.most else None,
    )


async def close_project(office: Office, asked: Given) -> told.ProjectShown:
    """Refuse all keys of a project from now on. What they have used stays."""
    one = await office.desk.close_project(asked.path["project_id"])
    await office.changed()
    return told.ProjectShown(id=one.id, name=one.name, is_closed=True, created_at=at(one.created_us))


async def list_limits(office: Office, asked: Given) -> told.LimitsListed:
    """List who has limits, and what is left of them: first the gateway, then keys and projects."""
    query: given.LimitsQuery = asked.query
    found = dict(await office.figures.limited(query.after or GATEWAY, query.most + 1))
    page = dict(list(found.items())[: query.most])
    holders: dict[str, Limits | None] = {**({} if query.after else {GATEWAY: await _of_gateway(office)}), **page}
    return told.LimitsListed(
        holders=await office.limits(holders), next=list(page)[-1] if len(found) > query.most else None
    )


async def show_limits(office: Office, asked: Given) -> told.HolderLimits:
    """Show the limits of `gateway`, `project:ID` or `key:ID`, and what is left of them."""
    holder = await office.desk.holder(asked.path["holder"])
    its = await _of_gateway(office) if holder == GATEWAY else (await office.desk.limits([holder]))[holder]
    return (await office.limits({holder: its}))[0]


async def set_limits(office: Office, asked: Given) -> told.HolderLimits:
    """Put limits in the place of all that `gateway`, `project:ID` or `key:ID` has."""
    holder = await office.desk.holder(asked.path["holder"])
    await office.desk.set_limits(holder, limits_of(asked.body))
    await office.changed()
    return await show_limits(office, asked)


async def _of_gateway(office: Office) -> Limits | None:
    return (await office.team.store.limits([GATEWAY])).get(GATEWAY)


async def _projects(office: Office, project_id: str | None) -> dict[str, str]:
    return await office.figures.names([project_id or ""])


_KEYS, _PROJECTS, _LIMITS = "/api/v1/keys", "/api/v1/projects", "/api/v1/limits"
ROUTES = (
    Route("GET", _KEYS, list_keys, told.Keys, query=given.KeysQuery),
    Route("POST", _KEYS, create_key, told.KeyMade, body=given.NewKey, status=201),
    Route("GET", f"{_KEYS}/{{key_id}}", show_key, told.KeyShown),
    Route("POST", f"{_KEYS}/{{key_id}}/rotate", rotate_key, told.KeyMade, body=given.Rotate),
    Route("POST", f"{_KEYS}/{{key_id}}/revoke", revoke_key, told.KeyShown, body=given.Nothing),
    Route("GET", _PROJECTS, list_projects, told.Projects, query=given.ProjectsQuery),
    Route("POST", _PROJECTS, create_project, told.ProjectShown, body=given.NewProject, status=201),
    Route("POST", f"{_PROJECTS}/{{project_id}}/close", close_project, told.ProjectShown, body=given.Nothing),
    Route("GET", _LIMITS, list_limits, told.LimitsListed, query=given.LimitsQuery),
    Route("GET", f"{_LIMITS}/{{holder}}", show_limits, told.HolderLimits),
    Route("PUT", f"{_LIMITS}/{{holder}}", set_limits, told.HolderLimits, body=given.Limits),
)
