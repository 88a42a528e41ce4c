"""Mistral's batches in miniature: jobs of files, with one model for all of their requests (MI-E1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport.testing import BatchesEmulator, EmulatedBatch, EmulatedRequest, EmulatedResponse

__all__ = ["MistralBatches"]

_KNOWN = {"input_files", "requests", "endpoint", "model", "agent_id", "metadata", "timeout_hours"}


class MistralBatches(BatchesEmulator):
    """A job names its files and its model; an unknown field is refused, as everywhere here (MI-P1)."""

    jobs_path = "/batch/jobs"
    most_batch_rows = 1_000_000
    most_batch_bytes = 512_000_000
    endpoints: Sequence[str] = ("/v1/chat/completions",)
    state_words: Mapping[str, str] = {
        "in_progress": "RUNNING",
        "cancelling": "CANCELLATION_REQUESTED",
        "completed": "SUCCESS",
        "failed": "FAILED",
        "expired": "TIMEOUT_EXCEEDED",
        "cancelled": "CANCELLED",
    }

    def create_batch(self, request: EmulatedRequest) -> EmulatedResponse:
        """Make a batch of a file."""
        asked = request.json()
        hours = asked.get("timeout_hours", 24)
        if asked.keys() - _KNOWN or type(hours) is not int or not asked.get("model"):
            raise self.refuse(422, "The job is not valid.")
        return super().create_batch(request)

    def input_file(self, asked: Mapping[str, Any]) -> str:
        """Return the id of the file of which a batch is made."""
        files = asked.get("input_files")
        return str(files[0]) if isinstance(files, list) and files else ""

    def read_line(self, line: Mapping[str, Any], endpoint: str) -> tuple[str, dict[str, Any]]:
        """Return own id and body of a request."""
        return self.checked(line["custom_id"], line["body"])

    def undone_line(self, own: str, ending: str) -> None:
        """Nothing is told of a request that was not worked on."""

    def listing(self, request: EmulatedRequest) -> EmulatedResponse:
        """List the jobs, the newest first."""
        newest = [self.job_view(job) for job in reversed(self.jobs.values())]
        return self.reply(200, {"object": "list", "data": newest[:100], "total": len(newest)})

    def job_view(self, job: EmulatedBatch) -> dict[str, Any]:
        """Return what is told of a job."""
        done, failed = job.counts.get("completed", 0), job.counts.get("failed", 0)
        return {
            "id": job.id,
            "object": "batch",
            "input_files": [job.file],
            "metadata": job.asked.get("metadata"),
            "endpoint": job.endpoint,
            "model": job.asked.get("model"),
            "output_file": job.outputs.get("output"),
            "error_file": job.outputs.get("error"),
            "errors": [{"message": problem["message"], "count": 1} for problem in job.problems],
            "status": self.state_word(job),
            "created_at": int(job.created),
            "total_requests": len(job.requests),
            "completed_requests": done + failed,
            "succeeded_requests": done,
            "failed_requests": failed,
        }
