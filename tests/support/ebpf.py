"""An interpreter of the few eBPF instructions that a device program consists of, written after the instruction set alone.

Documentation/bpf/standardization/instruction-set.rst; the context is struct bpf_cgroup_dev_ctx of linux/bpf.h.
"""

from __future__ import annotations

import struct

_MASK = (1 << 64) - 1


def device_program(code: bytes, type: int, access: int, major: int, minor: int) -> int:
    """What the program returns. Fails for an instruction that is none of its kind, a register that was never set, a jump
    out of the program or backwards."""
    context = struct.pack("<III", access << 16 | type, major, minor)
    registers: dict[int, int] = {1: 0}  # the address of the context
    count, position = len(code) // 8, 0
    assert len(code) % 8 == 0
    while True:
        assert 0 <= position < count, "out of the program"
        opcode, names, offset, value = struct.unpack_from("<BBhi", code, position * 8)
        target, source = names & 15, names >> 4
        position += 1
        match opcode:
            case 0x61:  # u32 load
                assert source == 1 and offset % 4 == 0
                registers[target] = struct.unpack_from("<I", context, registers[source] + offset)[0]
            case 0xBF:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = value & _MASK
            case 0x57:
                registers[target] &= value & _MASK
            case 0x77:
                registers[target] >>= value
            case 0x55:  # jump unless equal
                assert offset >= 0
                position += offset if registers[target] != value & _MASK else 0
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"opcode {opcode:#x}")
