"""``genoevo mega``: settings, addresses and folders that cannot be are one line, and leave nothing."""

import sys

import pytest

from genoevo_cli.main import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architecture", "mtsax"], "architecture = 'mtsax': must be mega, mtsac"),
        (["--match-parameters", "mega:x"], "match_parameters = 'mega:x': must be mega, mega:STAGE or a number"),
        (["--architecture", "d2r", "--match-parameters", "300"], "no widths of d2r come within 2% of 300 parameters"),
    ],
)
def test_an_architecture_or_a_size_that_cannot_be_is_one_line_and_leaves_nothing(
    tmp_path, capsys, arguments, message
):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--preset", "smoke", "--run-dir", str(tmp_path / "run"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


BAD_TRAIN = [
    (["--preset", "mt1O"], "did you mean mt10"),
    (["--suite", "reech-v3"], "did you mean reach-v3"),
    (["--preset", "smoke", "--set", "sac.bath_size=3"], "did you mean sac.batch_size"),
    (["--preset", "smoke", "--set", "sac.batch_size=-1"], "sac.batch_size = -1"),
    (["--preset", "smoke", "--set", "sac.batch_size"], "name=value"),
    (["--preset", "smoke", "--set", "growth.mastery=7"], "growth.mastery must be between 0 and 1"),
    (["--preset", "smoke", "--steps", "0"], "steps = 0"),
    (["--preset", "smoke", "--seed", "-4"], "seed = -4"),
    (["--preset", "smoke", "--workers", "0"], "compute.workers = 0"),
    (["--preset", "smoke", "--config", "no-such.yaml"], "no-such.yaml cannot be read"),
    (["--preset", "smoke", "--steps", "many"], "'many' is not a valid integer"),
    (["--preset", "smoke", "--sead", "3"], "--seed"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_TRAIN)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--run-dir", str(tmp_path / "new"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["resume", "evaluate", "info", "verify"])
def test_what_is_no_run_is_named(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", command, str(tmp_path)])
    assert stop.value.code == 2
    assert "is not a run directory" in capsys.readouterr().err


def test_the_suite_picks_its_preset_wherever_it_is_given(tmp_path, monkeypatch):
    from genoevo_mega.experiments import runs

    seen = []
    monkeypatch.setattr(runs, "create", lambda directory, config, *rest: seen.append(config) or sys.exit(0))
    for arguments in (["--suite", "mt50"], ["--set", "suite=mt50"]):
        with pytest.raises(SystemExit):
            cli.main(["mega", "train", "--run-dir", str(tmp_path / "run"), *arguments])
    assert [config.genotypes.precision for config in seen] == [4, 4]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["train", "--preset", "smoke", "--run-dir"], "run-dir"),
        (["sweep", "s.yaml", "--dir"], "dir"),
        (["resume"], "run-dir"),
        (["info"], "run-dir"),
        (["compare"], "paths"),
        (["unpack", "a.tar"], "directory"),
        (["pack", "runs/a", "--out"], "out"),
        (["export", "runs/a", "--out"], "out"),
    ],
)
def test_an_address_is_refused_and_no_folder_is_made_of_it(words, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *words, "s3://bucket/x"])
    told = f"genoevo: {name} = 's3://bucket/x': must be a path, not an address; mount it and give its folder\n"
    assert (stop.value.code, capsys.readouterr().err) == (2, told)
    assert not [*tmp_path.iterdir()]
