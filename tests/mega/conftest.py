import multiprocessing
from contextlib import contextmanager
from functools import cache

import pytest
import torch

from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.envs import local_workers
from genoevo_mega.envs.metaworld import MetaWorldSuite
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.experiments import runs
from genoevo_mega.policies.policy import Trained
from genoevo_mega.training import trainer as training
from genoevo_mega.training.build import make_agent, make_structure
from tests.mega.suites import CountingSuite
from tests.mega.sweeps import plan_sweep, train_run

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _quick_workers():
    """Start rollout workers from a server that has imported their modules; the command line's tests spawn them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["genoevo_mega.envs.local_workers", "genoevo_mega.envs.fast_metaworld", "metaworld.env_dict"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_workers, "SPAWN", context)
        yield


@pytest.fixture(scope="session")
def counting_pool():
    with RolloutPool(CountingSuite(), workers=2) as pool:
        yield pool


@pytest.fixture(scope="session")
def metaworld_pool():
    names = ("drawer-close-v3", "button-press-topdown-v3", "door-open-v3")
    with RolloutPool(MetaWorldSuite(names, seed=3, goals=6), workers=2) as pool:
        yield pool


@pytest.fixture(scope="module")
def quick_runs():
    """Share a pool's workers and the machine's measured rate between the runs of a file: training takes less time."""
    pools = {}

    @contextmanager
    def lent(suite, workers, **settings):
        key = suite, workers, *sorted(settings.items())
        if key not in pools:
            pools[key] = RolloutPool(suite, workers, **settings)
        try:
            yield pools[key]
        except BaseException:  # the pool may be in the middle of a step
            pools.pop(key).close()
            raise

    with pytest.MonkeyPatch.context() as patch:
        for module in (runs, training):
            patch.setattr(module, "RolloutPool", lent)
        patch.setattr(training, "measure_matrix_rate", cache(training.measure_matrix_rate))
        yield
    for pool in pools.values():
        pool.close()


@pytest.fixture
def smoke() -> Config:
    return build_config(preset("smoke"))


@pytest.fixture(scope="session")
def untrained():
    """Return a function that makes a preset's run as before its first step, with a pool of *modules* modules."""

    def make(name: str, modules: int, **settings) -> Trained:
        config = build_config(preset(name), settings)
        suite = make_suite(config)
        agent = make_agent(config, suite)
        while len(agent.actor.pool) < modules:
            agent.grow()
        return Trained(config, suite, agent, make_structure(config, list(suite.names), config.seed).elite_routing())

    return make


FIXED = {
    "mtsac": {"mlp": {"layers": [9, 8]}},
    "mtmhsac": {"mlp": {"layers": [9, 8]}},
    "soft-modules": {"soft_modules": {"width": 9, "module_width": 8, "gating_width": 7, "layers": 3, "modules": 2}},
    "paco": {"paco": {"layers": [9, 8], "sets": 3}},
    "moore": {"moore": {"layers": [9, 8], "experts": 3}},
    "d2r": {"d2r": {"width": 9, "module_width": 8, "gating_width": 7, "modules": 5, "sources": 2}},
}


@pytest.fixture(scope="session", params=FIXED)
def fixed(request, untrained) -> Trained:
    """A small fixed architecture, without a weight or bias of 0."""
    return _perturbed(untrained("smoke", 0, architecture=request.param, **FIXED[request.param]))


@pytest.fixture(scope="session", params=FIXED)
def fixed_normalised(request, untrained) -> Trained:
    """The fixture *fixed* with LayerNorm."""
    return _perturbed(untrained("smoke", 0, architecture=request.param, layer_norm=True, **FIXED[request.param]))


def _perturbed(made: Trained) -> Trained:
    rng = torch.Generator().manual_seed(1)
    for network in (made.agent.actor, made.agent.actor_ema):
        network.core.flat.data.add_(0.3 * torch.randn(network.core.flat.shape, generator=rng))
    return made


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return the directory of a sweep with two rows of three seeds, its planned runs, and their outcomes."""
    directory = tmp_path_factory.mktemp("sweep") / "stages"
    planned = plan_sweep(directory, grid={"genotypes.start_stage": [1, 2]})
    return directory, planned, [train_run(run) for run in planned]
