/* The page about one run of the engine. */

const OPTIMUM_COLOUR = 7;

function chart(label, columns, { series, height = 260, format = plain, low, high, read }) {
  const xs = columns.evaluations;
  const slider = readout(`${label}: evaluations`, xs, (at) => `generation ${count(columns.generation[at])}, ${count(xs[at])} evaluations: ${read(at)}`);
  return html("figure", {}, curves({ label, xName: "evaluations", height, format, low, high, cursor: slider, series: series.map((one) => ({ x: xs, ...one })) }), slider, legend(series.filter((one) => one.name)));
}

const operatorName = (one) => (one.own.length ? `${OPERATORS[one.operator]} (${one.own.join(", ")})` : OPERATORS[one.operator]);
const known = (name, value) => (Number.isFinite(value) ? [[name, plain(value)]] : []);
const numbers = (...lists) => lists.flat().filter((value) => value !== null);
const rowsOf = (columns, names) => () => [names, ...columns.generation.map((_, i) => names.map((name) => columns[name][i]))];
const valuesOf = (columns, names) => () => Object.fromEntries(names.map((name) => [name, columns[name]]));

function build(data) {
  const { columns, result, lineage, front } = data, name = `${result.problem}-${result.size}-${result.seed}`;
  const head = html("header", {}, html("h1", {}, data.title), html("p", { class: "summary" }, data.summary), facts([
    ["best", plain(result.best)], ...known("optimum", result.optimum), ["generations", count(result.generations)], ["evaluations", count(result.evaluations)], ...known("seconds", result.seconds), ["seed", String(result.seed)]]));
  const sections = [convergence(columns, result, name), diversities(columns, name), lengths(columns, name), front && frontSection(front, name), front && volumes(columns, data.reference, front, name), lineage && descentSection(lineage, result, name), bestSection(result, name)].filter(Boolean);
  return [head, html("nav", { "aria-label": "Parts of this page" }, sections.map((one) => html("a", { href: `#${one.id}` }, one.querySelector("h2").textContent))), html("main", {}, sections)];
}

function convergence(columns, result, name) {
  const all = numbers(columns.best, columns.lower, columns.upper, [result.optimum]), low = Math.min(...all), high = Math.max(...all), names = ["generation", "evaluations", "best", "lower", "median", "upper"];
  const view = chart("Fitness over evaluations", columns, { low, high: high > low ? high : low + 1,
    series: [...known("optimum", result.optimum).map(([name]) => ({ name, colour: OPTIMUM_COLOUR, y: columns.best.map(() => result.optimum), dashed: true })), { name: "best so far", colour: 1, y: columns.best, stepped: true }, { name: "population: median, with quartiles", colour: 0, y: columns.median, low: columns.lower, high: columns.upper }],
    read: (i) => `best ${plain(columns.best[i])}, median ${plain(columns.median[i])} (quartiles ${plain(columns.lower[i])} to ${plain(columns.upper[i])})` });
  return section("convergence", "Convergence", "The best fitness so far, and the population's median and quartiles.", view, name, rowsOf(columns, names), valuesOf(columns, names));
}

function diversities(columns, name) {
  const names = ["generation", "evaluations", "diversity", "distinct"], whole = (value) => percent(value * 1000);
  const view = chart("Diversity over evaluations", columns, { low: 0, high: 1, format: whole, series: [{ name: "bits in which two genotypes differ", colour: 0, y: columns.diversity }, { name: "genotypes that are different", colour: 1, y: columns.distinct }],
    read: (i) => `two genotypes differ in ${whole(columns.diversity[i])} of their bits; ${whole(columns.distinct[i])} of the genotypes are different` });
  return section("diversity", "Diversity", "In how many of the bits that both have two genotypes of the population differ (a random population: 50%), and what share of the population is left when every genotype is counted once.", view, name, rowsOf(columns, names), valuesOf(columns, names));
}

function lengths(columns, name) {
  const names = ["generation", "evaluations", "shortest", "mean_length", "longest"];
  if (new Set([...columns.shortest, ...columns.longest]).size === 1)
    return section("lengths", "Lengths", `Every genotype has ${count(columns.longest[0])} bits throughout.`, null, name, rowsOf(columns, names), valuesOf(columns, names));
  const view = chart("Length of genotypes over evaluations", columns, { low: 0, high: Math.max(...columns.longest), series: [{ name: "mean, with shortest and longest", colour: 0, y: columns.mean_length, low: columns.shortest, high: columns.longest }],
    read: (i) => `mean ${plain(columns.mean_length[i])} bits, from ${count(columns.shortest[i])} to ${count(columns.longest[i])}` });
  return section("lengths", "Lengths", "Bits of the population's genotypes.", view, name, rowsOf(columns, names), valuesOf(columns, names));
}

/* Solutions as points over two objectives; the front stepped, *at* of it chosen. pick() says which two. */
function frontPlot({ label, front, pick, chosen, height = 320 }) {
  return drawn((width) => {
    const [a, b] = pick(), one = front.objectives[a], other = front.objectives[b], left = 56, bottom = 38, top = 10, right = 12;
    const every = [...front.front, ...front.others], range = (i) => spread(every.map((point) => point[i]));
    const [x0, x1] = range(a), [y0, y1] = range(b);
    const sx = (point) => left + ((point[a] - x0) / (x1 - x0)) * (width - left - right), sy = (point) => top + (1 - (point[b] - y0) / (y1 - y0)) * (height - top - bottom);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    for (const y of ticks(y0, y1, 5)) { const at = top + (1 - (y - y0) / (y1 - y0)) * (height - top - bottom);
      picture.append(svg("line", { class: "grid-line", x1: left, x2: width - right, y1: at, y2: at }), svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, short(y))); }
    for (const x of ticks(x0, x1, Math.max(2, Math.floor(width / 110))))
      picture.append(svg("text", { x: left + ((x - x0) / (x1 - x0)) * (width - left - right), y: height - bottom + 15, "text-anchor": "middle" }, short(x)));
    picture.append(svg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, `${one.name}, ${sense(one)}`),
      svg("text", { transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, `${other.name}, ${sense(other)}`));
    const mark = (point, colour, r, opacity) => svg("circle", { cx: fixed(sx(point)), cy: fixed(sy(point)), r, fill: `var(--c${colour})`, "fill-opacity": opacity });
    picture.append(...front.others.map((point) => mark(point, OTHERS_COLOUR, 2.5, 0.5)), ...front.front.map((point) => mark(point, FRONT_COLOUR, 3.5, 1)));
    const point = front.front[chosen()];
    if (point) picture.append(svg("circle", { cx: fixed(sx(point)), cy: fixed(sy(point)), r: 7, fill: "none", stroke: `var(--c${CHOSEN_COLOUR})`, "stroke-width": 2.5 }));
    return picture;
  });
}

/* An axis for each objective, better values above; a line for each solution of the front. */
function parallels({ label, front, chosen, height = 260 }) {
  return drawn((width) => {
    const axes = front.objectives, top = 20, bottom = 40, side = Math.min(90, width * 0.16);
    const x = (i) => side + (i / (axes.length - 1)) * (width - 2 * side);
    const ranges = axes.map((one, i) => { const [low, high] = spread(front.front.map((point) => point[i])); return one.more ? [low, high] : [high, low]; });
    const y = (value, i) => top + (1 - (value - ranges[i][0]) / (ranges[i][1] - ranges[i][0])) * (height - top - bottom);
    const line = (point) => path(point.map((_, i) => x(i)), point.map((value, i) => y(value, i)));
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    picture.append(...front.front.map((point) => svg("path", { class: "curve", stroke: `var(--c${FRONT_COLOUR})`, "stroke-opacity": front.front.length > 40 ? 0.35 : 0.7, "stroke-width": 1.2, d: line(point) })));
    const point = front.front[chosen()];
    if (point) picture.append(svg("path", { class: "curve", stroke: `var(--c${CHOSEN_COLOUR})`, "stroke-width": 3, d: line(point) }));
    axes.forEach((one, i) => picture.append(svg("line", { x1: x(i), x2: x(i), y1: top, y2: height - bottom, stroke: "var(--muted)" }),
      svg("text", { x: x(i), y: top - 7, "text-anchor": "middle" }, short(ranges[i][1])), svg("text", { x: x(i), y: height - bottom + 15, "text-anchor": "middle" }, short(ranges[i][0])),
      svg("text", { class: "strong", x: x(i), y: height - 6, "text-anchor": "middle" }, svg("title", {}, one.name), clipped(one.name, Math.max(6, Math.floor((width - 2 * side) / (axes.length - 1) / 7))))));
    return picture;
  });
}

const FRONT_COLOUR = 0, CHOSEN_COLOUR = 1, OTHERS_COLOUR = 7;
const sense = (objective) => (objective.more ? "more is better" : "less is better");
function spread(values) {
  const low = Math.min(...values), high = Math.max(...values);
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

function frontSection(front, name) {
  const { objectives } = front, names = objectives.map((one) => one.name), many = front.front.length;
  const rows = () => [[...names, "genotype"], ...front.front.map((point, i) => [...point, front.genotypes?.[i] ?? ""])];
  if (!many) return section("front", "Front", "No genotype keeps all constraints.", null, name, rows, () => front);
  let at = 0, axes = [0, 1];
  const plot = frontPlot({ label: `The front of ${many} solutions over two objectives`, front, pick: () => axes, chosen: () => at });
  const lines = parallels({ label: `Parallel coordinates of the front's ${many} solutions over ${names.length} objectives`, front, chosen: () => at });
  const genotype = html("code", {});
  const slider = readout("Solution of the front", front.front.map((_, i) => i), (i) => {
    at = i;
    [plot, lines].forEach((one) => one.redraw());
    genotype.textContent = front.genotypes?.[i] ?? "";
    return `solution ${count(i + 1)} of ${count(many)}: ${names.map((one, j) => `${one} ${plain(front.front[i][j])}`).join(", ")}`;
  });
  slider.querySelector("input").dispatchEvent(new Event("input"));
  const pickers = names.length > 2 && html("div", { class: "group" }, ["across", "upwards"].map((label, side) =>
    choice(`front-${label}`, label, axes[side], names.map((one, i) => [i, one]), (value) => { axes[side] = Number(value); plot.redraw(); })));
  const shown = many < front.found ? ` The picture shows ${count(many)} of them, evenly spaced by ${names[0]}.` : "";
  return section("front", "Front", `${count(front.found)} different values that no other found value dominates.${shown} Below, each line is a solution, and better values are higher up.`,
    [pickers || null, plot, legend([{ name: "front", colour: FRONT_COLOUR, square: true }, { name: "other genotypes of the last generation", colour: OTHERS_COLOUR, square: true, opacity: 0.5 }, { name: "chosen solution", colour: CHOSEN_COLOUR, square: true }]), slider, lines, html("p", {}, genotype)].filter(Boolean), name, rows, () => front);
}

function volumes(columns, reference, front, name) {
  const names = ["generation", "evaluations", "hypervolume"], values = columns.hypervolume, high = Math.max(0, ...numbers(values));
  const where = front.objectives.map((one, i) => `${one.name} ${plain(reference[i])}`).join(", ");
  if (!high) return section("hypervolume", "Hypervolume", "No population dominated the worst values of the first generation.", null, name, rowsOf(columns, names), valuesOf(columns, names));
  const view = chart("Hypervolume over evaluations", columns, { low: 0, high, format: short, series: [{ name: "population", colour: 0, y: values }], read: (i) => `hypervolume ${plain(values[i])}` });
  return section("hypervolume", "Hypervolume", `The volume that the population dominates, from the worst values of the first generation: ${where}.`, view, name, rowsOf(columns, names), valuesOf(columns, names));
}

function descentSection(lineage, result, name) {
  const { births, operators } = lineage, share = (one, of) => (one === null ? "-" : `${count(one)} (${((100 * one) / (of || 1)).toFixed(1)}%)`);
  const worth = table("What each operator's children were worth, beside their first parents", [{ name: "operator" }, ...["children", "better", "worse"].map((one) => ({ name: one, number: true }))], operators.map((one) => [operatorName(one), count(one.children), share(one.better, one.children), share(one.worse, one.children)]));
  return section("lineage", "Lineage", `The best genotype by first parents: ${count(births.length)} births in ${count(result.generations)} generations. Each mark is a generation that bred an ancestor.`,
    [descent({ label: `Line of descent of the best genotype, ${births.length} births`, births, stages: [], last: result.generations, xName: "generations" }), descentLegend(births, false), worth], name,
    () => [["generation", "operator"], ...births.map(([generation, operator]) => [generation, OPERATORS[operator]])], () => lineage);
}

/* What a genotype means, if that is known: a list of names, or values by name, or anything else. */
function meaning(value) {
  if (value === undefined || value === null) return null;
  const text = (one) => (typeof one === "string" ? one : JSON.stringify(one));
  if (Array.isArray(value) || typeof value !== "object") return html("p", {}, html("code", {}, Array.isArray(value) ? value.map(text).join(", ") : text(value)));
  return facts(Object.entries(value).map(([name, one]) => [name, text(one)]));
}

function bestSection(result, name) {
  const chosen = "chosen" in result && [html("p", {}, "Chosen in its place:"), meaning(result.chosen)];
  return section("best", "The best genotype", `${count(result.length)} bits, fitness ${plain(result.best)}.`, [meaning(result.decoded), html("p", {}, html("code", {}, result.genotype)), chosen].flat().filter(Boolean), name, () => Object.entries(result), () => result);
}

present(build);
