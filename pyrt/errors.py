"""Every error that pyrt raises, in one tree.

    PyrtError                        exit code 125 unless said
    ├── UsageError                   a value that the caller gave is wrong
    │   ├── InvalidReference         an image name that the grammar does not allow
    │   └── Unsupported              known, but not carried out by this version or this machine
    ├── ImageError                   what a registry or an archive gave us is not a usable image
    │   ├── ImageNotFound
    │   ├── PlatformNotFound
    │   ├── InvalidManifest
    │   ├── DigestMismatch
    │   ├── SizeMismatch
    │   └── LayerError               a layer that cannot be decompressed or unpacked
    ├── RegistryError                the way to the image failed
    │   ├── AccessDenied
    │   ├── RateLimited
    │   ├── NotARegistry
    │   └── RegistryUnreachable
    ├── StoreError                   our own files
    │   └── NoSpace
    ├── ContainerError
    │   ├── ContainerNotFound
    │   ├── NameInUse
    │   └── ContainerRunning
    ├── PrivilegeError               a privilege that this needs is missing
    ├── StartError                   the kernel refused a step between clone and exec
    │   ├── CommandNotFound          exit code 127
    │   └── CommandNotExecutable     exit code 126
    ├── NoteError                    what is a note otherwise, where PYRT_STRICT is set
    ├── CommandFailed                check=True and a non-zero exit code
    └── ContainerTimeout             also a TimeoutError; carries what was printed so far

``str(error)`` is one line, "what: why", without a final stop. ``error.hint`` is a second sentence for the cases whose
cause is known, else the empty string. What failed is in attributes, so that nobody has to parse a message.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.request import CompletedRun


class PyrtError(Exception):
    """Base of all errors of pyrt."""

    exit_code = 125

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PyrtError):
    """A value that the caller gave is wrong: an option, a path, a name."""


class InvalidReference(UsageError):
    """An image reference that the distribution/reference grammar does not allow; the message names the wrong part."""


class Unsupported(UsageError):
    """Something that docker has and this version, or this machine, does not carry out. It is refused by name."""


class ImageError(PyrtError):
    """What was fetched or read is not a usable image."""


class ImageNotFound(ImageError):
    """No such image, tag or digest at the place that was asked."""


class PlatformNotFound(ImageError):
    """An index without an entry for the platform. ``available`` lists what there is, as ``os/arch[/variant]``."""

    def __init__(self, message: str, *, available: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.available = available


class InvalidManifest(ImageError):
    """A manifest, index or image configuration that its specification does not allow."""


class DigestMismatch(ImageError):
    """Bytes whose digest is not the one that was asked for. ``expected`` and ``actual`` are digest strings."""

    def __init__(self, message: str, *, expected: str, actual: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.actual = actual


class SizeMismatch(ImageError):
    """Fewer or more bytes than the descriptor says. ``expected`` and ``actual`` are in bytes."""

    def __init__(self, message: str, *, expected: int, actual: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.actual = actual


class LayerError(ImageError):
    """A layer that cannot be decompressed or unpacked.

    ``entry`` is the name of the tar entry (bytes decoded with surrogateescape, "" where none was reached), ``step`` the
    operation that failed, ``errno`` its error number or 0.
    """

    def __init__(self, message: str, *, entry: str = "", step: str = "", errno: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.entry = entry
        self.step = step
        self.errno = errno


class RegistryError(PyrtError):
    """The way to an image failed. ``host`` is the registry's host[:port]."""

    def __init__(self, message: str, *, host: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host


class AccessDenied(RegistryError):
    """The registry wants a login, or the login that we have may not read this."""


class RateLimited(RegistryError):
    """Too many requests. ``retry_after`` is in seconds from now, None where the registry does not say."""

    def __init__(self, message: str, *, host: str = "", retry_after: float | None = None, hint: str = "") -> None:
        super().__init__(message, host=host, hint=hint)
        self.retry_after = retry_after


class NotARegistry(RegistryError):
    """Something answers there, but it does not speak the distribution API."""


class RegistryUnreachable(RegistryError):
    """No answer: name lookup, connection, TLS, or no progress within the time allowed."""


class StoreError(PyrtError):
    """Our own files below the data root or the run root cannot be read or written."""


class NoSpace(StoreError):
    """The file system of the store is full (ENOSPC or EDQUOT)."""


class ContainerError(PyrtError):
    """Something about one container."""


class ContainerNotFound(ContainerError):
    """No container has this name or id."""


class NameInUse(ContainerError):
    """Another container has this name."""


class ContainerRunning(ContainerError):
    """The container runs, and the operation needs one that does not."""


class PrivilegeError(PyrtError):
    """A privilege is missing; the message names it."""


class StartError(PyrtError):
    """The kernel refused a step between clone and exec.

    ``step`` is the name of the step, ``errno`` the error number, ``subject`` the path or name that it was about.
    """

    def __init__(self, message: str, *, step: str = "", errno: int = 0, subject: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.errno = errno
        self.subject = subject


class CommandNotFound(StartError):
    """The image has no such program."""

    exit_code = 127


class CommandNotExecutable(StartError):
    """The program is there and cannot be executed: no permission, a directory, a wrong format."""

    exit_code = 126


class NoteError(PyrtError):
    """What is a note otherwise, where PYRT_STRICT is set; exit code 125 from every command."""


class CommandFailed(PyrtError):
    """``check=True`` and the program ended with another exit code than 0. ``result`` is the CompletedRun."""

    def __init__(self, message: str, *, result: CompletedRun, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.result = result


class ContainerTimeout(PyrtError, TimeoutError):
    """The time was up and everything in the container was killed. ``result`` holds what was printed until then."""

    exit_code = 137

    def __init__(self, message: str, *, result: CompletedRun, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.result = result
