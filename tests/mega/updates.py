"""A small agent's batches, and what its updates compute from them."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from genoevo_mega.agents.replay import Batch
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.metaworld import MetaWorldSuite
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.training.build import make_agent

TASKS, BATCH = 2, 16
SUITE = MetaWorldSuite(("reach-v3", "drawer-close-v3"), seed=1)


def sac_agent(**sac):
    config = build_config(preset("smoke"), {"sac": sac})
    return make_agent(config, SUITE), Evolver.fresh(config.evolution, list(SUITE.names), 1).acting_routing()


def drawn_batch(discount=0.99, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shape = TASKS, BATCH
    return Batch(
        torch.randn(*shape, 39, generator=rng),
        torch.rand(*shape, 4, generator=rng) * 2 - 1,
        torch.rand(*shape, generator=rng),
        torch.randn(*shape, 39, generator=rng),
        torch.full(shape, float(discount)),
        torch.zeros(shape, dtype=torch.int64),
    )


def inputs_of(agent, batch, routing):
    """What an update with this batch that follows at once computes its losses from."""
    state = agent.rng.get_state()
    inputs = agent._inputs(batch, agent._noise(2, *batch.actions.shape), routing, routing)
    agent.rng.set_state(state)
    return inputs


def numbers_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


class Products(TorchDispatchMode):
    """Counts the operations of all matrix products."""

    operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        aten = torch.ops.aten
        factors = {aten.mm: args[:2], aten.bmm: args[:2], aten.baddbmm: args[1:3]}.get(function.overloadpacket)
        if factors:
            self.operations += 2 * factors[0].numel() * factors[1].shape[-1]
        return function(*args, **(kwargs or {}))


def weights_of(agent):
    parts = (agent.actor, agent.critics, agent.target_critics, agent.actor_ema)
    return [agent.log_temperature, *(p for part in parts for p in part.parameters())]
