// The page at work: who is signed in, what is asked for and when, and what the buttons do.
//
// The token is in the memory of the tab (sessionStorage), and goes out in a header that this page writes. There is no
// cookie, so no page of others can have the browser ask in our name.

import { askForKey, askForLimits, askForProject, askToRevoke, askToRotate, showSecret } from "./dialogs.js";
import { byId, el, hour } from "./elements.js";
import * as sections from "./sections.js";

const KEPT = "chatport-admin-token";
const OFTEN = 5000;
const SELDOM = 60000;

let token = sessionStorage.getItem(KEPT);
let projects = [];
let usageTold = null;
let timers = [];
const lists = {};

class SignedOut extends Error {}

async function ask(method, path, body) {
  const asked = { method, headers: { authorization: `Bearer ${token}` }, cache: "no-store", credentials: "omit", redirect: "error" };
  if (body !== undefined) {
    asked.headers["content-type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(`api/v1/${path}`, asked);
  } catch {
    throw new Error("The gateway does not answer.");
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) throw new SignedOut(told.error?.message);
  if (!answer.ok) throw new Error(told.error?.message ?? `The gateway answered ${answer.status}.`);
  return told;
}

const get = (path, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return ask("GET", given.length ? `${path}?${new URLSearchParams(given)}` : path);
};

// --- what is shown

const days = () => Number(new FormData(byId("usage-form")).get("days"));
const since = () => new Date(Date.now() - (days() - 1) * 86400000).toISOString().slice(0, 10);

async function readNow() {
  const [overview, live, targets] = await Promise.all([get("overview"), get("live"), get("targets")]);
  sections.overview(overview);
  sections.live(live);
  sections.targets(targets);
  byId("updated").textContent = `Updated ${hour(Date.now())}`;
}

async function readUsage() {
  usageTold = await get("usage", { since: since(), by: byId("usage-form").elements.by.value });
  drawUsage();
}

function drawUsage() {
  if (usageTold) sections.usage(usageTold, new FormData(byId("usage-form")).get("measure"));
}

const readErrors = async () => sections.errors(await get("errors", { since: since() }));

// A list that is read in pages: anew from its beginning, or one more page.
function pages(name, path, query, field, cursor, draw) {
  const more = byId(`${name}-more`);
  async function read(isMore) {
    const its = lists[name];
    const told = await get(path, { ...query(), ...(isMore && its.next !== null ? { [cursor]: its.next } : {}) });
    lists[name] = { rows: isMore ? [...its.rows, ...told[field]] : told[field], next: told.next };
    more.hidden = told.next === null;
    draw(lists[name].rows);
  }
  more.addEventListener("click", () => attempt(async () => {
    await read(true);
    if (more.hidden) byId(name === "log" ? "log" : name).querySelector("h2").focus();
  }));
  return () => read(false);
}

const readCalls = pages("calls", "calls", () => ({ outcome: byId("calls-outcome").value, most: 10 }), "calls", "before", sections.calls);
const readLog = pages("log", "audit", () => ({ most: 10 }), "entries", "before", sections.log);
const readLimits = pages("limits", "limits", () => ({ most: 25 }), "holders", "after", (list) => sections.limits(list, changeLimits));
const readKeys = pages("keys", "keys", () => ({ project_id: byId("keys-project").value, most: 50 }), "keys", "after", (list) => sections.keys(list, { limits: limitsOfKey, rotate, revoke }));

async function readProjects() {
  projects = (await get("projects", { most: 200 })).projects;
  const select = byId("keys-project");
  const chosen = select.value;
  select.replaceChildren(el("option", { value: "" }, "All projects"), ...projects.map((one) => el("option", { value: one.id }, one.is_closed ? `${one.name} (closed)` : one.name)));
  select.value = projects.some((one) => one.id === chosen) ? chosen : "";
}

const readChanged = () => Promise.all([readProjects(), readKeys(), readLimits(), readLog()]);
const readAll = () => Promise.all([readNow(), readUsage(), readErrors(), readCalls(), readChanged()]);

// --- what is done

async function limitsOf(holder, name) {
  const now = await get(`limits/${holder}`);
  const given = Object.fromEntries(now.limits.map((limit) => [limit.kind, limit.limit]));
  if (await askForLimits(name, given, (limits) => ask("PUT", `limits/${holder}`, limits))) await changed(`Limits of ${name} are set.`);
}

const changeLimits = (one) => attempt(() => limitsOf(one.holder, one.name));
const limitsOfKey = (key) => attempt(() => limitsOf(`key:${key.id}`, key.name));

function rotate(key) {
  return attempt(async () => {
    const made = await askToRotate(key, (body) => ask("POST", `keys/${key.id}/rotate`, body));
    if (made) await given(made, `${key.name} is rotated.`);
  });
}

function revoke(key) {
  return attempt(async () => {
    if (await askToRevoke(key, (body) => ask("POST", `keys/${key.id}/revoke`, body))) await changed(`${key.name} is revoked.`);
  });
}

function newKey() {
  return attempt(async () => {
    const made = await askForKey(projects, (body) => ask("POST", "keys", body));
    if (made) await given(made, `${made.key.name} is made.`);
  });
}

function newProject() {
  return attempt(async () => {
    const made = await askForProject((body) => ask("POST", "projects", body));
    if (made) await changed(`${made.name} is made.`);
  });
}

async function given(made, words) {
  await showSecret(made.key.name, made.secret);
  await changed(words);
}

async function changed(words) {
  await readChanged();
  byId("said").textContent = words;
  const at = document.activeElement;
  if (!at || at === document.body) byId("new-key").focus(); // the button that was used is gone
}

async function attempt(work) {
  const problem = byId("problem");
  try {
    await work();
    problem.hidden = true;
    return true;
  } catch (error) {
    if (error instanceof SignedOut) signOut("The token is not taken any more. Sign in again.");
    else {
      problem.textContent = error.message;
      problem.hidden = false;
    }
    return false;
  }
}

// --- in and out

const isPaused = () => byId("pause").getAttribute("aria-pressed") === "true";
const isLooked = () => document.visibilityState === "visible" && !isPaused() && !document.querySelector("dialog[open]");

function start() {
  byId("login").hidden = true;
  byId("app").hidden = false;
  timers = [
    setInterval(() => isLooked() && attempt(readNow), OFTEN),
    setInterval(() => isLooked() && attempt(() => Promise.all([readUsage(), readErrors()])), SELDOM),
  ];
}

function signOut(words = "") {
  timers.forEach(clearInterval);
  sessionStorage.removeItem(KEPT);
  token = null;
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  byId("app").hidden = true;
  byId("login").hidden = false;
  ["tiles", "usage-chart", "usage-table", "live", "targets", "errors", "calls-table", "limits-table", "keys-table", "log-table"].forEach((id) => byId(id).replaceChildren());
  byId("token-problem").textContent = words;
  byId("token").focus();
}

async function signIn(isFresh) {
  try {
    await get("overview");
  } catch (error) {
    token = null;
    sessionStorage.removeItem(KEPT);
    byId("token-problem").textContent = isFresh ? (error instanceof SignedOut ? "That is not the admin token." : error.message) : "";
    byId("token").focus();
    return;
  }
  sessionStorage.setItem(KEPT, token);
  start();
  if (isFresh) byId("content").focus();
  await attempt(readAll);
  document.documentElement.dataset.ready = "yes";
}

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  byId("token-problem").textContent = "";
  signIn(true);
});
byId("usage-form").addEventListener("submit", (event) => event.preventDefault());
byId("usage-form").addEventListener("change", (event) => {
  if (event.target.name === "measure") drawUsage();
  else attempt(() => Promise.all([readUsage(), event.target.name === "days" ? readErrors() : null]));
});
byId("calls-outcome").addEventListener("change", () => attempt(readCalls));
byId("keys-project").addEventListener("change", () => attempt(readKeys));
byId("new-key").addEventListener("click", newKey);
byId("new-project").addEventListener("click", newProject);
byId("sign-out").addEventListener("click", () => signOut());
byId("pause").addEventListener("click", () => {
  const paused = !isPaused();
  byId("pause").setAttribute("aria-pressed", paused);
  if (!paused) attempt(readAll);
});

if (token) signIn(false);
else byId("token").focus();
