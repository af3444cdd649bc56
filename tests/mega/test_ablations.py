import itertools
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.envs.episodes import FinishedEpisodes
from genoevo_mega.evolution.evolver import Evolver
from genoevo_runs.errors import ConfigError
from genoevo_runs.settings import merge, parse_setting

PAGE = Path(__file__).parents[2] / "docs/explanation/ablations.rst"
DOCUMENTED = re.findall(r"``(--set [^`]*)``", PAGE.read_text())
TASKS = ["a", "b"]
FOR_BEFORE = {"rollback", "hybrid_rate"}  # extensions of the rules before selection by record
BEFORE = re.search(r"The rules before are\n\n.. code-block:: console\n\n((?:   .*\n)+)", PAGE.read_text())[1]


def _before():
    """The settings of the page's command for the rules before selection by record."""
    words = shlex.split(BEFORE.replace("\\\n", " "))
    return [word for flag, word in itertools.pairwise(words) if flag == "--set"]


def _evolver(*settings, seed=1):
    config = build_config(
        preset("mt10"), {"growth": {"patience": 1, "warmup_rounds": 1}}, *map(parse_setting, settings)
    )
    return Evolver.fresh(config.evolution, TASKS, seed)


def _round(evolver, success=(False, True, False)):
    for each in success:
        mask, tasks = np.ones(2, bool), np.arange(2)
        evolver.record_episodes(FinishedEpisodes(mask, tasks, np.arange(2.0), np.array([each, False])))
    return evolver.end_round()


def _texts(evolver):
    return [str(genotype) for genotype in evolver.community.population]


@pytest.mark.parametrize("command", DOCUMENTED)
def test_documented_settings_are_legal_and_change_something(command):
    settings = merge(*[parse_setting(word) for word in shlex.split(command) if word != "--set"])
    assert build_config(settings) != Config()
    before = merge(*map(parse_setting, _before()) if FOR_BEFORE & set(settings.get("genotypes", {})) else [])
    assert build_config(preset("mt10"), before, settings) != build_config(preset("mt10"), before)


def test_there_are_as_many_documented_settings_as_ablations():
    assert len(DOCUMENTED) == 15


def test_without_growth_every_task_stays_at_the_start_stage():
    evolver = _evolver("growth.max_modules=3")
    for _ in range(8):
        _round(evolver, [False] * 3)
    assert evolver.stages.tolist() == [3, 3]


def test_without_evolution_the_genotypes_of_the_start_stay_and_all_of_them_drive():
    evolver = _evolver("genotypes.evolve=false", "growth.max_modules=3")
    before = _texts(evolver)
    for _ in range(5):
        _round(evolver)
    assert sorted(_texts(evolver)) == sorted(before)
    assert evolver.community.rounds == 5


def test_at_decimal_scale_0_all_weights_are_uniform():
    routing = _evolver("decoding.kind=dense", "decoding.decimal_scale=0").acting_routing()
    assert torch.allclose(routing.output[:, 0, :4], torch.tensor(0.25))
    assert torch.allclose(routing.inputs[:, 0, 1, :3], torch.tensor(1 / 3))


def test_the_rules_before_are_the_defaults_of_their_settings():
    changed = merge(*map(parse_setting, _before()))
    assert build_config(preset("mt10"), changed) != build_config(preset("mt10"))
    defaults = Config().model_dump()
    for group, values in changed.items():
        for name, value in values.items() if isinstance(values, dict) else [(None, values)]:
            assert (defaults[group] if name is None else defaults[group][name]) == value


def test_random_search_keeps_the_elite_and_draws_everything_else_anew():
    no_parents = "reproduction.crossover_threshold=0", "reproduction.mutation_threshold=0"
    evolver = _evolver(*_before(), *no_parents, "growth.max_modules=3")
    bits = []
    for _ in range(60):
        before = _texts(evolver)
        _round(evolver)
        after = _texts(evolver)
        assert after[0] == before[1]  # the one genotype of the first task that succeeded
        assert evolver.community.population.evaluated.sum() == 2  # as many evaluations as any other reproduction
        bits += [list(map(int, text)) for text in after[1:3]]
    # A child owes nothing to its parents: every bit is 1 in half of 120 children, within 4 standard errors.
    assert abs(np.mean(bits, axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(120)


def test_evolution_respects_the_budget_of_modules():
    evolver = _evolver("genotypes.module_budget=7", "growth.patience=1")
    for _ in range(12):
        _round(evolver, [False] * 3)
    assert evolver.stages.sum() == 7


def test_a_budget_below_the_start_stages_is_refused():
    with pytest.raises(ConfigError, match=r"genotypes\.module_budget = 5: must be at least 6, 2 tasks of stage 3"):
        _evolver("genotypes.module_budget=5")
