"""``genoevo completion``: scripts that complete commands and options in a shell."""

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
    # source() would also check the version of the shell that runs here, which may be another one.
    made = script(click.get_current_context().find_root().command, {}, "genoevo", VARIABLE)
    click.echo(made.source_template % made.source_vars())
