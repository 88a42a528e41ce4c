import { jsonSchema, stepCountIs, streamText, tool } from "ai";

const tools = { shell: tool({ description: "Run a command.", inputSchema: jsonSchema(SCHEMA), execute: shell }) };
const ways = { stored: openai, responses: openai, messages: anthropic, chat: compatible };
for (const [protocol, provider] of Object.entries(ways)) {
  const wanted = { model: provider(MODEL), prompt: PROMPT, tools, stopWhen: stepCountIs(6) };
  const result = streamText({ ...wanted, providerOptions: protocol === "responses" ? stateless : {} });
  for await (const part of result.fullStream) if (part.type === "error") throw part.error;
  check(protocol, await result.text);
  if (protocol !== "chat") forget();
}
