
// What all programs share: the one tool, and a check that its two rounds were run.
import { execSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

const MODEL = process.env.MODEL;
const PROMPT = "Run the two commands that are wanted, one after the other, and say what they have printed.";
const SCHEMA = {
  type: "object",
  properties: { command: { type: "string" } },
  required: ["command"],
  additionalProperties: false,
};
const shell = ({ command }) => execSync(command, { encoding: "utf8" });

function check(protocol, text) {
  if (text !== "It is all done: found-43.") throw new Error(`${protocol}: ${JSON.stringify(text)}`);
  if (readFileSync("second.txt", "utf8").trim() !== "43") throw new Error(`${protocol}: the tool was not run`);
  console.log(`${protocol}: ${text}`);
}

function forget() {
  for (const name of ["first.txt", "second.txt"]) rmSync(name);
}
