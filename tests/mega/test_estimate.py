from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.experiments.dry_run import estimate
from genoevo_mega.training.build import make_agent
from genoevo_mega.training.memory_check import weights_bytes


def test_an_estimate_counts_the_run_and_divides_its_steps_by_the_measured_rate():
    settings = {"suite": "gymnasium:Pendulum-v1,MountainCarContinuous-v0", "steps": 10**6}
    config = build_config(preset("smoke"), settings, {"schedule": {"time_limit_minutes": None}})
    seen = []
    found = estimate(config, 1.0, seen.append)
    agent = make_agent(config, make_suite(config))
    assert (found.tasks, found.actor_parameters) == (2, agent.actor.parameter_count)
    assert found.weights_bytes == weights_bytes(config, make_suite(config))
    assert found.replay_bytes > config.sac.buffer_size * 4 * (3 + 1 + 1)
    assert found.updates_per_second > 0
    assert abs(found.seconds * found.steps_per_second - 10**6) < 0.02 * 10**6
    assert seen == sorted(seen)
    assert seen[-1] >= 1.0


def test_an_estimate_ends_with_the_time_budget():
    config = build_config(
        preset("smoke"), {"suite": "gymnasium:Pendulum-v1", "steps": 10**12, "schedule": {"time_limit_minutes": 2}}
    )
    assert estimate(config, 0.5).seconds == 120


def test_a_run_whose_first_step_takes_as_long_as_the_probe_has_no_known_end():
    config = build_config(
        preset("smoke"), {"suite": "point", "steps": 10**6, "schedule": {"time_limit_minutes": None}}
    )
    assert estimate(config, 0.0).seconds == float("inf")
