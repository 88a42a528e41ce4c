"""Chatport: one port, any model vendor.

    import chatport

    with chatport.Client() as client:
        print(client.chat("hello", model="deepseek:deepseek-flash").text)

The names below are the public ones. They are loaded when first used, so `import chatport` reads no file but this one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .basics.version import __version__

if TYPE_CHECKING:
    from .basics.secret import Secret as Secret
    from .call import (
        Call as Call,
        Chunk as Chunk,
        Context as Context,
        ErrorDetails as ErrorDetails,
        Failure as Failure,
        Native as Native,
        OutputSpec as OutputSpec,
        StreamState as StreamState,
        Tool as Tool,
        ToolChoice as ToolChoice,
        Verdict as Verdict,
        WireRequest as WireRequest,
        WireTools as WireTools,
    )
    from .client.aio import AsyncClient as AsyncClient
    from .client.embeddings import Embeddings as Embeddings
    from .client.explain import Change as Change, Explanation as Explanation
    from .client.fingerprint import Fingerprint as Fingerprint
    from .client.health import TargetHealth as TargetHealth
    from .client.mapping import AsyncMapStream as AsyncMapStream
    from .client.mapping_sync import MapStream as MapStream
    from .client.prices import ModelPrice as ModelPrice
    from .client.running import AsyncRunStream as AsyncRunStream
    from .client.running_sync import RunStream as RunStream
    from .client.streamed import AsyncReplyStream as AsyncReplyStream
    from .client.streamed_sync import ReplyStream as ReplyStream
    from .client.sync import Client as Client
    from .errors import (
        AuthenticationError as AuthenticationError,
        BadRequestError as BadRequestError,
        BudgetExceededError as BudgetExceededError,
        ChatportError as ChatportError,
        ConfigurationError as ConfigurationError,
        ContentFilterError as ContentFilterError,
        ContextLengthError as ContextLengthError,
        DeadlineError as DeadlineError,
        MalformedReplyError as MalformedReplyError,
        MapLimitError as MapLimitError,
        ModelNotFoundError as ModelNotFoundError,
        OverloadedError as OverloadedError,
        PermissionDeniedError as PermissionDeniedError,
        PluginError as PluginError,
        PolicyError as PolicyError,
        QuotaExceededError as QuotaExceededError,
        RateLimitError as RateLimitError,
        RunLimitError as RunLimitError,
        ServerError as ServerError,
        StreamInterruptedError as StreamInterruptedError,
        ToolError as ToolError,
        TransportError as TransportError,
        UnsupportedFeatureError as UnsupportedFeatureError,
    )
    from .events import (
        AttemptFailed as AttemptFailed,
        AudioDelta as AudioDelta,
        ChunkSeen as ChunkSeen,
        CitationAdded as CitationAdded,
        CitationReported as CitationReported,
        ErrorReported as ErrorReported,
        Event as Event,
        Finished as Finished,
        FinishReported as FinishReported,
        LogprobsReported as LogprobsReported,
        MediaAdded as MediaAdded,
        OpaqueReported as OpaqueReported,
        ReasoningDelta as ReasoningDelta,
        RefusalDelta as RefusalDelta,
        ReplyStarted as ReplyStarted,
        ServerStep as ServerStep,
        TextDelta as TextDelta,
        ToolCallDelta as ToolCallDelta,
        ToolCallEnded as ToolCallEnded,
        UsageReported as UsageReported,
    )
    from .facts.file import Facts as Facts, load_facts as load_facts
    from .facts.models import HostFacts as HostFacts, ModelFacts as ModelFacts
    from .hooks import HOOK_API as HOOK_API, ProviderHooks as ProviderHooks, hookimpl as hookimpl
    from .inputs.arguments import (
        check_arguments as check_arguments,
        run_tool as run_tool,
        run_tool_async as run_tool_async,
    )
    from .inputs.messages import MessagesInput as MessagesInput
    from .inputs.options import ChatOptions as ChatOptions
    from .inputs.schemas import schema_of as schema_of
    from .limits.budget import Budget as Budget, Ledger as Ledger, Pending as Pending, Reservation as Reservation
    from .limits.policy import Policy as Policy
    from .provider import (
        Auth as Auth,
        Dialect as Dialect,
        Discovery as Discovery,
        FieldRule as FieldRule,
        Prefill as Prefill,
        Protocol as Protocol,
        Provider as Provider,
    )
    from .runs.approval import Approval as Approval
    from .runs.events import (
        RunEvent as RunEvent,
        RunFinished as RunFinished,
        ToolEnded as ToolEnded,
        ToolStarted as ToolStarted,
    )
    from .setup.config import Config as Config, load_config as load_config
    from .types import (
        Adjustment as Adjustment,
        Alternative as Alternative,
        Attempt as Attempt,
        AudioPart as AudioPart,
        Citation as Citation,
        Cost as Cost,
        FilePart as FilePart,
        FinishReason as FinishReason,
        ImagePart as ImagePart,
        Media as Media,
        Message as Message,
        ModelInfo as ModelInfo,
        Part as Part,
        RateLimits as RateLimits,
        Reply as Reply,
        TextPart as TextPart,
        ToolCall as ToolCall,
        Usage as Usage,
        VendorPart as VendorPart,
        VideoPart as VideoPart,
    )
    from .types.maps import MapProgress as MapProgress, MapResult as MapResult
    from .types.runs import Run as Run, RunStep as RunStep, ToolResult as ToolResult
    from .types.totals import Totals as Totals

_HOMES = {
    "client.aio": ("AsyncClient",),
    "limits.budget": ("Budget", "Ledger", "Pending", "Reservation"),
    "call": (
        "Call",
        "Chunk",
        "Context",
        "ErrorDetails",
        "Failure",
        "Native",
        "OutputSpec",
        "StreamState",
        "Tool",
        "ToolChoice",
        "Verdict",
        "WireRequest",
        "WireTools",
    ),
    "setup.config": ("Config", "load_config"),
    "client.embeddings": ("Embeddings",),
    "errors": (
        "AuthenticationError",
        "BadRequestError",
        "BudgetExceededError",
        "ChatportError",
        "ConfigurationError",
        "ContentFilterError",
        "ContextLengthError",
        "DeadlineError",
        "MalformedReplyError",
        "MapLimitError",
        "ModelNotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "PluginError",
        "PolicyError",
        "QuotaExceededError",
        "RateLimitError",
        "RunLimitError",
        "ServerError",
        "StreamInterruptedError",
        "ToolError",
        "TransportError",
        "UnsupportedFeatureError",
    ),
    "events": (
        "AttemptFailed",
        "AudioDelta",
        "ChunkSeen",
        "CitationAdded",
        "CitationReported",
        "ErrorReported",
        "Event",
        "FinishReported",
        "Finished",
        "LogprobsReported",
        "MediaAdded",
        "OpaqueReported",
        "ReasoningDelta",
        "RefusalDelta",
        "ReplyStarted",
        "ServerStep",
        "TextDelta",
        "ToolCallDelta",
        "ToolCallEnded",
        "UsageReported",
    ),
    "client.explain": ("Change", "Explanation"),
    "client.fingerprint": ("Fingerprint",),
    "client.health": ("TargetHealth",),
    "client.prices": ("ModelPrice",),
    "facts.file": ("Facts", "load_facts"),
    "facts.models": ("HostFacts", "ModelFacts"),
    "hooks": ("HOOK_API", "ProviderHooks", "hookimpl"),
    "limits.policy": ("Policy",),
    "provider": ("Auth", "Dialect", "Discovery", "FieldRule", "Prefill", "Protocol", "Provider"),
    "inputs.arguments": ("check_arguments", "run_tool", "run_tool_async"),
    "inputs.messages": ("MessagesInput",),
    "inputs.options": ("ChatOptions",),
    "inputs.schemas": ("schema_of",),
    "basics.secret": ("Secret",),
    "client.mapping": ("AsyncMapStream",),
    "client.mapping_sync": ("MapStream",),
    "client.running": ("AsyncRunStream",),
    "client.running_sync": ("RunStream",),
    "client.streamed": ("AsyncReplyStream",),
    "client.streamed_sync": ("ReplyStream",),
    "client.sync": ("Client",),
    "types": (
        "Adjustment",
        "Alternative",
        "Attempt",
        "AudioPart",
        "Citation",
        "Cost",
        "FilePart",
        "FinishReason",
        "ImagePart",
        "Media",
        "Message",
        "ModelInfo",
        "Part",
        "RateLimits",
        "Reply",
        "TextPart",
        "ToolCall",
        "Usage",
        "VendorPart",
        "VideoPart",
    ),
    "runs.approval": ("Approval",),
    "runs.events": ("RunEvent", "RunFinished", "ToolEnded", "ToolStarted"),
    "types.maps": ("MapProgress", "MapResult"),
    "types.runs": ("Run", "RunStep", "ToolResult"),
    "types.totals": ("Totals",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]  # pyright: ignore[reportUnsupportedDunderAll]  # the names are pinned by a test


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'chatport' has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
