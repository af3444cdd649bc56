from pathlib import Path

import pytest
from pydantic import ValidationError

from genoevo_runs.errors import ConfigError
from genoevo_runs.settings import Settings, read_config
from genoevo_runs.sweep import read_sweep


class Group(Settings):
    number: float = 0.0
    flag: bool = False
    word: str = ""
    numbers: tuple[int, ...] = ()


class Whole(Settings):
    group: Group = Group()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"number": True}, "number = True: must be a number"),
        ({"number": "3"}, "number = '3': must be a number"),
        ({"flag": "n"}, "flag = 'n': must be true or false"),
        ({"flag": 1}, "flag = 1: must be true or false"),
        ({"numbers": [1, "2"]}, "numbers = '2': must be a number"),
    ],
)
def test_a_value_of_another_kind_is_refused_and_not_converted(given, message):
    with pytest.raises(ValidationError, match=message):
        Whole.model_validate({"group": given})


@pytest.mark.parametrize("given", [{"number": 1}, {"numbers": [1.0, 2]}, {"flag": True, "word": "on"}, {}])
def test_a_number_may_be_whole_or_not_and_a_list_is_a_tuple(given):
    assert Whole.model_validate({"group": given}).group == Group(**given)


@pytest.mark.parametrize(("word", "flag"), [("yes", True), ("Off", False)])
def test_a_truth_value_may_be_a_word_of_yaml_1_1_which_elsewhere_is_text(tmp_path, word, flag):
    (tmp_path / "words.yaml").write_text(f"group: {{flag: {word}, word: {word}}}\n")
    group = Whole.model_validate(read_config(tmp_path / "words.yaml")).group
    assert (group.flag, group.word) == (flag, word)


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "g: {a: 1, a: 2}\n", "g:\n  h: {x: 1}\n  h: {y: 1}\n"])
def test_a_setting_that_a_file_gives_twice_is_refused(tmp_path, text):
    (tmp_path / "twice.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"is not valid YAML: [ah] is given twice"):
        read_config(tmp_path / "twice.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds: true", "seeds = True: must be a number"),
        ("seeds: ['1']", "seeds = .1.: must be a number"),
    ],
)
def test_seeds_of_a_sweep_are_numbers(toy, tmp_path, text, message):
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_sweep(toy, Path(tmp_path / "sweep.yaml"))
