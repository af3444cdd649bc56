"""Measure how hard Meta-World's tasks are, without learning, and write difficulty.json of the adapter.

Three figures are measured for every task of MT50, in episodes of 200 steps: the steps that Meta-World's own scripted
expert takes to succeed (the median over the evaluation goals on which it succeeds), the success rate of the expert,
and the success rate of random actions held for 20 steps.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from metaworld.policies import ENV_POLICY_MAP

from genoevo_mega.envs.metaworld import MetaWorldSuite, metaworld_names

TARGET = Path(__file__).parents[1] / "adapters" / "genoevo_mega" / "envs" / "difficulty.json"
STEPS = 200


def episode(task, goal, policy):
    """Return the steps to the first success, None if the episode fails."""
    observation = task.reset(goal, evaluation=True)
    for step in range(1, STEPS + 1):
        observation, _, _, success = task.step(policy(observation, step))
        if success:
            return step
    return None


def scripted(expert):
    """Return an expert as a policy, with its actions clipped to the range of the environment."""

    def policy(observation, step):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.clip(expert.get_action(observation), -1, 1)

    return policy


def held(rng, hold=20):
    """Return a policy of uniform random actions, each held for *hold* steps."""
    action = np.zeros(4, np.float32)

    def policy(observation, step):
        nonlocal action
        if (step - 1) % hold == 0:
            action = rng.uniform(-1, 1, 4).astype(np.float32)
        return action

    return policy


def main():
    """Measure every task, print progress, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10)
    episodes = parser.parse_args().episodes
    names, found = metaworld_names("mt50"), {}
    suite = MetaWorldSuite(names, seed=1)
    for index, name in enumerate(names):
        task, expert = suite.make(index), ENV_POLICY_MAP[name]()
        steps = [episode(task, goal, scripted(expert)) for goal in range(episodes)]
        rng = np.random.default_rng([1, index])
        random = [episode(task, goal, held(rng)) for goal in range(episodes)]
        solved = [step for step in steps if step is not None]
        found[name] = {
            "expert_steps": float(np.median(solved)) if solved else None,
            "expert_success": len(solved) / episodes,
            "random_success": sum(step is not None for step in random) / episodes,
        }
        print(name, found[name], flush=True)
    content = {"episodes": episodes, "steps": STEPS, "tasks": found}
    TARGET.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
