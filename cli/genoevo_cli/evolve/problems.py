"""The problems of ``genoevo evolve``: genoevo's own, by name, and the user's, as ``package.module:callable``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from genoevo import FlatLayout, Genotype, Population
from genoevo._check import check_number, check_whole, shown
from genoevo._numbers import as_weights
from genoevo.evaluation import InProcess, Vectorised
from genoevo.evolution import Constraints
from genoevo.layout import Layout
from genoevo.problems import PROBLEMS, Problem
from genoevo.state.values import json_leaf
from genoevo_runs import user_code
from genoevo_runs.errors import ConfigError
from genoevo_runs.user_code import is_code

SETTING = "problem"
ALLOW_PROBLEM = "GENOEVO_ALLOW_PROBLEM"
user_code.register(SETTING, ALLOW_PROBLEM)

Value = int | float | bool | str
ProblemSettings = dict[str, Value]


@dataclass(frozen=True)
class Posed:
    """A problem as a search needs it.

    Attributes
    ----------
    evaluate : InProcess or Vectorised
    size : int
        Bits of a genotype, or what the problem calls its size.
    layout : Layout
    weights : tuple of float
    constraints : Constraints
    optimum : float or None
    random : callable
        ``(n, rng) -> Population``, the genotypes to start from.
    decode : callable or None
        ``(Genotype) -> object``, what a genotype means.

    """

    evaluate: InProcess | Vectorised
    size: int
    layout: Layout
    weights: tuple[float, ...]
    constraints: Constraints
    optimum: float | None
    random: Callable[[int, np.random.Generator], Population]
    decode: Callable[[Genotype], Any] | None

    @property
    def objectives(self) -> tuple[float, ...]:
        """The weights of the objectives, without the constraints."""
        return self.constraints.objectives(self.weights)

    @property
    def varies(self) -> bool:
        """Whether genotypes may have different lengths."""
        return not isinstance(self.layout, FlatLayout) or self.layout.genes is None


def parameters(problem: str) -> Mapping[str, inspect.Parameter]:
    """Return the settings of a problem besides its size; imports the user's own, which must be allowed."""
    known = _settable(PROBLEMS[problem] if problem in PROBLEMS else _imported(problem))
    known.pop("size", None)
    return known


def defaults(problem: str) -> ProblemSettings:
    """Return the settings of a problem that have a default, except its size."""
    return {name: it.default for name, it in parameters(problem).items() if isinstance(it.default, Value)}


def parse_settings(problem: str, settings: Sequence[str]) -> ProblemSettings:
    """Parse settings of the form ``NAME=VALUE``; ValueError if the problem does not have one of them."""
    known, values = parameters(problem), ProblemSettings()
    for setting in settings:
        name, equals, value = setting.partition("=")
        if name == "size":
            raise ValueError(f"the size of {problem} is given by --size, not by --set, got {setting!r:.80}")
        if not equals or name not in known:
            raise ValueError(f"--set of {problem} takes {listed(known)}, got {setting!r:.80}")
        values[name] = _parsed(name, value, known[name].default)
    return values


def listed(known: Mapping[str, object]) -> str:
    """Return the names of settings, for a message."""
    return ", ".join(f"{name}=..." for name in known) or "nothing"


def pose(problem: str, size: int | None, settings: ProblemSettings) -> Posed:
    """Return a problem with its settings.

    Raises ValueError, which names a setting that is not allowed, and ConfigError for the user's own problem if it
    cannot be imported or does not say what a search needs.
    """
    known = parameters(problem)
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"--set of {problem} takes {listed(known)}, got '{name}={value}'")
    if problem in PROBLEMS:
        given = settings if size is None else {"size": size, **settings}
        made = PROBLEMS[problem](**given)  # type: ignore[arg-type]
        return Posed(Vectorised(made), made.size, made.layout, (1.0,), Constraints(), made.optimum, made.random, None)
    missing = [name for name, it in known.items() if it.default is it.empty and name not in settings]
    if missing:
        raise ConfigError(f"problem {problem} needs --set {missing[0]}=...")
    found = _imported(problem)
    try:
        return _own(found, size, settings)
    except ConfigError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise ConfigError(f"problem = {problem!r}: {user_code.line(error)}") from error


def _own(found: Any, size: int | None, settings: ProblemSettings) -> Posed:
    given = settings if size is None or "size" not in _settable(found) else {"size": size, **settings}
    made = found
    if isinstance(found, type):
        made = found(**given)
        if not _is_problem(made):
            raise ConfigError(f"problem: {found.__name__} has no method __call__ that returns the fitness")
    if isinstance(made, InProcess | Vectorised):
        evaluate, made = made, made.function
    elif isinstance(made, Problem):
        evaluate = Vectorised(made)
    else:
        evaluate = InProcess(partial(made, **given) if given and made is found else made)
    size = _size(made, size)
    weights = as_weights("fitness_weights", getattr(made, "fitness_weights", (1.0,)))
    constraints = Constraints(count=getattr(made, "constraints", 0))
    constraints.check_weights(weights)
    optimum, decode = getattr(made, "optimum", None), getattr(made, "decode", None)
    if optimum is not None:
        check_number("the optimum of a problem", optimum)
        optimum = json_leaf("optimum", optimum)
    layout = getattr(made, "layout", None) or FlatLayout(genes=size)
    if not isinstance(layout, Layout):
        raise ConfigError(f"layout of the problem must be one such as FlatLayout, got {shown(layout)}")
    random = _starting(getattr(made, "random", None), size, weights)
    return Posed(evaluate, size, layout, weights, constraints, optimum, random, decode)


def _starting(
    own: Callable[[int, np.random.Generator], Any] | None, size: int, weights: tuple[float, ...]
) -> Callable[[int, np.random.Generator], Population]:
    def random(n: int, rng: np.random.Generator) -> Population:
        if own is None:
            return Population.random(n, size, rng, weights)
        try:
            found = own(n, rng)
            start = found if isinstance(found, Population) else Population.from_genotypes(found, weights)
        except Exception as error:  # whatever the user's code raises
            raise ConfigError(f"random of the problem failed: {user_code.line(error)}") from error
        if len(start) != n or start.weights != weights:
            got = f"{len(start)} of {start.weights}"
            raise ConfigError(f"random of the problem must return {n} genotypes of weights {weights}, got {got}")
        return start

    return random


def _size(made: Any, size: int | None) -> int:
    own = getattr(made, "size", None)
    if own is None and size is None:
        raise ConfigError("--size is required: the problem has no attribute 'size', the bits of a genotype")
    if own is not None:
        check_whole("the size of a problem", own, 1)
        if size is not None and size != own:
            raise ConfigError(f"--size must be the problem's own, {own}, got {size}")
    chosen: int = size if own is None else own  # type: ignore[assignment]
    return chosen


def _imported(problem: str) -> Any:
    return user_code.imported(SETTING, problem, _is_problem)


def _is_problem(found: object) -> bool:
    return callable(found) or isinstance(found, InProcess | Vectorised)


def _settable(found: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class, and those of a function after the genotype."""
    if not isinstance(found, type) and not inspect.isroutine(found):
        return {}
    known = list(inspect.signature(found).parameters.items())
    after = known if isinstance(found, type) else known[1:]
    return {name: parameter for name, parameter in after if parameter.kind not in _VARIABLE}


def _parsed(name: str, value: str, default: object) -> Value:
    """Return a setting as a value of its default's type; without a default, as what it looks like."""
    if isinstance(default, bool):
        if value not in ("true", "false"):
            raise ValueError(f"{name} must be true or false, got {value!r:.80}")
        return value == "true"
    if isinstance(default, str):
        return value
    whole = re.fullmatch(r"[+-]?[0-9]{1,18}", value)
    number = re.fullmatch(r"[+-]?([0-9.]+([eE][+-]?[0-9]+)?|inf)", value)
    if isinstance(default, int) and not whole:
        raise ValueError(f"{name} must be a whole number, got {value!r:.80}")
    if whole and not isinstance(default, float):
        return int(value)
    try:
        return float(value) if number else _word(name, value, default)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {value!r:.80}") from None


def _word(name: str, value: str, default: object) -> Value:
    if isinstance(default, float):
        raise ValueError
    return {"true": True, "false": False}.get(value, value)


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

__all__ = ["ALLOW_PROBLEM", "SETTING", "Posed", "defaults", "is_code", "listed", "parse_settings", "pose"]
