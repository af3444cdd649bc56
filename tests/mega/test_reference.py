"""The reference of the settings: complete, and true of what the config takes."""

import re

import pytest

from genoevo_mega.config import build_config, setting_names
from genoevo_mega.config.reference import lookup, plain, reference
from genoevo_mega.config.run import Config
from genoevo_runs.errors import ConfigError
from genoevo_runs.settings import flat, nested

GROUPS = reference()
SETTINGS = {setting.name: setting for group in GROUPS for setting in group.settings}
# What else must change for a value at the end of its range to be allowed; None: MEGA refuses what changes lengths.
BESIDE = {
    "decoding.offset": {},
    "genotypes.start_stage": {"growth.max_modules": 10**6},
    "growth.max_modules": {"genotypes.start_stage": 1},
    "growth.unused_patience": {"selection.rule": "record"},
    "reproduction.mutation_threshold": {"reproduction.crossover_threshold": 0},
    "reproduction.resize_rate": None,
    "reproduction.lengths.minimum": {},
    "reproduction.lengths.maximum": None,
}
INTERVAL = re.compile(r"(?:each )?(?:(>=?) (\S+)|in ([\[(])(\S+), ([^])]+)([\])]))")


def test_every_setting_is_there_with_its_default():
    assert [setting.name for setting in SETTINGS.values()] == setting_names()
    assert {name: setting.default for name, setting in SETTINGS.items()} == flat(Config().model_dump(mode="json"))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_a_meaning_and_a_mark(name):
    setting = SETTINGS[name]
    assert setting.meaning.endswith((".", "]"))
    assert "\n" not in setting.meaning
    assert setting.marks
    assert set(setting.marks) <= set("PRO")


def test_every_group_has_a_meaning():
    assert [group.name for group in GROUPS[:2]] == ["run", "environment"]
    assert all(group.meaning and group.settings for group in GROUPS)


def test_the_numbers_of_the_paper_are_marked_so():
    paper = {name for name, setting in SETTINGS.items() if "P" in setting.marks}
    assert {"network.width", "network.hidden", "genotypes.precision", "genotypes.start_stage"} < paper
    assert {"genotypes.population_size", "environment.episode_length", "decoding.offset"} < paper
    assert SETTINGS["sac.tau"].marks == ("O",)  # its group's
    assert SETTINGS["network.hidden"].marks == ("P", "R")


@pytest.mark.parametrize(
    ("name", "kind", "allowed"),
    [
        ("sac.precision", "str", "fp32, tf32, bf16"),
        ("sac.actor_ema_tau", "float", "in (0, 1]"),
        ("sac.mask_loss_above", "float or null", "> 0"),
        ("genotypes.evolve", "bool", ""),
        ("mlp.layers", "list of int", "each >= 1"),
        ("growth.mastery", "float", "in [0, 1]"),
        ("growth.fill", "str", "random, preserve, explore"),
        ("reproduction.lengths.maximum", "int or null", ">= minimum"),
        ("genotypes.start_stage", "int", "1 to growth.max_modules"),
        ("match_parameters", "str or int or null", "mega, mega:STAGE or 1 to 10,000,000,000"),
    ],
)
def test_types_and_ranges(name, kind, allowed):
    assert (SETTINGS[name].kind, SETTINGS[name].allowed) == (kind, allowed)


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if re.search("int|float", setting.kind)])
def test_every_number_says_its_range(name):
    assert SETTINGS[name].allowed


def _ends(setting):
    """The ends of a setting's range: (the value at it, the next one outside, whether the end belongs to it)."""
    step = 1 if setting.kind.startswith(("int", "list of int")) else 1e-6
    sign, least, opening, low, high, closing = INTERVAL.fullmatch(setting.allowed).groups()
    ends = [(low or least, -step, sign == ">=" or opening == "[")]
    if high is not None:
        ends.append((high, step, closing == "]"))
    for text, outward, included in ends:
        if not re.search("[a-z]_?[a-z]", text):  # else the end is another setting
            end = type(step)(float(text))
            yield end, end + outward, included


RANGES = [
    (name, *end)
    for name, setting in SETTINGS.items()
    if INTERVAL.fullmatch(setting.allowed)
    for end in _ends(setting)
]


def test_nearly_all_ranges_are_tried():
    assert len({name for name, *_ in RANGES}) > 50


@pytest.mark.parametrize(("name", "end", "outside", "included"), RANGES)
def test_the_config_takes_what_the_reference_allows(name, end, outside, included):
    def build(value):
        of_list = SETTINGS[name].kind.startswith("list")
        return build_config(nested({**(BESIDE.get(name) or {}), name: [value] if of_list else value}))

    with pytest.raises(ConfigError, match=re.escape(name)):
        build(outside if included else end)
    if BESIDE.get(name, {}) is not None:
        build(end if included else end - (outside - end))


@pytest.mark.parametrize(
    "name", [name for name, each in SETTINGS.items() if re.fullmatch(r"\w+(, \w+)+", each.allowed)]
)
def test_choices_are_all_there_are(name):
    with pytest.raises(ConfigError, match=re.escape(name)):
        build_config(nested({name: ["other"] if SETTINGS[name].kind.startswith("list") else "other"}))


def test_a_group_comes_with_the_groups_inside_it():
    assert [group.name for group in lookup("reproduction")] == ["reproduction", "reproduction.lengths"]
    assert [setting.name for setting in lookup("faults")[0].settings] == ["faults.worker_timeout", "faults.limit"]
    assert lookup("run")[0].settings[0].name == "suite"


def test_a_setting_comes_alone():
    (group,) = lookup("sac.tau")
    assert (group.name, [setting.name for setting in group.settings]) == ("sac", ["sac.tau"])


@pytest.mark.parametrize(
    ("name", "near"), [("sac.tao", "sac.tau"), ("batch_size", "sac.batch_size"), ("sacc", "sac")]
)
def test_an_unknown_name_is_refused_with_the_nearest(name, near):
    with pytest.raises(ConfigError, match=rf"^'{name}' is not a setting or a group \(did you mean {near}\?\)"):
        lookup(name)


def test_text_for_a_terminal_has_no_markup():
    text = "``a_b`` of *x* (:mod:`m.n`, :func:`~m.f`), 2 * 3 * 4, [O]."
    assert plain(text) == "a_b of x (m.n, m.f), 2 * 3 * 4, [O]."
    for setting in SETTINGS.values():
        assert not re.search("``|:[a-z]+:`", plain(setting.meaning))
