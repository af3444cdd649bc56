"""Run an exported Meta-World policy with onnxruntime, gymnasium and metaworld alone.

$ genoevo mega export runs/demo --format onnx --out policies
$ python examples/run_exported.py policies/drawer-close-v3.onnx
"""

import sys

import gymnasium
import metaworld  # noqa: F401  (registers its environments with gymnasium)
import onnxruntime

policy = onnxruntime.InferenceSession(sys.argv[1])
notes = policy.get_modelmeta().custom_metadata_map
env = gymnasium.make("Meta-World/MT1", env_name=notes["task"], seed=1, disable_env_checker=True)
for episode in range(3):
    observation, _ = env.reset()
    success = False
    for _ in range(int(notes["episode_length"])):
        action = policy.run(None, {"observation": observation[None].astype("float32")})[0][0]
        observation, _, _, _, info = env.step(action)
        success |= bool(info["success"])
    print(f"{notes['task']}, episode {episode + 1}: {'success' if success else 'no success'}")
