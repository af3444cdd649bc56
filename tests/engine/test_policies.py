import pytest

import genoevo


class Loader:
    def load(self):
        return lambda directory, **options: (directory, options)


def test_the_registered_loader_gets_the_directory_and_the_options(tmp_path, monkeypatch):
    registered = {("genoevo", "load_policy"): [Loader()]}
    monkeypatch.setattr(genoevo.policies, "entry_points", lambda group, name: registered[group, name])
    assert genoevo.load_policy(tmp_path, seed=3) == (tmp_path, {"seed": 3})


def test_what_to_install_is_said_where_nothing_loads_policies(tmp_path, monkeypatch):
    monkeypatch.setattr(genoevo.policies, "entry_points", lambda group, name: ())
    with pytest.raises(ModuleNotFoundError, match=r"loads policies: pip install 'genoevo\[mega\]'"):
        genoevo.load_policy(tmp_path)
