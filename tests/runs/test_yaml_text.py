import math

import pytest
import yaml

from genoevo_runs import yaml_text
from genoevo_runs.settings import parse_setting, read_config


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "On", "NO", "1:30", "2001-01-01", "0b11", "=", "1.2.3"])
def test_what_only_yaml_1_1_reads_as_something_else_is_text(word):
    assert yaml_text.load(f"- {word}\n- '{word}'") == [word, word]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("20_000_000", 20_000_000),
        ("1e-3", 0.001),
        ("3E4", 30000.0),
        ("1_000.5", 1000.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
    ],
)
def test_numbers_truth_values_and_null_are_read_as_yaml_1_2_has_them(text, value):
    found = yaml_text.load(text)
    assert (type(found), found) == (type(value), value)


def test_a_number_that_a_tag_asks_for_must_be_one():
    for text in ("!!int 1:30", "!!float x"):
        with pytest.raises(ValueError, match="is not a"):
            yaml_text.load(text)


def test_what_is_written_is_read_as_the_same_by_either_version():
    content = {"on": ["no", "1e-3", "0o17", "1:30", "010", "1_0", "true", "", "~", "a"], "n": [1e-05, 7, True, None]}
    written = yaml_text.dump(content)
    assert yaml_text.load(written) == yaml.safe_load(written) == content


def test_a_merge_key_still_merges():
    assert yaml_text.load("a: &a {x: 1}\nb: {<<: *a, y: 2}")["b"] == {"x": 1, "y": 2}


def test_set_and_files_read_the_same(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("seed: 1:30\nsuite: on\nsteps: 010\n")
    assert read_config(path) == {"seed": "1:30", "suite": "on", "steps": 10}
    assert [parse_setting(text) for text in ("seed=1:30", "suite=on", "steps=010")] == [
        {"seed": "1:30"},
        {"suite": "on"},
        {"steps": 10},
    ]
