"""One conversation with a tool, through four vendors, by changing one configured name.

Three vendors are emulated on this machine (their packages' own twins, which refuse what the vendors refuse); the fourth
is a real llama.cpp server with a tiny model. No key and no internet connection is needed.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import llamacpp_server
import msgspec
import tiny_model

import chatport
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator

TARGETS = {
    "OpenAI": "openai:gpt-5.6-luna",
    "DeepSeek": "deepseek:deepseek-flash",
    "Qwen": "qwen:qwen3.7-plus",
    "llama.cpp": "llamacpp:tiny-scripted",
}
QUESTION = "What is the weather in Paris? CALL the tool to find out."
COLOURS = sys.stdout.isatty()


def get_weather(city: Annotated[str, msgspec.Meta(examples=["Paris"])]) -> str:
    """Tell the weather in a city.

    Args:
        city: the city's name
    """
    return f"21 °C and sunny in {city}"


@dataclass
class Story:
    """What one vendor's run showed."""

    vendor: str
    target: str
    first_token_seconds: float | None = None
    replies: list[chatport.Reply] = field(default_factory=list)

    @property
    def quirks(self) -> list[str]:
        """What was smoothed over, each once."""
        notes = [str(note) for reply in self.replies for note in reply.warnings]
        return list(dict.fromkeys(notes))


def converse(client: chatport.Client, story: Story) -> None:
    """Ask, run the tool the model calls, tell it the result, and show everything as it comes.

    This is the program that does not change: it says `assistant`, and the configuration says who that is.
    """
    messages: list[Any] = [chatport.Message.system("You are brief."), chatport.Message.user(QUESTION)]
    screen = Screen()
    for _ in range(3):
        began = time.monotonic()
        with client.stream(
            messages, model="assistant", tools=[get_weather], max_tokens=300, temperature=0.3, reasoning="low"
        ) as stream:
            for event in stream:
                if story.first_token_seconds is None:
                    story.first_token_seconds = time.monotonic() - began
                screen.show(event)
        reply = stream.reply
        story.replies.append(reply)
        messages.append(reply)
        if not reply.tool_calls:
            break
        for call in reply.tool_calls:
            result = chatport.run_tool(call, [get_weather])
            say(f"  = {result}", "36")
            messages.append(chatport.Message.tool(call, result))


class Screen:
    """Writes events as they come: reasoning dim on a line of its own, the answer bold, a tool call in cyan."""

    def __init__(self) -> None:
        self._kind = ""

    def show(self, event: chatport.Event) -> None:
        """Write one event."""
        match event:
            case chatport.ReasoningDelta(text=text):
                self._turn("reasoning", "  (thinking) ")
                say(text, "2;3", end="")
            case chatport.TextDelta(text=text):
                self._turn("text", "  ")
                say(text, "1", end="")
            case chatport.ToolCallEnded(name=name, arguments=arguments):
                self._turn("call", "  ")
                say(f"→ {name}({arguments})", "36", end="")
            case chatport.Finished():
                self._turn("", "")
            case _:
                pass

    def _turn(self, kind: str, lead: str) -> None:
        if kind != self._kind or kind == "call":
            say("\n" if self._kind else "", end="")
            say(lead, "2", end="")
            self._kind = kind


def list_prices(target: str) -> dict[str, Any]:
    """Return the vendor's list prices as corrected facts: some hold for its own hosts only, not for this machine."""
    name, _, model = target.partition(":")
    provider = load_provider(name)
    if provider.facts is None:
        return {}
    prices = provider.facts.describe(model, provider.base_url).prices
    return {target: {"prices": msgspec.to_builtins(prices)}} if prices else {}


def say(text: str, colour: str = "", *, end: str = "\n") -> None:
    """Print, in colour on a terminal only, and at once."""
    print(f"\033[{colour}m{text}\033[0m" if COLOURS and colour and text else text, end=end, flush=True)


@contextlib.contextmanager
def vendors() -> Iterator[dict[str, dict[str, Any]]]:
    """Start the three emulators and the llama.cpp server; give the `providers` tables that lead to them."""
    with contextlib.ExitStack() as stack:
        tables: dict[str, dict[str, Any]] = {}
        for name in ("openai", "deepseek", "qwen"):
            emulator = stack.enter_context(Emulator(name, pace_seconds=0.03))
            tables[name] = {"base_url": emulator.base_url, "api_key": "a-key-for-the-emulator"}
        tables["openai"]["reasoning_summary"] = "auto"  # it shows what it thinks in short, and to who asks for it
        try:
            model = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tiny.gguf"
            tiny_model.write_gguf(model, say="It is 21 degrees and sunny in Paris.")
            server = stack.enter_context(llamacpp_server.running_llamacpp(model))
            tables["llamacpp"] = {"base_url": server.base_url}
        except llamacpp_server.LlamaCppUnavailable:
            say("The llama.cpp server (package xllamacpp) is not installed here: its part is left out.", "33")
        yield tables


def run(tables: dict[str, dict[str, Any]]) -> list[Story]:
    """Hold the conversation with each vendor."""
    stories = []
    for vendor, target in TARGETS.items():
        if target.partition(":")[0] not in tables:
            continue
        story = Story(vendor, target)
        say(f"\n━━ {vendor} ━━  assistant = {target}", "35;1")
        config = {"aliases": {"assistant": target}, "providers": tables, "models": list_prices(target)}
        with chatport.Client(config=config) as client:
            converse(client, story)
        stories.append(story)
    return stories


def table(stories: list[Story]) -> None:
    """Print what each run took and cost."""
    say(f"\n{'vendor':<11}{'first token':>12}{'tokens in':>11}{'out':>6}{'thinking':>10}   cost", "1")
    for story in stories:
        usages = [reply.usage for reply in story.replies]
        costs = [reply.cost for reply in story.replies]
        known = [cost for cost in costs if cost is not None]
        total = sum(cost.amount for cost in known)
        money = str(chatport.Cost(total, known[0].currency)) if len(known) == len(costs) else "none: it runs here"
        first = "-" if story.first_token_seconds is None else f"{1000 * story.first_token_seconds:.0f} ms"
        names = ("input_tokens", "output_tokens", "reasoning_tokens")
        counts = [sum(getattr(usage, name) or 0 for usage in usages) for name in names]
        say(f"{story.vendor:<11}{first:>12}{counts[0]:>11}{counts[1]:>6}{counts[2]:>10}   {money}")
    say("\nQuirks smoothed over", "1")
    for story in stories:
        for number, quirk in enumerate(story.quirks or ["none"]):
            label = story.vendor if number == 0 else ""
            lines = textwrap.wrap(quirk, 100)
            say(f"{label:<11}{lines[0]}")
            for line in lines[1:]:
                say(f"{'':<11}  {line}")


def main() -> None:
    """Run the demonstration."""
    say("Starting three emulated vendors and a real llama.cpp server …", "2")
    with vendors() as tables:
        warm_up(tables)
        table(run(tables))


def warm_up(tables: dict[str, dict[str, Any]]) -> None:
    """Make one call that is not shown: the first of a process loads the HTTP library and the machine's certificates."""
    with chatport.Client(config={"providers": tables}) as client:
        client.models("openai")


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
