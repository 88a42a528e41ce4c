"""Any client, any vendor: one gateway, four vendors behind it, three clients in front, one name that all ask for.

Three vendors are emulated on this machine; the fourth is a real llama.cpp server with a tiny model. The clients are the
official SDKs of OpenAI and Anthropic, and curl. None of them knows who answers. No key and no internet is needed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
from demo import say, vendors

import chatport
from chatport.testing import Emulator, faults
from chatport_gateway import Gateway, GatewaySettings, make_server

TARGETS = {
    "OpenAI": "openai:gpt-6-sol",
    "DeepSeek": "deepseek:deepseek-flash",
    "Qwen": "qwen:qwen3.7-plus",
    "llama.cpp": "llamacpp:tiny-scripted",
}
QUESTION = "What is the weather in Paris? CALL the tool to find out."
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "examples": ["Paris"]}},
    "required": ["city"],
}
RESULT = "21 °C and sunny in Paris"


def ask_with_openai(url: str) -> None:
    """Run a tool loop with OpenAI's SDK, streamed."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    function = {"name": "get_weather", "description": "Tell the weather in a city.", "parameters": PARAMETERS}
    talk: list[Any] = [{"role": "user", "content": QUESTION}]
    for _ in range(3):
        with client.chat.completions.stream(
            model="assistant", messages=talk, tools=[{"type": "function", "function": function}], max_tokens=300
        ) as stream:
            for event in stream:
                if event.type == "content.delta":
                    say(event.delta, "1", end="")
        message = stream.get_final_completion().choices[0].message
        talk.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            say(f"  → {call.function.name}({call.function.arguments})", "36")
            talk.append({"role": "tool", "tool_call_id": call.id, "content": RESULT})
    say("")


def ask_with_anthropic(url: str) -> None:
    """Run the same tool loop with Anthropic's SDK, in its own protocol."""
    client = anthropic.Anthropic(base_url=url, api_key="none")
    tool = {"name": "get_weather", "description": "Tell the weather in a city.", "input_schema": PARAMETERS}
    talk: list[Any] = [{"role": "user", "content": QUESTION}]
    for _ in range(3):
        with client.messages.stream(model="assistant", messages=talk, tools=[tool], max_tokens=300) as stream:
            for text in stream.text_stream:
                say(text, "1", end="")
        message = stream.get_final_message()
        talk.append({"role": "assistant", "content": [block.to_dict() for block in message.content]})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            break
        results = []
        for call in calls:
            say(f"  → {call.name}({json.dumps(call.input)})", "36")
            results.append({"type": "tool_result", "tool_use_id": call.id, "content": RESULT})
        talk.append({"role": "user", "content": results})
    say("")


def ask_with_curl(url: str) -> None:
    """Ask with curl, in OpenAI's second protocol."""
    body = {"model": "assistant", "input": "say: Hello from curl."}
    command = ["curl", "-s", f"{url}/v1/responses", "-H", "content-type: application/json", "-d", json.dumps(body)]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    said = [item for item in answer["output"] if item["type"] == "message"]
    texts = [part["text"] for item in said for part in item["content"]]
    say("  " + " ".join(texts), "1")


@contextlib.contextmanager
def gateway(tables: dict[str, Any], target: str, second: str | None = None) -> Iterator[str]:
    """Serve `assistant` on a free port of this machine, as the target says; give the address."""
    aliases = {"assistant": [target, *([second] if second else [])]}
    client = chatport.AsyncClient({"providers": tables, "aliases": aliases, "retry": {"attempts": 1}})
    made = Gateway(client=client, settings=GatewaySettings(port=0))
    made.log = type("Quiet", (), {"info": lambda *_, **__: None, "exception": lambda *_, **__: None})()
    server = make_server(made)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def main() -> None:
    """Show every client before every vendor, and a vendor that fails."""
    clients = {"OpenAI's SDK": ask_with_openai, "Anthropic's SDK": ask_with_anthropic}
    if shutil.which("curl"):
        clients["curl (Responses)"] = ask_with_curl
    with vendors() as tables:
        for vendor, target in TARGETS.items():
            if target.partition(":")[0] not in tables:
                continue
            say(f"\n━━ behind the gateway: {vendor} ━━", "1;35")
            with gateway(tables, target) as url:
                for name, ask in clients.items():
                    if vendor == "llama.cpp" and ask is ask_with_curl:
                        continue  # it only says what it was taught
                    say(f"{name}:", "2")
                    ask(url)
        say("\n━━ DeepSeek fails, Qwen goes on: the client sees nothing of it ━━", "1;35")
        with Emulator("deepseek", faults=[faults.status(503)], repeat=True) as broken:
            both = {**tables, **broken.config()["providers"]}
            with gateway(both, TARGETS["DeepSeek"], TARGETS["Qwen"]) as url:
                ask_with_openai(url)


if __name__ == "__main__":
    sys.exit(main())
