"""The page of the settings names everything that there is; ``make docs`` shows it."""

import importlib.util

import pytest

from genoevo_mega.config import setting_names
from tests.pages import ROOT


@pytest.fixture(scope="module")
def lines():
    spec = importlib.util.spec_from_file_location("settings_reference", ROOT / "docs" / "settings_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lines()


def test_every_setting_has_an_entry_in_order(lines):
    names = [line.split("``")[1] for line in lines if line.startswith("``")]
    assert names == setting_names()


def test_an_entry_has_type_default_range_meaning_and_mark(lines):
    at = lines.index("``genotypes.precision`` (int, default ``2``, allowed: in [1, 16]) [P]")
    assert lines[at + 1 : at + 3] == ["    Bits per weight: 2 for MT10, 4 for MT50 [P].", ""]


def test_every_group_is_a_section_with_a_meaning(lines):
    at = lines.index("faults")
    assert lines[at + 1 : at + 5] == ["------", "", "Which faults of rollout workers a run survives [O].", ""]


def test_the_page_shows_them():
    assert "\n.. settings::\n" in (ROOT / "docs" / "reference" / "settings.rst").read_text()
