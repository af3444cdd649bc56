import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from genoevo_mega.networks.module_graph import ModuleGraph
from genoevo_mega.networks.single_task import TaskPolicy
from genoevo_mega.policies.export import export_tasks
from genoevo_runs.errors import UserError


@pytest.fixture(scope="module")
def small(untrained):
    return untrained("smoke", 4, genotypes={"start_stage": 3, "precision": 2})


def _run_onnx(path, observations):
    return onnxruntime.InferenceSession(path).run(None, {"observation": observations})[0]


def test_onnx_gives_the_actions_of_the_policy_as_it_trained(small, tmp_path):
    exported = export_tasks(small, tmp_path / "out")
    observations = torch.randn(2, 500, 39, generator=torch.Generator().manual_seed(7))
    expected = small.greedy(observations).numpy()
    for task, one in enumerate(exported):
        actions = _run_onnx(tmp_path / "out" / one.file, observations[task].numpy())
        assert np.abs(actions - expected[task]).max() < 1e-5
        assert one.difference < 1e-5


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_every_architecture_leaves_as_the_policy_that_it_trained(fixed, kind, tmp_path):
    _leaves_as_it_trained(fixed, kind, tmp_path)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_every_architecture_leaves_with_its_layer_norm(fixed_normalised, kind, tmp_path):
    assert fixed_normalised.agent.actor_ema.layer_norm
    _leaves_as_it_trained(fixed_normalised, kind, tmp_path)


def _leaves_as_it_trained(fixed, kind, tmp_path):
    exported = export_tasks(fixed, tmp_path / "out", kind=kind)
    observations = torch.randn(2, 500, 39, generator=torch.Generator().manual_seed(7))
    expected = fixed.greedy(observations).numpy()
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    for task, one in enumerate(exported):
        for rows in (1, 500):  # a file takes any number of them
            own, path = observations[task, :rows], tmp_path / "out" / one.file
            actions = _run_onnx(path, own.numpy()) if kind == "onnx" else torch.jit.load(path)(own).numpy()
            assert np.abs(actions - expected[task, :rows]).max() < 1e-5
        assert one.difference < 1e-5
        assert (one.modules, one.full_multiply_adds, one.full_microseconds) == ([], None, None)


def test_what_belongs_to_other_tasks_is_left_out(fixed, tmp_path):
    perceptron = 39 * 9 + 9 + 9 * 8 + 8 + 8 * 8 + 8
    whole, out = fixed.agent.actor_ema.parameter_count, 8
    [one] = export_tasks(fixed, tmp_path / "out", "reach-v3")
    expected = {
        "mtsac": whole - 9,
        "mtmhsac": whole - 9 - (8 * out + out),
        "soft-modules": whole - 9,
        "paco": perceptron,
        "moore": whole - 3 - (8 * out + out),
        "d2r": whole - 9,
    }
    assert one.parameters == expected[fixed.config.architecture]
    content = json.loads((tmp_path / "out" / "policies.json").read_text())
    assert content["cut"] == fixed.agent.actor_ema.of_other_tasks


@pytest.mark.parametrize("fixed", ["mtsac", "mtmhsac", "paco"], indirect=True)
def test_multiply_adds_of_a_perceptron_are_those_of_its_layers(fixed, tmp_path):
    [one] = export_tasks(fixed, tmp_path / "out", "reach-v3")
    assert one.multiply_adds == 39 * 9 + 9 * 8 + 8 * 8 == fixed.agent.actor_ema.operations((0,)) / 2


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_gives_the_actions_of_the_policy_as_it_trained(small, tmp_path):
    export_tasks(small, tmp_path / "out", "drawer-close-v3", "torchscript")
    observations = torch.randn(2, 100, 39, generator=torch.Generator().manual_seed(7))
    loaded = torch.jit.load(tmp_path / "out" / "drawer-close-v3.pt")
    assert torch.allclose(loaded(observations[1]), small.greedy(observations)[1], atol=1e-5)


def test_a_stage_3_task_of_a_pool_of_10_costs_at_most_two_fifths_of_the_pool(untrained):
    trained = untrained("mt10", 10)
    full = TaskPolicy(trained.agent.actor_ema, 0, ModuleGraph.full(10), 4, squash=True)
    # All modules and edges that a stage of 3 can have: no genotype of that stage costs more.
    dearest = TaskPolicy(trained.agent.actor_ema, 0, ModuleGraph.full(3), 4, squash=True)
    assert dearest.multiply_adds <= 0.4 * full.multiply_adds
    assert dearest.multiply_adds == 39 * 400 + 400 * 400 + 3 * 2 * 400 * 128 + 400 * 4 + (2 + 3 + 4) * 400
    for task in range(10):
        graph = ModuleGraph.of_task(trained.routing, task, 1e-8)
        assert TaskPolicy(trained.agent.actor_ema, task, graph, 4, squash=True).multiply_adds <= dearest.multiply_adds


def test_multiply_adds_are_those_of_the_nodes_in_the_file(small, tmp_path):
    [one] = export_tasks(small, tmp_path / "out", "reach-v3")
    graph = onnx.load(tmp_path / "out" / one.file).graph
    sizes = {constant.name: int(np.prod(constant.dims)) for constant in graph.initializer}
    products = sum(sizes[node.input[1]] for node in graph.node if node.op_type == "Gemm")
    scaled = sum(small.config.network.width for node in graph.node if node.op_type == "Mul")
    assert one.multiply_adds == products + scaled
    assert one.parameters == sum(size for name, size in sizes.items() if ".weight" not in name[-8:-1] or size > 1)


def test_a_larger_threshold_cuts_more_and_the_difference_says_what_it_costs(small, tmp_path):
    exact = export_tasks(small, tmp_path / "exact")
    coarse = export_tasks(small, tmp_path / "coarse", threshold=0.2)
    assert sum(one.multiply_adds for one in coarse) < sum(one.multiply_adds for one in exact)
    assert max(one.difference for one in coarse) > 1e-5


def test_the_files_are_described_by_a_manifest_and_by_themselves(small, tmp_path):
    export_tasks(small, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "policies.json").read_text())
    assert [one["task"] for one in content["policies"]] == ["reach-v3", "drawer-close-v3"]
    assert (content["observation_size"], content["action_size"], content["format"]) == (39, 4, "onnx")
    notes = onnxruntime.InferenceSession(tmp_path / "out" / "reach-v3.onnx").get_modelmeta().custom_metadata_map
    assert (notes["task"], notes["episode_length"]) == ("reach-v3", "20")


def test_a_directory_that_is_not_empty_is_left_as_it_is(small, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="exists and is not empty"):
        export_tasks(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"tasks": "reech-v3"}, "did you mean reach-v3"), ({"threshold": 1.0}, r"threshold = 1\.0: must be")],
)
def test_a_wrong_argument_writes_nothing(small, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        export_tasks(small, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_without_onnx_the_extra_is_named(small, tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(UserError, match=r"needs onnxruntime: pip install 'genoevo\[export\]'"):
        export_tasks(small, tmp_path / "out")


def test_tasks_whose_names_are_one_file_name_get_two(small, tmp_path):
    names = ("a/b", "A_b")
    renamed = replace(small, suite=replace(small.suite, names=names))
    files = [one.file for one in export_tasks(renamed, tmp_path / "out")]
    assert files == ["a_b.onnx", "A_b_.onnx"]
    assert all((tmp_path / "out" / name).exists() for name in files)


def test_an_export_that_fails_leaves_no_directory(small, tmp_path):
    def progress(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_tasks(small, tmp_path / "out", progress=progress)
    assert not (tmp_path / "out").exists()
