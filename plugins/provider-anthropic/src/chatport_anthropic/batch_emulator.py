"""Anthropic's Message Batches in miniature: the requests stand in what begins one, the results below it (AN-E1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chatport.testing import BatchesEmulator, EmulatedBatch, EmulatedRequest, EmulatedResponse

__all__ = ["MessageBatches"]


class MessageBatches(BatchesEmulator):
    """No files, no metadata: a batch is known by its id alone. At most 100,000 requests in 256 MB (AN-R16)."""

    jobs_path = "/messages/batches"
    endpoints: Sequence[str] = ("/v1/messages",)
    most_batch_rows = 100_000
    most_batch_bytes = 256_000_000
    state_words: Mapping[str, str] = {
        "cancelling": "canceling",
        "completed": "ended",
        "expired": "ended",
        "cancelled": "ended",
        "failed": "ended",
    }

    def batch_routes(self) -> Iterator[tuple[str, str, Callable[..., EmulatedResponse]]]:
        """Give method, end of the path with `*` for any step, and what answers it."""
        yield "POST", self.jobs_path, self.create_batch
        yield "GET", self.jobs_path, self.listing
        yield "POST", f"{self.jobs_path}/*/cancel", self.cancel_batch
        yield "GET", f"{self.jobs_path}/*/results", self.results
        yield "GET", f"{self.jobs_path}/*", self.look_at

    def create_batch(self, request: EmulatedRequest) -> EmulatedResponse:
        """Make a batch of the requests in it."""
        if len(request.content) > self.most_batch_bytes:
            raise self.refuse(413, "Request exceeds the maximum size")
        asked = request.json()
        rows = asked.get("requests") if isinstance(asked, dict) else None
        if not isinstance(rows, list) or not rows:
            raise self.refuse(400, "requests: Field required")
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        requests, problems = self.read_lines(content, "/v1/messages")
        if problems or len(requests) > self.most_batch_rows:
            raise self.refuse(400, str(problems[0]["message"] if problems else "requests: too many"))
        return self.reply(200, self.job_view(self.begin_batch("/v1/messages", content, {})))

    def job_id(self, number: int) -> str:
        """Return the id of a batch."""
        return f"msgbatch_{number:08d}"

    def read_line(self, line: Mapping[str, Any], endpoint: str) -> tuple[str, dict[str, Any]]:
        """Return own id and body of a request."""
        return self.checked(line["custom_id"], line["params"])

    def listing(self, request: EmulatedRequest) -> EmulatedResponse:
        """List the batches, the newest first."""
        newest = [self.job_view(job) for job in reversed(self.jobs.values())]
        return self.reply(200, {"data": newest[:100], "has_more": len(newest) > 100, "first_id": None, "last_id": None})

    def results(self, request: EmulatedRequest, key: str) -> EmulatedResponse:
        """Give the results of a batch that has ended, in no order."""
        job = self.job(key)
        if job.is_open:
            raise self.refuse(404, "The batch has no results yet.")
        lines = [self.files[file] for file in job.outputs.values()]
        return EmulatedResponse(200, self.headers("application/x-jsonl"), lines or [b""])

    def result_line(self, number: int, own: str, status: int, body: Any) -> dict[str, Any]:
        """Return the result of a request that was worked on."""
        if status < 400:
            return {"custom_id": own, "result": {"type": "succeeded", "message": body}}
        return {"custom_id": own, "result": {"type": "errored", "error": body}}

    def undone_line(self, own: str, ending: str) -> dict[str, Any]:
        """Return the result of a request that was not worked on."""
        return {"custom_id": own, "result": {"type": "expired" if ending == "expired" else "canceled"}}

    def job_view(self, job: EmulatedBatch) -> dict[str, Any]:
        """Return what is told of a batch."""
        total, undone = len(job.requests), job.counts.get("undone", 0)
        done, failed = job.counts.get("completed", 0), job.counts.get("failed", 0)
        ended = not job.is_open
        return {
            "id": job.id,
            "type": "message_batch",
            "processing_status": self.state_word(job),
            "request_counts": {
                "processing": 0 if ended else total,
                "succeeded": done,
                "errored": failed,
                "canceled": undone if job.state == "cancelled" else 0,
                "expired": undone if job.state == "expired" else 0,
            },
            "created_at": self.stamp(job.created),
            "expires_at": self.stamp(job.created + 86_400),
            "ended_at": self.stamp(self.now()) if ended else None,
            "results_url": f"https://emulated.invalid/v1/messages/batches/{job.id}/results" if ended else None,
        }
