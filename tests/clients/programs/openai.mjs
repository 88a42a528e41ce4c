const asFunction = {
  name: "shell",
  description: "Run a command.",
  parameters: SCHEMA,
  function: shell,
  parse: JSON.parse,
};
const runner = client.chat.completions.runTools({
  model: MODEL,
  stream: true,
  messages: [{ role: "user", content: PROMPT }],
  tools: [{ type: "function", function: asFunction }],
});
check("chat", await runner.finalContent());
forget();

const input = [{ role: "user", content: PROMPT }];
const tools = [{ type: "function", name: "shell", description: "Run a command.", parameters: SCHEMA, strict: true }];
const wanted = { model: MODEL, tools, store: false, include: ["reasoning.encrypted_content"] };
let response;
do {
  response = await client.responses.stream({ ...wanted, input }).finalResponse();
  input.push(...response.output);
  for (const item of response.output) {
    if (item.type !== "function_call") continue;
    const output = shell(JSON.parse(item.arguments));
    input.push({ type: "function_call_output", call_id: item.call_id, output });
  }
} while (response.output.some((item) => item.type === "function_call"));
check("responses", response.output_text);
