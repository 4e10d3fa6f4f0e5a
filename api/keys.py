"""``python -m api.keys``: make, list and revoke API keys."""

from pathlib import Path

import click

from api.key_ring import KEY, KeyFileError, KeyRing, changed_keys, new_key, read_keys
from api.scopes import GRANTED, Scope

FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


class Commands(click.Group):
    """Turns a file that cannot be used into one sentence."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyFileError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands)
def main() -> None:
    """API keys in FILE, which NEURON_API_KEYS_FILE names; a running API sees changes at once."""


@main.command()
@click.option("--owner", required=True, help="Whose jobs and models are the key's.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in GRANTED]),
    multiple=True,
    required=True,
    help="What the key may do; may be repeated. admin: everything, of every owner.",
)
@FILE
def add(owner: str, scopes: tuple[str, ...], file: Path) -> None:
    """Make a key and print it, this once: FILE keeps only a hash."""
    try:
        shown, kept = new_key(owner, frozenset(map(Scope, scopes)))
    except ValueError:
        rule = "1 to 64 letters, digits, dots, dashes and underscores, the first none of the marks"
        raise click.BadParameter(rule, param_hint="'--owner'") from None
    with changed_keys(file) as keys:
        keys[kept.id] = kept
    click.echo(shown)


@main.command()
@FILE
def check(file: Path) -> None:
    """Tell whether an API would start with FILE."""
    KeyRing(file)


@main.command("list")
@FILE
def list_keys(file: Path) -> None:
    """List the keys, without their secrets."""
    for key in read_keys(file).values():
        scopes = ",".join(sorted(key.scopes))
        click.echo(f"{key.id}  {key.created:%Y-%m-%d %H:%M}  {key.owner}  {scopes}")


@main.command()
@click.argument("key_id", metavar="ID")
@FILE
def revoke(key_id: str, file: Path) -> None:
    """Take away the key with this ID (or the whole key)."""
    whole = KEY.fullmatch(key_id)
    found = whole[1] if whole else key_id
    with changed_keys(file) as keys:
        if not keys.pop(found, None):
            raise click.ClickException(f"There is no key {found} in {file}.")


if __name__ == "__main__":
    main(prog_name="python -m api.keys")
