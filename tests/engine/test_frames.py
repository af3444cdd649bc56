"""Logs, populations and lineages as data frames of pandas."""

import sys

import numpy as np
import pytest
from deap.tools import MultiStatistics, Statistics

from genoevo import Evolution, Population, Record
from genoevo.evaluation import Failure, InProcess
from genoevo.operators import Operators, mutation
from genoevo.state import load, save


def searched(weights=(1.0,), **more):
    def evaluate(genotype):
        return [sum(genotype) + i for i in range(len(weights))]

    start = Population.random(6, 12, np.random.default_rng(1), weights)
    evolution = Evolution(evaluate, start, seed=1, record=Record(lineage=True), **more)
    evolution.run(4)
    return evolution


@pytest.mark.parametrize("part", ["logbook", "population", "lineage"])
def test_without_pandas_one_line_says_what_to_install(part, monkeypatch):
    found = getattr(searched(), part)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"^a data frame of a \w+ needs pandas: pip install pandas$"):
        found.to_pandas()


class TestWithPandas:
    @pytest.fixture(autouse=True)
    def _pandas(self):
        pytest.importorskip("pandas")

    def test_a_log_has_a_row_for_each_generation(self):
        log = searched().logbook
        frame = log.to_pandas()
        assert frame.index.tolist() == [1, 2, 3, 4]
        assert frame.index.name == "generation"
        for name in ("evaluations", "best", "mean", "length", "failed"):
            assert frame[name].tolist() == log.select(name)

    def test_chapters_and_reasons_are_columns(self):
        statistics = MultiStatistics(
            fitness=Statistics(lambda genotype: genotype.fitness.values[0]), size=Statistics(len)
        )
        statistics.register("max", np.max)
        evaluate = InProcess(lambda g: None if g[0] else sum(g), failure=Failure(action="worst"))
        start = Population.random(6, 12, np.random.default_rng(1))
        evolution = Evolution(evaluate, start, seed=1, statistics=statistics)
        evolution.run(4)
        frame = evolution.logbook.to_pandas()
        assert frame["size.max"].tolist() == [12] * 4
        assert frame["fitness.max"].tolist() == evolution.logbook.chapters["fitness"].select("max")
        reasons = [column for column in frame if column.startswith("reasons.")]
        assert frame[reasons].sum(axis=1).tolist() == frame["failed"].tolist()
        assert "reasons" not in frame

    def test_a_log_that_was_saved_can_do_so_too(self, tmp_path):
        evolution = searched()
        save(tmp_path / "a.npz", evolution.state_dict())
        again = Evolution.from_state(load(tmp_path / "a.npz"), sum)
        assert again.logbook.to_pandas().equals(evolution.logbook.to_pandas())

    def test_an_empty_log_is_an_empty_frame(self):
        assert not len(Evolution(sum, ["01", "10"], seed=1).logbook.to_pandas())

    def test_a_population_has_a_row_for_each_genotype(self):
        population = Population.from_genotypes(["011", "10"])
        frame = population.to_pandas()
        assert frame["genotype"].tolist() == ["011", "10"]
        assert frame["length"].tolist() == [3, 2]
        assert frame["fitness"].isna().all()
        population = searched((1.0, -1.0)).population
        frame = population.to_pandas()
        assert frame[["fitness_1", "fitness_2"]].to_numpy().tolist() == population.fitness.tolist()
        frame.loc[0, "fitness_1"] = 99.0
        assert population.fitness[0, 0] != 99

    def test_a_lineage_has_a_row_for_each_evaluated_genotype(self):
        own = Operators(mutation=lambda population, rng: mutation.flip(population, rng))
        lineage = searched(operators=own).lineage
        frame = lineage.to_pandas()
        assert frame.index.name == "number"
        assert frame[["parent_1", "parent_2"]].to_numpy().tolist() == lineage.parents.tolist()
        assert frame["generation"].tolist() == lineage.generations.tolist()
        assert frame["fitness"].tolist() == lineage.fitness[:, 0].tolist()
        assert frame["origin"][:6].tolist() == ["given"] * 6
        assert frame["operators"][:6].tolist() == [""] * 6
        made = frame[frame["origin"].isin(["crossover", "mutation"])]
        assert set(made["operators"]) == {lineage.operators["mutation"]}
