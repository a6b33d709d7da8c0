"""A credential helper as docker's protocol has it: a small shell script over files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """#!/bin/sh
# $1: get, store, erase
cd '{home}' || exit 1
read -r line
case "$1" in
    get) key=$(printf %s "$line" | tr '/:' '__')
         echo "get $line" >> calls
         [ -f "$key" ] || {{ echo "credentials not found in native keychain"; exit 1; }}
         cat "$key" ;;
    store) echo "store $line" >> calls
         key=$(printf %s "$line" | sed 's/.*"ServerURL": *"//; s/".*//' | tr '/:' '__')
         printf %s "$line" > "$key" ;;
    erase) key=$(printf %s "$line" | tr '/:' '__')
         echo "erase $line" >> calls
         rm "$key" ;;
esac
"""
_BROKEN = {
    "failing": "#!/bin/sh\necho 'hunter2 is locked'; exit 3\n",
    "talking": "#!/bin/sh\necho 'hunter2, my friend'\n",
    "sleeping": "#!/bin/sh\nexec sleep 60\n",
}


@dataclass(frozen=True, kw_only=True)
class Helper:
    home: Path

    def calls(self) -> list[str]:
        """What was asked so far: the verb and the line on standard input."""
        file = self.home / "calls"
        return file.read_text().splitlines() if file.exists() else []


def install_helper(
    directory: Path, name: str, known: Mapping[str, tuple[str, str]], environ: dict[str, str], *, behave: str = ""
) -> Helper:
    """Installs docker-credential-NAME into ``directory`` and puts that on the PATH of ``environ``."""
    home = directory / f"{name}-home"
    home.mkdir(parents=True)
    for server, (user, secret) in known.items():
        key = server.replace("/", "_").replace(":", "_")
        (home / key).write_text(json.dumps({"ServerURL": server, "Username": user, "Secret": secret}))
    program = directory / f"docker-credential-{name}"
    program.write_text(_BROKEN[behave] if behave else _SCRIPT.format(home=home))
    program.chmod(0o755)
    if str(directory) not in environ["PATH"].split(":"):
        environ["PATH"] = f"{directory}:{environ['PATH']}"
    return Helper(home=home)
