"""Together's batches in miniature: its words for how they go, its wrapped answer to a new one, its bare list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport.testing import BatchesEmulator, EmulatedBatch, EmulatedRequest, EmulatedResponse, read_form

__all__ = ["TogetherBatches"]


class TogetherBatches(BatchesEmulator):
    """Files are uploaded to a path of their own, and need their name beside them."""

    upload_path = "/files/upload"
    purpose = "batch-api"
    most_batch_bytes = 100_000_000
    state_words: Mapping[str, str] = {
        "in_progress": "IN_PROGRESS",
        "cancelling": "IN_PROGRESS",
        "completed": "COMPLETED",
        "failed": "FAILED",
        "expired": "EXPIRED",
        "cancelled": "CANCELLED",
    }

    def upload(self, request: EmulatedRequest) -> EmulatedResponse:
        """Take a file."""
        if not read_form(request)[0].get("file_name"):
            raise self.refuse(400, "file_name is required")
        return super().upload(request)

    def read_line(self, line: Mapping[str, Any], endpoint: str) -> tuple[str, dict[str, Any]]:
        """Return own id and body of a request."""
        if line.keys() - {"custom_id", "body"}:
            raise ValueError("A line has custom_id and body.")
        return self.checked(line["custom_id"], line["body"])

    def undone_line(self, own: str, ending: str) -> None:
        """Nothing is told of a request that was not worked on."""

    def listing(self, request: EmulatedRequest) -> EmulatedResponse:
        """List the batches, bare."""
        return self.reply(200, [self.job_view(job) for job in self.jobs.values()])

    def created_view(self, job: EmulatedBatch) -> dict[str, Any]:
        """Return the answer to what has made a batch."""
        return {"job": self.job_view(job)}

    def job_view(self, job: EmulatedBatch) -> dict[str, Any]:
        """Return what is told of a batch."""
        return {
            "id": job.id,
            "user_id": "user_emulated",
            "input_file_id": job.file,
            "file_size_bytes": len(self.files.get(job.file, b"")),
            "status": self.state_word(job),
            "created_at": self.stamp(job.created),
            "endpoint": job.endpoint,
            "progress": 0 if job.is_open else 100,
            "model_id": job.requests[0][1].get("model") if job.requests else "",
            "output_file_id": job.outputs.get("output", ""),
            "error_file_id": job.outputs.get("error", ""),
            "error": job.problems[0]["message"] if job.problems else "",
        }
