import pytest
import torch

from genoevo_mega.config import Config, build_config, preset
from genoevo_mega.rollout import RolloutPool
from genoevo_mega.tasks import MetaWorldSuite
from tests.mega.suites import CountingSuite

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def counting_pool():
    with RolloutPool(CountingSuite(), workers=2) as pool:
        yield pool


@pytest.fixture(scope="session")
def metaworld_pool():
    names = ("drawer-close-v3", "button-press-topdown-v3", "door-open-v3")
    with RolloutPool(MetaWorldSuite(names, seed=3, goals=6), workers=2) as pool:
        yield pool


@pytest.fixture
def smoke() -> Config:
    return build_config(preset("smoke"))
