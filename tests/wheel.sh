#!/usr/bin/env bash
# The wheel as a new user meets it: an empty virtual environment, then every genoevo command of the README as it stands
# there, but on the preset smoke and with few steps and episodes. Usage: tests/wheel.sh [directory to work in]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-$(mktemp -d)}
unset PYTHONPATH
export PIP_CONSTRAINT=$root/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1

step() { printf '\n== %s (%d s)\n' "$*" $SECONDS; }

step "build"
"${PYTHON:-python3}" -m venv "$work/venv"
bin=$work/venv/bin
"$bin/pip" wheel --quiet --no-deps --wheel-dir "$work/dist" "$root"
wheel=$(echo "$work"/dist/genoevo-*.whl)
cd "$work" # nothing of the source tree is importable from here

step "pip install genoevo[mega]"
"$bin/pip" install --quiet "$wheel[mega]"
PATH=$bin:$PATH

commands() { python3 "$root/tests/console.py" "$root/README.rst"; }
needs_extras() { [[ $1 =~ mega\ (export|render)|--picture ]]; }
cp -r "$root/studies" .

status=0
while read -r command; do
    needs_extras "$command" && continue
    step "$command"
    $command </dev/null
done < <(commands)

step "what an extra would bring is said in one line"
message=$(genoevo mega export runs/a --format onnx 2>&1 >/dev/null) || status=$?
echo "$message"
[[ $status == 2 && $message == *"pip install 'genoevo[export]'"* && $(wc -l <<<"$message") == 1 ]]

step "pip install genoevo[export,plot,video]"
"$bin/pip" install --quiet "$wheel[export,plot,video]"
while read -r command; do
    needs_extras "$command" || continue
    step "$command"
    $command </dev/null
done < <(commands)

step "the exported policy without genoevo, and genoevo.load_policy"
cp "$root/examples/run_exported.py" .
python run_exported.py runs/a/exported-onnx/drawer-close-v3.onnx
python - <<'PYTHON'
import numpy as np
import genoevo

policy = genoevo.load_policy("runs/a")
action, _ = policy.predict(np.zeros(policy.observation_size), "drawer-close-v3")
print(policy.tasks, action)
PYTHON

step "done"
