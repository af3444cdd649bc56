"""Numbers of parameters of every architecture, and networks that are sized to a number."""

import numpy as np
import pytest
import torch

from genoevo_mega.agents.sizing import scaled, sizes
from genoevo_mega.config.run import Config, build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.networks import ARCHITECTURES
from genoevo_mega.training.build import make_agent, make_structure
from genoevo_runs.errors import ConfigError
from tests.mega.architectures import FIXED


@pytest.mark.parametrize(
    ("architecture", "actor"),
    [
        ("mtsac", 344_008),
        ("mtmhsac", 372_880),
        ("soft-modules", 691_022),
        ("paco", 1_700_090),
        ("moore", 1_379_320),
        ("d2r", 684_240),
    ],
)
def test_the_actor_for_mt10_has_the_published_number_of_parameters(architecture, actor):
    config = build_config(preset("mt10"), {"architecture": architecture})
    suite = make_suite(config)
    assert sizes(config, suite).parameters[0] == actor
    assert make_agent(config, suite).actor.parameter_count == actor


@pytest.mark.parametrize(("base", "target"), [("mt10", "mega"), ("demo", "mega:6"), ("mt50", 60_000)])
@pytest.mark.parametrize("architecture", FIXED)
def test_networks_are_sized_to_the_target_within_two_percent(architecture, target, base):
    config = build_config(preset(base), {"architecture": architecture, "match_parameters": target})
    suite = make_suite(config)
    found = sizes(config, suite)
    for parameters, wanted in zip(found.parameters, found.target, strict=True):
        if wanted is not None:  # critics of their own kind have no target
            assert parameters == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("stage", [3, 6])
def test_the_target_is_megas_own_number_of_parameters(stage):
    config = build_config(preset("mt10"), {"architecture": "mtsac", "match_parameters": f"mega:{stage}"})
    mega = build_config(preset("mt10"), {"genotypes": {"start_stage": stage}})
    agent = make_agent(mega, make_suite(mega))
    target = sizes(config, make_suite(config)).target
    assert target == (agent.actor.parameter_count, agent.critics.parameter_count // 2)


def test_the_agents_networks_have_the_sizes_found():
    config = build_config(preset("mt10"), {"architecture": "paco", "match_parameters": "mega"})
    suite = make_suite(config)
    agent, found = make_agent(config, suite), sizes(config, suite)
    counts = agent.actor.parameter_count, agent.critics.parameter_count // 2
    assert counts == found.parameters
    assert [agent.actor_ema.parameter_count, agent.target_critics.parameter_count // 2] == list(counts)


def test_mega_is_sized_to_a_number_and_otherwise_left_as_it_is():
    config = build_config(preset("mt10"), {"match_parameters": 300_000})
    assert sizes(config, make_suite(config)).parameters == pytest.approx((300_000, 300_000), rel=0.02)
    config = build_config(preset("mt10"), {"match_parameters": "mega:6"})
    found, start = sizes(config, make_suite(config)), build_config(preset("mt10"))
    assert found.settings[0] == config.network
    assert found.parameters == sizes(start, make_suite(start)).parameters
    grown = build_config(preset("mt10"), {"genotypes": {"start_stage": 6}})
    assert found.target == sizes(grown, make_suite(grown)).parameters


def test_a_size_out_of_reach_names_the_nearest():
    config = build_config(preset("smoke"), {"architecture": "d2r", "match_parameters": 300})
    with pytest.raises(ConfigError, match=r"no widths of d2r come within 2% of 300 .* the nearest have \d+ \(width"):
        sizes(config, make_suite(config))


@pytest.mark.parametrize("size", ["mega:0", "mtsac", 0, -5, "5 modules"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ConfigError, match=r"match_parameters = .* must be mega, mega:STAGE or a number"):
        build_config({"match_parameters": size})


@pytest.mark.parametrize("group", ["network", "mlp", "soft_modules", "paco", "moore", "d2r"])
def test_a_factor_of_one_changes_no_width(group):
    settings = getattr(Config(), group)
    assert scaled(settings, 1.0) == settings


def test_equal_widths_step_up_one_after_the_other():
    settings = Config().mlp
    values = []
    for factor in np.linspace(0.1, 0.3, 4000):
        found = scaled(settings, factor)
        values.append(sum(found.layers))
    assert set(np.diff(values)) == {0, 1}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layer_norm_is_in_actor_and_critics_and_adds_no_parameter(architecture):
    settings = {"architecture": architecture, "network": {"width": 32}}
    plain, normal = (build_config(preset("smoke"), settings, {"layer_norm": on}) for on in (False, True))
    suite = make_suite(plain)
    assert sizes(plain, suite).parameters == sizes(normal, suite).parameters
    routing = make_structure(plain, list(suite.names), 1).acting_routing()
    one, other = make_agent(plain, suite), make_agent(normal, suite)
    for network, features in (("actor", 39), ("critics", 43)):
        x = torch.ones(2, 1, features)
        assert not torch.equal(getattr(one, network)(x, routing), getattr(other, network)(x, routing))
