"""Values that are names: of containers, hosts, domains, signals, labels, kernel settings, and addresses beside them.

Each function takes the text of an option and returns the value, or raises UsageError that says what is wrong with it.
"""

from __future__ import annotations

import re

from pyrt.errors import Unsupported, UsageError
from pyrt.request import HOST, PRIVATE

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"({_LABEL}(?:\.{_LABEL})*)\.?"
_SYSCTL = r"[a-zA-Z0-9_-]+(?:[./][a-zA-Z0-9_-]+)+"


def parse_container_name(text: str) -> str:
    """A container's name; a leading slash, which docker's own output has, is dropped. "" is none."""
    from pyrt.store.records import check_name

    name = text.removeprefix("/")
    if text:
        try:
            check_name(name)
        except UsageError as error:
            raise UsageError("a name is made of a-z A-Z 0-9 _ . - and begins with a letter or a digit") from error
    return name


def parse_hostname(text: str) -> str:
    """A host or domain name that a kernel and hosts(5) take."""
    from pyrt.runtime.etcfiles import check_hostname

    try:
        return check_hostname(text)
    except UsageError as error:
        raise UsageError("not 1 to 64 letters, digits, hyphens and dots", hint=error.hint) from error


def parse_add_host(text: str) -> tuple[str, str]:
    """``name:address`` or ``name=address``; an IPv6 address may stand in brackets; ``host-gateway`` is the host."""
    separator = "=" if "=" in text else ":"
    name, found, address = text.partition(separator)
    if not found or not name or not address:
        raise UsageError("not of the form NAME:ADDRESS")
    parse_hostname(name)
    if address == "host-gateway":
        return name, address
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return name, parse_address(address)


def parse_address(text: str) -> str:
    """An IPv4 or IPv6 address, without a zone."""
    import ipaddress

    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError as error:
        raise UsageError(f"{text!r} is not an IP address") from error
    if "%" in text:
        raise UsageError(f"{text!r}: an address with a zone means nothing in a container")
    return str(address) if address.version == 4 else text.strip()


def parse_search_domain(text: str) -> str:
    """A domain for resolv.conf(5)'s search list; ``.`` is the empty list."""
    text = text.strip()
    if text == ".":
        return text
    match = re.fullmatch(_DOMAIN, text)
    if match is None or len(match.group(1)) >= 255 or not any(character.isalpha() for character in text):
        raise UsageError("not a domain name")
    return match.group(1)


def parse_resolver_option(text: str) -> str:
    """One of resolv.conf(5)'s options, such as ``ndots:2``."""
    if not text or not text.isprintable() or any(character.isspace() for character in text):
        raise UsageError("not an option of resolv.conf")
    return text


def parse_label(text: str) -> tuple[str, str]:
    """``key=value`` or ``key``."""
    key, _, value = text.partition("=")
    if not key:
        raise UsageError("the key is missing")
    return key, value


def parse_sysctl(text: str) -> tuple[str, str]:
    """``name=value`` of a setting that belongs to a namespace of the container: IPC, mqueue or net."""
    from pyrt.runtime.bundle import IPC_SYSCTLS

    name, equals, value = text.partition("=")
    if not equals or not value:
        raise UsageError("not of the form NAME=VALUE")
    if re.fullmatch(_SYSCTL, name) is None:
        raise UsageError(f"{name!r} is no setting's name")
    name = name.replace("/", ".")
    if name in IPC_SYSCTLS or name.startswith(("net.", "fs.mqueue.")):
        return name, value
    raise UsageError(f"{name!r} would change the host", hint="allowed are net.*, fs.mqueue.* and the IPC settings")


def parse_signal(text: str) -> str:
    """A signal by number or by name, with or without SIG, in either case; returned as it was written."""
    from pyrt.runtime import signals

    try:
        signals.parse(text)
    except UsageError as error:
        raise UsageError("no such signal", hint=error.hint) from error
    return text


def parse_capability(text: str) -> str:
    """A capability by name, with or without CAP_, in either case, or ALL."""
    from pyrt.runtime import capabilities

    if text.upper() != capabilities.ALL:
        try:
            capabilities.number(text)
        except UsageError as error:
            raise UsageError("no such capability", hint=error.hint) from error
    return text


def parse_network(text: str) -> str:
    """``host`` or ``none``: what this version has. The others that docker has are refused by name."""
    if text in ("host", "none"):
        return text
    raise Unsupported(f'the network "{text}" is not supported by this version (it has host and none)')


def parse_namespace(text: str) -> str:
    """Whose namespace: ``private``, the container's own, or ``host``; "" is the default."""
    if text in ("", PRIVATE):
        return text
    if text == HOST:
        return HOST
    if text in ("none", "shareable") or text.startswith(("container:", "ns:")):
        raise Unsupported(f"{text} is not supported by this version (it has {PRIVATE} and {HOST})")
    raise UsageError(f"must be {PRIVATE} or {HOST}")


def parse_user_namespace(text: str) -> str:
    """``host`` alone: whoever is root here starts containers whose root is root, as docker does."""
    if text not in ("", HOST):
        raise Unsupported(f"{text}: not supported by this version (it has {HOST}; --isolation userns is another way)")
    return HOST


def parse_pull_policy(text: str) -> str:
    """When to ask the registry: ``always``, ``missing`` (docker's default) or ``never``."""
    if text not in ("always", "missing", "never"):
        raise UsageError("must be always, missing or never")
    return text


def parse_scratch(text: str) -> str:
    """Where an --rm container writes: ``memory``, ``disk``, or ``auto``, which is memory where there is much."""
    if text not in ("auto", "memory", "disk"):
        raise UsageError("must be auto, memory or disk")
    return text


def parse_workdir(text: str) -> str:
    """The working directory: an absolute path in the container; "" leaves the image's."""
    if text and not text.startswith("/"):
        raise UsageError("the working directory must be an absolute path")
    return text


def parse_whole(text: str) -> int:
    """A whole number."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII) is None:
        raise UsageError("not a whole number")
    return int(text)


def parse_stop_timeout(text: str) -> int:
    """Seconds between the stop signal and the kill; -1 waits for ever."""
    seconds = parse_whole(text)
    if seconds < -1:
        raise UsageError("must be 0 or more, or -1 to wait for ever")
    return seconds


def parse_seconds(text: str) -> float:
    """Seconds, as a decimal number; 0 is no limit."""
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text, re.ASCII) is None:
        raise UsageError("not a number of seconds")
    return float(text)
