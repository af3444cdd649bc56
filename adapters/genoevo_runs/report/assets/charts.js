"use strict";
/* Building blocks of a page: elements, numbers, curves, tables, downloads. Text only ever becomes text nodes. */

const SVG = "http://www.w3.org/2000/svg";

function make(namespace, name, attributes, children) {
  const element = namespace ? document.createElementNS(namespace, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}
const html = (name, attributes, ...children) => make(null, name, attributes, children);
const svg = (name, attributes, ...children) => make(SVG, name, attributes, children);

const fixed = (value) => Math.round(value * 10) / 10;
const count = (value) => (value === null || value === undefined ? "-" : value.toLocaleString("en"));
const percent = (thousandths) => (thousandths === undefined ? "-" : `${Math.round(thousandths / 10)}%`);
const plain = (value) => (value === null || value === undefined ? "-" : String(Number(value.toPrecision(4))));
function short(value) {
  if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (Math.abs(value) >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return plain(value);
}
function duration(seconds) {
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${Number(seconds.toPrecision(3))} s`;
}

function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(Number((at * step).toPrecision(12)));
  return found;
}

/* An element that draws itself again whenever its width changes. */
function drawn(draw) {
  const box = html("div", {});
  let width = 0;
  new ResizeObserver(() => {
    const now = Math.floor(box.clientWidth);
    if (now && now !== width) box.replaceChildren(draw((width = now)));
  }).observe(box);
  box.redraw = () => width && box.replaceChildren(draw(width));
  return box;
}

/* One SVG path through the points, broken where a value is missing. */
function path(xs, ys, stepped) {
  let text = "", open = false;
  for (let i = 0; i < xs.length; i++) {
    if (ys[i] === null || ys[i] === undefined) { open = false; continue; }
    text += open ? (stepped ? `H${fixed(xs[i])}V${fixed(ys[i])}` : `L${fixed(xs[i])} ${fixed(ys[i])}`) : `M${fixed(xs[i])} ${fixed(ys[i])}`;
    open = true;
  }
  return text;
}
function band(xs, lows, highs) {
  const there = [...xs.keys()].filter((i) => lows[i] !== null && highs[i] !== null);
  if (!there.length) return "";
  const up = there.map((i) => `${fixed(xs[i])} ${fixed(highs[i])}`), down = there.reverse().map((i) => `${fixed(xs[i])} ${fixed(lows[i])}`);
  return `M${up.join("L")}L${down.join("L")}Z`;
}

/* Curves over one axis. series: {name, x, y, low, high, colour, stepped}; points: {x, y, low, high, colour}. */
function curves({ label, series, points = [], height = 220, low = 0, high = 1000, format = percent, xFormat = short, xName, cursor, small }) {
  return drawn((width) => {
    const left = small ? 34 : 48, bottom = small ? 18 : 36, top = 8, right = 10;
    const all = [...series.flatMap((one) => one.x), ...points.map((one) => one.x)];
    const first = Math.min(0, ...all), last = Math.max(1, ...all);
    const sx = (x) => left + ((x - first) / (last - first)) * (width - left - right);
    const sy = (y) => (y === null || y === undefined ? null : top + (1 - (y - low) / (high - low || 1)) * (height - top - bottom));
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    for (const y of small ? [low, (low + high) / 2, high] : ticks(low, high, 5))
      picture.append(svg("line", { class: "grid-line", x1: left, x2: width - right, y1: sy(y), y2: sy(y) }),
        svg("text", { x: left - 6, y: sy(y) + 4, "text-anchor": "end" }, format(y)));
    for (const x of ticks(first, last, Math.max(2, Math.floor(width / (small ? 130 : 90)))))
      picture.append(svg("text", { x: sx(x), y: height - bottom + 15, "text-anchor": x === first ? "start" : "middle" }, xFormat(x)));
    if (!small) picture.append(svg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, xName));
    for (const one of series) {
      const xs = one.x.map(sx), colour = `var(--c${one.colour})`;
      if (one.low) picture.append(svg("path", { class: "band", fill: colour, d: band(xs, one.low.map(sy), one.high.map(sy)) }));
      if (one.y) picture.append(svg("path", { class: "curve", stroke: colour, "stroke-dasharray": one.dashed ? "6 4" : null, d: path(xs, one.y.map(sy), one.stepped) }));
      if (one.y && one.x.length === 1) picture.append(svg("circle", { cx: xs[0], cy: sy(one.y[0]), r: 3, fill: colour }));
    }
    for (const one of points) {
      const colour = `var(--c${one.colour})`;
      if (one.low !== undefined) picture.append(svg("line", { x1: sx(one.x), x2: sx(one.x), y1: sy(one.low), y2: sy(one.high), stroke: colour, "stroke-width": 1.5 }));
      picture.append(svg("rect", { x: sx(one.x) - 3.5, y: sy(one.y) - 3.5, width: 7, height: 7, fill: colour }));
    }
    if (cursor) cursor.attach(picture, sx, { first, last, left, right: width - right, top, bottom: height - bottom });
    return picture;
  });
}

/* A slider, for mouse and keyboard alike, that reads a chart's values out. describe(index) gives the text. */
function readout(name, xs, describe) {
  const line = svg("line", { class: "cursor", visibility: "hidden" }), output = html("output", {});
  let scale = null;
  const input = html("input", { type: "range", min: 0, max: Math.max(xs.length - 1, 0), value: xs.length - 1, "aria-label": name, oninput: show });
  function show() {
    const at = Number(input.value), text = describe(at);
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
    if (scale) for (const end of ["x1", "x2"]) line.setAttribute(end, scale(xs[at]));
    line.setAttribute("visibility", "visible");
  }
  const element = html("div", { class: "readout" }, input, output);
  element.attach = (picture, sx, box) => {
    scale = sx;
    line.setAttribute("y1", box.top);
    line.setAttribute("y2", box.bottom);
    picture.append(line);
    picture.addEventListener("pointermove", (event) => {
      const frame = picture.getBoundingClientRect();
      const share = (event.clientX - frame.left - box.left) / (box.right - box.left), x = box.first + share * (box.last - box.first);
      let nearest = 0;
      xs.forEach((one, i) => { if (Math.abs(one - x) < Math.abs(xs[nearest] - x)) nearest = i; });
      input.value = nearest;
      show();
    });
    if (xs.length) show();
  };
  return element;
}

function legend(entries) {
  const swatch = (one) => one.square
    ? svg("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" }, svg("rect", { x: 6, width: 12, height: 12, fill: `var(--c${one.colour})`, "fill-opacity": one.opacity || 1 }))
    : svg("svg", { viewBox: "0 0 24 12", "aria-hidden": "true" }, svg("line", { x1: 0, x2: 24, y1: 6, y2: 6, stroke: `var(--c${one.colour})`, "stroke-width": 3, "stroke-dasharray": one.dashed ? "6 4" : null }));
  return html("ul", { class: "legend" }, entries.map((one) => html("li", {}, swatch(one), one.name)));
}

/* A table that scrolls by itself on a narrow screen. columns: {name, number, sorted, onsort}; cells are text or nodes. */
function table(caption, columns, rows) {
  const heads = columns.map((column) => html("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": column.sorted },
    column.onsort ? html("button", { type: "button", id: `sort-${column.name}`, onclick: column.onsort }, column.name) : column.name));
  const body = rows.map((cells) => html("tr", {}, cells.map((cell, i) =>
    html(i ? "td" : "th", { scope: i ? null : "row", class: columns[i].number ? "number" : null }, cell === null || cell === undefined ? "-" : cell))));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    html("table", {}, html("caption", {}, caption), html("thead", {}, html("tr", {}, heads)), html("tbody", {}, body)));
}

function csv(rows) {
  const cell = (value) => (/[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
function save(name, type, text) {
  const link = html("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name.replace(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/* A part of the page with its data to take away. rows() gives what the CSV holds, head first; json() the values. */
function section(id, title, intro, body, name, rows, json) {
  const button = (kind, run) => html("button", { type: "button", id: `${id}-${kind}`, "aria-label": `${title}: data as ${kind}`, onclick: run }, kind);
  return html("section", { id, "aria-labelledby": `${id}-title` }, html("h2", { id: `${id}-title` }, title), html("p", { class: "note" }, intro), body,
    rows && html("div", { class: "downloads" }, "Data of this part:",
      button("CSV", () => save(`${name}-${id}.csv`, "text/csv", csv(rows()))),
      button("JSON", () => save(`${name}-${id}.json`, "application/json", JSON.stringify(json())))));
}

function choice(id, label, value, options, onpick) {
  const list = options.map(([key, text]) => html("option", { value: key, selected: String(key) === String(value) }, text));
  return html("label", { for: id }, label, html("select", { id, onchange: (event) => onpick(event.target.value) }, list));
}
function toggles(id, label, value, options, onpick) {
  return html("div", { class: "group", role: "group", "aria-label": label }, options.map(([key, text]) =>
    html("button", { type: "button", id: `${id}-${key}`, "aria-pressed": String(key === value), onclick: () => onpick(key) }, text)));
}
function facts(pairs) {
  return html("dl", { class: "facts" }, pairs.filter((pair) => pair[1] !== null).map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))));
}

/* Shows data with build(data), again after every change of state and, on a served page, of the run. */
function present(build) {
  const root = document.getElementById("page"), every = Number(document.documentElement.dataset.live || 0);
  let data = JSON.parse(document.getElementById("data").textContent), tag = null;
  const status = every ? html("p", { class: "live", role: "status" }, "live") : null;
  function show() {
    const focused = document.activeElement?.id, opened = [...root.querySelectorAll("details[open]")].map((one) => one.id), scroll = window.scrollY;
    root.replaceChildren(...build(data, show, status).filter(Boolean));
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    window.scrollTo({ top: scroll, behavior: "instant" });
  }
  async function refresh() {
    try {
      const answer = await fetch("data.json", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.status !== 200 && answer.status !== 304) throw new Error(String(answer.status));
      status.classList.remove("lost");
      if (answer.status === 200) {
        tag = answer.headers.get("ETag");
        data = await answer.json();
        show();
      }
      status.textContent = `live, looked at ${new Date().toLocaleTimeString("en-GB")}`;
    } catch {
      status.classList.add("lost");
      status.textContent = "the server has stopped; this is the last that it showed";
    }
    setTimeout(refresh, every * 1000);
  }
  show();
  if (every) setTimeout(refresh, every * 1000);
}
