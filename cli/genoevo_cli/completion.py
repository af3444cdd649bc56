"""``genoevo completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import rich_click as click
from click.shell_completion import get_completion_class

VARIABLE = "_GENOEVO_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes genoevo's commands, options and their values.

    Examples:
        genoevo completion bash > ~/.local/share/bash-completion/completions/genoevo

        genoevo completion zsh > ~/.zfunc/_genoevo

        genoevo completion fish > ~/.config/fish/completions/genoevo.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    # What source() adds to it is a check of the shell's version, which may not be the one that runs here.
    made = script(click.get_current_context().find_root().command, {}, "genoevo", VARIABLE)
    click.echo(made.source_template % made.source_vars())
