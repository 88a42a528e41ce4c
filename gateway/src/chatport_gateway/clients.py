"""What a client has to be told to ask the gateway: files, variables and commands, to be copied.

`make test-clients` runs each with what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping

from chatport import ConfigurationError

from .settings import GatewaySettings

__all__ = ["CLIENTS", "told"]

_VARIABLE = "CHATPORT_GATEWAY_KEY"

CLIENTS: Mapping[str, str] = {
    "codex": """\
# ~/.codex/config.toml; the key in the variable {variable}
model = "{model}"
model_provider = "chatport"
# It works without, but warns that it does not know the model. To make the file that tells it of it:
# codex debug models | chatport serve --print-config codex-models --model {model} > ~/.codex/chatport-models.json
# model_catalog_json = "~/.codex/chatport-models.json"

[model_providers.chatport]
name = "Chatport"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "{variable}"
""",
    "claude-code": """\
# shell, then: claude. Its small questions go to a model of their own unless told
export ANTHROPIC_BASE_URL="{url}"
export ANTHROPIC_AUTH_TOKEN="{key}"
export ANTHROPIC_MODEL="{model}"
export ANTHROPIC_DEFAULT_HAIKU_MODEL="{model}"
export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
""",
    "opencode": """\
// opencode.json; the key in the variable {variable}
{{
  "$schema": "https://opencode.ai/config.json",
  "model": "chatport/{model}",
  "provider": {{
    "chatport": {{
      "npm": "@ai-sdk/openai-compatible",
      "name": "Chatport",
      "options": {{ "baseURL": "{url}/v1", "apiKey": "{{env:{variable}}}" }},
      "models": {{ "{model}": {{ "name": "{model}" }} }}
    }}
  }}
}}
""",
    "qwen-code": """\
# shell, then: qwen --auth-type openai
export OPENAI_BASE_URL="{url}/v1"
export OPENAI_API_KEY="{key}"
export OPENAI_MODEL="{model}"
""",
    "continue": """\
# config.yaml; the key in the variable {variable}. Then: cn --config config.yaml
name: Chatport
version: 1.0.0
schema: v1
models:
  - name: {model}
    provider: openai
    model: {model}
    apiBase: {url}/v1
    apiKey: ${{{{ secrets.{variable} }}}}
    capabilities: [tool_use]
    roles: [chat, edit, apply]
""",
    "cline": """\
# shell, then: cline -P openai -m {model}
cline auth -p openai -k "{key}" -m "{model}" -b "{url}/v1"
""",
    "aider": """\
# shell, then: aider --model openai/{model}
export OPENAI_API_BASE="{url}/v1"
export OPENAI_API_KEY="{key}"
""",
    "llm": """\
# extra-openai-models.yaml in the folder that `llm logs path` names; the key: llm keys set chatport --value "{key}"
- model_id: {model}
  model_name: {model}
  api_base: "{url}/v1"
  api_key_name: chatport
  supports_tools: true
  supports_schema: true
""",
    "openai": """\
# Python
client = openai.OpenAI(base_url="{url}/v1", api_key=os.environ["{variable}"])
""",
    "anthropic": """\
# Python
client = anthropic.Anthropic(base_url="{url}", api_key=os.environ["{variable}"])
""",
    "openai-node": """\
// Node
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{url}/v1", apiKey: process.env.{variable} }});
""",
    "anthropic-node": """\
// Node
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({{ baseURL: "{url}", apiKey: process.env.{variable} }});
""",
    "ai-sdk": """\
// Node; any of the three. With openai give each call providerOptions: stateless, or set store = "memory" here
import {{ createAnthropic }} from "@ai-sdk/anthropic";
import {{ createOpenAI }} from "@ai-sdk/openai";
import {{ createOpenAICompatible }} from "@ai-sdk/openai-compatible";

const told = {{ baseURL: "{url}/v1", apiKey: process.env.{variable} }};
const openai = createOpenAI(told);
const stateless = {{ openai: {{ store: false }} }};
const anthropic = createAnthropic(told);
const compatible = createOpenAICompatible({{ name: "chatport", ...told }});
""",
    "openai-agents": """\
// Node
import {{ OpenAIProvider, setDefaultModelProvider, setTracingDisabled }} from "@openai/agents";

setTracingDisabled(true);
setDefaultModelProvider(
  new OpenAIProvider({{ baseURL: "{url}/v1", apiKey: process.env.{variable} }}),
);
""",
    "curl": """\
# shell
curl {url}/v1/chat/completions -H "authorization: Bearer {key}" -H "content-type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "hi"}}]}}'
""",
}
"""By the client's name; in braces what is filled in."""


def told(client: str, settings: GatewaySettings, model: str) -> str:
    """Return what a client has to be told. Raises ConfigurationError for one that is not known."""
    if client == "list":
        return "\n".join(CLIENTS)
    if client not in CLIENTS:
        raise ConfigurationError(f"There is no client {client!r}. Known: {', '.join(CLIENTS)}.")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    shown = f"[{host}]" if ":" in host else host
    variable = settings.key_env or _VARIABLE
    names = {"url": f"http://{shown}:{settings.port}", "variable": variable, "key": f"${variable}", "model": model}
    return CLIENTS[client].format(**names).rstrip("\n")
