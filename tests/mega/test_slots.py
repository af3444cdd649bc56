"""The modular network along the tasks' routes: what it computes is the definition's, and no more."""

import numpy as np
import pytest
import torch

from genoevo_mega.config.networks import Network
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.evolution.evolver import Evolver
from genoevo_mega.experiments import runs
from genoevo_mega.networks import ModularNetwork, Routing, modular_slots
from genoevo_mega.training.build import make_agent
from tests.mega.updates import SUITE, Products, drawn_batch

TASKS, BATCH, INPUTS, OUTPUTS = 7, 5, 6, 3
FORMS = [("plain", False), ("plain", True), ("residual", False), ("residual", True)]
quick = pytest.mark.usefixtures("quick_runs")


def _network(modules, ensemble=2, form=("residual", True), tasks=TASKS, precision=torch.float64):
    rng = torch.Generator().manual_seed(0)
    network = ModularNetwork(
        INPUTS,
        OUTPUTS,
        tasks=tasks,
        modules=modules,
        ensemble=ensemble,
        config=Network(width=12, hidden=7, modules=form[0]),
        rng=rng,
        layer_norm=form[1],
        sparse=True,
        precision=precision,
    ).to(precision)
    for parameter in network.parameters():  # no bias is 0
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    return network


def _routing(stages, density, seed=1, dtype=torch.float64):
    """Genotypes of which each connection is there with probability *density*, or one to h_0 if there is none."""
    rng, most = np.random.default_rng(seed), max(stages)
    inputs = np.zeros((len(stages), 1, max(most - 1, 1), most))
    output = np.zeros((len(stages), 1, most + 1))

    def draw(size):
        present = rng.random(size) < density
        present[0] |= not present.any()
        weights = present * rng.random(size)
        return weights / weights.sum()

    for task, stage in enumerate(stages):
        for module in range(2, stage + 1):
            inputs[task, 0, module - 2, :module] = draw(module)
        output[task, 0, : stage + 1] = draw(stage + 1)
    return Routing(torch.tensor(inputs, dtype=dtype), torch.tensor(output, dtype=dtype), tuple(stages))


def _x(rows=BATCH, dtype=torch.float64, tasks=TASKS):
    return torch.randn(tasks, rows, INPUTS, generator=torch.Generator().manual_seed(2)).to(dtype)


def _found(network, routing, slots):
    """The output, and the gradients of the input and of all parameters, None for those that have none."""
    network.slots, x = slots, _x(tasks=len(routing.stages)).requires_grad_()
    out = network(x, routing)
    gradients = torch.autograd.grad(out.square().sum(), [x, *network.parameters()], allow_unused=True)
    return [out, *gradients]


def _check(network, routing):
    for mine, theirs in zip(*(_found(network, routing, slots) for slots in (True, False)), strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.fixture
def made(monkeypatch):
    """The slots that were made, one for each routing that was not known."""
    found, of = [], modular_slots.Slots.of
    monkeypatch.setattr(modular_slots.Slots, "of", lambda *given: found.append(of(*given)) or found[-1])
    monkeypatch.setattr(modular_slots.recent_slots, "_recent", ())
    return found


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize(
    ("stages", "density"),
    [
        ((1,) * TASKS, 0.5),
        ((3, 1, 2, 3, 3, 2, 1), 0.5),
        ((3, 1, 2, 3, 3, 2, 1), 1.0),
        ((24,) * TASKS, 0.04),
        ((24, 3, 11, 24, 7, 1, 20), 0.2),
    ],
    ids=str,
)
def test_outputs_and_all_gradients_are_those_of_the_definition(form, ensemble, stages, density):
    network = _network(max(stages) + 1, ensemble, form)
    network.fused = None
    _check(network, _routing(stages, density))


def test_plain_layers_give_what_the_fused_pass_gives():
    _check(_network(5, form=("plain", False)), _routing((5, 2, 5, 4, 1, 3, 5), 0.4))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_several_genotypes_of_a_task_compute_some_rows_each(form):
    several = [_routing((4, 2, 3, 4, 1, 4, 2), 0.5, seed) for seed in range(3)]
    inputs, output = (torch.cat([one[part] for one in several], dim=1) for part in range(2))
    routing, x = Routing(inputs, output, several[0].stages), _x(3 * BATCH)
    network, found = _network(4, form=form), []
    for network.slots in (True, False):
        out = network(x, routing)
        found.append([out, *torch.autograd.grad(out.square().sum(), list(network.parameters()))])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)
    for place, one in enumerate(several):
        rows = slice(place * BATCH, (place + 1) * BATCH)
        torch.testing.assert_close(found[0][0][:, :, rows], network(x[:, rows], one), rtol=1e-9, atol=1e-11)


def test_tasks_that_reach_no_module_read_the_embedding_alone():
    routing = _routing((4,) * TASKS, 0.5)
    routing.output[[0, 3]] = torch.eye(5, dtype=torch.float64)[0]
    assert routing.used()[0] == routing.used()[3] == 0
    _check(_network(4), routing)


def test_modules_that_no_task_reaches_have_a_gradient_of_0():
    network, routing = _network(4), _routing((4,) * TASKS, 0.5)
    routing.inputs[:, :, 0] = torch.eye(4, dtype=torch.float64)[0]
    _check(network, routing._replace(output=torch.eye(5, dtype=torch.float64)[0].expand(TASKS, 1, 5)))
    routing = routing._replace(output=torch.eye(5, dtype=torch.float64)[2].expand(TASKS, 1, 5))
    _check(network, routing)
    _, _, *of_pool, _ = _found(network, routing, True)
    assert [float(gradient.abs().max()) > 0 for gradient in of_pool] == [False, True, False, False]


def test_a_task_computes_the_modules_that_it_reaches_and_no_others():
    network, routing = _network(24), _routing((24,) * TASKS, 0.06)
    used = routing.used()
    assert 0 < max(used) < 12
    with torch.no_grad(), Products() as products:
        network(_x(), routing)
    assert products.operations == BATCH * network.operations(used)
    assert network.operations(used) < network.operations(routing.stages) / 3


@pytest.mark.parametrize(("density", "shared"), [(1.0, True), (0.5, False)])
def test_tasks_with_the_same_module_in_a_slot_share_it(made, density, shared):
    network, routing = _network(3), _routing((3,) * TASKS, density)
    network(_x(), routing)
    assert all(isinstance(module, int) for module in made[0].modules) == shared


def test_a_module_that_overflows_spoils_the_tasks_that_reach_it_alone():
    network, routing = _network(24, form=("plain", False)), _routing((24,) * TASKS, 0.04)
    before = network(_x(), routing)
    reached = modular_slots.reached_by_edges(routing.edges())
    module = int(reached.any(axis=0).nonzero()[0][0])
    with torch.no_grad():
        network.pool[module].flat.fill_(torch.nan)
    after = network(_x(), routing)
    for task in range(TASKS):
        assert torch.equal(after[:, task], before[:, task]) != reached[task, module]
    assert after.isnan().any()


def test_modules_used_are_found_by_a_search():
    routing = _routing((9, 4, 9, 7, 1, 8, 9), 0.3)
    for task, stage in enumerate(routing.stages):
        todo, found = {j for j in range(stage + 1) if routing.output[task, 0, j] > 0} - {0}, set()
        while todo:
            module = todo.pop()
            found.add(module)
            if module > 1:
                todo |= {j for j in range(1, module) if routing.inputs[task, 0, module - 2, j] > 0} - found
        assert routing.used()[task] == len(found)


def test_modules_used_by_a_genotype_for_each_transition_are_those_of_the_stage():
    routing = _routing((3,) * TASKS, 0.3).map(lambda weights: weights.expand(-1, BATCH, *weights.shape[2:]))
    assert routing.used() == (3,) * TASKS


def test_slots_are_made_once_for_a_routing_and_for_copies_of_it(made):
    networks, routing = (_network(5, 1), _network(5, 2)), _routing((5,) * TASKS, 0.5)
    for _ in range(2):
        for network in networks:
            network(_x(), routing)
            network(_x(), routing.map(torch.clone))
    assert len(made) == 1
    other = routing.map(torch.clone)
    other.output[3] = torch.eye(6, dtype=torch.float64)[0]
    networks[0](_x(), other)
    assert len(made) == 2
    networks[0](_x(), _routing((4,) * TASKS, 0.5))
    assert len(made) == 3


@pytest.mark.parametrize("case", ["a genotype for each transition", "weights that require grad", "traced"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_the_definition_computes_what_slots_cannot(made, case):
    network, routing, x = _network(4), _routing((4,) * TASKS, 0.5), _x()
    expected = network(x, routing)
    made.clear()
    modular_slots.recent_slots._recent = ()
    if case == "traced":
        network.requires_grad_(False)
        out = torch.jit.trace(lambda given: network(given, routing), x, check_trace=False)(x)
    elif case == "weights that require grad":
        routing = routing.leaves()
        out = network(x, routing)
        assert torch.autograd.grad(out.sum(), routing.output)[0].abs().max() > 0
    else:
        out = network(x, routing.map(lambda weights: weights.repeat_interleave(BATCH, dim=1)))
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-11)
    assert not made


def test_bf16_is_as_close_to_fp32_as_the_definitions_is():
    routing, found = _routing((5,) * TASKS, 0.5, dtype=torch.float32), []
    for precision, slots in ((torch.float32, True), (torch.bfloat16, True), (torch.bfloat16, False)):
        network, x = _network(5), _x(200, torch.float32).requires_grad_()
        network.float().precision, network.slots = precision, slots
        out = network(x, routing)
        out.square().sum().backward()
        found.append([out.detach(), x.grad, *(p.grad for p in network.parameters())])
    for exact, rounded, of_definition in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        assert 0 < (exact - rounded).norm() < 1.5 * (exact - of_definition).norm() < 0.5 * exact.norm()


CHANGES = [
    {"decoding": {"kind": "gates"}},
    {"decoding": {"kind": "sparse"}, "network": {"modules": "residual"}, "layer_norm": True},
    {"layer_norm": True},
]


def _agent(change, **sac):
    config = build_config(preset("smoke"), {"genotypes": {"start_stage": 4}, "sac": sac}, change)
    return make_agent(config, SUITE), Evolver.fresh(config.evolution, list(SUITE.names), 1).acting_routing()


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_an_update_is_the_definitions_within_rounding(made, change):
    ends = []
    for slots in (True, False):
        agent, routing = _agent(change, learning_rate=0.1)
        for network in (agent.actor, agent.critics, agent.target_critics):
            assert network.slots
            network.slots = slots
        metrics = agent.update(drawn_batch(), routing, routing)
        ends.append([metrics["critic_gradient"], metrics["actor_gradient"], metrics["actor_loss"]])
    assert len(made) == 1
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_operations_are_those_of_the_products_that_an_update_takes(change):
    agent, routing = _agent(change, batch_size=16)
    with Products() as products:
        agent.update(drawn_batch(), routing, routing)
    assert products.operations == agent.operations(routing.used())


def test_operations_count_the_critics_own_modules():
    agent, _ = _agent({})
    both = agent.operations((2, 3))
    assert agent.operations((2, 3), (2, 3)) == both
    assert agent.operations((2, 3), (1, 1)) < both < agent.operations((2, 3), (4, 4))
    assert agent.operations((2, 3), (4, 4)) - both > agent.operations((4, 4), (2, 3)) - both


@quick
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_along_routes_is_resumed_exactly(tmp_path, threads):
    config = build_config(
        preset("smoke"),
        {
            "suite": "point,car",
            "environment": {"episode_length": 10},
            "sac": {"random_steps": 10, "batch_size": 64},
            "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 4},
            "evaluation": {"at_end": False},
            "checkpoints": {"every": 0},
            "compute": {"threads": threads},
        },
        CHANGES[1],
    )
    for name, stops in (("whole", [240]), ("parts", [126, 240])):
        runs.create(tmp_path / name, config, ["test"], lambda status: None).run(stops[0])
        for stop in stops[1:]:
            runs.resume(tmp_path / name).run(stop)
    infos = [runs.info(tmp_path / name) for name in ("whole", "parts")]
    assert infos[0]["digest"] == infos[1]["digest"]
    assert infos[0]["updates"] > 50
    assert infos[0]["pool_size"] > 2
