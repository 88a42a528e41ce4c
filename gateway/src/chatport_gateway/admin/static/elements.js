// Elements and numbers. All that others have written goes in as text: nothing here makes markup of a string.

export function el(tag, props = {}, ...children) {
  const made = tag === "svg" || props.svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "svg" || value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, does] of Object.entries(value)) made.addEventListener(event, does);
    else if (name === "share") made.style.setProperty("--share", value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// A name that others have chosen: its direction stays its own.
export const named = (text, props = {}) => el("bdi", props, text);

export const byId = (id) => document.getElementById(id);

export function show(place, ...children) {
  place.replaceChildren(...children.filter(Boolean));
}

// columns: {title, numeric, of: row => node or text, header: the row's own heading}
export function table(caption, columns, rows, nothing) {
  if (!rows.length) return el("p", { class: "nothing" }, nothing);
  const cells = (row) =>
    columns.map((column) => {
      const props = { class: [column.numeric && "number", column.kind].filter(Boolean).join(" ") || null, "data-title": column.title };
      return column.header
        ? el("th", { ...props, scope: "row", role: "rowheader" }, column.of(row))
        : el("td", { ...props, role: "cell" }, column.of(row));
    });
  const titles = columns.map((column) =>
    el("th", { scope: "col", role: "columnheader", class: column.numeric ? "number" : null }, column.hidden ? el("span", { class: "unseen" }, column.title) : column.title),
  );
  return el(
    "table",
    { role: "table" }, // said once more, since a phone shows the rows as blocks
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, titles)),
    el("tbody", { role: "rowgroup" }, rows.map((row) => el("tr", { role: "row", class: row.rowClass ?? null }, cells(row)))),
  );
}

export function meter(label, used, limit) {
  const share = limit > 0 ? Math.min(used / limit, 1) : 1;
  const level = share >= 1 ? "full" : share >= 0.8 ? "high" : null;
  return el(
    "span",
    { class: ["meter", level].filter(Boolean).join(" "), role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100), share },
    el("span", {}),
  );
}

const money = [2, 4, 6].map((digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const dayName = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export const usd = (value) => `$${money[value === 0 || value >= 1 ? 0 : value >= 0.001 ? 1 : 2].format(value)}`;
export const count = (value) => whole.format(value);
export const brief = (value) => (value < 10000 ? whole.format(value) : short.format(value));
export const percent = (share) => (share > 0 && share < 0.001 ? "<0.1 %" : `${(share * 100).toFixed(1)} %`);
export const day = (text) => dayName.format(new Date(`${text}T00:00:00Z`));
export const hour = (when) => clock.format(new Date(when));
export const dated = (text) => date.format(new Date(text));

export function time(text) {
  return el("time", { datetime: text }, moment.format(new Date(text)));
}

export function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function chip(kind, text) {
  return el("span", { class: `chip ${kind}` }, text);
}
