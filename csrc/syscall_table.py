"""Writes pyrt/runtime/syscalls.txt: the system call numbers of the four ABIs that a filter can be about.

    dpkg -x linux-libc-dev_*_all.deb DIR        (Debian's package; since 6.12 it holds every architecture)
    python csrc/syscall_table.py DIR/usr/lib/linux/uapi

A line is a name and its numbers on x86_64, aarch64, i386 and arm (EABI), "-" where there is none. Take newer headers when
there are some; a number never changes its meaning, and one that has been dropped from the headers is kept.
"""

import pathlib
import re
import sys

HEADERS = {
    "x86_64": ("x86/asm/unistd_64.h",),
    "aarch64": ("arm64/asm/unistd_64.h",),
    "i386": ("x86/asm/unistd_32.h",),
    "arm": ("arm/asm/unistd-eabi.h", "arm/asm/unistd.h"),
}
TABLE = pathlib.Path(__file__).parent.parent / "pyrt" / "runtime" / "syscalls.txt"
NUMBER = re.compile(r"#define __(?:ARM_)?NR_(\w+)\s+\(?(?:__NR_SYSCALL_BASE|__ARM_NR_BASE)?\s*\+?\s*(0x[0-9a-f]+|\d+)\)?\s*$")
ARM_OWN = 0x0F0000  # __ARM_NR_BASE


def numbers(root, architecture):
    found = {}
    for header in HEADERS[architecture]:
        for line in pathlib.Path(root, header).read_text().splitlines():
            match = NUMBER.match(re.sub(r"/\*.*?\*/", "", line).rstrip())
            if match is None:
                continue
            name, number = match[1], int(match[2], 0)
            if name.isupper() or name == "syscalls":
                continue
            found[name] = number + (ARM_OWN if "__ARM_NR_BASE" in line else 0)
    return found


def kept():
    """What the table says now, so that newer headers only add."""
    if not TABLE.exists():
        return {}
    rows = [line.split() for line in TABLE.read_text().splitlines()]
    return {row[0]: dict(zip(HEADERS, row[1:], strict=True)) for row in rows}


def main(root):
    table = kept()
    for architecture in HEADERS:
        for name, number in numbers(root, architecture).items():
            row = table.setdefault(name, dict.fromkeys(HEADERS, "-"))
            if row[architecture] not in ("-", str(number)):
                sys.exit(f"{name} on {architecture}: {row[architecture]} before, {number} now")
            row[architecture] = str(number)
    TABLE.write_text("".join(f"{name} {' '.join(table[name].values())}\n" for name in sorted(table)))


if __name__ == "__main__":
    main(sys.argv[1])
