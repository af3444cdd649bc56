"""``python -m genoevo_cli`` is the ``genoevo`` command."""

from genoevo_cli import main

main()
