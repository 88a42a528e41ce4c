"""Chatport: one port, any model vendor.

    import chatport

    with chatport.Client() as client:
        print(client.chat("hello", model="deepseek:deepseek-flash").text)

The names below are the public ones. They are loaded when first used, so `import chatport` reads no file but this one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .aio import (
        AsyncClient as AsyncClient,
    )
    from .aio import (
        AsyncReplyStream as AsyncReplyStream,
    )
    from .call import (
        Call as Call,
    )
    from .call import (
        Chunk as Chunk,
    )
    from .call import (
        Context as Context,
    )
    from .call import (
        ErrorDetails as ErrorDetails,
    )
    from .call import (
        Failure as Failure,
    )
    from .call import (
        OutputSpec as OutputSpec,
    )
    from .call import (
        StreamState as StreamState,
    )
    from .call import (
        Tool as Tool,
    )
    from .call import (
        ToolChoice as ToolChoice,
    )
    from .call import (
        Verdict as Verdict,
    )
    from .call import (
        WireRequest as WireRequest,
    )
    from .call import (
        WireTools as WireTools,
    )
    from .config import (
        Config as Config,
    )
    from .config import (
        load_config as load_config,
    )
    from .embeddings import (
        Embeddings as Embeddings,
    )
    from .errors import (
        AuthenticationError as AuthenticationError,
    )
    from .errors import (
        BadRequestError as BadRequestError,
    )
    from .errors import (
        ChatportError as ChatportError,
    )
    from .errors import (
        ConfigurationError as ConfigurationError,
    )
    from .errors import (
        ContentFilterError as ContentFilterError,
    )
    from .errors import (
        ContextLengthError as ContextLengthError,
    )
    from .errors import (
        DeadlineError as DeadlineError,
    )
    from .errors import (
        MalformedReplyError as MalformedReplyError,
    )
    from .errors import (
        ModelNotFoundError as ModelNotFoundError,
    )
    from .errors import (
        OverloadedError as OverloadedError,
    )
    from .errors import (
        PermissionDeniedError as PermissionDeniedError,
    )
    from .errors import (
        PluginError as PluginError,
    )
    from .errors import (
        PolicyError as PolicyError,
    )
    from .errors import (
        QuotaExceededError as QuotaExceededError,
    )
    from .errors import (
        RateLimitError as RateLimitError,
    )
    from .errors import (
        ServerError as ServerError,
    )
    from .errors import (
        StreamInterruptedError as StreamInterruptedError,
    )
    from .errors import (
        TransportError as TransportError,
    )
    from .errors import (
        UnsupportedFeatureError as UnsupportedFeatureError,
    )
    from .events import (
        AttemptFailed as AttemptFailed,
    )
    from .events import (
        AudioDelta as AudioDelta,
    )
    from .events import (
        ErrorReported as ErrorReported,
    )
    from .events import (
        Event as Event,
    )
    from .events import (
        Finished as Finished,
    )
    from .events import (
        FinishReported as FinishReported,
    )
    from .events import (
        LogprobsReported as LogprobsReported,
    )
    from .events import (
        OpaqueReported as OpaqueReported,
    )
    from .events import (
        ReasoningDelta as ReasoningDelta,
    )
    from .events import (
        RefusalDelta as RefusalDelta,
    )
    from .events import (
        ReplyStarted as ReplyStarted,
    )
    from .events import (
        TextDelta as TextDelta,
    )
    from .events import (
        ToolCallDelta as ToolCallDelta,
    )
    from .events import (
        ToolCallEnded as ToolCallEnded,
    )
    from .events import (
        UsageReported as UsageReported,
    )
    from .explain import (
        Change as Change,
    )
    from .explain import (
        Explanation as Explanation,
    )
    from .facts import (
        Facts as Facts,
    )
    from .facts import (
        ModelFacts as ModelFacts,
    )
    from .facts import (
        load_facts as load_facts,
    )
    from .hooks import (
        HOOK_API as HOOK_API,
    )
    from .hooks import (
        ProviderHooks as ProviderHooks,
    )
    from .hooks import (
        hookimpl as hookimpl,
    )
    from .provider import (
        Auth as Auth,
    )
    from .provider import (
        Dialect as Dialect,
    )
    from .provider import (
        Discovery as Discovery,
    )
    from .provider import (
        Provider as Provider,
    )
    from .schema import (
        run_tool as run_tool,
    )
    from .schema import (
        schema_of as schema_of,
    )
    from .secret import (
        Secret as Secret,
    )
    from .sync import (
        Client as Client,
    )
    from .sync import (
        ReplyStream as ReplyStream,
    )
    from .types import (
        Adjustment as Adjustment,
    )
    from .types import (
        Alternative as Alternative,
    )
    from .types import (
        Attempt as Attempt,
    )
    from .types import (
        AudioPart as AudioPart,
    )
    from .types import (
        Cost as Cost,
    )
    from .types import (
        FilePart as FilePart,
    )
    from .types import (
        FinishReason as FinishReason,
    )
    from .types import (
        ImagePart as ImagePart,
    )
    from .types import (
        Message as Message,
    )
    from .types import (
        ModelInfo as ModelInfo,
    )
    from .types import (
        Part as Part,
    )
    from .types import (
        RateLimits as RateLimits,
    )
    from .types import (
        Reply as Reply,
    )
    from .types import (
        TextPart as TextPart,
    )
    from .types import (
        ToolCall as ToolCall,
    )
    from .types import (
        Usage as Usage,
    )

_HOMES = {
    "aio": ("AsyncClient", "AsyncReplyStream"),
    "call": (
        "Call",
        "Chunk",
        "Context",
        "ErrorDetails",
        "Failure",
        "OutputSpec",
        "StreamState",
        "Tool",
        "ToolChoice",
        "Verdict",
        "WireRequest",
        "WireTools",
    ),
    "config": ("Config", "load_config"),
    "embeddings": ("Embeddings",),
    "errors": (
        "AuthenticationError",
        "BadRequestError",
        "ChatportError",
        "ConfigurationError",
        "ContentFilterError",
        "ContextLengthError",
        "DeadlineError",
        "MalformedReplyError",
        "ModelNotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "PluginError",
        "PolicyError",
        "QuotaExceededError",
        "RateLimitError",
        "ServerError",
        "StreamInterruptedError",
        "TransportError",
        "UnsupportedFeatureError",
    ),
    "events": (
        "AttemptFailed",
        "AudioDelta",
        "ErrorReported",
        "Event",
        "FinishReported",
        "Finished",
        "LogprobsReported",
        "OpaqueReported",
        "ReasoningDelta",
        "RefusalDelta",
        "ReplyStarted",
        "TextDelta",
        "ToolCallDelta",
        "ToolCallEnded",
        "UsageReported",
    ),
    "explain": ("Change", "Explanation"),
    "facts": ("Facts", "ModelFacts", "load_facts"),
    "hooks": ("HOOK_API", "ProviderHooks", "hookimpl"),
    "provider": ("Auth", "Dialect", "Discovery", "Provider"),
    "schema": ("run_tool", "schema_of"),
    "secret": ("Secret",),
    "sync": ("Client", "ReplyStream"),
    "types": (
        "Adjustment",
        "Alternative",
        "Attempt",
        "AudioPart",
        "Cost",
        "FilePart",
        "FinishReason",
        "ImagePart",
        "Message",
        "ModelInfo",
        "Part",
        "RateLimits",
        "Reply",
        "TextPart",
        "ToolCall",
        "Usage",
    ),
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
