import pytest

from genoevo_runs import user_code
from genoevo_runs.errors import UserError


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(user_code, "ALLOWED", {})
    monkeypatch.setattr(user_code, "_NAMES_CODE", {})
    monkeypatch.setenv("TOY_ALLOW_MODEL", "")


def test_a_registered_setting_may_name_code_once_it_is_allowed(tmp_path, monkeypatch):
    user_code.register("model", "TOY_ALLOW_MODEL")
    with pytest.raises(UserError, match=r"names the model mine:make, which is code.* --model mine:make or TOY_ALLOW"):
        user_code.check_allowed({"model": "mine:make"}, tmp_path)
    monkeypatch.setattr("sys.path", [])
    user_code.allow("model", "mine:make")
    user_code.check_allowed({"model": "mine:make"}, tmp_path)
    assert user_code.inherited() == [("model", "mine:make")]


def test_a_setting_that_nobody_registered_is_not_let_through(tmp_path):
    with pytest.raises(KeyError, match="model"):
        user_code.check_allowed({"model": "mine:make"}, tmp_path)


def test_an_adapter_may_say_which_values_are_no_code(tmp_path, monkeypatch):
    user_code.register("model", "TOY_ALLOW_MODEL", lambda name: user_code.is_code(name) and name != "built:in")
    monkeypatch.setattr("sys.path", [])
    user_code.allow("model", "built:in")
    assert user_code.inherited() == []
    user_code.check_allowed({"model": "built:in"}, tmp_path)
    with pytest.raises(UserError, match="which is code"):
        user_code.check_allowed({"model": "mine:make"}, tmp_path)


def test_spaces_between_the_allowed_names_do_not_count(tmp_path, monkeypatch):
    user_code.register("model", "TOY_ALLOW_MODEL")
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setenv("TOY_ALLOW_MODEL", " mine:make , other:make")
    user_code.check_allowed({"model": "mine:make"}, tmp_path)
    user_code.check_allowed({"model": "other:make"}, tmp_path)
