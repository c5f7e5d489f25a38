"""Options of the commands that work on boards through their loader."""

from typing import TypeVar

import click

F = TypeVar("F")
BEFORE = ("default-reset", "usb-reset", "no-reset", "no-reset-no-sync")  # as esptool 5 names them
AFTER = ("hard-reset", "soft-reset", "no-reset", "no-reset-stub", "watchdog-reset")
BAUD = 460800
LOADER = ("chip", "baud", "before", "after", "no_stub")  # what `loader_option` gives


def ports_option(function: F) -> F:
    """`--port PORT...` and `--all`: the command gets `ports` and `every`."""
    for option in (
        click.option("--all", "every", is_flag=True, help="All boards that are attached, side by side."),
        click.option(
            "--port",
            "ports",
            metavar="PORT",
            multiple=True,
            help="A path, a pattern or a pyserial URL, several times if need be; else the only board attached.",
        ),
    ):
        function = option(function)  # type: ignore[type-var]
    return function


def loader_option(function: F) -> F:
    """`--chip` and what else esptool wants to know: the command gets LOADER."""
    for option in (
        click.option("--no-stub", is_flag=True, help="Talk to the loader in ROM only: slow, and works when it must."),
        click.option(
            "--after",
            metavar="HOW",
            type=click.Choice(AFTER),
            default=AFTER[0],
            help=f"Afterwards: {', '.join(AFTER)}.",
        ),
        click.option(
            "--before", metavar="HOW", type=click.Choice(BEFORE), default=BEFORE[0], help=f"First: {', '.join(BEFORE)}."
        ),
        click.option(
            "--baud",
            metavar="RATE",
            type=click.IntRange(9600, 4_000_000),
            default=BAUD,
            help=f"Bits per second on the line; default {BAUD}.",
        ),
        click.option(
            "--chip", metavar="NAME", default="auto", help="esp32, esp32s3, esp32c3 ...; default: it is asked."
        ),
    ):
        function = option(function)  # type: ignore[type-var]
    return function
