import importlib.util
from pathlib import Path

import numpy as np
import pytest

from genoevo_mega.agents.sizing import sizes
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs import registry
from genoevo_mega.experiments import runs
from genoevo_mega.run_kind import KIND
from genoevo_runs import sweep

STUDIES = Path(__file__).parents[2] / "studies"
FILES = sorted(STUDIES.glob("*.yaml"), key=lambda path: path.stem)


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def specialisation():
    return loaded("specialisation")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("scale", ["laptop", "node", "paper"])
def test_every_study_says_its_question_and_means_valid_runs_at_every_scale(path, scale):
    study = sweep.read_sweep(KIND, path, scale)
    assert study.question.endswith("?")
    planned = sweep.plan(KIND, study, path, Path("unused"))
    assert len(planned) >= 3
    assert path.read_text().startswith("# ")


def test_the_baselines_have_megas_size_at_its_largest_pool():
    file = STUDIES / "baselines.yaml"
    planned = sweep.plan(KIND, sweep.read_sweep(KIND, file, "laptop"), file, Path("unused"))
    first = [run.config for run in planned if run.seed == 1]
    for config in first:
        if config.architecture != "mega":
            found = sizes(config, registry.make_suite(config))
            assert found.parameters == pytest.approx(found.target, rel=0.02)


def test_the_picture_of_specialisation_is_drawn_from_a_run(specialisation, tmp_path):
    settings = {"suite": "point,car", "steps": 240, "growth": {"patience": 1, "warmup_rounds": 1, "mastery": 1.0}}
    config = build_config(preset("smoke"), settings, {"evaluation": {"at_end": False}})
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    trainer.run(config.steps)
    drawn = specialisation.draw([tmp_path / "run"], tmp_path / "a.png")
    assert drawn["stage"] == trainer.state.evolver.community.stages.tolist()
    assert drawn["stage"] > [2, 2]
    assert np.array(drawn["shares"]).shape == (2, config.growth.max_modules + 1)
    assert np.allclose(np.diag(drawn["likeness"]), 1)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_likeness_is_one_for_the_same_use_of_modules_and_zero_for_none_in_common(specialisation):
    shares = np.array([[0.0, 1.0, 1.0], [0.0, 2.0, 2.0], [3.0, 0.0, 0.0]])
    assert np.allclose(specialisation.likeness(shares), [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


@pytest.fixture(scope="module")
def elites():
    return loaded("elites")


def test_elites_are_measured_against_the_other_genotypes_of_a_run(elites, tmp_path):
    settings = {"suite": "point,car", "steps": 480, "selection": {"rule": "record"}, "candidates": {"children": 4}}
    config = build_config(preset("smoke"), settings, {"evaluation": {"at_end": False}})
    runs.create(tmp_path / "run", config, ["test"], lambda status: None).run(config.steps)
    measured = elites.measure(tmp_path / "run", 2)
    assert np.array(measured["success"]).shape == (2, config.genotypes.population_size)
    assert len(measured["elite_minus_others"]) == 2


def test_elites_are_compared_with_genotypes_that_are_at_least_half_as_old(elites):
    success = np.array([[0.5, 0.25, 0.75], [1.0, 0.0, 0.0]])
    age = np.array([[4, 2, 1], [4, 0, 1]])
    assert elites.difference(success, age) == [0.25, None]


def test_growth_is_measured_by_the_newest_module_and_by_the_success_before_it(tmp_path):
    settings = {"suite": "point,car", "steps": 480, "growth": {"patience": 1, "warmup_rounds": 1, "mastery": 1.0}}
    config = build_config(preset("smoke"), settings, {"evaluation": {"at_end": False}})
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    trainer.run(config.steps)
    used = loaded("growth_used")
    growths, stages = used.growths(tmp_path / "run"), trainer.state.evolver.stages
    assert len(growths) == (stages - config.genotypes.start_stage).sum() > 0
    shares = used.newest_shares(tmp_path / "run")
    assert shares.keys() == {growth["task"] for growth in growths}
    assert all(0 <= share <= 1 for share in shares.values())


def test_a_run_is_recorded_beside_the_others_with_its_minutes_and_machine(tmp_path):
    laptop = loaded("laptop")
    settings = {"suite": "point,car", "steps": 240, "evaluation": {"every": 100, "at_end": True}}
    trainer = runs.create(tmp_path / "run", build_config(preset("smoke"), settings), ["test"], lambda status: None)
    trainer.run(240)
    found = laptop.record("smoke", tmp_path / "run")
    steps, minutes = ([each[name] for each in found["evaluations"]] for name in ("step", "minutes"))
    assert steps[-1] == 240
    assert minutes == sorted(minutes)
    assert minutes[-1] == round(sum(found["seconds"].values()) / 60, 2)
    assert found["machine"]["cores"] >= 1
    assert (found["settings"]["suite"], found["compute"]["workers"]) == ("point,car", 1)
    laptop.draw([found], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000
