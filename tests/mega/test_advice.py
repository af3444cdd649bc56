"""Notes on combinations of settings that are allowed but rarely meant."""

import pytest

from genoevo_mega.config.advice import advice
from genoevo_mega.config.presets import PRESETS
from genoevo_mega.config.run import build_config, preset

SCALED = {"normalise": {"rewards": True}, "sac": {"initial_temperature": 0.01}}


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_is_said_of_a_preset(name):
    assert advice(build_config(preset(name))) == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"critic": {"width": 64}}, "critic.width = 64 has no effect with critic.kind = 'genotype'"),
        ({"critic": {"kind": "mlp", "blocks": 5}}, "critic.blocks = 5 has no effect with critic.kind = 'mlp'"),
        ({"critic": {"kind": "residual", "layers": 5}}, "critic.layers = 5 has no effect"),
        ({"value": {"bins": 51}}, "value.bins = 51 has no effect with value.loss = 'squared'"),
        (SCALED | {"value": {"loss": "two-hot", "smoothing": 1.0}}, "value.smoothing = 1.0 has no effect"),
        ({"value": {"loss": "hl-gauss"}}, "value.loss = 'hl-gauss' without normalise.rewards: values beyond +-10"),
        (SCALED | {"sac": {"reward_scale": 2.0, "initial_temperature": 0.01}}, "sac.reward_scale = 2 multiplies"),
        (
            {"normalise": {"rewards": True}, "value": {"loss": "hl-gauss", "range": 5}},
            "sac.initial_temperature = 1: the bonus of entropy is beyond value.range = 5 until the temperature is "
            "below 0.05",
        ),
    ],
)
def test_what_has_no_effect_or_spoils_another_is_said(settings, sentence):
    (found,) = advice(build_config(settings))
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    "settings",
    [
        {"critic": {"kind": "mlp", "layers": 5, "width": 7}},
        {"normalise": {"rewards": True}},  # without categories nothing is clipped
        SCALED | {"value": {"loss": "hl-gauss", "bins": 51, "smoothing": 1.0}},
        SCALED | {"value": {"loss": "two-hot", "bins": 51}},
    ],
)
def test_nothing_is_said_of_settings_that_are_read(settings):
    assert advice(build_config(settings)) == []
