import { jsonSchema, stepCountIs, streamText, tool } from "ai";

const tools = { shell: tool({ description: "Run a command.", inputSchema: jsonSchema(SCHEMA), execute: shell }) };
for (const [protocol, provider] of Object.entries({ responses: openai, messages: anthropic, chat: compatible })) {
  const wanted = { model: provider(MODEL), prompt: PROMPT, tools, stopWhen: stepCountIs(6) };
  const result = streamText({ ...wanted, providerOptions: protocol === "responses" ? stateless : {} });
  for await (const part of result.fullStream) if (part.type === "error") throw part.error;
  check(protocol, await result.text);
  if (protocol !== "chat") forget();
}
