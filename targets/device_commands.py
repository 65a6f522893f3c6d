"""The command about devices: `edgeres devices list|add|remove|check`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeres.options import JSON


@click.group(invoke_without_command=True, short_help="The devices that models can be measured on.")
@click.pass_context
def devices(context: click.Context) -> None:
    """Keep the inventory of devices, and look whether they are ready. Without a command: list them."""
    if context.invoked_subcommand is None:
        _print_list(None)


@devices.command("list", short_help="List the inventory.")
@JSON
def list_devices(json_file: Path | None) -> None:
    """List the devices of the inventory; connects to none."""
    _print_list(json_file)


def _print_list(json_file: Path | None) -> None:
    from edgeres.records import write_json
    from edgeres.report.terminal import output, plain_table
    from targets.devices.inventory import inventory_path, read_inventory

    entries = list(read_inventory().values())
    if entries:
        cells = [
            (entry.name, entry.url, ", ".join(f"{key} = {value}" for key, value in entry.options.items()))
            for entry in entries
        ]
        output().print(plain_table(("device", "url", "options"), cells))
    else:
        click.echo(f"{inventory_path()} has no devices. Add one: edgeres devices add NAME ssh://USER@HOST")
    if json_file:
        rows = [{"name": entry.name, "url": entry.url, "options": dict(entry.options)} for entry in entries]
        write_json(json_file, {"devices": rows})


@devices.command(short_help="Add a device to the inventory.")
@click.argument("name")
@click.argument("url")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="python, benchmark, …; repeatable.")
def add(name: str, url: str, settings: tuple[str, ...]) -> None:
    """Add a device to the inventory: URL is ssh://USER@HOST:PORT or adb://SERIAL.

    Connects to nothing; see 'edgeres devices check'.
    """
    from targets.devices.device import Entry
    from targets.devices.inventory import add_entry

    options = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise click.UsageError(f"--set: expected KEY=VALUE, found '{setting}'")
        options[key] = value
    add_entry(Entry(name, url, options))
    click.echo(f"added {name}; look whether it is ready: edgeres devices check {name}", err=True)


@devices.command(short_help="Take a device out of the inventory.")
@click.argument("name")
def remove(name: str) -> None:
    """Take a device out of the inventory."""
    from targets.devices.inventory import remove_entry

    remove_entry(name)


@devices.command(short_help="Connect to devices and look whether they are ready.")
@click.argument("names", nargs=-1, metavar="[NAME|URL]…")
@JSON
def check(names: tuple[str, ...], json_file: Path | None) -> None:
    """Connect to devices, all of the inventory unless named, and say what is there and how to mend what is missing.

    Exit code 6 where something is.
    """
    from edgeres.errors import TargetError
    from edgeres.records import write_json
    from edgeres.report.terminal import output, plain_table
    from targets.devices.examination import examine

    found = examine(names)
    cells = [
        (name, finding.what, finding.found, "PROBLEM" if finding.problem else "", finding.fix or "")
        for name, findings in found.items()
        for finding in findings
    ]
    output().print(plain_table(("device", "what", "found", "", "to do"), cells))
    if json_file:
        rows = [{"name": name, "findings": findings} for name, findings in found.items()]
        write_json(json_file, {"devices": rows})
    failed = [name for name, findings in found.items() if any(finding.problem for finding in findings)]
    if failed:
        raise TargetError(f"not ready: {', '.join(failed)}", fix="do what the table says")
