"""A vendor's batches as its facts describe them: what is sent for each step, and what the answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import msgspec

import chatport
from chatport.helpers import BatchRule

from .log import Batch

__all__ = ["Seen", "VendorBatches"]

_TRANSFER = {"total": 3600.0, "silence": 300.0}
_SLACK_SECONDS = 120.0
"""How far our clock and the vendor's may be apart."""


@attrs.frozen
class Seen:
    """A batch as the vendor tells of it. `problems` are (code, message, number of the line or None)."""

    id: str
    status: str
    is_ended: bool
    outputs: tuple[str, ...] = ()
    problems: tuple[tuple[str, str, int | None], ...] = ()
    rows: int | None = None
    created: float | None = None
    file: str = ""


class VendorBatches:
    """The batches of one target. Each method is one request, and raises ChatportError as a call does."""

    def __init__(self, client: chatport.AsyncClient, target: str, rule: BatchRule) -> None:
        self._client = client
        self.provider, _, self.model = target.partition(":")
        self.rule = rule

    def endpoint_of(self, url: str) -> str | None:
        """Return what a batch calls the place to which a request would go, None where no batch goes there."""
        path = url.partition("?")[0]
        return next((endpoint for end, endpoint in self.rule.endpoints.items() if path.endswith(end)), None)

    def line(self, own: str, endpoint: str, body: bytes) -> bytes:
        """Return a request as it stands in a batch."""
        lines = self.rule.lines
        where = f'"method":"POST","url":"{endpoint}",' if lines.says_where else ""
        return f'{{"custom_id":"{own}",{where}"{lines.body}":'.encode() + body + b"}"

    async def upload(self, name: str, content: bytes) -> str:
        """Send the file of a batch; return its id."""
        files = self.rule.files
        assert files is not None, "only a batch of a file has one"
        fields = {field: text.replace("{name}", name) for field, text in files.fields.items()}
        form, kind = _form(fields, f"{name}.jsonl", content)
        path = files.upload or files.path
        answer = await self._ask("POST", path, content=form, headers={"content-type": kind}, timeout=_TRANSFER)
        found = answer.get("id") if isinstance(answer, Mapping) else None
        if not isinstance(found, str) or not found:
            raise chatport.MalformedReplyError(f"{self.provider} has taken a file, and gave it no id.", raw=answer)
        return found

    async def create(self, batch: Batch, content: bytes) -> Seen:
        """Begin a batch: of its file, or of `content`, its requests line by line. It is sent once."""
        values = {
            "file": batch.file,
            "endpoint": batch.endpoint,
            "model": self.model,
            "name": batch.name,
            "hours": self.rule.hours,
        }
        jobs = self.rule.jobs
        body = _with_requests(_filled(jobs.fields, values), content)
        json = {"content-type": "application/json"}
        answer = await self._ask("POST", jobs.path, content=body, headers=json, repeats=False, timeout=_TRANSFER)
        return self._seen(_at(answer, jobs.wrapped))

    async def find(self, batch: Batch, known: Sequence[str]) -> Seen | None:
        """Return a batch whose beginning was sent and not answered, None where it is not among the newest.

        It is known by its file; where there is none, by its size and time, and its results will show whose it is.
        `known` are ids of other batches.
        """
        jobs = self.rule.jobs
        answer = await self._ask("GET", f"{jobs.path}?{jobs.list_query}" if jobs.list_query else jobs.path)
        listed = _at(answer, jobs.listed)
        seen = [self._seen(one) for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
        seen = [one for one in seen if one.id not in known]
        if batch.file:
            return next((one for one in seen if one.file == batch.file), None)
        fits = [
            one
            for one in seen
            if one.rows == batch.rows and one.created is not None and one.created >= batch.began - _SLACK_SECONDS
        ]
        return min(fits, key=lambda one: one.created or 0.0, default=None)

    async def look(self, job: str) -> Seen:
        """Return how a batch goes."""
        return self._seen(await self._ask("GET", f"{self.rule.jobs.path}/{quote(job, safe='')}"))

    async def cancel(self, job: str) -> None:
        """Ask for a batch to be stopped. What it has done until then is paid, and can be read."""
        await self._ask("POST", f"{self.rule.jobs.path}/{quote(job, safe='')}/cancel", body={})

    async def download(self, output: str, place: Path) -> None:
        """Bring a file of results, as it comes, to a place."""
        files, jobs = self.rule.files, self.rule.jobs
        if jobs.results is not None or files is None:
            path = f"{jobs.path}/{quote(output, safe='')}{jobs.results}"
        else:
            path = f"{files.path}/{quote(output, safe='')}/content"
        with place.open("wb") as file:

            def begin() -> Any:
                file.seek(0)
                file.truncate()
                return file.write

            accept = {"accept": "*/*"}
            await self._client.request(
                self.provider, "GET", path, into=begin, headers=accept, model=self.model, timeout=_TRANSFER
            )

    async def delete(self, file: str) -> None:
        """Delete a file that the vendor keeps."""
        files = self.rule.files
        if files is not None and files.deletes:
            await self._ask("DELETE", f"{files.path}/{quote(file, safe='')}")

    async def _ask(self, method: Any, path: str, **how: Any) -> Any:
        return await self._client.request(self.provider, method, path, model=self.model, **how)

    def _seen(self, told: Any) -> Seen:
        jobs = self.rule.jobs
        job = _at(told, "id")
        if not isinstance(job, str) or not job:
            raise chatport.MalformedReplyError(f"{self.provider} tells of a batch without an id.", raw=told)
        status = str(_at(told, jobs.status) or "").lower()
        outputs = (job,) if jobs.results is not None else _texts(_at(told, place) for place in jobs.outputs)
        counts = [_at(told, place) for place in jobs.rows]
        known = [count for count in counts if isinstance(count, int)]
        file = _at(told, jobs.file) if jobs.file else ""
        return Seen(
            job,
            status,
            status in jobs.ended,
            outputs,
            tuple(_problems(_at(told, jobs.problems))),
            sum(known) if known else None,
            _seconds(_at(told, jobs.created)),
            str((file[0] if file else "") if isinstance(file, list) else file or ""),
        )


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str) and value)


def _at(told: Any, place: str) -> Any:
    """Return what stands at a place written with dots; the whole for an empty one."""
    for name in place.split(".") if place else ():
        told = told.get(name) if isinstance(told, Mapping) else None
    return told


def _problems(told: Any) -> list[tuple[str, str, int | None]]:
    if isinstance(told, str) and told:
        return [("", told, None)]
    found = []
    for one in told if isinstance(told, list) else ():
        if isinstance(one, Mapping):
            line = one.get("line")
            found.append((str(one.get("code") or ""), str(one.get("message") or one), line if _is_line(line) else None))
    return found


def _is_line(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, Mapping):
        return {name: _filled(value, values) for name, value in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(value, values) for value in template]
    if not isinstance(template, str):
        return template
    if template[:1] == "{" and template[-1:] == "}" and template[1:-1] in values:
        return values[template[1:-1]]
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", str(value))
    return template


def _with_requests(fields: Mapping[str, Any], content: bytes) -> bytes:
    """Return the body that begins a batch; the requests go into it as they are, since they may be many megabytes."""
    place = next((name for name, value in fields.items() if value == "{requests}"), None)
    body = msgspec.json.encode({name: value for name, value in fields.items() if name != place})
    if place is None:
        return body
    requests = b",".join(content.splitlines())
    head = body[:-1] + (b"," if len(body) > 2 else b"")
    return head + msgspec.json.encode(place) + b":[" + requests + b"]}"


def _form(fields: Mapping[str, str], filename: str, content: bytes) -> tuple[bytes, str]:
    """Return a form with a file (RFC 7578), and its content type. No line of JSONL begins as the boundary does."""
    boundary = "chatport-5d2f0b8a47c94e63"
    head = "".join(
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += (
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{filename}"\r\n'
        "content-type: application/jsonl\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
