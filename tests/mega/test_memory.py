import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.networks import ARCHITECTURES
from genoevo_mega.training.build import make_agent
from genoevo_mega.training.memory_check import check_memory, weights_bytes
from genoevo_runs.errors import ConfigError


def _checked(*settings):
    config = build_config(preset("smoke"), {"suite": "point,car"}, *settings)
    return check_memory(config, make_suite(config))


@pytest.mark.parametrize("kind", ["genotype", "residual"])
@pytest.mark.parametrize(("architecture", "size"), [*((name, None) for name in ARCHITECTURES), ("mtmhsac", 5000)])
def test_weights_are_counted_as_the_agent_holds_them(architecture, size, kind):
    settings = {
        "suite": "point,car",
        "architecture": architecture,
        "match_parameters": size,
        "critic": {"kind": kind},
    }
    config = build_config(preset("smoke"), settings)
    suite = make_suite(config)
    agent = make_agent(config, suite)
    networks = agent.actor, agent.actor_ema, agent.critics, agent.target_critics
    held = sum(value.numel() for network in networks for value in network.parameters())
    trained = agent.actor.parameter_count + agent.critics.parameter_count
    assert weights_bytes(config, suite) == 4 * (held + 3 * trained)  # and gradients and two moments


@pytest.mark.parametrize(
    ("architecture", "change", "message"),
    [
        ("mega", {"network": {"width": 10**6}}, "network.width = 1000000: asks for "),
        ("mega", {"network": {"width": 10**30}}, "network.width = 1000000000000000000000000000000: asks for "),
        ("mega", {"network": {"embedding_layers": 10**10}}, "network.embedding_layers = 10000000000: asks for "),
        (
            "mega",
            {"genotypes": {"start_stage": 10**9}, "growth": {"max_modules": 10**9}},
            "genotypes.start_stage = 1000000000: asks for ",
        ),
        ("mega", {"sac": {"buffer_size": 10**12}}, "sac.buffer_size = 1000000000000: asks for "),
        ("mega", {"sac": {"batch_size": 10**12}}, "sac.batch_size = 1000000000000: asks for "),
        ("mtsac", {"mlp": {"layers": [10**6, 10**6]}}, r"mlp.layers = \(1000000, 1000000\): asks for "),
        ("mtmhsac", {"sac": {"batch_size": 10**12}}, "sac.batch_size = 1000000000000: asks for "),
        ("soft-modules", {"soft_modules": {"layers": 10**10}}, "soft_modules.layers = 10000000000: asks for "),
        ("paco", {"paco": {"sets": 10**9}}, "paco.sets = 1000000000: asks for "),
        ("moore", {"moore": {"experts": 10**9}}, "moore.experts = 1000000000: asks for "),
        ("d2r", {"d2r": {"modules": 10**10}}, "d2r.modules = 10000000000: asks for "),
        ("mega", {"critic": {"kind": "residual", "width": 10**6}}, "critic.width = 1000000: asks for "),
        ("mtsac", {"critic": {"kind": "residual", "blocks": 10**12}}, "critic.blocks = 1000000000000: asks for "),
    ],
)
def test_what_asks_for_more_than_the_machine_has_is_named_before_it_is_built(architecture, change, message):
    with pytest.raises(ConfigError, match=message):
        _checked({"architecture": architecture}, change)


def test_the_widths_of_critics_that_a_run_does_not_have_are_not_judged():
    _checked({"critic": {"width": 10**9, "blocks": 10**9}})


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "mega"])
def test_another_architectures_run_is_not_judged_by_megas_settings(architecture):
    huge = {"network": {"width": 10**7}, "genotypes": {"population_size": 10**9}, "growth": {"max_modules": 10**6}}
    _checked({"architecture": architecture}, huge)
