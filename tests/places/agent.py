"""Runs in a place: carries out the commands that a test leaves in a directory, and leaves the answers beside them.

``python agent.py DIRECTORY``. Files, because they are the one thing that a virtual machine, a container and a user's session
all pass on. Standard library only: what else is there is what the test is about.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

IDLE_SECONDS = 1800  # a test that was killed tells nobody

# What a login session has made known.
SESSION = {name: os.environ[name] for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if name in os.environ}


def main(directory: str) -> None:
    os.makedirs(directory, exist_ok=True)
    leave(directory, "ready", {"pid": os.getpid(), "uid": os.getuid()})
    number, since = 0, time.monotonic()
    while time.monotonic() - since < IDLE_SECONDS and not os.path.exists(f"{directory}/stop"):
        if not os.path.exists(f"{directory}/request-{number}"):
            time.sleep(0.02)
            continue
        with open(f"{directory}/request-{number}") as file:
            leave(directory, f"reply-{number}", carry_out(json.load(file)))
        number, since = number + 1, time.monotonic()


def carry_out(request: dict) -> dict:
    try:
        done = subprocess.run(
            request["argv"],
            input=request["input"].encode(),
            capture_output=True,
            env={**SESSION, **request["env"]},
            cwd=request["cwd"],
            timeout=request["timeout"],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    texts = {name: getattr(done, name).decode(errors="replace") for name in ("stdout", "stderr")}
    return {"returncode": done.returncode, **texts}


def leave(directory: str, name: str, answer: dict) -> None:
    """The file appears whole, by rename."""
    with open(f"{directory}/{name}.new", "w") as file:
        json.dump(answer, file)
    os.rename(f"{directory}/{name}.new", f"{directory}/{name}")


if __name__ == "__main__":
    main(sys.argv[1])
