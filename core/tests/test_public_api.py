"""The public names, their documentation, and what an import costs."""

from __future__ import annotations

import inspect
import json
import pydoc
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import chatport
import chatport.testing
from chatport.inputs.options import ChatOptions, read_call

NAMES = sorted(
    """
    Adjustment Alternative Approval AsyncClient AsyncMapStream AsyncReplyStream AsyncRunStream Attempt AttemptFailed
    AudioDelta AudioPart Auth AuthenticationError BadRequestError Budget BudgetExceededError Call Change ChatOptions
    ChatportError Chunk ChunkSeen Citation CitationAdded CitationReported Client Config ConfigurationError
    ContentFilterError Context ContextLengthError Cost DeadlineError Dialect Discovery Embeddings ErrorDetails
    ErrorReported Event Explanation Facts Failure FieldRule FilePart Fingerprint FinishReason FinishReported Finished
    HOOK_API
    HostFacts ImagePart Ledger LogprobsReported MalformedReplyError MapLimitError MapProgress MapResult MapStream
    Media MediaAdded Message MessagesInput ModelFacts ModelInfo ModelNotFoundError ModelPrice Native
    OpaqueReported OutputSpec OverloadedError Part Pending PermissionDeniedError PluginError Policy PolicyError
    Prefill Protocol Provider ProviderHooks QuotaExceededError RateLimitError RateLimits ReasoningDelta
    RefusalDelta Reply ReplyStarted ReplyStream Reservation Run RunEvent RunFinished RunLimitError RunStep
    RunStream Secret ServerError ServerStep StreamInterruptedError StreamState TargetHealth TextDelta TextPart Tool
    ToolCall ToolCallDelta ToolCallEnded ToolChoice ToolEnded ToolError ToolResult ToolStarted Totals TransportError
    UnsupportedFeatureError Usage UsageReported VendorPart Verdict VideoPart WireRequest WireTools __version__
    check_arguments hookimpl load_config load_facts run_tool run_tool_async schema_of
""".split()  # noqa: SIM905  # a paragraph reads better than 100 lines
)
VALUES = ("Event", "FinishReason", "HOOK_API", "MessagesInput", "Part", "RunEvent", "__version__", "hookimpl")
PUBLIC = [name for name in NAMES if name not in VALUES]


def test_the_public_names() -> None:
    """A public name is a promise: adding or dropping one is a decision, made here."""
    assert sorted(chatport.__all__) == sorted(NAMES)
    assert dir(chatport) == sorted(chatport.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there(name: str) -> None:
    """Every public name can be had, and once had is kept."""
    value = getattr(chatport, name)
    assert value is not None
    assert vars(chatport)[name] is value


def test_another_name_is_an_attribute_error() -> None:
    """A name that is not public is refused as Python does it."""
    with pytest.raises(AttributeError, match=r"module 'chatport' has no attribute 'Clent'"):
        _ = chatport.Clent
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'"):
        _ = chatport.testing.nothing


def test_checkers_see_every_name() -> None:
    """The names that are loaded late are written out once more for type checkers: all of them."""
    source = Path(chatport.__file__).read_text("utf-8")
    seen = set(re.findall(r"\b(\w+) as \1\b", source))
    assert seen == set(NAMES) - {"__version__"}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_documented(name: str) -> None:
    """Every public class and function says in a sentence what it is; so do its public methods and properties."""
    value = getattr(chatport, name)
    assert is_sentence(value.__doc__), name
    for method, member in vars(value).items() if inspect.isclass(value) else ():
        if method.startswith("_") or not (inspect.isfunction(member) or isinstance(member, (property, classmethod))):
            continue
        function: Any = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if "__attrs_init__" not in method and name != "Chunk":
            assert is_sentence(function.__doc__), f"{name}.{method}"


def is_sentence(text: str | None) -> bool:
    first = (text or "").strip().partition("\n\n")[0].strip()
    return len(first) > 10 and (first[0].isupper() or first[0] == "`") and first[-1] in ".:…`)"


LOADED = """
import sys, json
before = set(sys.modules)
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
connected = []
sys.addaudithook(lambda event, args: connected.append(event) if event.startswith("socket.") else None)
import chatport
json.dump({
    "ours": sorted(name for name in sys.modules if name.startswith("chatport")),
    "new": sorted(name for name in set(sys.modules) - before),
    "opened": opened,
    "sockets": connected,
}, sys.stdout)
"""


def run(code: str) -> Any:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_import_is_inert() -> None:
    """`import chatport` loads itself and its version, no other library, opens no file but its own, and no socket."""
    seen = run(LOADED)
    assert seen["ours"] == ["chatport", "chatport.basics", "chatport.basics.version"]
    others = {name.partition(".")[0] for name in seen["new"]} - {"chatport"}
    assert others <= sys.stdlib_module_names
    assert "json" not in seen["new"]
    assert "asyncio" not in seen["new"]
    folder = str(Path(chatport.__file__).parent)
    assert [
        path for path in seen["opened"] if not path.startswith(folder) and not path.startswith(sys.base_prefix)
    ] == []
    assert seen["sockets"] == []


def test_a_client_loads_no_http_library_before_it_sends() -> None:
    """Making a client, and explaining a call, loads no HTTP library, and no provider that is not used."""
    code = """
import json, sys
from chatport import Client
config = {"providers": {"x": {"kind": "compatible", "base_url": "https://h.example"}}}
Client(config).explain("hi", model="x:m")
json.dump(sorted(name.partition(".")[0] for name in sys.modules), sys.stdout)
"""
    loaded = set(run(code))
    assert not loaded & {"httpx", "httpcore", "httpx2", "anyio", "trio", "structlog", "click", "rich"}
    assert not {name for name in loaded if name.startswith("chatport_")}


def written(hint: Any) -> str:
    return str(getattr(hint, "__forward_arg__", hint))


def test_options_are_the_parameters() -> None:
    """`ChatOptions` names exactly what `read_call` takes, beside the model and the engine's own `stream`."""
    options = {name: written(hint) for name, hint in ChatOptions.__annotations__.items()}
    parameters = inspect.signature(read_call).parameters
    assert set(options) - {"model"} == set(parameters) - {"messages", "stream"}
    types = {name: written(hint) for name, hint in read_call.__annotations__.items()}
    differing = {name for name in set(options) & set(types) if options[name] != types[name]}
    assert differing <= {"on_unsupported"}  # None means left out; the parameter has a default
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in set(options) - {"model"})


def public_methods(cls: type) -> dict[str, Any]:
    renamed = {"aclose": "close"}
    return {
        renamed.get(name, name): member
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


def plainly(parameters: Iterable[inspect.Parameter]) -> list[str]:
    """Parameters as text, without what only a loop can await."""
    return [re.sub(r" \| (Awaitable|AsyncIterable)\[\w+\]", "", str(parameter)) for parameter in parameters]


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"),
    [
        (chatport.AsyncClient, chatport.Client),
        (chatport.AsyncReplyStream, chatport.ReplyStream),
        (chatport.AsyncRunStream, chatport.RunStream),
        (chatport.AsyncMapStream, chatport.MapStream),
    ],
)
def test_both_clients_have_the_same_methods(asynchronous: type, synchronous: type) -> None:
    """The asynchronous and the synchronous client have the same methods with the same options."""
    one, other = public_methods(asynchronous), public_methods(synchronous)
    assert set(one) == set(other)
    for name, member in one.items():
        if inspect.isfunction(member):
            mine, theirs = inspect.signature(member), inspect.signature(other[name])
            assert plainly(mine.parameters.values()) == list(map(str, theirs.parameters.values())), name
            assert str(mine.return_annotation).replace("Async", "") == str(theirs.return_annotation), name
            assert not inspect.iscoroutinefunction(other[name])
    assert inspect.signature(asynchronous).parameters.keys() == inspect.signature(synchronous).parameters.keys()


@pytest.mark.parametrize("cls", [chatport.Client, chatport.AsyncClient])
def test_help_names_every_option(cls: type) -> None:
    """Who asks Python for help on a call sees each option by name."""
    for method in (cls.chat, cls.stream):  # type: ignore[attr-defined]  # both clients have them
        seen = inspect.signature(method).parameters
        assert set(ChatOptions.__annotations__) <= set(seen)
        text = pydoc.plain(pydoc.render_doc(method))
        assert all(f"{name}:" in text for name in ChatOptions.__annotations__)
        for name, hint in ChatOptions.__annotations__.items():
            assert written(seen[name].annotation) == written(hint), name
    for effort in ("none", "minimal", "low", "medium", "high", "xhigh", "max"):
        assert effort in (inspect.getdoc(cls.chat) or "")  # type: ignore[attr-defined]  # as above


def test_the_contract_is_all_there() -> None:
    """Both clients have the methods the contract names."""
    assert {"chat", "stream", "run", "run_stream", "map", "models", "embed", "explain", "close"} <= set(
        public_methods(chatport.Client)
    )
    assert {"chat", "stream", "run", "run_stream", "map", "models", "embed", "explain", "aclose"} <= set(
        dir(chatport.AsyncClient)
    )


def test_the_version_is_the_distributions() -> None:
    """`__version__` is what the installed distribution says."""
    from importlib.metadata import version

    assert chatport.__version__ == version("chatport-core")


def test_the_package_is_typed() -> None:
    """The marker for type checkers is shipped."""
    assert (Path(chatport.__file__).parent / "py.typed").is_file()


def test_every_module_exports_what_it_has() -> None:
    """Every name in a module's `__all__` exists, each list is sorted, and says nothing twice."""
    import pkgutil
    from importlib import import_module

    for info in pkgutil.walk_packages(chatport.__path__, "chatport."):
        if ".cli" in info.name:
            continue
        module = import_module(info.name)
        names = getattr(module, "__all__", [])
        assert len(names) == len(set(names)), info.name
        assert all(hasattr(module, name) for name in names), info.name
