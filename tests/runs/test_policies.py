import json

import pytest

import genoevo
from genoevo_runs.errors import ConfigError


def test_a_directory_that_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not a run directory: run\.json is missing"):
        genoevo.load_policy(tmp_path)


def test_an_address_is_refused():
    message = "^directory = 's3://bucket/x': must be a path, not an address; mount it and give its folder$"
    with pytest.raises(ConfigError, match=message):
        genoevo.load_policy("s3://bucket/x")


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_run_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=r"run\.json is corrupt"):
        genoevo.load_policy(tmp_path)


def test_a_format_that_nothing_installed_reads_is_named(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ModuleNotFoundError, match="'other', which no installed package reads"):
        genoevo.load_policy(tmp_path)


def test_a_format_that_is_no_name_is_named(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"format": []}))
    with pytest.raises(ModuleNotFoundError, match=r"the format \[\], which no installed package reads"):
        genoevo.load_policy(tmp_path)


def test_another_adapter_gets_the_directory_and_the_options(toy, tmp_path):
    config = toy.build_config(toy.preset("short"))
    training = toy.create(tmp_path / "run", config, [], lambda progress: None)
    training.run()
    assert genoevo.load_policy(str(tmp_path / "run"), factor=3) == 3 * training.total


def test_what_the_adapter_lacks_is_named_with_what_pip_installs(toy, tmp_path):
    toy.create(tmp_path / "run", toy.build_config(), [], print)
    with pytest.raises(ModuleNotFoundError, match="need dependency_of_toys: pip install 'genoevo-toy'"):
        genoevo.load_policy(tmp_path / "run", factor=0)
