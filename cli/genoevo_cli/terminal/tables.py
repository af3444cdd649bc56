"""Tables of runs, presets, tasks, policies and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from genoevo_cli.terminal import console, structure

if TYPE_CHECKING:
    from genoevo_mega.experiments.compare import Comparison
    from genoevo_mega.experiments.dry_run import RunEstimate
    from genoevo_mega.policies.export import Exported
    from genoevo_mega.training.evaluation import SuccessRate
    from genoevo_runs.statistics import Interval, Mean


def print_evaluation(info: dict[str, Any], estimates: dict[str, SuccessRate]) -> None:
    """Print the evaluation of a run, and its wall time below."""
    episodes = next(iter(estimates.values())).episodes
    headings = "success", "95 % interval", "stage", "effective modules"
    table = numbers_table("task", *headings, title=f"greedy policy, {episodes} unseen goals per task")
    for name, estimate in estimates.items():
        task = info["tasks"][name]
        interval = f"{estimate.low:.0%} to {estimate.high:.0%}"
        table.add_row(name, f"{estimate.success:.0%}", interval, str(task["stage"]), str(task["effective_modules"]))
    mean = sum(estimate.success for estimate in estimates.values()) / len(estimates)
    table.add_section()
    table.add_row("mean", f"{mean:.0%}")
    console.stderr().print(table)
    print_sizes(info)
    _print_warnings(info)
    _print_time(info)


def print_sizes(info: dict[str, Any]) -> None:
    """Print what a run trains, what a task's policy takes, and beside it the size that was asked for."""
    actor, critic = (_trained(info["sizes"][network]) for network in ("actor", "critic"))
    console.prose(f"parameters: actor {actor}, each critic {critic}{_deployed(info['sizes']['policy'])}")
    if info["match_parameters"]:
        console.prose(match_line(info["architecture"], info["match_parameters"]))


def print_info(info: dict[str, Any]) -> None:
    """Print a summary of a run."""
    title = f"{info['architecture']} on {info['suite'].replace(',', ', ')}"
    table = numbers_table("task", "success", "stage", "effective modules", title=title)
    if masked := any("masked" in task for task in info["tasks"].values()):
        table.add_column("updates masked", justify="right")
    for name, task in info["tasks"].items():
        cells = [percent(task["success"]), str(task["stage"]), str(task["effective_modules"])]
        table.add_row(name, *cells, *([f"{task['masked']:,}"] if masked else []))
    console.stderr().print(table)
    _print_warnings(info)
    console.prose(
        f"{info['steps']:,} steps, {info['updates']:,} updates, {info['rounds']:,} rounds, seed {info['seed']}; "
        f"{info['pool_size']} modules; replay {info['replay_bytes'] / 2**20:,.0f} MiB"
    )
    print_sizes(info)
    structure.print_evolved(info)
    for stint in info["machines"]:
        if stint["line"]:
            console.prose(f"{stint['time'][:10]}: {stint['line']}.")
    _print_time(info)
    console.note(f"digest {info['digest']}")


def _print_warnings(info: dict[str, Any]) -> None:
    for line in info["warnings"]:
        console.prose(f"Warning: {line}.")


def _trained(size: dict[str, int | None]) -> str:
    grown = "" if size["at_start"] in (None, size["now"]) else f" ({size['at_start']:,} at the start)"
    return f"{size['now']:,}{grown}"


def _deployed(policy: dict[str, float] | None) -> str:
    if policy is None:
        return ""
    return (
        f"; a task's policy, on average: {policy['parameters']:,.0f} parameters, {policy['multiply_adds']:,.0f} "
        "multiply-adds per action"
    )


def print_presets(changed: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> None:
    """Print the settings that each preset changes, beside their defaults."""
    for name, settings in changed.items():
        table = Table(title=name, title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=bool(settings))
        for heading in ("setting", "preset", "default"):
            table.add_column(heading, overflow="fold")
        for setting, value in settings.items():
            # Spaces let a list of tasks break between two of them.
            table.add_row(setting, *(str(each).replace(",", ", ") for each in (value, defaults[setting])))
        console.stderr().print(table, "" if settings else "same as the defaults\n", markup=False)


def print_tasks(described: dict[str, dict[str, Any]]) -> None:
    """Print what is known about every task before training."""
    table = Table(title="expert, random: success rates; steps: the expert's", padding=0)
    for heading in ("task", "suites"):
        table.add_column(heading, no_wrap=True)
    for heading in ("cost", "steps", "expert", "random"):
        table.add_column(heading, justify="right")
    for name, task in described.items():
        steps = task["expert_steps"]
        table.add_row(
            name,
            " ".join(task["suites"]),
            f"{task['cost']:.2f}",
            "-" if steps is None else f"{steps:.0f}",
            percent(task["expert_success"]),
            percent(task["random_success"]),
        )
    console.stderr().print(table)


def print_estimate(found: RunEstimate, steps: int) -> None:
    """Print the sizes and the estimated time of a run that has not started."""
    console.prose(
        f"{found.tasks} tasks; at the start {found.actor_parameters:,} parameters in the actor and "
        f"{found.critic_parameters // 2:,} in each critic{_deployed(found.policy and found.policy.model_dump())}"
    )
    console.prose(
        f"memory: replay {found.replay_bytes / 2**20:,.0f} MiB when full, weights and optimiser "
        f"{found.weights_bytes / 2**20:,.1f} MiB, plus the environments"
    )
    console.prose(
        f"probe: environments built in {found.building_seconds:.0f} s, then {found.steps_per_second:,.0f} steps/s "
        f"and {found.updates_per_second:,.1f} updates/s"
    )
    console.prose(f"estimate: {duration(found.seconds)} for {steps:,} steps; a run whose tasks grow takes longer")


def print_exported(exported: list[Exported], cut: str) -> None:
    """Print the cost of each exported policy, for MEGA relative to the whole pool, and what was removed."""
    columns = [("task", [one.task for one in exported])]
    whole = exported[0].full_multiply_adds is not None
    if whole:
        columns.append(("modules", [str(len(one.modules)) for one in exported]))
    columns.append(("parameters", [f"{one.parameters:,}" for one in exported]))
    columns.append(("multiply-adds", [f"{one.multiply_adds:,}" for one in exported]))
    columns.append(("", [_share(one.multiply_adds, one.full_multiply_adds) for one in exported]))
    columns.append(("latency", [f"{one.microseconds:,.0f} µs" for one in exported]))
    columns.append(("", [_share(one.microseconds, one.full_microseconds) for one in exported]))
    columns.append(("differs by", [f"{one.difference:.0e}" for one in exported]))
    columns = [column for column in columns if any(column[1])]
    table = Table(padding=0, pad_edge=False)
    for number, (heading, _) in enumerate(columns):
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in zip(*(values for _, values in columns), strict=True):
        table.add_row(*row)
    console.stderr().print(table)
    console.prose(f"Removed: {cut}.")
    if settled := [one.task for one in exported if one.genotype == "settled"]:
        console.prose(f"Not the elite but a settled genotype of the frontier: {', '.join(settled)}.")
    if whole:
        console.prose("Percentages are relative to a policy that uses the whole pool.")


def _share(value: float, full: float | None) -> str:
    return "" if full is None else f"{value / full:.0%}"


def print_comparison(comparison: Comparison) -> None:
    """Print what methods reached, by tasks and by runs, and what they cost, with notes and warnings below."""
    better, minus = f"better than {comparison.reference}", f"minus {comparison.reference}"
    reached = numbers_table("method", "success (IQM)", "95 % interval", "by whole runs", better)
    means = numbers_table("method", "mean success", minus, "pairs", "worst task")
    cost = numbers_table("method", "seeds", "actor", "multiply-adds", "each critic", "steps", "wall time")
    for method in comparison.methods:
        first, chance = method.results[0], comparison.improvement.get(method.name)
        walls = [result.wall_seconds for result in method.results]
        reached.add_row(
            method.name,
            f"{method.iqm.value:.0%}",
            _between(method.iqm),
            _between(method.iqm_whole_runs),
            f"{chance.value:.2f} ({_between(chance, '.2f')})" if chance else "-",
        )
        difference = comparison.difference.get(method.name)
        paired = (_points(difference, "+"), str(difference.runs)) if difference else ("-", "-")
        means.add_row(method.name, _points(method.mean), *paired, f"{method.worst_task:.0%}")
        sizes = (_rounded(value) for value in (method.sizes.actor, method.sizes.multiply_adds, method.sizes.critic))
        seeds, steps = str(len(method.results)), f"{first.total_steps:,}"
        cost.add_row(method.name, seeds, *sizes, steps, duration(sum(walls) / len(walls)))
    # A pipe has no width; 80 columns might break cells.
    terminal = console.stderr()
    wide = terminal if terminal.is_terminal else Console(stderr=True, highlight=False, width=180)
    wide.print(reached, means, cost)
    console.prose(
        "Better than: the probability of improvement. Mean success and differences in percentage points, with "
        "standard errors over runs; runs of one seed are paired. Actor and critic: trained parameters at the end. "
        "Multiply-adds: those of a task's exported policy for one action. These and wall time are means over seeds; "
        "steps are the first seed's."
    )
    for warning in comparison.warnings:
        console.prose(warning)


def _points(mean: Mean, sign: str = "") -> str:
    error = "" if mean.error is None else f" ± {100 * mean.error:.1f}"
    return f"{100 * mean.value:{sign}.1f}{error}"


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def numbers_table(name: str, *headings: str, title: str | None = None) -> Table:
    """An empty table with a column of names and, aligned right, columns of numbers."""
    table = Table(title=title)
    table.add_column(name, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _between(interval: Interval, form: str = ".0%") -> str:
    if interval.low is None or interval.high is None:
        return "too few seeds"
    return f"{interval.low:{form}} to {interval.high:{form}}"


def match_line(architecture: str, match: dict[str, Any], policy: dict[str, float] | None = None) -> str:
    """Return a line that compares an architecture's networks at the start with the requested size.

    *policy* is the size of a task's policy, where it is not printed already.
    """
    actor, critic = (_beside_target(match[network]) for network in ("actor", "critic"))
    keeps = architecture == "mega" and isinstance(match["to"], str)
    how = "keeps its widths beside" if keeps else "sized to"
    sizes = f"actor {actor} and each critic {critic} parameters{' at the start' if keeps else ''}"
    return f"{architecture} {how} {match['to']}: {sizes}{_deployed(policy)}"


def _beside_target(size: dict[str, Any]) -> str:
    if size["target"] is None:
        return f"{size['parameters']:,} (not sized)"
    return f"{size['parameters']:,} of {size['target']:,} ({size['parameters'] / size['target'] - 1:+.1%})"


def _print_time(info: dict[str, Any]) -> None:
    seconds, budget = info["time"], info["budget"]
    total = sum(seconds.values())
    table = numbers_table("wall time", "seconds", "share")
    for name, value in seconds.items():
        table.add_row(name, f"{value:,.1f}", f"{value / total:.1%}")
    table.add_section()
    table.add_row(f"total {duration(total)}", f"{total:,.1f}", "100.0%")
    console.stderr().print(table)
    rates = [f"{budget['steps_per_second']:,.0f} environment steps/s"]
    if budget["simulator_steps_per_second"]:
        rates.append(f"the workers alone could give {budget['simulator_steps_per_second']:,.0f}")
    if budget["learner_of_matrix_products"]:
        rates.append(
            f"the learner runs at {budget['learner_of_matrix_products']:.0%} of this machine's matrix products"
        )
    console.prose("; ".join(rates))


def percent(value: float | None) -> str:
    """A fraction as a whole percentage, or a dash if there is none."""
    return "-" if value is None else f"{value:.0%}"


def duration(seconds: float) -> str:
    """Seconds as ``h:mm:ss`` or ``m:ss``, or a question mark if they are infinite."""
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
