"""One line of the log for each request: names, counts and times, and nothing of what was said."""

from __future__ import annotations

from typing import Any

from chatport_surfaces import Record

__all__ = ["log_access"]


def log_access(log: Any, method: str, path: str, status: int, seconds: float, request_id: str, record: Record) -> None:
    """Write the line. A request that a vendor answered has its target, tokens and cost too."""
    fields: dict[str, Any] = {
        "method": method,
        "path": path,
        "status": status,
        "seconds": round(seconds, 6),
        "request_id": request_id,
    }
    if record.asked is not None:
        fields |= {"surface": record.surface and record.surface.name, "model": record.asked.model}
        fields["stream"] = record.asked.stream
    reply = record.reply
    if reply is not None:
        fields |= {"target": f"{reply.provider}:{reply.model}", "vendor_request_id": reply.request_id}
        fields |= {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens}
        fields |= {"cost": reply.cost and reply.cost.amount, "currency": reply.cost and reply.cost.currency}
        fields |= {"attempts": len(reply.attempts), "finish_reason": reply.finish_reason}
    if record.error is not None:
        fields["error"] = type(record.error).__name__
    log.info("request", **{name: value for name, value in fields.items() if value is not None})
