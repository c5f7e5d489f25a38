"""Command lines that the demonstration runs: programs of their own, which end with it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from fleet.processes import tied
from tools.interpreter import ROOT
from tools.processes import stop


class CommandError(Exception):
    """A command failed; the text has what it said."""


async def run(module: str, *words: str | Path) -> str:
    """What `python -m module words` prints; CommandError when it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *map(str, words)),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=tied(),
        start_new_session=True,  # Ctrl-C is for the demonstration
    )
    try:
        out, err = await process.communicate()
    finally:
        await stop(process)
    if process.returncode:
        raise CommandError(f"{module} {' '.join(map(str, words))}: {(err or out).decode(errors='replace').strip()}")
    return out.decode()


async def fleet(fleet_dir: Path, *words: str | Path) -> Any:
    """What a `fleet` command prints as JSON."""
    return json.loads(await run("fleet", *words, "--fleet", fleet_dir, "--json"))
