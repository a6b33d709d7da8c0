"""registries.conf, version 2: which places serve a name. Source: containers-registries.conf(5), ...conf.d(5)."""

from __future__ import annotations

import os
import sys

from pyrt.errors import UsageError
from pyrt.registry.config_paths import ConfigPaths
from pyrt.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

Table = dict[str, object]
_PULL_CHOICES = ("all", "digest-only", "tag-only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A place that has copies. ``pull`` is "all", "digest-only" or "tag-only"."""

    location: str
    insecure: bool = False
    pull: str = "all"

    def serves(self, *, by_digest: bool) -> bool:
        """Whether it may be asked for a name with (without) a digest."""
        return self.pull == "all" or (self.pull == "digest-only") == by_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryRule:
    """One ``[[registry]]``: what holds for all names below ``prefix`` (host[:port][/path], or ``*.domain``)."""

    prefix: str
    location: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def match(self, name: str) -> int:
        """How many characters of ``name`` (registry/repository) the prefix covers, 0 where it does not match."""
        if self.prefix.startswith("*."):
            host = name.partition("/")[0]
            bare = host.partition(":")[0] if not host.startswith("[") else host
            return len(host) if bare.endswith(self.prefix[1:]) else 0
        if name == self.prefix or name.startswith(self.prefix + "/"):
            return len(self.prefix)
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistriesConf:
    """All files together. ``search`` is None where no file names registries for short names."""

    rules: tuple[RegistryRule, ...] = ()
    search: tuple[str, ...] | None = None
    aliases: tuple[tuple[str, str], ...] = ()

    @classmethod
    def load(cls, paths: ConfigPaths) -> RegistriesConf:
        """Reads the main file and the drop-ins; UsageError names the file that is wrong."""
        conf = cls()
        for path in paths.registries_conf:
            if os.path.isfile(path):
                conf = conf.with_file(path)
                break
        for directory in paths.registries_conf_dirs:
            for name in sorted(_names(directory)):
                if name.endswith(".conf"):
                    conf = conf.with_file(os.path.join(directory, name))
        return conf

    def with_file(self, path: str) -> RegistriesConf:
        """This, overridden by what ``path`` says: rules by prefix, the search list as a whole, aliases one by one."""
        parsed = parse(_read(path), path)
        rules = {rule.prefix: rule for rule in self.rules} | {rule.prefix: rule for rule in parsed.rules}
        aliases = dict(self.aliases) | dict(parsed.aliases)
        return RegistriesConf(
            rules=tuple(rules.values()),
            search=self.search if parsed.search is None else parsed.search,
            aliases=tuple((name, value) for name, value in aliases.items() if value),
        )

    def rule_for(self, name: str) -> RegistryRule | None:
        """The rule with the longest prefix of ``name`` (registry/repository); an exact prefix goes before ``*.``."""
        matching = [rule for rule in self.rules if rule.match(name)]
        exact = [rule for rule in matching if not rule.prefix.startswith("*.")]
        return max(exact or matching, key=lambda rule: len(rule.prefix), default=None)


def parse(text: str, path: str) -> RegistriesConf:
    """One file. ``path`` is for messages."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    try:
        document: Table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # an integer of 5000 digits is a ValueError and no TOMLDecodeError
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    reader = _Reader(path)
    if "registries" in document:
        raise UsageError(f"{path}: the [registries] tables of version 1 are no longer read", hint="use [[registry]]")
    rules = tuple(reader.rule(table) for table in reader.tables(document, "registry"))
    search = document.get("unqualified-search-registries")
    aliases = reader.table(document, "aliases")
    return RegistriesConf(
        rules=rules,
        search=None if search is None else reader.texts(document, "unqualified-search-registries"),
        aliases=tuple((name, reader.text(aliases, name)) for name in aliases),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Takes typed values out of TOML tables."""

    path: str
    kinds: dict[type, str] = field(default_factory=lambda: {str: "a string", bool: "true or false", list: "a list"})

    def rule(self, table: Table) -> RegistryRule:
        location = self.text(table, "location")
        prefix = self.text(table, "prefix") or location
        if not prefix:
            raise UsageError(f"{self.path}: a [[registry]] has neither prefix nor location")
        if not location and not prefix.startswith("*."):
            location = prefix
        digest_only = self.flag(table, "mirror-by-digest-only")
        mirrors = tuple(self.mirror(entry, digest_only) for entry in self.tables(table, "mirror"))
        return RegistryRule(
            prefix=_place(prefix, self.path),
            location=_place(location, self.path) if location else "",
            insecure=self.flag(table, "insecure"),
            blocked=self.flag(table, "blocked"),
            mirrors=mirrors,
        )

    def mirror(self, table: Table, digest_only: bool) -> Mirror:
        location = self.text(table, "location")
        if not location:
            raise UsageError(f"{self.path}: a [[registry.mirror]] has no location")
        pull = self.text(table, "pull-from-mirror")
        if pull and digest_only:
            raise UsageError(f"{self.path}: mirror-by-digest-only and pull-from-mirror exclude each other")
        if pull and pull not in _PULL_CHOICES:
            raise UsageError(f"{self.path}: pull-from-mirror is not one of {', '.join(_PULL_CHOICES)}: {pull!r}")
        return Mirror(
            location=_place(location, self.path),
            insecure=self.flag(table, "insecure"),
            pull=pull or ("digest-only" if digest_only else "all"),
        )

    def text(self, table: Table, key: str) -> str:
        value = table.get(key, "")
        return value if isinstance(value, str) else self._refuse(key, str)

    def flag(self, table: Table, key: str) -> bool:
        value = table.get(key, False)
        return value if isinstance(value, bool) else self._refuse(key, bool)

    def texts(self, table: Table, key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return self._refuse(key, list)
        return tuple(value)

    def table(self, table: Table, key: str) -> Table:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise UsageError(f"{self.path}: {key} is not a table")
        return value

    def tables(self, table: Table, key: str) -> list[Table]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise UsageError(f"{self.path}: {key} is not a list of tables")
        return value

    def _refuse(self, key: str, kind: type) -> NoReturn:
        raise UsageError(f"{self.path}: {key} is not {self.kinds[kind]}")


def _place(text: str, path: str) -> str:
    if "://" in text or text.startswith("/"):
        raise UsageError(f"{path}: {text!r} is not of the form host[:port][/path]")
    return text.rstrip("/")


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
