import { Agent, run, tool } from "@openai/agents";

const parameters = SCHEMA;
const made = tool({ name: "shell", description: "Run a command.", parameters, strict: true, execute: shell });
const agent = new Agent({ name: "runner", instructions: "Run what is wanted.", model: MODEL, tools: [made] });
const result = await run(agent, PROMPT, { stream: true });
await result.completed;
check("responses", result.finalOutput);
