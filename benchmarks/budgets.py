"""What a measurement may be at most, as the project has promised, and how it is computed from the medians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Results

PULL, EXTRACT, MEMORY = "cold pull and unpack", "unpacking the layers", "peak memory of a pull"
COMMAND, IN_PROCESS = "start by command, back to back", "start in process"
DURABLE = "a pull that survives a power cut"
FRESH, IMPORT = "the container of a fresh process", "import"
ALONE, FIRST, ALONE_PULL, PROBE = (
    f"without root: {what}"
    for what in ("start in process", "the first start of a process", "cold pull and unpack", "the probe")
)
FILTER_LOAD, FILTER_MAKE = "loading a seccomp filter", "making a seccomp filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """``measure`` gives a number in ``unit``, or None where what it is computed from was not measured."""

    what: str
    measure: Callable[[Results], float | None]
    at_most: float
    unit: str

    def row(self, results: Results) -> tuple[str, str, str, str]:
        """What, at most, measured, whether it is met."""
        found = self.measure(results)
        limit = f"{self.at_most:g} {self.unit}"
        if found is None:
            return self.what, limit, "not measured", ""
        return self.what, limit, f"{found:.3g} {self.unit}", "yes" if found <= self.at_most else "**no**"


def ratio(group: str, name: str, beside: str) -> Callable[[Results], float | None]:
    """One median over another."""

    def measure(results: Results) -> float | None:
        one, other = results.median(group, name), results.median(group, beside)
        return None if one is None or other is None else one / other

    return measure


def difference(group: str, name: str, beside: str) -> Callable[[Results], float | None]:
    """One median less another, in ms."""

    def measure(results: Results) -> float | None:
        one, other = results.median(group, name), results.median(group, beside)
        return None if one is None or other is None else (one - other) * 1000

    return measure


def milliseconds(group: str, name: str) -> Callable[[Results], float | None]:
    """One median."""

    def measure(results: Results) -> float | None:
        found = results.median(group, name)
        return None if found is None else found * 1000

    return measure


def peak(name: str) -> Callable[[Results], float | None]:
    """Memory of one pull, in MB."""
    return lambda results: results.peak(MEMORY, name)


BUDGETS = (
    Budget(what="entering a chroot", measure=milliseconds("entering a chroot", "pyrt"), at_most=10, unit="ms"),
    *(
        Budget(what=f"in a chroot: {loop}", measure=ratio(f"chroot: {loop}", "pyrt", "chroot"), at_most=limit, unit="x native")
        for loop, limit in (("exec loop", 1.5), ("dpkg -L loop", 1.5), ("find and stat", 4))
    ),
    Budget(what="cold pull and unpack of the pull image", measure=ratio(PULL, "pyrt", "podman"), at_most=0.5, unit="x podman"),
    Budget(
        what="a pull that survives a power cut",
        measure=ratio(DURABLE, "pyrt", "without syncs"),
        at_most=1.1,
        unit="x one that does not",
    ),
    Budget(what="unpacking its layers", measure=ratio(EXTRACT, "pyrt", "GNU tar"), at_most=1.0, unit="x GNU tar"),
    Budget(what="peak memory of its pull", measure=peak("the pull image"), at_most=150, unit="MB"),
    Budget(what="peak memory, a layer of 1.5 GB", measure=peak("a layer of 1.5 GB"), at_most=150, unit="MB"),
    Budget(
        what="`pyrt.run` of /bin/true in process",
        measure=ratio(IN_PROCESS, "pyrt.run", "C floor"),
        at_most=2,
        unit="x the C floor",
    ),
    Budget(
        what="the same from a process with 1 GB of heap",
        measure=ratio(IN_PROCESS, "pyrt.run, 1 GB heap", "C floor"),
        at_most=2,
        unit="x the C floor",
    ),
    Budget(what="`pyrt run --rm` of a cached image", measure=milliseconds(COMMAND, "pyrt run"), at_most=60, unit="ms"),
    Budget(
        what="of which the container",
        measure=milliseconds(FRESH, "pyrt.run, the first of a process"),
        at_most=5,
        unit="ms",
    ),
    Budget(
        what="`import pyrt`, over a bare interpreter",
        measure=difference(IMPORT, "import pyrt", "python"),
        at_most=30,
        unit="ms",
    ),
    Budget(what="`pyrt.run` with one id", measure=ratio(ALONE, "one id", "as root"), at_most=1.3, unit="x as root"),
    Budget(
        what="the first start with subordinate ids",
        measure=difference(FIRST, "subordinate ids", "as root"),
        at_most=3,
        unit="ms more than as root",
    ),
    Budget(what="a pull without root", measure=ratio(ALONE_PULL, "subordinate ids", "as root"), at_most=1.2, unit="x as root"),
    Budget(what="the probe", measure=milliseconds(PROBE, "probe"), at_most=2, unit="ms"),
    Budget(what="loading the seccomp filter", measure=milliseconds(FILTER_LOAD, "pyrt's filter"), at_most=0.1, unit="ms"),
    Budget(
        what="compiling it, the first time",
        measure=milliseconds(FILTER_MAKE, "compiled in a new process"),
        at_most=20,
        unit="ms",
    ),
)
