"""``tribes-probe completion``."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash    eval "$(tribes-probe completion bash)"                    in ~/.bashrc
    zsh     eval "$(tribes-probe completion zsh)"                     in ~/.zshrc
    fish    tribes-probe completion fish | source                     in config.fish
    """  # noqa: D301
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101  # click knows the three
    click.echo(script(ctx.find_root().command, {}, "tribes-probe", "_TRIBES_PROBE_COMPLETE").source())
