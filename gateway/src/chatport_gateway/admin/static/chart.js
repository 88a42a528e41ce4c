// Bars by day, one above the other. To a reader of the screen it is a slider over days, which says each; the figures are
// in a table below it too.

import { brief, day, el, usd } from "./elements.js";

const HEIGHT = 240;
const TOP = 14;
const BOTTOM = 26;
const LEFT = 58;

// Of what stands at the lines, all with as many digits as the distance of two of them needs.
function dollars(value, step) {
  const digits = Math.max(0, Math.ceil(-Math.log10(step) + (Number.isInteger(step * 10 ** Math.ceil(-Math.log10(step))) ? 0 : 1)));
  return value >= 10000 ? `$${brief(value)}` : `$${value.toFixed(Math.min(digits, 9))}`;
}

export const MEASURES = {
  usd: { title: "Cost", of: (sums) => sums.usd, shown: usd, axis: dollars },
  calls: { title: "Calls", of: (sums) => sums.calls, shown: brief, axis: brief },
  tokens: { title: "Tokens", of: (sums) => sums.input_tokens + sums.output_tokens, shown: brief, axis: brief },
};

// Every day from one to another, so that a day without calls is a gap and not left out.
export function daysBetween(since, until) {
  const days = [];
  for (let at = Date.parse(`${since}T00:00:00Z`); at <= Date.parse(`${until}T00:00:00Z`); at += 86400000) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}

// The parts of each day: what each group has, and the rest.
export function stacksOf(usage, measure) {
  const { of } = MEASURES[measure];
  const totals = new Map(usage.days.map((one) => [one.day, of(one)]));
  const groups = usage.groups.map((group) => new Map(group.days.map((one) => [one.day, of(one)])));
  return daysBetween(usage.since, usage.until).map((name) => {
    const parts = groups.map((group) => group.get(name) ?? 0);
    const total = totals.get(name) ?? 0;
    return { day: name, total, parts: [...parts, Math.max(total - parts.reduce((sum, part) => sum + part, 0), 0)] };
  });
}

function niceTop(most) {
  if (most <= 0) return 1;
  const step = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 6, 8, 10].map((factor) => factor * step).find((top) => top >= most * 0.999) ?? 10 * step;
}

const svg = (tag, props, ...children) => el(tag, { ...props, svg: true }, ...children);

export function chart(usage, measure) {
  const { title, shown, axis } = MEASURES[measure];
  const stacks = stacksOf(usage, measure);
  const top = Math.max(niceTop(Math.max(...stacks.map((stack) => stack.total))), measure === "usd" ? 0 : 4);
  const names = [...usage.groups.map((group) => group.name || "none"), "everything else"];
  const plot = svg("svg", { class: "chart", height: HEIGHT, tabindex: 0, role: "slider", "aria-label": `${title} by day`, "aria-valuemin": 0, "aria-valuemax": stacks.length - 1, "aria-orientation": "horizontal" });
  const readout = el("p", { class: "readout", "aria-hidden": "true" });
  const figure = el("figure", { class: "figure" }, plot, readout);
  let chosen = stacks.length - 1;
  let columns = [];

  function choose(place) {
    chosen = Math.max(0, Math.min(place, stacks.length - 1));
    const stack = stacks[chosen];
    columns.forEach((column, at) => column.classList.toggle("chosen", at === chosen));
    const parts = stack.parts.map((value, at) => [names[at], value, at]).filter(([, value]) => value > 0);
    plot.setAttribute("aria-valuenow", chosen);
    plot.setAttribute("aria-valuetext", [`${day(stack.day)}: ${shown(stack.total)}`, ...parts.map(([name, value]) => `${name} ${shown(value)}`)].join(", "));
    readout.replaceChildren(
      el("strong", {}, day(stack.day)),
      el("span", { class: "total" }, shown(stack.total)),
      ...parts.map(([name, value, at]) => el("span", { class: "part" }, swatch(at, usage.groups.length), el("bdi", { class: "name" }, name), el("span", {}, shown(value)))),
    );
  }

  function draw() {
    const width = Math.max(figure.clientWidth, 240);
    const inner = width - LEFT - 4;
    const height = HEIGHT - TOP - BOTTOM;
    const slot = inner / stacks.length;
    const bar = Math.max(Math.min(slot * 0.72, 34), 1.5);
    const y = (value) => TOP + height * (1 - value / top);
    plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    plot.setAttribute("width", width);
    const lines = [0, 0.25, 0.5, 0.75, 1].map((share) =>
      svg("g", { class: share ? "line" : "line base" }, svg("line", { x1: LEFT, x2: width - 4, y1: y(top * share), y2: y(top * share) }), svg("text", { x: LEFT - 10, y: y(top * share) + 4, "text-anchor": "end" }, axis(Number((top * share).toPrecision(6)), top / 4))),
    );
    columns = stacks.map((stack, at) => {
      const x = LEFT + slot * at + (slot - bar) / 2;
      let below = 0;
      const last = stack.parts.findLastIndex((value) => value > 0);
      const parts = stack.parts.map((value, place) => {
        if (value <= 0) return null;
        const from = y(below);
        below += value;
        return svg("path", { class: series(place, usage.groups.length), d: barPath(x, y(below), bar, from - y(below), place === last ? Math.min(3, bar / 3) : 0) });
      });
      return svg("g", { class: "column" }, svg("rect", { class: "slot", x: LEFT + slot * at, y: TOP - 6, width: slot, height: height + 6, on: { pointerenter: () => choose(at), pointerdown: () => choose(at) } }), ...parts);
    });
    const isTight = slot < 26; // the last name would stand out on the right
    const every = Math.ceil((isTight ? 80 : 58) / slot);
    const days = stacks.map((stack, at) => {
      const isLast = at === stacks.length - 1;
      if ((stacks.length - 1 - at) % every || (at === 0 && slot < 20)) return null;
      const x = isLast && isTight ? width - 4 : LEFT + slot * (at + 0.5);
      return svg("text", { class: "day", x, y: HEIGHT - 6, "text-anchor": isLast && isTight ? "end" : "middle" }, day(stack.day));
    });
    plot.replaceChildren(...lines, ...columns, ...days.filter(Boolean));
    choose(chosen);
  }

  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: -7, PageDown: 7, Home: -stacks.length, End: stacks.length };
  plot.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(chosen + steps[event.key]);
  });
  let drawn = 0;
  new ResizeObserver(() => {
    if (figure.clientWidth !== drawn) {
      drawn = figure.clientWidth;
      draw();
    }
  }).observe(figure);
  return figure;
}

function barPath(x, y, width, height, radius) {
  const r = Math.min(radius, height);
  return `M${x},${y + height}V${y + r}q0,${-r} ${r},${-r}h${width - 2 * r}q${r},0 ${r},${r}V${y + height}Z`;
}

export const series = (place, groups) => (place >= groups ? "series rest" : `series s${place % 8}`);

export function swatch(place, groups) {
  return el("svg", { class: "swatch", viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" }, svg("rect", { class: series(place, groups), width: 10, height: 10, rx: 2.5 }));
}
