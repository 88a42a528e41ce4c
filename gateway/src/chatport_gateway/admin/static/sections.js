// What each section shows of an answer of the API.

import { chart, MEASURES, stacksOf, swatch } from "./chart.js";
import { brief, byId, chip, count, dated, day, el, lasting, meter, named, percent, show, table, time, usd } from "./elements.js";

const TITLES = {
  usd_day: "a day", usd_month: "a month", usd_total: "in all",
  requests_per_minute: "requests a minute", tokens_per_minute: "tokens a minute", concurrency: "calls at once",
};
const HEALTH = { up: ["good", "up"], failing: ["warn", "failing"], down: ["bad", "down"], unused: ["none", "not asked yet"] };
const OUTCOMES = { ok: "good", failed: "bad", refused: "warn", left: "none", lost: "bad" };
const STATES = { active: "good", expired: "warn", revoked: "none" };

// --- overview

function tile(title, value, below, bar) {
  return el("div", { class: "tile" }, el("h2", {}, title), el("p", { class: "value" }, value), bar ?? null, el("p", { class: "below" }, below));
}

export function overview(told) {
  const limit = Object.fromEntries(told.limits.map((one) => [one.kind, one]));
  const budget = (kind, words) => (limit[kind] ? [`${usd(limit[kind].left)} left of ${usd(limit[kind].limit)}`, meter(words, limit[kind].limit - limit[kind].left, limit[kind].limit)] : [`${usd(told.total.usd)} in all`, null]);
  const [today, todayBar] = limit.usd_day ? budget("usd_day", "Spent today") : [`${brief(told.today.tokens)} tokens`, null];
  const [month, monthBar] = budget("usd_month", "Spent this month");
  const share = told.today.calls ? told.failed_today / told.today.calls : 0;
  const records = told.is_full ? ["Full", "No call is let pass"] : told.is_behind ? ["Waiting", "The database is not there"] : told.lost_rows ? [`${count(told.lost_rows)} lost`, "No room was found for them"] : ["Written", told.waiting_bytes ? `${brief(told.waiting_bytes)} bytes wait` : "Nothing waits"];
  show(
    byId("tiles"),
    tile("Spent today", usd(told.today.usd), today, todayBar),
    tile("This month", usd(told.month.usd), month, monthBar),
    tile("Calls today", brief(told.today.calls), `${count(told.failed_today)} failed, ${percent(share)}`),
    tile("Under way", count(told.open_calls), "in this process"),
    tile("Records", records[0], records[1]),
  );
  byId("version").textContent = `chatport-gateway ${told.version}`;
}

// --- usage

const capital = (text) => text[0].toUpperCase() + text.slice(1);

export function usage(told, measure) {
  const { of, shown, title } = MEASURES[measure];
  show(byId("usage-chart"), told.total.calls ? chart(told, measure) : el("p", { class: "nothing" }, "No calls in these days."));
  if (!told.total.calls) return show(byId("usage-table"));
  const rows = told.groups.map((group, place) => ({ ...group, place }));
  if (told.rest.calls) rows.push({ ...told.rest, name: "everything else", place: told.groups.length, isRest: true });
  rows.push({ ...told.total, name: "All", isTotal: true, rowClass: "sum" });
  const whole = of(told.total) || 1;
  const by = byId("usage-form").elements.by;
  const nobody = told.by === "key" ? "without a key" : told.by === "project" ? "without a project" : "nobody: refused before";
  show(
    byId("usage-table"),
    table(
      `${title} by ${told.by}`,
      [
        { title: capital(by.selectedOptions[0].textContent), header: true, kind: "long", of: (row) => [row.isTotal ? null : swatch(row.place, told.groups.length), row.isRest || row.isTotal ? row.name : named(row.name || nobody)] },
        { title: "Share", numeric: true, of: (row) => percent(of(row) / whole) },
        { title: "Cost", numeric: true, of: (row) => usd(row.usd) },
        { title: "Calls", numeric: true, of: (row) => count(row.calls) },
        { title: "Failed", numeric: true, of: (row) => (row.failed_calls ? count(row.failed_calls) : "–") },
        { title: "Input", numeric: true, of: (row) => brief(row.input_tokens) },
        { title: "Output", numeric: true, of: (row) => brief(row.output_tokens) },
      ],
      rows,
    ),
    told.total.unknown_cost_calls ? el("p", { class: "hint" }, `Of ${count(told.total.unknown_cost_calls)} calls the cost is not known.`) : null,
    el("details", {}, el("summary", {}, "Figures by day"), table(`${title} by day and ${told.by}`, [
      { title: "Day", header: true, of: (row) => day(row.day) },
      { title, numeric: true, of: (row) => shown(row.total) },
      ...told.groups.map((group, place) => ({ title: group.name || nobody, numeric: true, of: (row) => (row.parts[place] ? shown(row.parts[place]) : "–") })),
    ], stacksOf(told, measure).reverse())),
  );
}

// --- now

export function live(told) {
  byId("live-count").textContent = told.open ? count(told.open) : "";
  show(byId("live"), table("Calls under way", [
    { title: "Key", header: true, of: (call) => named(call.key) },
    { title: "Asks for", kind: "long", of: (call) => [named(call.model), call.target ? el("small", {}, named(call.target)) : null] },
    { title: "State", of: (call) => chip("none", call.state) },
    { title: "For", numeric: true, of: (call) => lasting(call.seconds) },
  ], told.calls, "No call is under way in this process."));
}

export function targets(told) {
  show(byId("targets"), table("Targets", [
    { title: "Target", header: true, kind: "long", of: (one) => [named(one.target), one.aliases.length ? el("small", {}, named(one.aliases.join(", "))) : null] },
    { title: "Health", kind: "whole", of: (one) => [chip(...HEALTH[one.health]), el("small", {}, `breaker ${one.breaker}${one.open_for_seconds ? `, ${lasting(one.open_for_seconds)}` : ""}`)] },
    { title: "Last minute", numeric: true, of: (one) => (one.recent_attempts ? [count(one.recent_attempts), el("small", {}, `${count(one.recent_failed)} failed`)] : "–") },
    { title: "Today", numeric: true, of: (one) => (one.today.calls ? [count(one.today.calls), el("small", {}, `${lasting(one.today.seconds / one.today.calls)} each`)] : "–") },
  ], told.targets, "No target is configured."));
}

// --- errors and calls

export function errors(told) {
  byId("errors-period").textContent = `${day(told.since)} to ${day(told.until)}`;
  const kinds = new Map();
  for (const one of told.errors) {
    const name = `${one.error} ${one.outcome}`;
    const kind = kinds.get(name) ?? { error: one.error, outcome: one.outcome, calls: 0, targets: [] };
    kind.calls += one.calls;
    if (one.target) kind.targets.push(one);
    kinds.set(name, kind);
  }
  const rows = [...kinds.values()].sort((a, b) => b.calls - a.calls);
  const most = Math.max(...rows.map((one) => one.calls), 1);
  show(byId("errors"), table("Errors by kind", [
    { title: "Error", header: true, of: (one) => named(one.error) },
    { title: "Ended as", of: (one) => chip(OUTCOMES[one.outcome] ?? "none", one.outcome) },
    { title: "Targets", kind: "long", of: (one) => (one.targets.length ? one.targets.map((its) => el("span", { class: "one" }, named(its.target), el("span", { class: "muted" }, ` ${count(its.calls)}`))) : el("span", { class: "muted" }, "nothing was sent")) },
    { title: "Calls", numeric: true, of: (one) => [el("span", { class: "bar", share: one.calls / most, "aria-hidden": "true" }), count(one.calls)] },
  ], rows, "No errors in these days."));
}

export function calls(list) {
  show(byId("calls-table"), table("Calls", [
    { title: "At", header: true, of: (call) => time(call.at) },
    { title: "Key", of: (call) => named(call.key ?? call.key_id ?? "") },
    { title: "Asked for", kind: "long", of: (call) => [named(call.model), call.target ? el("small", {}, named(call.target)) : null] },
    { title: "Ended", of: (call) => [chip(OUTCOMES[call.outcome], call.outcome), call.error ? el("small", {}, named(call.error)) : null] },
    { title: "Tokens", numeric: true, of: (call) => (call.input_tokens === null && call.output_tokens === null ? "–" : `${brief(call.input_tokens ?? 0)} + ${brief(call.output_tokens ?? 0)}`) },
    { title: "Cost", numeric: true, of: (call) => (call.usd === null ? "–" : [call.is_estimate ? "≈ " : "", usd(call.usd)]) },
    { title: "Took", numeric: true, of: (call) => lasting(call.seconds) },
  ], list, "No calls."));
}

// --- limits, keys, log

const amount = (kind, value) => (kind.startsWith("usd") ? usd(value) : brief(value));

export function limits(list, change) {
  show(byId("limits-table"), table("Limits", [
    { title: "Of", header: true, kind: "long", of: (one) => [named(one.name || one.holder), el("small", {}, one.holder === "gateway" ? (one.is_set ? "all calls together" : "all calls together, by the configuration") : one.holder.split(":")[0])] },
    { title: "Limits", kind: "long", of: (one) => (one.limits.length ? el("ul", { class: "held" }, one.limits.map((limit) => el(
      "li", {}, el("span", { class: "what" }, `${amount(limit.kind, limit.limit)} ${TITLES[limit.kind]}`),
      meter(`${one.name}: ${TITLES[limit.kind]}`, limit.limit - limit.left, limit.limit), el("span", { class: "left" }, `${amount(limit.kind, limit.left)} left`),
    ))) : el("span", { class: "muted" }, "none")) },
    { title: "Actions", hidden: true, kind: "actions", of: (one) => el("button", { type: "button", "aria-label": `Change limits of ${one.name}`, on: { click: () => change(one) } }, "Change") },
  ], list, "Nobody has limits."));
}

export function keys(list, does) {
  const order = { active: 0, expired: 1, revoked: 2 };
  const sorted = [...list].sort((a, b) => order[a.state] - order[b.state] || a.name.localeCompare(b.name));
  show(byId("keys-table"), table("Keys", [
    { title: "Name", header: true, kind: "long", of: (key) => [named(key.name), el("small", {}, el("code", {}, `${key.shown}…`))] },
    { title: "Project", of: (key) => (key.project === null ? el("span", { class: "muted" }, "none") : named(key.project)) },
    { title: "State", of: (key) => [chip(STATES[key.state], key.state), key.state === "active" && key.expires_at ? el("small", {}, `until ${dated(key.expires_at)}`) : null] },
    { title: "May ask for", of: (key) => (key.models ? named(key.models.join(" ")) : el("span", { class: "muted" }, "everything")) },
    { title: "Made", kind: "whole", of: (key) => dated(key.created_at) },
    { title: "Actions", hidden: true, kind: "actions", of: (key) => (key.state === "revoked" ? null : [
      el("button", { type: "button", "aria-label": `Limits of ${key.name}`, on: { click: () => does.limits(key) } }, "Limits"),
      el("button", { type: "button", "aria-label": `Rotate ${key.name}`, on: { click: () => does.rotate(key) } }, "Rotate"),
      el("button", { type: "button", class: "danger quiet", "aria-label": `Revoke ${key.name}`, on: { click: () => does.revoke(key) } }, "Revoke"),
    ]) },
  ], sorted, "There are no keys yet. Without one, nobody can ask this gateway."));
}

export function log(list) {
  const detail = ([name, value]) => {
    const isTime = name.endsWith("_us") && Number.isInteger(value);
    const words = name.replace(/_(us|id)$/, "").replaceAll("_", " ");
    return el("span", { class: "one" }, el("span", { class: "muted" }, `${words} `), isTime ? time(new Date(value / 1000).toISOString()) : named(String(value)));
  };
  show(byId("log-table"), table("Log of changes", [
    { title: "At", header: true, of: (entry) => time(entry.at) },
    { title: "By", kind: "whole", of: (entry) => named(entry.actor) },
    { title: "What", of: (entry) => entry.action },
    { title: "Of", of: (entry) => el("code", { class: "whole" }, entry.subject) },
    { title: "Details", kind: "long", of: (entry) => Object.entries(entry.details).filter(([, value]) => value !== null).map(detail) },
  ], list, "Nothing was changed yet."));
}
