import json
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, preset
from genoevo_runs.loggers import NEEDED
from genoevo_runs.metrics import MetricsWriter

RECORD = {
    "kind": "round",
    "step": 20,
    "success": {"reach-v3": 0.5},
    "losses": {"critic_loss": 2.5},
    "elite": {"a": "01"},
}


def _write(directory, loggers, record=RECORD, **since):
    directory.mkdir(exist_ok=True)
    config = build_config(preset("smoke"), {"loggers": loggers})
    with MetricsWriter(directory, config.loggers, config.model_dump(mode="json"), resume="", **since) as writer:
        writer.write(record)
        return writer.mark()[0]


def test_tensorboard_gets_the_numbers_and_nothing_else(tmp_path):
    _write(tmp_path / "run", ["tensorboard"])
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"success/reach-v3", "losses/critic_loss"}
    (event,) = events.Scalars("success/reach-v3")
    assert (event.step, event.value) == (20, 0.5)


def test_without_loggers_the_file_is_all(tmp_path):
    _write(tmp_path / "run", [])
    assert [path.name for path in (tmp_path / "run").iterdir() if path.stat().st_size] == ["metrics.jsonl"]


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_package_is_named_before_anything_is_made(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--preset", "smoke", "--run-dir", str(tmp_path / "run"), "--logger", name])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert f"needs {name}, which is not installed: pip install {name}" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_unknown_logger_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", "train", "--preset", "smoke", "--run-dir", str(tmp_path / "run"), "--logger", "paper"])
    assert stop.value.code == 2
    assert "'wandb'" in capsys.readouterr().err


def test_no_logger_is_imported_that_was_not_chosen():
    code = "import sys, genoevo_runs.metrics; assert not {'wandb', 'mlflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.filterwarnings("default")  # of the package's own code
def test_mlflow_takes_a_run_up_again(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(None)
    offset = _write(tmp_path / "run", ["mlflow"])
    _write(tmp_path / "run", ["mlflow"], {**RECORD, "step": 40, "success": {"reach-v3": 1.0}}, offset=offset, step=20)
    client = mlflow.MlflowClient()
    (experiment,) = [one for one in client.search_experiments() if one.name == "genoevo"]
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "success/reach-v3")
    assert [(metric.step, metric.value) for metric in history] == [(20, 0.5), (40, 1.0)]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "run"
    assert run.data.params["sac.batch_size"] == "8"


@pytest.mark.filterwarnings("default")  # of the package's own code
def test_wandb_writes_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    _write(tmp_path / "run", ["wandb"])
    (written,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    number = (tmp_path / "run" / "wandb-run").read_text()
    assert number in written.name
    content = written.read_bytes()
    assert b"success/reach-v3" in content
    assert b"critic_loss" in content
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["step"] == 20
