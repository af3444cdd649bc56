/* Pictures of structure: module graphs, heat maps, lines of descent, shares of time. */

const OPERATORS = ["crossover", "mutation", "fresh genotype"];
const OPERATOR_COLOURS = [0, 1, 2];
const GROWTH_COLOUR = 3;

/* A genotype's modules in a row, an arc for each edge, as thick as its share of the output. */
function moduleGraph(name, graph, height) {
  return drawn((width) => {
    const nodes = graph.stage + 2, margin = 16, gap = (width - 2 * margin) / (nodes - 1), radius = Math.min(12, gap * 0.36), y = height - radius - 4;
    const x = (node) => margin + node * gap;
    const title = (node) => (node === 0 ? "input" : node === nodes - 1 ? "output" : `module ${node}`);
    const share = (node) => (node === nodes - 1 ? 1000 : graph.shares[node]);
    const strongest = graph.shares.map((value, node) => [value, node]).slice(1).sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([value]) => value >= 50);
    const told = strongest.map(([value, node]) => `module ${node} ${percent(value)}`).join(", ");
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `Modules of ${name}, stage ${graph.stage}. Shares of the output: ${told || "the input alone"}` });
    for (const [from, to, weight, flow] of graph.edges) {
      if (flow < 5) continue;
      const far = to - from, rise = far === 1 ? 0 : ((y - radius - 6) * (far - 1)) / Math.max(nodes - 2, 1) + radius;
      const d = rise ? `M${fixed(x(from))} ${fixed(y)}C${fixed(x(from) + gap * 0.3)} ${fixed(y - rise * 1.3)} ${fixed(x(to) - gap * 0.3)} ${fixed(y - rise * 1.3)} ${fixed(x(to))} ${fixed(y)}` : `M${fixed(x(from))} ${y}H${fixed(x(to))}`;
      picture.append(svg("path", { class: "edge", d, "stroke-width": fixed(Math.max(0.6, (flow / 1000) * 9)) }, svg("title", {}, `${title(from)} to ${title(to)}: weight ${weight}, ${percent(flow)} of the output`)));
    }
    for (let node = 0; node < nodes; node++)
      picture.append(svg("g", {}, svg("title", {}, `${title(node)}: ${percent(share(node))} of the output`),
        svg("circle", { class: "node", cx: x(node), cy: y, r: radius }),
        svg("circle", { class: "node-share", cx: x(node), cy: y, r: radius - 0.6, "fill-opacity": fixed(share(node) / 1000 * 0.5 * 10) / 10 }),
        svg("text", { class: "node-label", x: x(node), y }, node === 0 ? "in" : node === nodes - 1 ? "out" : node)));
    return picture;
  });
}

const clipped = (text, characters) => (text.length > characters ? `${text.slice(0, characters - 1)}…` : text);

/* Rows and columns of shades. values[row][column] in 0..top; tree: joins of the rows, drawn at the right. */
function heatMap({ label, rows, columns, values, top, tree = [], format = percent, rowHeight = 17 }) {
  return drawn((width) => {
    const longest = Math.max(...rows.map((row) => row.length)), names = Math.min(longest * 6.8 + 8, width * 0.36), side = tree.length ? Math.min(120, width * 0.17) : 0;
    const cell = Math.min(64, (width - names - side - 8) / columns.length), upright = cell >= 24 && columns.every((one) => one.length < 4);
    const head = upright ? 18 : Math.min(110, Math.max(...columns.map((one) => one.length)) * 6.4 + 8), showHead = upright || cell >= 9;
    const above = showHead ? head : 6, height = above + rows.length * rowHeight + 4;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    const y = (row) => above + row * rowHeight, x = (column) => names + column * cell;
    if (showHead) columns.forEach((one, i) => picture.append(upright
      ? svg("text", { x: x(i) + cell / 2, y: above - 5, "text-anchor": "middle" }, one)
      : svg("text", { transform: `translate(${fixed(x(i) + cell / 2 + 4)} ${above - 5}) rotate(-90)` }, clipped(one, 17))));
    rows.forEach((one, i) => picture.append(svg("text", { class: "strong", x: names - 6, y: y(i) + rowHeight / 2 + 4, "text-anchor": "end" }, svg("title", {}, one), clipped(one, Math.floor((names - 8) / 6.6)))));
    values.forEach((line, i) => line.forEach((value, j) => {
      if (value === null) return;
      picture.append(svg("rect", { x: fixed(x(j)), y: y(i), width: fixed(Math.max(cell - (cell > 6 ? 1 : 0), 1)), height: rowHeight - 1, fill: "var(--heat)", "fill-opacity": Math.round((0.06 + 0.94 * (top ? value / top : 0)) * 100) / 100 },
        svg("title", {}, `${rows[i]}, ${columns[j]}: ${format(value)}`)));
    }));
    const deepest = Math.max(1e-9, ...tree.map(([, ys]) => Math.max(...ys))), start = x(columns.length) + 6;
    for (const [xs, ys] of tree) {
      const points = xs.map((leaf, i) => `${fixed(start + (ys[i] / deepest) * (side - 10))} ${fixed(y(leaf) + rowHeight / 2)}`);
      picture.append(svg("path", { d: `M${points.join("L")}`, fill: "none", stroke: "var(--muted)" }));
    }
    return picture;
  });
}

/* Rows of runs of equal values over time, stronger in colour for more. values[row][i] holds from xs[i-1] to xs[i]. */
function strips({ label, rows, xs, values, top, xName, rowHeight = 17 }) {
  return drawn((width) => {
    const longest = Math.max(...rows.map((row) => row.length)), names = Math.min(longest * 6.8 + 8, width * 0.36), last = xs.at(-1) || 1;
    const height = rows.length * rowHeight + 38, sx = (x) => names + (x / last) * (width - names - 26);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    rows.forEach((name, row) => {
      const y = row * rowHeight;
      picture.append(svg("text", { class: "strong", x: names - 6, y: y + rowHeight / 2 + 4, "text-anchor": "end" }, svg("title", {}, name), clipped(name, Math.floor((names - 8) / 6.6))));
      for (let from = 0; from < xs.length; ) {
        let to = from + 1;
        while (to < xs.length && values[row][to] === values[row][from]) to++;
        const left = sx(from ? xs[from - 1] : 0);
        picture.append(svg("rect", { x: fixed(left), y, width: fixed(sx(xs[to - 1]) - left), height: rowHeight - 1, fill: "var(--heat)", "fill-opacity": Math.round((0.06 + 0.94 * (values[row][from] / top)) * 100) / 100 },
          svg("title", {}, `${name}: ${values[row][from]} until step ${count(xs[to - 1])}`)));
        from = to;
      }
      picture.append(svg("text", { class: "strong", x: width - 22, y: y + rowHeight / 2 + 4 }, values[row].at(-1)));
    });
    for (const x of ticks(0, last, Math.max(2, Math.floor((width - names) / 90))))
      picture.append(svg("text", { x: sx(x), y: rows.length * rowHeight + 14, "text-anchor": x ? "middle" : "start" }, short(x)));
    picture.append(svg("text", { x: (names + width) / 2, y: height - 6, "text-anchor": "middle" }, xName));
    return picture;
  });
}

/* A line of descent over rounds: births on the line, donors of second parents in lanes below it.
   births: [round, operator, donor name or null]; stages: [round, stage]. A line that a fresh genotype began starts there. */
function descent({ label, births, stages, last, xName }) {
  const first = births.length && births[0][1] === OPERATORS.length - 1 ? Math.max(0, births[0][0] - Math.max(1, Math.round((last - births[0][0]) * 0.05))) : 0;
  stages = stages.filter(([round]) => round >= first);
  const counts = new Map();
  for (const [, , donor] of births) if (donor !== null) counts.set(donor, (counts.get(donor) || 0) + 1);
  const lanes = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12).map(([name]) => name);
  return drawn((width) => {
    const names = lanes.length ? Math.min(Math.max(...lanes.map((one) => one.length + 5)) * 6.8, width * 0.36) : 12, laneHeight = 17;
    const lineY = 40, height = lineY + 22 + lanes.length * laneHeight + 36, sx = (x) => names + ((x - first) / Math.max(last - first, 1)) * (width - names - 12);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    picture.append(svg("line", { x1: sx(births.length && first ? births[0][0] : first), x2: sx(last), y1: lineY, y2: lineY, stroke: "var(--muted)", "stroke-width": 2 }));
    const crossing = births.filter((one) => lanes.includes(one[2]));
    const laneY = (name) => lineY + 30 + lanes.indexOf(name) * laneHeight;
    picture.append(svg("path", { d: crossing.map(([round, , donor]) => `M${fixed(sx(round))} ${lineY}V${laneY(donor)}`).join(""), stroke: "var(--line)" }));
    lanes.forEach((name) => picture.append(svg("text", { class: "strong", x: names - 8, y: laneY(name) + 4, "text-anchor": "end" }, svg("title", {}, name), clipped(`${name} (${counts.get(name)})`, Math.floor((names - 8) / 6.4)))));
    picture.append(svg("path", { d: crossing.map(([round, , donor]) => `M${fixed(sx(round) - 3)} ${laneY(donor)}h6`).join(""), stroke: "var(--c0)", "stroke-width": 6 }));
    OPERATORS.forEach((_, operator) => picture.append(svg("path", {
      d: births.filter((one) => one[1] === operator).map(([round]) => `M${fixed(sx(round))} ${lineY - 8}v16`).join(""), stroke: `var(--c${OPERATOR_COLOURS[operator]})`, "stroke-width": births.length > 150 ? 1.2 : 3 })));
    for (const [round, stage] of stages)
      picture.append(svg("path", { d: `M${fixed(sx(round))} ${lineY - 11}l-5 -9h10z`, fill: `var(--c${GROWTH_COLOUR})` }, svg("title", {}, `round ${round}: stage ${stage}`)),
        stages.length < 12 ? svg("text", { x: sx(round), y: lineY - 24, "text-anchor": "middle" }, stage) : "");
    for (const x of ticks(first, last, Math.max(2, Math.floor((width - names) / 90))).filter(Number.isInteger))
      picture.append(svg("text", { x: sx(x), y: height - 20, "text-anchor": x === first ? "start" : "middle" }, count(x)));
    picture.append(svg("text", { x: (names + width) / 2, y: height - 4, "text-anchor": "middle" }, xName));
    return picture;
  });
}
function descentLegend(births, grows) {
  const used = OPERATORS.map((name, i) => [name, i]).filter(([, i]) => births.some((one) => one[1] === i));
  return legend([...used.map(([name, i]) => ({ name: `born by ${name}`, colour: OPERATOR_COLOURS[i], square: true })), ...(grows ? [{ name: "change of stage", colour: GROWTH_COLOUR, square: true }] : [])]);
}

/* Shares of a whole, one bar per row; rows: {name, values}. Colours go round, with a gap between parts. */
const partColour = (i) => ({ colour: i % 8, square: true });
function bars({ label, parts, rows, format }) {
  return drawn((width) => {
    const rowHeight = 46, height = rows.length * rowHeight;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    const longest = Math.max(...rows.map((row) => row.values.reduce((a, b) => a + b, 0))) || 1;
    rows.forEach((row, i) => {
      let x = 0;
      picture.append(svg("text", { class: "strong", x: 0, y: i * rowHeight + 13 }, row.name));
      row.values.forEach((value, part) => {
        const wide = (value / longest) * width;
        if (wide > 0.3) picture.append(svg("rect", { x: fixed(x), y: i * rowHeight + 18, width: fixed(Math.max(wide - 1, 0.5)), height: 22, fill: `var(--c${partColour(part).colour})` }, svg("title", {}, `${parts[part]}: ${format(value)}`)));
        x += wide;
      });
    });
    return picture;
  });
}
