// Questions: each is a dialog of the browser's own, which keeps the focus inside, closes with Escape, and gives the focus back.

import { el, named } from "./elements.js";

const SPANS = [
  ["", "never"], ["86400", "in a day"], ["604800", "in 7 days"], ["2592000", "in 30 days"], ["7776000", "in 90 days"], ["31536000", "in a year"],
];
const KEPT = [["0", "not at all"], ["3600", "for an hour"], ["86400", "for 24 hours"], ["604800", "for 7 days"]];
export const LIMITS = [
  ["usd_day", "USD a day", 0.01], ["usd_month", "USD a month", 0.01], ["usd_total", "USD in all", 0.01],
  ["requests_per_minute", "Requests a minute", 1], ["tokens_per_minute", "Tokens a minute", 1], ["concurrency", "Calls at once", 1],
];

let number = 0;

// Resolves with what `read` makes of the form, or null if it was left. `send` may refuse, with words.
function ask({ title, about, fields = [], submit, danger = false, send }) {
  return new Promise((resolve) => {
    const id = `dialog-${++number}`;
    const problem = el("p", { class: "problem", role: "alert" });
    const button = el("button", { type: "submit", class: danger ? "danger" : "primary" }, submit);
    const leave = el("button", { type: "button", class: "leave", on: { click: () => dialog.close() } }, "Cancel");
    const form = el(
      "form",
      { on: { submit: (event) => { event.preventDefault(); sent(); } } },
      el("h2", { id }, title), about ? el("p", { class: "about" }, about) : null, fields, problem,
      el("div", { class: "buttons" }, leave, button),
    );
    const dialog = el("dialog", { "aria-labelledby": id }, form);
    let answer = null;

    async function sent() {
      button.disabled = true;
      problem.textContent = "";
      try {
        answer = await send(new FormData(form));
        dialog.close();
      } catch (error) {
        problem.textContent = error.message;
      } finally {
        button.disabled = false;
      }
    }

    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (form.querySelector("input, select, textarea") ?? leave).focus();
  });
}

function field(label, control, hint) {
  const id = `field-${++number}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return el("div", { class: "field" }, el("label", { for: id }, label), control, hint ? el("p", { class: "hint", id: `${id}-hint` }, hint) : null);
}

const choice = (name, options) => el("select", { name }, options.map(([value, text]) => el("option", { value }, text)));

function limitFields(now = {}) {
  return el(
    "fieldset", { class: "limits" }, el("legend", {}, "Limits"),
    el("p", { class: "hint" }, "What is left empty is not limited."),
    el("div", { class: "grid" }, LIMITS.map(([name, label, step]) => field(label, el("input", { name, type: "number", inputmode: "decimal", min: step === 1 ? 1 : 0, step: step === 1 ? 1 : "any", value: now[name] ?? null })))),
  );
}

function limitsIn(form) {
  return Object.fromEntries(LIMITS.filter(([name]) => form.get(name) !== "").map(([name]) => [name, Number(form.get(name))]));
}

const listed = (text) => text.split(/[\s,]+/).filter(Boolean);

export function askForKey(projects, send) {
  const options = [["", "none"], ...projects.filter((one) => !one.is_closed).map((one) => [one.id, one.name])];
  return ask({
    title: "New key", submit: "Create key",
    fields: [
      field("Name", el("input", { name: "name", required: true, maxlength: 100, autocomplete: "off" }), "Who or what uses it."),
      el("div", { class: "grid" }, field("Project", choice("project", options)), field("Ends", choice("expires", SPANS))),
      field("May ask for", el("input", { name: "models", autocomplete: "off", placeholder: "everything", spellcheck: "false" }), "Names or patterns such as chat-*, with spaces between."),
      limitFields(),
    ],
    send: (form) => send({
      name: form.get("name"), models: listed(form.get("models")), limits: limitsIn(form),
      ...(form.get("project") && { project_id: form.get("project") }),
      ...(form.get("expires") && { expires_seconds: Number(form.get("expires")) }),
    }),
  });
}

export function askForProject(send) {
  return ask({
    title: "New project", about: "Its limits hold for all of its keys together.", submit: "Create project",
    fields: [field("Name", el("input", { name: "name", required: true, maxlength: 100, autocomplete: "off" })), limitFields()],
    send: (form) => send({ name: form.get("name"), limits: limitsIn(form) }),
  });
}

export function askForLimits(name, limits, send) {
  return ask({ title: ["Limits of ", named(name)], submit: "Save limits", fields: [limitFields(limits)], send: (form) => send(limitsIn(form)) });
}

export function askToRotate(key, send) {
  return ask({
    title: ["Rotate ", named(key.name)], about: "A new key takes the place of this one. Its name, limits and project stay.", submit: "Rotate key",
    fields: [field("The old key is taken too", choice("keep", KEPT))],
    send: (form) => send({ keep_old_seconds: Number(form.get("keep")) }),
  });
}

export function askToRevoke(key, send) {
  return ask({
    title: ["Revoke ", named(key.name), "?"], about: ["Whoever uses ", el("code", {}, `${key.shown}…`), " is refused from now on. This cannot be undone."],
    submit: "Revoke key", danger: true, send: () => send({}),
  });
}

// The key itself: shown once, here, and nowhere again.
export function showSecret(name, secret) {
  return new Promise((resolve) => {
    const id = `dialog-${++number}`;
    const field = el("input", { class: "secret", readonly: true, value: secret, "aria-label": "Key", spellcheck: "false", on: { focus: () => field.select() } });
    const copied = el("p", { class: "hint", role: "status" }, "It is shown this once, and kept nowhere.");
    const copy = el("button", { type: "button", on: { click: async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(secret);
        copied.textContent = "Copied.";
      } catch {
        copied.textContent = "It is selected: copy it with the keyboard.";
      }
    } } }, "Copy");
    const close = el("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "I have it");
    const dialog = el(
      "dialog", { "aria-labelledby": id },
      el("form", { method: "dialog" }, el("h2", { id }, ["The key of ", named(name)]), el("div", { class: "copy" }, field, copy), copied, el("div", { class: "buttons" }, close)),
    );
    dialog.addEventListener("close", () => {
      field.value = "";
      dialog.remove();
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
    copy.focus();
  });
}
