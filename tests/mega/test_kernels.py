"""The library of compiled functions: where it is compiled, and why there may be none."""

import shutil
from pathlib import Path

import pytest

from genoevo_mega import kernels as kernels_of


def test_a_compiler_that_fails_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(kernels_of.KernelsUnavailableError, match="false fails"):
        kernels_of.kernels.__wrapped__()


def test_a_library_that_cannot_be_loaded_is_compiled_again(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    whole = Path(kernels_of._compiled(compiler, tmp_path)._name)
    kept = kernels_of._cache() / whole.name
    kept.write_bytes(b"half a library")
    assert kernels_of._compiled(compiler, kernels_of._cache())._name == str(kept)
    assert kept.stat().st_size == whole.stat().st_size


def test_a_cache_that_holds_no_file_is_left_for_a_folder_of_its_own(monkeypatch, tmp_path):
    def full(source, target):
        if str(target).startswith(str(tmp_path)):
            raise OSError("no space left")
        return copied(source, target)

    copied = kernels_of.shutil.copyfile
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels_of.shutil, "copyfile", full)
    assert not kernels_of.kernels.__wrapped__()._name.startswith(str(tmp_path))


def test_without_a_folder_to_load_from_the_reason_is_named(monkeypatch):
    def no_home():
        raise RuntimeError("could not determine the home directory")

    def full(**_):
        raise OSError("no space left")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(kernels_of.Path, "home", no_home)
    monkeypatch.setattr(kernels_of.tempfile, "mkdtemp", full)
    with pytest.raises(kernels_of.KernelsUnavailableError, match=r"no folder can hold .* library: no space left"):
        kernels_of.kernels.__wrapped__()
