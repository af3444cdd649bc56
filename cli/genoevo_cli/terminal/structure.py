"""Tables of what evolution has made of a run: modules, frontiers, and what selection did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from genoevo_cli.terminal import console

if TYPE_CHECKING:
    from genoevo_mega.experiments.frontiers import Measured

_SHOWN = 0.005  # share of the output from which a module is shown, half a percent


def print_evolved(info: dict[str, Any]) -> None:
    """Print which task uses which module, the frontiers, and the figures of selection, if the run has them."""
    if info["module_shares"]:
        _print_shares(info["module_shares"])
    if info["frontier"]:
        _print_estimates(info["frontier"])
    if info["selection"]:
        _print_selection(info["selection"])


def _print_shares(by_task: dict[str, list[float]]) -> None:
    table = Table(title="modules that elites use, and the share of the output through each")
    table.add_column("task", overflow="fold")
    table.add_column("module (share)")
    for name, shares in by_task.items():
        used = [f"{k} ({share:.0%})" for k, share in enumerate(shares, 1) if share >= _SHOWN]
        table.add_row(name, ", ".join(used) or "-")
    console.stderr().print(table)


def _print_estimates(frontier: dict[str, list[dict[str, Any]]]) -> None:
    headings = "multiply-adds", "modules", "success", "rounds"
    table = _by_cost("frontiers, success in training with its standard error", *headings)
    for name, found in frontier.items():
        for one in found:
            success = f"{one['estimate']:.0%} ± {one['error']:.0%}"
            cells = f"{one['multiply_adds']:,}", str(one["modules"]), success, str(one["age"])
            table.add_row(name if one is found[0] else "", *cells, "elite" if one["elite"] else "")
        table.add_section()
    console.stderr().print(table)


def _print_selection(found: dict[str, Any]) -> None:
    survival, wins = found["survival"], found["wins"]
    parts = []
    if survival["cases"]:
        chance = "" if survival["chance"] is None else f", by chance {survival['chance']:.1%}"
        parts.append(f"elites survived {survival['share']:.1%} of {survival['cases']:,} rounds of a task{chance}")
    if wins:
        error = "" if wins["error"] is None else f" ± {wins['error']:.1%}"
        parts.append(f"elites did better than {wins['share']:.1%}{error} of genotypes at least half as old")
    if found["overlap"] is not None:
        parts.append(f"overlap between tasks {found['overlap']:.2f}")
    if found["surrogate_correlation"] is not None:
        parts.append(f"rank correlation of surrogate and later returns {found['surrogate_correlation']:.2f}")
    if parts:
        console.prose(f"selection: {'; '.join(parts)}")
    if found["warning"]:
        console.prose(f"warning: {found['warning']}")


def print_frontiers(measured: dict[str, list[Measured]], full: int) -> None:
    """Print success against multiply-adds for every genotype of each task; *full* are the whole pool's."""
    episodes = next(iter(measured.values()))[0].success.episodes
    headings = "multiply-adds", "of pool", "modules", "success", "95 % interval"
    table = _by_cost(f"frontiers, greedy policies, {episodes} unseen goals per task", *headings)
    for name, found in measured.items():
        for one in found:
            success, cost = one.success, one.costed
            table.add_row(
                name if one is found[0] else "",
                f"{cost.multiply_adds:,}",
                f"{cost.multiply_adds / full:.0%}",
                str(cost.modules),
                f"{success.success:.0%}",
                f"{success.low:.0%} to {success.high:.0%}",
                "elite" if cost.member.elite else "",
            )
        table.add_section()
    console.stderr().print(table)


def _by_cost(title: str, *headings: str) -> Table:
    """A narrow table of tasks with a row for each genotype, and a last column for the word elite."""
    table = Table(title=title, padding=0)
    table.add_column("task", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("")
    return table
