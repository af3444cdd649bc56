import pytest
import yaml

from genoevo_mega.config.run import Config, build_config, dump_config, preset
from genoevo_runs.errors import ConfigError
from genoevo_runs.settings import parse_setting, read_config


@pytest.mark.parametrize(("name", "precision", "population"), [("mt10", 2, 3), ("mt50", 4, 4)])
def test_paper_presets_carry_every_number_of_the_paper(name, precision, population):
    config = build_config(preset(name))
    assert config.suite == name
    assert config.environment.episode_length == 200
    assert (config.network.width, config.network.embedding_layers, config.network.hidden) == (400, 2, 128)
    assert config.genotypes.start_stage == 3
    assert (config.genotypes.precision, config.genotypes.population_size) == (precision, population)
    assert config.decoding.offset == 0.99


@pytest.mark.parametrize(("name", "steps", "buffer"), [("mt10", 20_000_000, 10**6), ("mt50", 10**8, 5 * 10**6)])
def test_paper_presets_train_as_their_closest_relatives(name, steps, buffer):
    config = build_config(preset(name))
    sac = config.sac
    assert (config.steps, sac.buffer_size, sac.batch_size, sac.updates_per_step) == (steps, buffer, 128, 1)
    assert (sac.learning_rate, sac.gamma, sac.tau, sac.gradient_clip) == (3e-4, 0.99, 0.005, 1.0)


def test_the_preset_for_two_cores_searches_and_grows_as_mt10_does():
    laptop, mt10 = build_config(preset("laptop")), build_config(preset("mt10"))
    assert laptop.suite == "mt10"
    assert laptop.evolution == mt10.evolution
    assert (laptop.layer_norm, laptop.network.modules) == (mt10.layer_norm, mt10.network.modules)


def test_later_layers_win_and_leave_the_rest():
    config = build_config(preset("smoke"), {"sac": {"gamma": 0.5}}, {"sac": {"gamma": 0.7}})
    assert (config.sac.gamma, config.sac.batch_size) == (0.7, 8)


def test_building_a_config_does_not_change_the_preset():
    build_config(preset("smoke"), {"sac": {"batch_size": 9}})
    assert build_config(preset("smoke")).sac.batch_size == 8


def test_a_dumped_config_reads_back_the_same(tmp_path):
    config = build_config(preset("demo"), {"growth": {"fill": "random"}})
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert build_config(read_config(path)) == config


@pytest.mark.parametrize(
    ("text", "nested"),
    [
        ("sac.batch_size=64", {"sac": {"batch_size": 64}}),
        ("suite=reach-v3,push-v3", {"suite": "reach-v3,push-v3"}),
        ("sac.learning_rate=3e-4", {"sac": {"learning_rate": 3e-4}}),
        ("growth.shrink=true", {"growth": {"shrink": True}}),
        ("reproduction.mutation_rate=null", {"reproduction": {"mutation_rate": None}}),
    ],
)
def test_settings_on_the_command_line(text, nested):
    assert parse_setting(text) == nested
    build_config(nested)


@pytest.mark.parametrize("text", ["sac.batch_size", "=3", "sac.=3", "a=[1"])
def test_a_setting_of_another_form_is_refused(text):
    with pytest.raises(ConfigError, match="--set"):
        parse_setting(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sac": {"bath_size": 3}}, r"sac\.bath_size is not a setting \(did you mean sac\.batch_size\?\)"),
        ({"sacc": {"batch_size": 3}}, r"sacc is not a setting"),
        ({"growth": {"patiense": 3}}, r"did you mean growth\.patience\?"),
        ({"sac": {"batch_size": 0}}, r"sac\.batch_size = 0: input should be greater than or equal to 1"),
        ({"sac": {"gamma": "much"}}, r"sac\.gamma = 'much': input should be a valid number"),
        ({"sac": {"gamma": float("nan")}}, r"sac\.gamma = nan: input should be a finite number"),
        ({"growth": {"mastery": 2}}, r"growth\.mastery must be between 0 and 1, got 2"),
        ({"mating": {"usage_cost": float("inf")}}, r"mating\.usage_cost = inf: input should be a finite number"),
        ({"decoding": {"offset": 1.0}}, r"decoding\.offset must be in \[0, 1\), got 1\.0"),
        ({"genotypes": {"start_stage": 11}}, r"genotypes\.start_stage = 11: must be at most growth\.max_modules"),
        ({"environment": {"episode_length": 0}}, r"environment\.episode_length = 0: .*greater than or equal to 1"),
        (
            {"architecture": "mtsax"},
            r"architecture = 'mtsax': must be mega, .* or package\.module:callable \(did you mean mtsac",
        ),
        ({"sac": {"batch_size": True}}, r"sac\.batch_size = True: must be a number$"),
        ({"sac": {"tau": False}}, r"sac\.tau = False: must be a number"),
        ({"growth": {"max_modules": True}}, r"growth\.max_modules = True: must be a number"),
        ({"seed": True}, r"^seed = True: must be a number"),
        ({"match_parameters": True}, r"^match_parameters = True: must be a number"),
        ({"match_parameters": 5.5}, r"^match_parameters = 5\.5: must be mega, mega:STAGE or 1 to 10,000,000,000$"),
        ({"match_parameters": [1]}, r"^match_parameters = list of 1: must be mega, mega:STAGE or 1 to"),
        ({"loggers": 3}, r"^loggers = 3: must be a list of tensorboard, wandb or mlflow$"),
        ({"loggers": "wandb"}, r"^loggers = 'wandb': must be a list of tensorboard, wandb or mlflow$"),
        ({"loggers": ["wandb", "wandb"]}, r"^loggers = 'wandb' twice: each may be named once$"),
        ({"mlp": {"layers": 3}}, r"^mlp\.layers = 3: must be a list of whole numbers, at least 1 of them$"),
        ({"mlp": {"layers": []}}, r"^mlp\.layers = list of 0: must be a list of whole numbers, at least 1 of them$"),
        ({"suite": 3}, r"^suite = 3: must be mt10, mt25, mt50, names of tasks"),
        ({"sac": 3}, r"^sac = 3: must be values by name$"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_is_allowed(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_config(settings)


def test_an_unknown_preset_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'mt1O': must be one of mt10, .*did you mean mt10"):
        preset("mt1O")


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "not valid YAML"), ("- 3", "settings by name"), ("3", "by name")]
)
def test_a_file_that_is_no_config_is_refused(tmp_path, content, message):
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_a_config_file_runs_no_code(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_config(path)


def test_every_preset_is_valid_and_dumps_to_plain_yaml():
    for name in ("mt10", "mt50", "laptop", "demo", "smoke"):
        assert isinstance(yaml.safe_load(dump_config(build_config(preset(name)))), dict)


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Config().steps = 3


@pytest.mark.parametrize("setting", [{"crossover": "cut_and_splice"}, {"resize_rate": 0.1}])
def test_reproduction_that_changes_lengths_is_refused(setting):
    with pytest.raises(ConfigError, match="children must keep their length"):
        build_config(preset("smoke"), {"reproduction": setting})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": True}, "steps = True: must be a number"),
        ({"sac": {"batch_size": "12"}}, r"sac\.batch_size = '12': must be a number"),
        ({"evaluation": {"at_end": "n"}}, r"evaluation\.at_end = 'n': must be true or false"),
        ({"genotypes": {"evolve": 0.0}}, r"genotypes\.evolve = 0\.0: must be true or false"),
        ({"growth": {"patience": "3"}}, r"growth\.patience = '3': must be a number"),
        ({"mlp": {"layers": [True, 5]}}, r"mlp\.layers = True: must be a number"),
        ({"match_parameters": True}, "match_parameters = True: must be a number"),
    ],
)
def test_a_value_of_another_kind_is_refused_and_not_converted(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_config(preset("smoke"), settings)


def test_a_whole_number_may_be_written_as_a_float():
    assert build_config(preset("smoke"), {"steps": 1e5}).steps == 100_000
