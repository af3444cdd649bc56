/* The page about MEGA runs: one, or several side by side. */

const state = { run: 0, task: null, filter: "", order: "as in the run", strip: "stage", matrix: "modules", sort: null, falling: false };
const COLOURS = 8;

const interval = (all, i = all.rate.length - 1) => (i < 0 || all.rate[i] === undefined ? "-" : `${percent(all.rate[i])} (${percent(all.low[i])} to ${percent(all.high[i])})`);
const newest = (run, task) => run.evaluation.success[task] || run.success[task];

function build(data, show, status) {
  const run = data.runs[state.run] || data.runs[0], several = data.runs.length > 1;
  if (!run.tasks.includes(state.task)) state.task = run.tasks[0];
  const set = (name) => (value) => { state[name] = value; show(); };
  const context = { data, run, several, set, show, task: run.tasks.indexOf(state.task) };
  const head = html("header", {}, html("h1", {}, several ? `Comparison of ${data.title}` : data.title), status, data.summary.map((one) => html("p", { class: "summary" }, one)), several ? null : figures(run));
  if (!data.runs.some((one) => one.rounds)) return [head, html("main", {}, html("p", {}, "The page fills once every genotype has driven its first episode."), several ? null : configSection(context))];
  const parts = [successSection, tasksSection, detailSection, stagesSection, communitySection, selectionSection, frontierSection, genealogySection, timeSection, configSection];
  const structural = [stagesSection, communitySection, selectionSection, genealogySection];
  const sections = parts.filter((part) => (run.graphs.length || !structural.includes(part)) && (part !== frontierSection || run.frontiers.some((one) => one.length)) && (run.rounds || [successSection, timeSection, configSection].includes(part))).map((part) => part(context));
  const links = sections.map((one) => html("a", { href: `#${one.id}` }, one.querySelector("h2").textContent));
  return [head, html("nav", { "aria-label": "Parts of this page" }, links), html("main", {}, sections)];
}

function figures(run) {
  const info = run.info, budget = info?.budget;
  return facts([
    ["environment steps", `${count(run.steps)} of ${count(run.target)}`], ["rounds", count(run.rounds)], ["tasks", count(run.tasks.length)], ["seed", String(run.seed)],
    ["updates", info && count(info.updates)], ...sizesOf(info),
    ["environment steps per second", budget ? count(Math.round(budget.steps_per_second)) : null],
  ]);
}

/* What a run trains, and what a task's policy takes, as names and values. */
function sizesOf(info) {
  const policy = info && info.sizes.policy;
  return [["trained parameters, actor / each critic", info && `${short(info.sizes.actor.now)} / ${short(info.sizes.critic.now)}`],
    ["a task's policy, parameters / multiply-adds", policy && `${short(policy.parameters)} / ${short(policy.multiply_adds)}`]];
}

function sizesTable(context) {
  const columns = [{ name: "run" }, ...sizesOf(null).map(([name]) => ({ name, number: true }))];
  return table("Sizes of every run; a policy's are means over tasks", columns, context.data.runs.map((run) => [run.name, ...sizesOf(run.info).map((pair) => pair[1])]));
}

const colourOf = (i) => i % COLOURS;
const curveOf = (run, i, one) => ({ name: run.name, colour: colourOf(i), x: run.window_steps, y: one.rate, low: one.low, high: one.high, dashed: i >= COLOURS });
const pointsOf = (run, i, one) => (one ? run.evaluation.steps.map((x, at) => ({ x, y: one.rate[at], low: one.low[at], high: one.high[at], colour: colourOf(i) })) : []);
const runLegend = (context) => context.several ? legend(context.data.runs.map((run, i) => ({ name: run.name, colour: colourOf(i), dashed: i >= COLOURS }))) : null;

/* A large chart of success with its slider; pick(run) gives the intervals of training and of evaluation. */
function successChart(context, label, pick) {
  const there = context.data.runs.map((run, i) => ({ run, i, ...pick(run) })).filter((one) => one.training);
  const xs = [...new Set(there.flatMap((one) => one.run.window_steps))].sort((a, b) => a - b);
  const slider = readout(`${label}: environment steps`, xs, (at) => `${count(xs[at])} steps: ` + there.map((one) => {
    const i = one.run.window_steps.findLastIndex((x) => x <= xs[at]);
    return `${context.several ? `${one.run.name} ` : ""}${i < 0 ? "no value yet" : interval(one.training, i)}`;
  }).join(", "));
  return html("figure", {}, curves({ label, xName: "environment steps", height: 260, cursor: slider, series: there.map((one) => curveOf(one.run, one.i, one.training)), points: there.flatMap((one) => pointsOf(one.run, one.i, one.evaluation)) }), slider, runLegend(context));
}

function successSection(context) {
  const { data, run, several } = context;
  const evaluated = data.runs.some((one) => one.evaluation.steps.length);
  const chart = successChart(context, "Mean success over all tasks", (one) => ({ training: one.rounds ? one.mean : null, evaluation: one.evaluation.mean }));
  const rows = () => [["run", "task", "kind", "step", "success", "low", "high"], ...data.runs.flatMap((one) => one.tasks.flatMap((task, t) => [["training", one.window_steps, one.success[t]], ["greedy", one.evaluation.steps, one.evaluation.success[t]]].flatMap(([kind, steps, values]) =>
    steps.map((step, i) => [one.name, task, kind, step, values.rate[i] / 1000, values.low[i] / 1000, values.high[i] / 1000]))))];
  const intro = `Mean over all tasks. The band is a 95 % interval for chance among episodes, the tasks being given${evaluated ? "; squares are greedy episodes on unseen goals, with their intervals" : ""}.`;
  return section("success", "Success", intro, [chart, ...(several ? [comparisonTable(context), sizesTable(context)] : [resultTable(context)])], several ? "comparison" : run.name, rows,
    () => data.runs.map(({ name, tasks, window_steps, success, mean, evaluation }) => ({ run: name, tasks, steps: window_steps, thousandths: success, mean, evaluation })));
}

function sorted(context, columns, rows) {
  const pick = (name) => () => { state.falling = state.sort === name ? !state.falling : true; state.sort = name; context.show(); };
  const at = columns.findIndex((column) => column.name === state.sort);
  if (at >= 0) rows.sort((a, b) => (a.keys[at] < b.keys[at] ? -1 : a.keys[at] > b.keys[at] ? 1 : 0) * (state.falling ? -1 : 1));
  return [columns.map((column, i) => ({ ...column, onsort: pick(column.name), sorted: i === at ? (state.falling ? "descending" : "ascending") : null })), rows.map((row) => row.cells)];
}

function resultTable(context) {
  const { run } = context, numbers = ["training success", "greedy success", "mean return", "stage", "effective modules"];
  const columns = [{ name: "task" }, ...numbers.map((name) => ({ name, number: true }))];
  const rows = run.tasks.map((task, t) => {
    const training = run.success[t], greedy = run.evaluation.success[t];
    return { keys: [task, training.rate.at(-1), greedy ? greedy.rate.at(-1) : -1, run.return[t].at(-1), run.stage[t].at(-1), run.effective[t].at(-1)],
      cells: [task, interval(training), greedy ? interval(greedy) : "-", count(run.return[t].at(-1)), run.stage[t].at(-1), run.effective[t].at(-1)] };
  });
  return table("Newest figures of every task, with 95 % Wilson intervals", ...sorted(context, columns, rows));
}

function comparisonTable(context) {
  const { data } = context, tasks = [...new Set(data.runs.flatMap((run) => run.tasks))];
  const columns = [{ name: "task" }, ...data.runs.map((run) => ({ name: run.name, number: true }))];
  const rows = tasks.map((task) => {
    const found = data.runs.map((run) => (run.tasks.includes(task) ? newest(run, run.tasks.indexOf(task)) : null));
    return { keys: [task, ...found.map((one) => (one ? one.rate.at(-1) : -1))], cells: [task, ...found.map((one, i) => one ? `${interval(one)}, stage ${data.runs[i].stage[data.runs[i].tasks.indexOf(task)].at(-1)}` : "-")] };
  });
  return table("Newest success of every task, greedy where it was evaluated, with 95 % Wilson intervals", ...sorted(context, columns, rows));
}

const runChoice = (context, id) => context.several ? choice(`${id}-run`, "Run", state.run, context.data.runs.map((run, i) => [i, run.name]), (value) => context.set("run")(Number(value))) : null;
const taskChoice = (context, id) => choice(`${id}-task`, "Task", state.task, context.run.tasks.map((task) => [task, task]), context.set("task"));

const ORDERS = {
  "as in the run": null,
  "best first": (run) => (a, b) => newest(run, b).rate.at(-1) - newest(run, a).rate.at(-1),
  "worst first": (run) => (a, b) => newest(run, a).rate.at(-1) - newest(run, b).rate.at(-1),
  "most modules first": (run) => (a, b) => run.stage[b].at(-1) - run.stage[a].at(-1),
};

function tasksSection(context) {
  const { run } = context, shown = [...run.tasks.keys()];
  if (ORDERS[state.order]) shown.sort(ORDERS[state.order](run));
  const filter = html("label", { for: "filter" }, "Name contains", html("input", { id: "filter", type: "search", value: state.filter, oninput: (event) => { state.filter = event.target.value; narrow(); } }));
  const cards = html("div", { class: "cards" }, shown.map((t) => card(context, t)));
  const tally = html("p", { class: "note", role: "status" });
  function narrow() {
    const all = [...cards.children], fits = (one) => one.dataset.task.toLowerCase().includes(state.filter.toLowerCase());
    for (const one of all) one.hidden = !fits(one);
    tally.textContent = `${all.filter(fits).length} of ${run.tasks.length} tasks`;
  }
  narrow();
  const rows = () => [["task", "from", "to", "weight", "share of the output"], ...run.tasks.flatMap((task, t) => (run.graphs[t]?.edges || []).map(([from, to, weight, share]) => [task, from, to === run.graphs[t].stage + 1 ? "output" : to, weight, share / 1000]))];
  const below = ", and below it the modules of the task's elite: a node for each module, an edge for each decoded weight, as thick as the share of the output that flows along it. Edges below half a percent are not drawn.";
  return section("tasks", run.graphs.length ? "Tasks and their modules" : "Tasks", `Success in training with its 95 % Wilson interval${run.graphs.length ? below : "."}`,
    [html("div", { class: "controls" }, runChoice(context, "tasks"), filter, choice("order", "Order", state.order, Object.keys(ORDERS).map((one) => [one, one]), context.set("order"))), tally, cards], run.name, rows, () => run.tasks.map((task, t) => ({ task, genotype: run.genotypes[t], ...run.graphs[t] })));
}

function card(context, t) {
  const { run, data } = context, name = run.tasks[t];
  const all = data.runs.map((one, i) => [one, i, one.tasks.indexOf(name)]).filter(([one, , at]) => at >= 0 && one.rounds);
  const chart = curves({ label: `Success of ${name} over environment steps, now ${interval(newest(run, t))}`, small: true, height: 96, series: all.map(([one, i, at]) => curveOf(one, i, one.success[at])), points: all.flatMap(([one, i, at]) => pointsOf(one, i, one.evaluation.success[at])) });
  const open = () => { context.set("task")(name); document.getElementById("detail").scrollIntoView(); document.getElementById("detail-task").focus({ preventScroll: true }); };
  return html("article", { class: "card", "data-task": name }, html("header", {}, html("h3", {}, name), html("button", { type: "button", id: `open-${t}`, "aria-label": `${name} in detail`, onclick: open }, "Detail")),
    html("p", {}, `${interval(newest(run, t))}${run.graphs.length ? `, ${run.stage[t].at(-1)} modules` : ""}`), chart, run.graphs.length ? moduleGraph(name, run.graphs[t], 96) : null);
}

function detailSection(context) {
  const { run, task } = context, name = run.tasks[task], graph = run.graphs[task];
  const chart = successChart(context, `Success of ${name}`, (one) => { const at = one.tasks.indexOf(name); return { training: at < 0 || !one.rounds ? null : one.success[at], evaluation: one.evaluation.success[at] }; });
  const most = Math.max(2, ...run.stage[task], ...run.effective[task]) + 1;
  const modules = html("figure", {}, curves({ label: `Stage and effective modules of ${name}`, height: 180, high: most, format: plain, xName: "environment steps", series: [{ colour: 3, x: run.window_steps, y: run.stage[task], stepped: true }, { colour: 5, x: run.window_steps, y: run.effective[task] }] }),
    legend([{ name: "stage", colour: 3 }, { name: "effective modules", colour: 5 }]));
  const weights = graph && html("details", { id: "weights" }, html("summary", {}, "Weights and genotype as text"),
    table(`Decoded weights of ${name}`, [{ name: "from" }, { name: "to" }, { name: "weight", number: true }, { name: "share of the output", number: true }],
      graph.edges.map(([from, to, weight, share]) => [from ? `module ${from}` : "input", to > graph.stage ? "output" : `module ${to}`, String(weight), percent(share)])), html("p", {}, html("code", {}, run.genotypes[task])));
  const rows = () => [["task", "step", "success", "low", "high", "mean return", "stage", "effective modules"], ...run.window_steps.map((step, i) => [name, step, run.success[task].rate[i] / 1000, run.success[task].low[i] / 1000, run.success[task].high[i] / 1000, run.return[task][i], run.stage[task][i], run.effective[task][i]])];
  return section("detail", "One task in detail", "The slider below a chart reads its values out, by mouse, touch or arrow keys.",
    [html("div", { class: "controls" }, runChoice(context, "detail"), taskChoice(context, "detail")), chart, graph && html("div", { class: "two" }, modules, html("figure", {}, moduleGraph(name, graph, 190), html("figcaption", {}, "Modules of the elite"))), weights], `${run.name}-${name}`, rows, () => ({ task: name, steps: run.window_steps, success: run.success[task], stage: run.stage[task], effective: run.effective[task], return: run.return[task], genotype: run.genotypes[task], graph }));
}

function stagesSection(context) {
  const { run } = context, values = state.strip === "stage" ? run.stage : run.effective.map((line) => line.map(Math.round));
  const top = Math.max(1, ...values.flat());
  const rows = () => [["task", "step", "stage", "effective modules"], ...run.tasks.flatMap((task, t) => run.window_steps.map((step, i) => [task, step, run.stage[t][i], run.effective[t][i]]))];
  return section("stages", "Stages over time", `How many modules each task may use (stage), and how many of them carry more than a trace of its output (effective). The stronger the colour, the more; the number at the right is the newest. The pool has ${run.pool.at(-1)} modules.`,
    [html("div", { class: "controls" }, runChoice(context, "stages"), toggles("strip", "What is shown", state.strip, [["stage", "stage"], ["effective", "effective modules"]], context.set("strip"))),
      strips({ label: `${state.strip === "stage" ? "Stage" : "Effective modules"} of every task over environment steps`, rows: run.tasks, xs: run.window_steps, values, top, xName: "environment steps" })], run.name, rows, () => ({ tasks: run.tasks, steps: run.window_steps, stage: run.stage, effective: run.effective, pool: run.pool }));
}

const MATRICES = {
  modules: { name: "module shares", intro: "Each row is a task, each column a module, each shade the module's share of the task's output. The tree joins tasks that use the modules alike (average linkage of cosine distances)." },
  similarity: { name: "likeness of tasks", intro: "How alike two tasks share out their output among the modules: 100 % is the same shares." },
  donations: { name: "who gave to whom", intro: "How often the line of a task's winning genotype (row) took a second parent from another population (column)." },
};

function communitySection(context) {
  const { run } = context, { order, tree, shares, similarity } = run.community, names = order.map((t) => run.tasks[t]), kind = MATRICES[state.matrix];
  const modules = ["in", ...shares[0].slice(1).map((_, i) => String(i + 1))], donations = run.genealogy.donations;
  const views = {
    modules: { columns: modules, values: order.map((t) => shares[t].map((value, k) => (k > run.graphs[t].stage ? null : value))), top: 1000, tree },
    similarity: { columns: names, values: order.map((a) => order.map((b) => similarity[a][b])), top: 1000, tree },
    donations: { columns: names, values: order.map((a) => order.map((b) => donations[a][b])), top: Math.max(1, ...donations.flat()), format: String },
  };
  const view = views[state.matrix];
  const rows = () => [["task", ...(view.columns === modules ? modules.map((one) => (one === "in" ? "input" : `module ${one}`)) : names)], ...names.map((name, i) => [name, ...view.values[i].map((value) => (view.format || value === null ? value : value / 1000))])];
  return section("community", "Community", kind.intro, [html("div", { class: "controls" }, runChoice(context, "community"), toggles("matrix", "What is shown", state.matrix, Object.entries(MATRICES).map(([key, one]) => [key, one.name]), context.set("matrix"))),
    heatMap({ label: `${kind.name}: ${kind.intro}`, rows: names, ...view })], run.name, rows, () => ({ tasks: names, columns: view.columns, values: view.values, tree: view.tree }));
}

/* One curve over environment steps with what chance gives, if that is known. */
function againstChance(run, label, one, chance, colour) {
  const ends = [run.window_steps[0], run.window_steps.at(-1)];
  return html("figure", {}, curves({ label, height: 200, xName: "environment steps", series: [{ colour, x: run.window_steps, y: one.rate, low: one.low, high: one.high }, ...(chance === null ? [] : [{ colour: 7, dashed: true, x: ends, y: [chance, chance] }])] }),
    legend([{ name: label, colour }, ...(chance === null ? [] : [{ name: `by chance: ${percent(chance)}`, colour: 7, dashed: true }])]));
}

function selectionSection(context) {
  const { run } = context, { rule, size, survival, wins, overlap, correlation, summary } = run.selection;
  const survived = againstChance(run, "elites that survive a round", survival, rule === "round" ? 1000 / size : null, 0);
  const won = wins && againstChance(run, "genotypes at least half as old that elites do better than", wins, 500, 1);
  const known = [["overlap between the elites of two tasks", overlap, 2, 0], ["rank correlation of surrogate and later returns", correlation, 3, -1000]].filter(([, values]) => values);
  const figuresOf = known.map(([name, values, colour, low]) => html("figure", {}, curves({ label: name, height: 200, low, format: (value) => plain(value / 1000), xName: "environment steps", series: [{ colour, x: run.window_steps, y: values }] }), legend([{ name, colour }])));
  const told = rule === "round"
    ? "If selection told nothing about genotypes, elites would survive as often as by chance; the band is a 95 % interval."
    : "Elites stay unless another genotype is better by more than the noise, so their survival says little. What counts is whether elites, in episodes after they were chosen, do better than other genotypes that are at least half as old: by chance in half of the cases. The bands are 95 % intervals.";
  const rows = () => [["step", "survival", "wins", "overlap", "correlation"], ...run.window_steps.map((step, i) => [step, ...[survival.rate, wins && wins.rate, overlap, correlation].map((values) => (values && values[i] !== null ? values[i] / 1000 : null))])];
  return section("selection", "Selection", told, [html("div", { class: "controls" }, runChoice(context, "selection")), summary.warning ? html("p", { role: "note" }, html("strong", {}, `Warning: ${summary.warning}.`)) : null, html("div", { class: "two" }, survived, won, figuresOf)], run.name, rows, () => ({ steps: run.window_steps, ...run.selection }));
}

function frontierSection(context) {
  const { run, task } = context, points = run.frontiers[task], name = run.tasks[task];
  const chart = points.length ? curves({ label: `Success of ${name} against multiply-adds`, height: 220, xName: "multiply-adds", series: [{ colour: 0, dashed: true, x: points.map((one) => one[0]), y: points.map((one) => one[1]) }], points: points.map(([x, y, low, high, , elite]) => ({ x, y, low, high, colour: elite ? 1 : 0 })) }) : html("p", {}, "No genotype of this task has settled yet.");
  const columns = [{ name: "task" }, { name: "multiply-adds", number: true }, { name: "success", number: true }, { name: "rounds", number: true }, { name: "genotype" }];
  const all = table("Frontiers of all tasks, with 95 % intervals", columns, run.tasks.flatMap((one, t) => run.frontiers[t].map(([cost, success, low, high, age, elite]) => [one, count(cost), `${percent(success)} (${percent(low)} to ${percent(high)})`, age, elite ? "elite" : "settled"])));
  const rows = () => [["task", "multiply-adds", "success", "low", "high", "rounds", "elite"], ...run.tasks.flatMap((one, t) => run.frontiers[t].map(([cost, success, low, high, age, elite]) => [one, cost, success / 1000, low / 1000, high / 1000, age, elite]))];
  return section("frontier", "Frontiers", "The settled genotypes of a task and its elite, from cheap to best: success in training against the multiply-adds of the exported policy. Few episodes stand behind each estimate; genoevo mega evaluate --frontier measures them.",
    [html("div", { class: "controls" }, runChoice(context, "frontier"), taskChoice(context, "frontier")), html("figure", {}, chart, points.length ? legend([{ name: "settled", colour: 0, square: true }, { name: "elite", colour: 1, square: true }]) : null), html("details", { id: "frontiers" }, html("summary", {}, "All tasks as a table"), all)], run.name, rows, () => ({ tasks: run.tasks, frontiers: run.frontiers }));
}

function genealogySection(context) {
  const { run, task } = context, { births, stages } = run.genealogy, name = run.tasks[task];
  const named = (all) => all.map(([round, operator, donor]) => [round, operator, donor < 0 ? null : run.tasks[donor]]);
  const mine = named(births[task]), foreign = (t) => births[t].filter((one) => one[2] >= 0 && one[2] !== t).length;
  const totals = table("Births on the lines of the winning genotypes", [{ name: "task" }, { name: "births", number: true }, ...OPERATORS.map((one) => ({ name: one, number: true })), { name: "from other tasks", number: true }],
    run.tasks.map((one, t) => [one, births[t].length, ...OPERATORS.map((_, operator) => births[t].filter((birth) => birth[1] === operator).length), foreign(t)]));
  const rows = () => [["task", "round", "operator", "second parent's task"], ...run.tasks.flatMap((one, t) => named(births[t]).map(([round, operator, donor]) => [one, round, OPERATORS[operator], donor]))];
  return section("genealogy", "Genealogy", "How the present winner of a task came about, by first parents, back to the first generation or to a fresh genotype: each mark on the line is the round that bred an ancestor; a mark in a lane below tells whose population gave the second parent.",
    [html("div", { class: "controls" }, runChoice(context, "genealogy"), taskChoice(context, "genealogy")),
      descent({ label: `Line of descent of the winning genotype of ${name}: ${mine.length} births, ${foreign(task)} with a second parent of another task`, births: mine, stages: stages[task], last: run.rounds, xName: "rounds" }), descentLegend(mine, stages[task].length),
      html("details", { id: "lines" }, html("summary", {}, "All tasks as a table"), totals)], run.name, rows, () => ({ tasks: run.tasks, births: births.map(named), stages }));
}

function timeSection(context) {
  const { data, run, several } = context, names = run.time.categories, total = (one) => one.time.seconds.reduce((a, b) => a + b, 0);
  const parts = bars({ label: `Wall time by category: ${names.map((name, i) => `${name} ${duration(run.time.seconds[i])}`).join(", ")}`, parts: names, format: duration, rows: data.runs.map((one) => ({ name: `${several ? `${one.name}: ` : ""}${duration(total(one))}`, values: one.time.seconds })) });
  const figures = table("Wall time", [{ name: "category" }, ...data.runs.flatMap((one) => [{ name: several ? one.name : "time", number: true }, { name: "share", number: true }])],
    names.map((name, i) => [name, ...data.runs.flatMap((one) => [duration(one.time.seconds[i]), `${((100 * one.time.seconds[i]) / (total(one) || 1)).toFixed(1)}%`])]));
  const shown = names.map((name, i) => [name, i]).filter(([, i]) => Math.max(0, ...run.time.shares[i]) >= 20);
  const over = html("figure", {}, curves({ label: "Share of wall time by category over environment steps", height: 200, xName: "environment steps", series: shown.map(([, i]) => ({ colour: partColour(i).colour, x: run.time.steps, y: run.time.shares[i] })) }), html("figcaption", {}, `Share of each window's wall time${several ? ` of ${run.name}` : ""}; categories that stay below 2 % are left out.`));
  const rows = () => [["run", "category", "seconds"], ...data.runs.flatMap((one) => names.map((name, i) => [one.name, name, one.time.seconds[i]]))];
  return section("time", "Time", "Where the wall time went. Simulation that runs beside an update counts only where the learner waited for it.", [parts, legend(names.map((name, i) => ({ name, ...partColour(i) }))), html("div", { class: "two" }, figures, over)], several ? "comparison" : run.name, rows, () => data.runs.map((one) => ({ run: one.name, ...one.time })));
}

function configSection(context) {
  const { data, run, several } = context, value = (one) => html("code", {}, JSON.stringify(one));
  const { preset, named, changes } = run.config;
  const told = changes.length ? table(`Settings that differ from the preset ${preset}`, [{ name: "setting" }, { name: "in the preset" }, { name: several ? `in ${run.name}` : "in this run" }], changes.map(([name, before, now]) => [html("code", {}, name), value(before), value(now)])) : html("p", {}, `Every setting is as in the preset ${preset}.`);
  const between = several ? (data.differences.length ? table("Settings in which the runs differ", [{ name: "setting" }, ...data.runs.map((one) => ({ name: one.name }))], data.differences.map(([name, ...values]) => [html("code", {}, name), ...values.map(value)])) : html("p", {}, "The runs have the same settings.")) : null;
  const rows = () => [["run", "setting", "preset", "value"], ...data.runs.flatMap((one) => one.config.changes.map(([name, before, now]) => [one.name, name, JSON.stringify(before), JSON.stringify(now)]))];
  const origin = html("details", { id: "origin" }, html("summary", {}, "Where this comes from"), html("p", {}, "Command: ", html("code", {}, run.command)), html("p", {}, "Directory: ", html("code", {}, run.directory)), run.info ? html("p", {}, "Digest of the last checkpoint: ", html("code", {}, run.info.digest)) : null);
  return section("config", "Config", named ? `Compared with the preset ${preset}, which the run began with.` : `Compared with ${preset}, the preset that is nearest.`, [between, several ? html("div", { class: "controls" }, runChoice(context, "config")) : null, told, origin], several ? "comparison" : run.name, rows, () => data.runs.map((one) => ({ run: one.name, ...one.config })));
}

present(build);
