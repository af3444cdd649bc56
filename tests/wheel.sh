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
# What the README's commands name beside runs. Nothing else of the source tree is to be seen from here on.
mkdir "$work/studies"
sed -e 's/seeds: 10/seeds: 1/' -e 's/\[1, 3, 6\]/[3]/' -e 's/steps: 60000/steps: 600/' \
    "$root/studies/start_stage.yaml" >"$work/studies/start_stage.yaml"
grep -q 'steps: 600}' "$work/studies/start_stage.yaml" # else it would be the whole study
cp "$root/examples/run_exported.py" "$work"
cd "$work"

# As the README advises where there is no NVIDIA GPU: torch's CPU build first, where pip finds it.
step "pip install genoevo[mega]"
"$bin/pip" install --quiet --no-deps --require-hashes -r "$root/requirements/torch-cpu.txt" ||
    echo "no CPU build of torch for this machine: its build on PyPI is taken"
"$bin/pip" install --quiet "$wheel[mega]"
PATH=$bin:$PATH

commands=$("$bin/python" "$root/tests/console.py" "$root/README.rst")
needs_extras() { [[ $1 =~ mega\ (export|render)|--picture ]]; }

# A command that serves until Ctrl-C is asked once for its page.
watched() {
    "$@" </dev/null 2>watch.log &
    local address=""
    server=$!
    trap 'kill $server 2>/dev/null || true' EXIT
    for _ in $(seq 1200); do
        address=$(grep -o 'http://[^ ]*' watch.log || true)
        [ -z "$address" ] || break
        sleep 0.1
    done
    python -c 'import sys, urllib.request; assert b"application/json" in urllib.request.urlopen(sys.argv[1], timeout=60).read()' "$address"
    kill -INT $server
    wait $server
    trap - EXIT
    cat watch.log
}

try() {
    step "$*"
    if [[ $* == *" watch "* ]]; then watched "$@"; else "$@" </dev/null; fi
}

while read -r command; do
    needs_extras "$command" || try $command
done <<<"$commands"

step "what an extra would bring is said in one line"
status=0
message=$(genoevo mega export runs/a --format onnx 2>&1 >/dev/null) || status=$?
echo "$message"
[[ $status == 2 && $message == *"pip install 'genoevo[export]'"* && $(wc -l <<<"$message") == 1 ]]

step "pip install genoevo[export,video,plot]"
"$bin/pip" install --quiet "$wheel[export,video,plot]"
while read -r command; do
    ! needs_extras "$command" || try $command
done <<<"$commands"

step "the exported policy without genoevo, and genoevo.load_policy"
python run_exported.py runs/a/exported-onnx/drawer-close-v3.onnx
python - <<'PYTHON'
import numpy as np
import genoevo

policy = genoevo.load_policy("runs/a")
action, _ = policy.predict(np.zeros(policy.observation_size), "drawer-close-v3")
print(policy.tasks, action)
PYTHON

step "done"
