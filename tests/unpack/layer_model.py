"""A layer as a short model has it: entries applied to a tree of dicts, after the OCI image specification (layer.md) and what
pyrt decides where that is silent:

- a name is resolved in the root; directories that it needs are made, also where a dangling link points to;
- an entry replaces what has its name, but for a directory on a directory; one that replaces a link on its own way is refused;
- whiteouts concern the layers below and stay in the tree as overlay's marks; a directory in the place of a whiteout or of
  anything else that hid what is below is opaque;
- a directory gets its attributes at the end, if its name still leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_LINKS = 40
WHITEOUT = ".wh."


class Refused(Exception):
    """The layer is not accepted."""


@dataclass(eq=False)
class Node:
    """A file. ``kind`` is file, directory, symlink, fifo or whiteout; ``mtime`` 0 says nothing."""

    kind: str
    mode: int = 0
    uid: int = 0
    mtime: int = 0
    content: bytes = b""
    opaque: bool = False
    children: dict[str, Node] = field(default_factory=dict)

    def clear(self) -> None:
        for child in self.children.values():
            child.clear()
        self.children.clear()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of an archive; ``kind`` is file, directory, symlink, hardlink or fifo; ``target`` that of a link."""

    kind: str
    name: str
    target: str = ""
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    mtime: int = 1

    def node(self) -> Node:
        content = {"file": self.data, "symlink": self.target.encode()}.get(self.kind, b"")
        return Node(self.kind, 0o777 if self.kind == "symlink" else self.mode, self.uid, self.mtime, content)


class Layer:
    """Its tree, filled by ``apply`` and ``finish``."""

    def __init__(self) -> None:
        self.root = Node("directory", 0o755)
        self.waiting: dict[Node, Entry] = {}

    def apply(self, entry: Entry) -> None:
        names = [name for name in entry.name.split("/") if name not in ("", ".")]
        if ".." in names:
            raise Refused("..")
        if not names:
            if entry.kind != "directory":
                raise Refused("the root is a directory")
            self.waiting[self.root] = entry
            return
        *path, base = names
        marks = [name for name in path if name.startswith(WHITEOUT)]
        if marks or base.startswith(WHITEOUT):
            if not (marks or [base])[0].startswith(WHITEOUT * 2) or (not marks and base == ".wh..wh..opq"):
                self._mark(entry, path, base)
            return
        parent = self._enter(path, make=True)
        if entry.kind == "directory":
            self._directory(entry, path, parent, base)
        elif entry.kind == "hardlink":
            self._hardlink(entry, path, parent, base)
        else:
            if base in parent.children:
                self._replace(path, parent, base)
            parent.children[base] = entry.node()

    def finish(self) -> None:
        for node, entry in self.waiting.items():
            try:
                found = self._enter(entry.name.split("/"), make=False)
            except Refused:
                continue
            if found is node:
                node.mode, node.uid, node.mtime = entry.mode, entry.uid, entry.mtime

    def _mark(self, entry: Entry, path: list[str], base: str) -> None:
        hidden = base[len(WHITEOUT) :]
        if entry.kind == "directory" or not base.startswith(WHITEOUT) or hidden in ("", ".", "..") or set(path) & _marks(path):
            raise Refused("a whiteout without a name")
        parent = self._enter(path, make=True)
        if base == ".wh..wh..opq":
            parent.opaque = True
            return
        node = parent.children.setdefault(hidden, Node("whiteout"))
        node.opaque = node.opaque or node.kind == "directory"

    def _directory(self, entry: Entry, path: list[str], parent: Node, base: str) -> None:
        node = parent.children.get(base)
        if node is None or node.kind != "directory":
            if node is not None:
                self._replace(path, parent, base)
            parent.children[base] = Node("directory", 0o700, opaque=node is not None)
        self.waiting[parent.children[base]] = entry

    def _hardlink(self, entry: Entry, path: list[str], parent: Node, base: str) -> None:
        *way, last = entry.target.split("/")
        holder = self._enter(way, make=False)
        node = holder.children.get(last)
        if node is None or node.kind in ("directory", "whiteout"):
            raise Refused("nothing that can be linked")
        if parent.children.get(base, node) is not node:
            self._replace(path, parent, base)
            if holder.children.get(last) is not node:
                raise Refused("it was in what the link replaces")
        parent.children[base] = node

    def _replace(self, path: list[str], parent: Node, base: str) -> None:
        old = parent.children.pop(base)
        old.clear()
        if old.kind in ("directory", "symlink") and self._enter(path, make=False) is not parent:
            raise Refused("it was on the way to itself")

    def _enter(self, names: list[str], *, make: bool) -> Node:
        trail, rest, links = [self.root], list(names), 0
        while rest:
            name = rest.pop(0)
            if name == "..":
                trail = trail[:-1] or [self.root]
            if name in ("", ".", ".."):
                continue
            node = trail[-1].children.get(name)
            if node is not None and node.kind == "symlink":
                links += 1
                if links > MAX_LINKS:
                    raise Refused("a loop of links")
                target = node.content.decode()
                trail = [self.root] if target.startswith("/") else trail
                rest = target.split("/") + rest
                continue
            if node is None or node.kind == "whiteout":
                if not make or name.startswith(WHITEOUT):
                    raise Refused("no such directory")
                node = trail[-1].children[name] = Node("directory", 0o755, opaque=node is not None)
            if node.kind != "directory":
                raise Refused("not a directory")
            trail.append(node)
        return trail[-1]


def _marks(path: list[str]) -> set[str]:
    return {name for name in path if name.startswith(WHITEOUT)}


def layer(entries: list[Entry]) -> tuple[Node, bool]:
    """The tree of a layer, and whether it is accepted; of one that is not, what there was by then."""
    made = Layer()
    try:
        for entry in entries:
            made.apply(entry)
    except Refused:
        return made.root, False
    made.finish()
    return made.root, True


def merged(upper: Node, lower: Node) -> Node:
    """What is to be seen of two layers (overlayfs.rst)."""
    both = Node(upper.kind, upper.mode, upper.uid, upper.mtime, upper.content)
    lower = Node("directory") if upper.opaque or lower.kind != "directory" else lower
    for name in {**lower.children, **upper.children}:
        node = upper.children.get(name) or lower.children[name]
        if node.kind == "directory":
            both.children[name] = merged(node, lower.children.get(name, node) if name in upper.children else Node("directory"))
        elif node.kind != "whiteout":
            both.children[name] = node
    return both


def paths(node: Node, at: str = "") -> Iterator[tuple[str, Node]]:
    """Every path of a tree with its node, "" being the root."""
    yield at, node
    for name, child in node.children.items():
        yield from paths(child, f"{at}/{name}" if at else name)
