"""The three files of /etc that belong to the container and not to its image: resolv.conf, hosts and hostname.

Pure: text in, text out. Who writes them where is the caller's business; they are bound over the image's, never written
into it. resolv.conf(5), hosts(5), hostname(5).
"""

from __future__ import annotations

from pyrt.errors import UsageError

# apt changes to a user of its own and looks whether it has become that: with a single id it must not try (apt.conf(5)).
APT_CONFIG = "/run/pyrt/apt.conf"
APT_AS_ROOT = 'APT::Sandbox::User "root";\n'


def hostname(name: str) -> str:
    """/etc/hostname."""
    return f"{name}\n"


def hosts(host: str | None, name: str, add: tuple[tuple[str, str], ...]) -> str:
    """/etc/hosts: the host's where its network is used (``host``, the text), a minimal one else; then our own name and
    docker's ``--add-host``. "host-gateway" is the host itself, and with its network that is the loopback address."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"] if host is None else host.splitlines()
    lines += [f"{'127.0.0.1' if address == 'host-gateway' else address}\t{alias}" for alias, address in add]
    if name:
        lines.append(f"127.0.1.1\t{name}")
    return "\n".join(lines) + "\n"


def resolv_conf(
    host: str, servers: tuple[str, ...] = (), search: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> str:
    """/etc/resolv.conf: the host's, with what was asked for in the place of what it says. ``--dns-search .`` is none."""
    asked = {"nameserver": servers, "search": search, "options": options}
    replaced = {keyword for keyword, values in asked.items() if values}
    if "search" in replaced:
        replaced.add("domain")
    kept = [line for line in host.splitlines() if not (line.split()[:1] and line.split()[0] in replaced)]
    lines = [*kept, *(f"nameserver {server}" for server in servers)]
    if search and search != (".",):
        lines.append(f"search {' '.join(search)}")
    if options:
        lines.append(f"options {' '.join(options)}")
    return "\n".join(lines) + "\n"


def check_hostname(name: str) -> str:
    """The name, if a kernel and hosts(5) take it: 1 to 64 characters of RFC 1123 and the underscore. Raises UsageError."""
    plain = name.replace("-", "").replace(".", "").replace("_", "")
    if not (1 <= len(name) <= 64 and name.isascii() and plain.isalnum() and name[0] not in "-."):
        raise UsageError(f"hostname {name!r}: not 1 to 64 letters, digits, hyphens and dots")
    return name
