/* The page about one run of the engine. */

const OPTIMUM_COLOUR = 7;

function chart(label, columns, { series, height = 260, format = plain, low, high, read }) {
  const xs = columns.evaluations;
  const slider = readout(`${label}: evaluations`, xs, (at) => `generation ${count(columns.generation[at])}, ${count(xs[at])} evaluations: ${read(at)}`);
  return html("figure", {}, curves({ label, xName: "evaluations", height, format, low, high, cursor: slider, series: series.map((one) => ({ x: xs, ...one })) }), slider, legend(series.filter((one) => one.name)));
}

const known = (name, value) => (Number.isFinite(value) ? [[name, plain(value)]] : []);
const numbers = (...lists) => lists.flat().filter((value) => value !== null);
const rowsOf = (columns, names) => () => [names, ...columns.generation.map((_, i) => names.map((name) => columns[name][i]))];
const valuesOf = (columns, names) => () => Object.fromEntries(names.map((name) => [name, columns[name]]));

function build(data) {
  const { columns, result, lineage } = data, name = `${result.problem}-${result.size}-${result.seed}`;
  const head = html("header", {}, html("h1", {}, data.title), html("p", { class: "summary" }, data.summary), facts([
    ["best", plain(result.best)], ...known("optimum", result.optimum), ["generations", count(result.generations)], ["evaluations", count(result.evaluations)], ...known("seconds", result.seconds), ["seed", String(result.seed)]]));
  const sections = [convergence(columns, result, name), diversities(columns, name), lengths(columns, name), lineage && descentSection(lineage, result, name), bestSection(result, name)].filter(Boolean);
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

function descentSection(lineage, result, name) {
  const { births, operators } = lineage, share = (one, of) => (one === null ? "-" : `${count(one)} (${((100 * one) / (of || 1)).toFixed(1)}%)`);
  const worth = table("What each operator's children were worth, beside their first parents", [{ name: "operator" }, ...["children", "better", "worse"].map((one) => ({ name: one, number: true }))], operators.map((one) => [OPERATORS[one.operator], count(one.children), share(one.better, one.children), share(one.worse, one.children)]));
  return section("lineage", "Lineage", `The best genotype by first parents: ${count(births.length)} births in ${count(result.generations)} generations. Each mark is a generation that bred an ancestor.`,
    [descent({ label: `Line of descent of the best genotype, ${births.length} births`, births, stages: [], last: result.generations, xName: "generations" }), descentLegend(births, false), worth], name,
    () => [["generation", "operator"], ...births.map(([generation, operator]) => [generation, OPERATORS[operator]])], () => lineage);
}

function bestSection(result, name) {
  return section("best", "The best genotype", `${count(result.length)} bits, fitness ${plain(result.best)}.`, html("p", {}, html("code", {}, result.genotype)), name, () => Object.entries(result), () => result);
}

present(build);
