"""A machine for classic BPF as seccomp restricts it (kernel/seccomp.c, seccomp_check_filter; net/core/filter.c).

It refuses what the kernel would refuse, so that a filter that runs here also loads there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

X86_64, AARCH64, I386, ARM = 0xC000003E, 0xC00000B7, 0x40000003, 0x40000028  # linux/audit.h
X32 = 0x40000000

_LD_W_ABS, _RET_K, _JA = 0x20, 0x06, 0x05
_AND_K = 0x54
_JUMPS = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
    0x45: lambda a, k: a & k != 0,
}
_MAX, _SIZE = 4096, 64  # BPF_MAXINSNS, sizeof(struct seccomp_data)


class Filter:
    """A program, checked as the kernel checks it."""

    def __init__(self, program: bytes) -> None:
        assert len(program) % 8 == 0 and program
        self.code = list(struct.iter_unpack("=HBBI", program))
        assert len(self.code) <= _MAX
        assert self.code[-1][0] == _RET_K
        for place, (code, yes, no, k) in enumerate(self.code):
            left = len(self.code) - place - 1
            if code == _LD_W_ABS:
                assert k % 4 == 0 and k < _SIZE
            elif code == _JA:
                assert k < left
            elif code in _JUMPS:
                assert yes < left and no < left
            else:
                assert code in (_RET_K, _AND_K), hex(code)

    def answer(self, number: int, arguments: Sequence[int] = (), architecture: int = X86_64, pointer: int = 0) -> int:
        """What the filter returns for one call."""
        return self.traced(number, arguments, architecture, pointer)[0]

    def traced(
        self, number: int, arguments: Sequence[int] = (), architecture: int = X86_64, pointer: int = 0
    ) -> tuple[int, int]:
        """(what it returns, how many instructions that took)."""
        data = struct.pack("=IIQ6Q", number, architecture, pointer, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
        place, accumulator, steps = 0, 0, 0
        while True:
            code, yes, no, k = self.code[place]
            place, steps = place + 1, steps + 1
            if code == _LD_W_ABS:
                (accumulator,) = struct.unpack_from("=I", data, k)
            elif code == _AND_K:
                accumulator &= k
            elif code == _JA:
                place += k
            elif code == _RET_K:
                return k, steps
            else:
                place += yes if _JUMPS[code](accumulator, k) else no
