"""The server's side of batches, for the emulators of vendors that take them: files, jobs, results, and what goes wrong.

A vendor's emulator puts it before its base, `class AcmeEmulator(BatchesEmulator, VendorEmulator)`, and overrides what
its vendor does differently. The requests of a batch are answered by the emulator's own routes, so that they are refused
and answered as online. It shares no data with the facts by which batches are sent.

A batch gets on when it is looked at: after `looks` of its `BatchPlay` it has ended.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import attrs

from .emulator import VendorEmulator
from .saying import prompt_tokens
from .wire import EmulatedRequest, EmulatedResponse, Refusal

__all__ = ["BatchPlay", "BatchesEmulator", "EmulatedBatch"]


@attrs.frozen
class BatchPlay:
    """How a batch goes. `looks`: how often it is asked for until it has ended, so with `ending` (our word:
    `completed`, `expired`, `failed`, `cancelled`).

    `done` is the share of its requests that were worked on, `missing` the share of those whose results are lost.
    So many of its results stand twice in the file. `problem` (code and message) is why a failed one is.
    """

    ending: str = "completed"
    looks: int = 1
    done: float = 1.0
    missing: float = 0.0
    duplicates: int = 0
    problem: tuple[str, str] | None = None


@attrs.define
class EmulatedBatch:
    """A batch at the vendor. `requests` are (own id, body), `state` is our word, `results` lines for each file."""

    id: str
    endpoint: str
    requests: list[tuple[str, dict[str, Any]]]
    play: BatchPlay
    created: float
    file: str = ""
    asked: Mapping[str, Any] = attrs.field(factory=dict)
    state: str = "in_progress"
    looks: int = 0
    problems: list[dict[str, Any]] = attrs.field(factory=list)
    outputs: dict[str, str] = attrs.field(factory=dict)
    counts: dict[str, int] = attrs.field(factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it may still get on."""
        return self.state in ("in_progress", "cancelling")


class BatchesEmulator(VendorEmulator):
    """Takes files and batches as OpenAI does. `jobs` are the batches that were made, `files` what is kept, by id.

    `worked_on` lists the body of each request of a batch that was worked on, which is what is paid. `plays` are how
    the next batches go, one each; a batch without one completes.
    """

    plays: Sequence[BatchPlay] = ()
    endpoints: Sequence[str] = ("/v1/chat/completions",)
    files_path = "/files"
    upload_path = "/files"
    jobs_path = "/batches"
    purpose = "batch"
    most_batch_rows = 50_000
    most_batch_bytes = 200_000_000
    most_enqueued_tokens: int | None = None
    state_words: Mapping[str, str] = {}
    """The vendor's words for the states of a batch, where they are not those of `EmulatedBatch`."""
    now: Callable[[], float] = staticmethod(time.time)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.files: dict[str, bytes] = {}
        self.file_names: dict[str, str] = {}
        self.jobs: dict[str, EmulatedBatch] = {}
        self.worked_on: list[dict[str, Any]] = []

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        answer = self._batch_answer(request)
        return super()._respond(request) if answer is None else answer

    def _batch_answer(self, request: EmulatedRequest) -> EmulatedResponse | None:
        path = request.path.partition("?")[0]
        for method, pattern, answer in self.batch_routes():
            found = wild_steps(path, pattern)
            if found is not None and request.method == method:
                try:
                    self.check_key(request)
                    return answer(request, *found)
                except Refusal as refusal:
                    return self.reply(refusal.status, refusal.body, refusal.headers)
        return None

    def batch_routes(self) -> Iterator[tuple[str, str, Callable[..., EmulatedResponse]]]:
        """Give method, end of the path with `*` for any step, and what answers it."""
        files, jobs = self.files_path, self.jobs_path
        yield "POST", self.upload_path, self.upload
        yield "GET", f"{files}/*/content", self.file_content
        yield "DELETE", f"{files}/*", self.delete_file
        yield "POST", jobs, self.create_batch
        yield "GET", jobs, self.listing
        yield "POST", f"{jobs}/*/cancel", self.cancel_batch
        yield "GET", f"{jobs}/*", self.look_at

    # --- files

    def upload(self, request: EmulatedRequest) -> EmulatedResponse:
        """Take a file."""
        fields, name, content = read_form(request)
        if fields.get("purpose") != self.purpose:
            raise self.refuse(400, f"'{fields.get('purpose')}' is not one of ['{self.purpose}'] - 'purpose'")
        if len(content) > self.most_batch_bytes:
            raise self.refuse(413, f"The file is too large: {len(content)} bytes.")
        key = self.keep_file(content, name)
        return self.reply(200, self.file_view(key))

    def keep_file(self, content: bytes, name: str) -> str:
        """Keep a file, and return its id."""
        key = self.file_id(len(self.file_names) + 1)
        self.files[key], self.file_names[key] = content, name
        return key

    def file_id(self, number: int) -> str:
        """Return the id of a file."""
        return f"file-{number:08d}"

    def file_view(self, key: str) -> dict[str, Any]:
        """Return what is told of a file."""
        return {
            "id": key, "object": "file", "bytes": len(self.files[key]), "created_at": int(self.now()),
            "filename": self.file_names[key], "purpose": self.purpose,
        }  # fmt: skip

    def file_content(self, request: EmulatedRequest, key: str) -> EmulatedResponse:
        """Give the content of a file, in pieces."""
        if key not in self.files:
            raise self.refuse(404, f"No such File object: {key}")
        data = self.files[key]
        pieces = [data[start : start + 4096] for start in range(0, len(data), 4096)]
        return EmulatedResponse(200, self.headers("application/octet-stream"), pieces or [b""])

    def delete_file(self, request: EmulatedRequest, key: str) -> EmulatedResponse:
        """Delete a file."""
        if self.files.pop(key, None) is None:
            raise self.refuse(404, f"No such File object: {key}")
        return self.reply(200, {"id": key, "object": "file", "deleted": True})

    # --- batches

    def create_batch(self, request: EmulatedRequest) -> EmulatedResponse:
        """Make a batch of a file."""
        asked = request.json()
        key = self.input_file(asked)
        if key not in self.files:
            raise self.refuse(400, f"No such File object: {key}", code="invalid_file")
        endpoint = str(asked.get("endpoint"))
        if endpoint not in self.endpoints:
            raise self.refuse(400, f"Invalid endpoint: {endpoint}", param="endpoint")
        batch = self.begin_batch(endpoint, self.files[key], asked)
        batch.file = key
        return self.reply(200, self.created_view(batch))

    def input_file(self, asked: Mapping[str, Any]) -> str:
        """Return the id of the file of which a batch is made."""
        return str(asked.get("input_file_id"))

    def begin_batch(self, endpoint: str, content: bytes, asked: Mapping[str, Any]) -> EmulatedBatch:
        """Make a batch of what a file holds; one that is not valid has failed at once."""
        number = len(self.jobs)
        play = self.plays[number] if number < len(self.plays) else BatchPlay()
        requests, problems = self.read_lines(content, endpoint)
        batch = EmulatedBatch(self.job_id(number + 1), endpoint, requests, play, self.now(), asked=asked)
        tokens = sum(prompt_tokens(body) for _, body in requests)
        if self.most_enqueued_tokens is not None and self.enqueued_tokens() + tokens > self.most_enqueued_tokens:
            words = f"Enqueued token limit reached. Limit: {self.most_enqueued_tokens:,} enqueued tokens."
            problems = [{"code": "token_limit_exceeded", "message": words, "line": None, "param": None}]
        if problems:
            batch.problems, batch.state = problems, "failed"
        self.jobs[batch.id] = batch
        return batch

    def enqueued_tokens(self) -> int:
        """Return how many tokens wait in batches that have not ended."""
        return sum(prompt_tokens(body) for job in self.jobs.values() if job.is_open for _, body in job.requests)

    def job_id(self, number: int) -> str:
        """Return the id of a batch."""
        return f"batch_{number:08d}"

    def read_lines(self, content: bytes, endpoint: str) -> tuple[list[tuple[str, dict[str, Any]]], list[Any]]:
        """Return the requests of a file, and what is wrong with it."""
        requests: list[tuple[str, dict[str, Any]]] = []
        problems: list[Any] = []
        for number, line in enumerate(content.splitlines(), 1):
            try:
                requests.append(self.read_line(json.loads(line), endpoint))
            except (ValueError, KeyError, TypeError) as error:
                problems.append({"code": "invalid_json_line", "message": f"{error}", "line": number, "param": None})
        ids = [own for own, _ in requests]
        if len(set(ids)) < len(ids):
            problems.append({"code": "duplicate_custom_id", "message": "A custom_id is there twice.", "line": None})
        if not ids or len(ids) > self.most_batch_rows:
            problems.append({"code": "invalid_rows", "message": f"{len(ids)} rows.", "line": None})
        return requests, problems

    def read_line(self, line: Mapping[str, Any], endpoint: str) -> tuple[str, dict[str, Any]]:
        """Return own id and body of a request. Raises ValueError for one that is not valid."""
        if line["method"] != "POST" or line["url"] != endpoint:
            raise ValueError(f"The URL provided for this request does not match the batch endpoint: {line['url']}")
        return self.checked(line["custom_id"], line["body"])

    def checked(self, own: Any, body: Any) -> tuple[str, dict[str, Any]]:
        """Return what is given if it is what it should be. Raises ValueError."""
        if not isinstance(own, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", own) or not isinstance(body, dict):
            raise ValueError(f"The custom_id or the body is not valid: {own!r}")
        if body.get("stream"):
            raise ValueError("Streaming is not supported in a batch.")
        return own, body

    def listing(self, request: EmulatedRequest) -> EmulatedResponse:
        """List the batches, the newest first."""
        newest = [self.job_view(job) for job in reversed(self.jobs.values())]
        return self.reply(200, {"object": "list", "data": newest[:100], "has_more": len(newest) > 100})

    def look_at(self, request: EmulatedRequest, key: str) -> EmulatedResponse:
        """Tell how a batch goes; it gets on by that."""
        job = self.job(key)
        job.looks += 1
        if job.state == "cancelling":
            self.end_batch(job, "cancelled")
        elif job.is_open and job.looks >= job.play.looks:
            self.end_batch(job, job.play.ending)
        return self.reply(200, self.job_view(job))

    def job(self, key: str) -> EmulatedBatch:
        """Return a batch. Raises `Refusal` where there is none."""
        if key not in self.jobs:
            raise self.refuse(404, f"No batch found with id '{key}'.")
        return self.jobs[key]

    def cancel_batch(self, request: EmulatedRequest, key: str) -> EmulatedResponse:
        """Begin to stop a batch."""
        job = self.job(key)
        if not job.is_open:
            raise self.refuse(409, f"Cannot cancel a batch with status '{self.state_word(job)}'.")
        job.state = "cancelling"
        return self.reply(200, self.job_view(job))

    # --- its end

    def end_batch(self, job: EmulatedBatch, ending: str) -> None:
        """Work on a batch, and write its files."""
        job.state = ending
        if ending == "failed":
            code, message = job.play.problem or ("invalid_request", "The batch could not be worked on.")
            job.problems = [{"code": code, "message": message, "line": None, "param": None}]
            return
        chance = random.Random(len(self.worked_on))
        order = chance.sample(job.requests, len(job.requests))  # results come in no order
        done = order[: round(len(order) * job.play.done)]
        results = [self.work_on(job.endpoint, own, body) for own, body in done]
        results = results[round(len(results) * job.play.missing) :]
        results += results[: job.play.duplicates]
        lines: dict[str, list[dict[str, Any]]] = {"output": [], "error": []}
        for number, (own, status, body) in enumerate(results):
            lines["output" if status < 400 else "error"].append(self.result_line(number, own, status, body))
        for own, _ in order[len(done) :]:
            undone = self.undone_line(own, ending)
            if undone is not None:
                lines["error"].append(undone)
        chance.shuffle(lines["output"])
        job.counts = {
            "completed": sum(status < 400 for _, status, _ in results),
            "failed": sum(status >= 400 for _, status, _ in results),
            "undone": len(order) - len(done),
        }
        self.keep_results(job, lines)

    def keep_results(self, job: EmulatedBatch, lines: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Keep the results as files; a file without a line is none."""
        for name, found in lines.items():
            if found:
                text = "".join(json.dumps(line) + "\n" for line in found)
                job.outputs[name] = self.keep_file(text.encode(), f"{job.id}_{name}.jsonl")

    def work_on(self, endpoint: str, own: str, body: dict[str, Any]) -> tuple[str, int, Any]:
        """Answer a request of a batch as it is answered online; return its own id, the status and the body."""
        self.serial += 1
        request = EmulatedRequest("POST", endpoint, {"content-type": "application/json"}, json.dumps(body).encode())
        answer = next(answer for end, answer in self.routes().items() if endpoint.endswith(end))
        try:
            response = answer(request)
        except Refusal as refusal:
            return own, refusal.status, refusal.body
        if response.status < 400:
            self.worked_on.append(body)
        return own, response.status, json.loads(response.body)

    def result_line(self, number: int, own: str, status: int, body: Any) -> dict[str, Any]:
        """Return the result of a request that was worked on."""
        response = {"status_code": status, "request_id": f"req-{number}", "body": body}
        return {"id": f"batch_req_{number}", "custom_id": own, "response": response, "error": None}

    def undone_line(self, own: str, ending: str) -> dict[str, Any] | None:
        """Return the result of a request that was not worked on, None where there is none."""
        code = "batch_expired" if ending == "expired" else "batch_cancelled"
        error = {"code": code, "message": "This request could not be executed before the batch ended."}
        return {"id": f"batch_req_{own}", "custom_id": own, "response": None, "error": error}

    # --- what is told of it

    @staticmethod
    def stamp(seconds: float) -> str:
        """Return a time as ISO 8601 has it."""
        return datetime.fromtimestamp(seconds, UTC).isoformat()

    def state_word(self, job: EmulatedBatch) -> str:
        """Return the vendor's word for the state of a batch."""
        return self.state_words.get(job.state, job.state)

    def created_view(self, job: EmulatedBatch) -> dict[str, Any]:
        """Return the answer to what has made a batch."""
        return self.job_view(job)

    def job_view(self, job: EmulatedBatch) -> dict[str, Any]:
        """Return what is told of a batch."""
        return {
            "id": job.id,
            "object": "batch",
            "endpoint": job.endpoint,
            "errors": {"object": "list", "data": job.problems} if job.problems else None,
            "input_file_id": job.file,
            "completion_window": job.asked.get("completion_window", "24h"),
            "status": self.state_word(job),
            "output_file_id": job.outputs.get("output"),
            "error_file_id": job.outputs.get("error"),
            "created_at": int(job.created),
            "request_counts": {
                "total": len(job.requests),
                "completed": job.counts.get("completed", 0),
                "failed": job.counts.get("failed", 0),
            },
            "metadata": job.asked.get("metadata"),
        }


def wild_steps(path: str, end: str) -> list[str] | None:
    """Return the steps of a path that stand for `*` in its end, None if it does not end so."""
    wanted = end.strip("/").split("/")
    steps = path.split("/")[-len(wanted) :]
    if len(steps) < len(wanted) or any(want not in ("*", step) for want, step in zip(wanted, steps, strict=True)):
        return None
    return [step for want, step in zip(wanted, steps, strict=True) if want == "*"]


def read_form(request: EmulatedRequest) -> tuple[dict[str, str], str, bytes]:
    """Return the fields of a multipart form, and the name and content of its file."""
    head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    fields, name, content = dict[str, str](), "", b""
    for part in message_from_bytes(head + request.content, policy=HTTP).iter_parts():
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if part.get_filename() is not None:
            name, content = str(part.get_filename()), data
        else:
            fields[str(part.get_param("name", header="content-disposition"))] = data.decode()
    return fields, name, content
