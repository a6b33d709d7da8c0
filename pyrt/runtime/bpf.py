"""An assembler for classic BPF that writes a program from its end (linux/filter.h; Documentation/networking/filter.rst).

All jumps go forward, so what is written last comes first, every target is known when a jump to it is written, and its
distance is a subtraction. A conditional jump reaches 255 instructions; where that is too short, a return is written again and
anything else gets an unconditional jump on the way.
"""

from __future__ import annotations

import struct

LOAD, AND, RETURN, JUMP = 0x20, 0x54, 0x06, 0x05  # A = word at k; A &= k; return k; skip k
JUMP_EQUAL, JUMP_GREATER, JUMP_AT_LEAST, JUMP_ANY_BIT = 0x15, 0x25, 0x35, 0x45  # A against k, unsigned

_REACH = 255
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter


class Program:
    """A program in the making. A label is the number of instructions from the end: it stays right whatever comes before."""

    def __init__(self) -> None:
        self._backwards: list[tuple[int, int, int, int]] = []
        self._returns: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._backwards)

    def encoded(self) -> bytes:
        """The array of struct sock_filter."""
        return b"".join([_INSTRUCTION.pack(*instruction) for instruction in reversed(self._backwards)])

    def returns(self, value: int) -> int:
        """A place near enough that returns ``value``."""
        label = self._returns.get(value)
        if label is None or len(self) - label > _REACH // 2:
            label = self._returns[value] = self._put(RETURN, 0, 0, value)
        return label

    def load(self, offset: int, then: int) -> int:
        """Loads a word of struct seccomp_data, and goes on at ``then``."""
        self._reach_next(then)
        return self._put(LOAD, 0, 0, offset)

    def mask(self, bits: int, then: int) -> int:
        """Keeps these bits of what was loaded, and goes on at ``then``."""
        self._reach_next(then)
        return self._put(AND, 0, 0, bits)

    def branch(self, kind: int, value: int, yes: int, no: int) -> int:
        """Compares what was loaded, and goes on at ``yes`` or at ``no``."""
        while max(len(self) - yes, len(self) - no) > _REACH:
            if yes <= no:
                yes = self._again(yes)
            else:
                no = self._again(no)
        return self._put(kind, len(self) - yes, len(self) - no, value)

    def _put(self, code: int, yes: int, no: int, value: int) -> int:
        self._backwards.append((code, yes, no, value))
        return len(self)

    def _reach_next(self, label: int) -> None:
        if label != len(self):
            self._put(JUMP, 0, 0, len(self) - label)

    def _again(self, label: int) -> int:
        code, _, _, value = self._backwards[label - 1]
        if code == RETURN:
            return self._put(RETURN, 0, 0, value)
        return self._put(JUMP, 0, 0, len(self) - label)
