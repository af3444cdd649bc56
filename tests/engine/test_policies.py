import json

import pytest

import genoevo


def test_a_directory_that_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no run: it has no run\.json"):
        genoevo.load_policy(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_run_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        genoevo.load_policy(tmp_path)


def test_a_format_that_nothing_installed_reads_is_named(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ModuleNotFoundError, match="'other', which no installed package reads"):
        genoevo.load_policy(tmp_path)


def test_a_registered_loader_gets_the_directory_and_the_options(tmp_path, monkeypatch):
    class Loader:
        name = "mine"

        def load(self):
            return lambda directory, **options: (directory, options)

    monkeypatch.setattr(genoevo.policies, "entry_points", lambda group: [Loader()] * (group == "genoevo.policies"))
    (tmp_path / "run.json").write_text(json.dumps({"format": "mine"}))
    assert genoevo.load_policy(str(tmp_path), seed=3) == (tmp_path, {"seed": 3})
