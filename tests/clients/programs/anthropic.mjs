const tool = { name: "shell", description: "Run a command.", input_schema: SCHEMA, run: shell, parse: (x) => x };
const runner = client.beta.messages.toolRunner({
  model: MODEL,
  max_tokens: 4000,
  thinking: { type: "adaptive" },
  messages: [{ role: "user", content: PROMPT }],
  tools: [tool],
  stream: true,
});
let message;
for await (const stream of runner) message = await stream.finalMessage();
check("messages", message.content.filter((block) => block.type === "text").map((block) => block.text).join(""));
