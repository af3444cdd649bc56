"""PathNet as a configuration: what its settings mean, in the preset and in the study of frontiers."""

from pathlib import Path

import numpy as np
import pytest

from genoevo import StagedLayout
from genoevo.operators.reproduction import Origin
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.evolution.evolver import Evolver
from genoevo_runs import yaml_text
from genoevo_runs.settings import merge, parse_setting

STUDY = Path(__file__).parents[2] / "studies/frontier.yaml"
TASKS = ["a", "b", "c"]


def _of_study():
    study = yaml_text.load(STUDY.read_text(encoding="utf-8"))
    settings = {**study["settings"], **study["runs"]["pathnet-small"]}
    typed = (parse_setting(f"{name}={str(value).lower()}") for name, value in settings.items())
    return merge(preset(study["preset"]), *typed)


@pytest.fixture(params=["preset", "study"])
def config(request):
    return build_config(preset("pathnet") if request.param == "preset" else _of_study())


@pytest.fixture
def community(config):
    return Evolver.fresh(config.evolution, TASKS, seed=1).community


def test_an_input_is_in_or_out(config, community):
    assert config.genotypes.precision == 1
    weights, stages = community.weights(), community.stages
    for part in StagedLayout(1).segments(int(stages[0])):
        gates = weights[:, part] / weights[:, part].max(axis=1, keepdims=True)
        assert set(np.unique(gates)) <= {0.0, 1.0}
        assert weights[:, part].sum(axis=1) == pytest.approx(1)  # a module reads a mean, not a sum


def test_children_are_mutants_of_the_winners_of_binary_tournaments_within_a_task(community):
    performance, wins = np.tile([1.0, 0.5, 0.0], (len(TASKS), 1)), []
    for _ in range(200):
        done = community.step(performance)
        assert set(done.origins.ravel()) == {Origin.MUTATION}
        assert (done.parents[:, :, 1] == -1).all()
        task, place = np.divmod(done.parents[:, :, 0], community.size)
        assert (task == np.arange(len(TASKS))[:, None]).all()
        wins.append(np.bincount(place.ravel(), minlength=3))
    # Two contenders, each drawn from three: the best wins 5 of 9 tournaments.
    assert np.sum(wins, axis=0) / np.sum(wins) == pytest.approx([5 / 9, 3 / 9, 1 / 9], abs=0.05)


def test_the_number_of_modules_a_genotype_uses_does_not_count(community):
    performance = np.tile([1.0, 0.5, 0.0], (len(TASKS), 1))
    assert np.array_equal(community.step(performance).scores, performance)


def test_nothing_grows_or_shrinks(config, community):
    start = community.stages.tolist()
    for success in [0.0] * (config.growth.warmup_rounds + config.growth.patience + 5) + [1.0] * 5:
        done = community.step(np.full((len(TASKS), community.size), success))
        assert (done.grown, done.shrunk) == ([], [])
    assert community.stages.tolist() == start


def test_modules_are_plain_and_the_start_is_random(config):
    assert (config.network.modules, config.genotypes.start) == ("plain", "random")
    assert (config.selection.rule, config.candidates.children) == ("round", 0)
