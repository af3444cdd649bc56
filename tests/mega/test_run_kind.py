import subprocess
import sys

from genoevo_mega.experiments import runs
from genoevo_mega.run_kind import KIND
from genoevo_runs.run_kind import find


def test_megas_kind_is_registered_under_the_format_of_its_runs():
    assert KIND.format == runs.FORMAT
    assert find(runs.FORMAT, "runs/a") is KIND


def test_the_kind_is_found_where_its_dependencies_are_not_installed():
    code = "import sys; sys.modules |= dict.fromkeys(('torch', 'pydantic', 'yaml', 'gymnasium', 'scipy'));"
    code += "from genoevo_runs.run_kind import find; print(find('genoevo-mega-run', 'runs/a').requirement)"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout == "genoevo[mega]\n"
