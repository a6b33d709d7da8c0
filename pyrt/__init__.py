"""pyrt: any OCI image as a Python object and as a command.

    >>> import pyrt
    >>> pyrt.run("busybox", ["sh", "-c", "echo $$"]).stdout
    b'1\\n'

What is exported here is loaded when it is first used, so that ``import pyrt`` costs next to nothing.
"""

from __future__ import annotations

from pyrt._version import VERSION as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.container_run import DEVNULL, INHERIT, PIPE, STDOUT, run
    from pyrt.errors import (
        AccessDenied,
        CommandFailed,
        CommandNotExecutable,
        CommandNotFound,
        ContainerError,
        ContainerNotFound,
        ContainerRunning,
        ContainerTimeout,
        DigestMismatch,
        ImageError,
        ImageNotFound,
        InvalidManifest,
        InvalidReference,
        LayerError,
        NameInUse,
        NoSpace,
        NotARegistry,
        NoteError,
        PlatformNotFound,
        PrivilegeError,
        PyrtError,
        RateLimited,
        RegistryError,
        RegistryUnreachable,
        SizeMismatch,
        StartError,
        StoreError,
        Unsupported,
        UsageError,
    )
    from pyrt.image_pull import pull
    from pyrt.isolation import Barrier, Isolation
    from pyrt.machine_info import Info, info
    from pyrt.oci.image import Image
    from pyrt.request import CompletedRun, Device, DeviceRule, Mount, Ulimit

_HOMES = {
    "pyrt.container_run": ("DEVNULL", "INHERIT", "PIPE", "STDOUT", "run"),
    "pyrt.image_pull": ("pull",),
    "pyrt.isolation": ("Barrier", "Isolation"),
    "pyrt.machine_info": ("Info", "info"),
    "pyrt.request": ("CompletedRun", "Device", "DeviceRule", "Mount", "Ulimit"),
    "pyrt.oci.image": ("Image",),
    "pyrt.errors": (
        "AccessDenied", "CommandFailed", "CommandNotExecutable", "CommandNotFound", "ContainerError", "ContainerNotFound",
        "ContainerRunning", "ContainerTimeout", "DigestMismatch", "ImageError", "ImageNotFound", "InvalidManifest",
        "InvalidReference", "LayerError", "NameInUse", "NoSpace", "NotARegistry", "NoteError", "PlatformNotFound",
        "PrivilegeError", "PyrtError", "RateLimited", "RegistryError", "RegistryUnreachable", "SizeMismatch", "StartError",
        "StoreError", "Unsupported", "UsageError",
    ),
}  # fmt: skip

__all__ = [
    "DEVNULL", "INHERIT", "PIPE", "STDOUT", "AccessDenied", "Barrier", "CommandFailed", "CommandNotExecutable",
    "CommandNotFound", "CompletedRun", "ContainerError", "ContainerNotFound", "ContainerRunning", "ContainerTimeout",
    "Device", "DeviceRule", "DigestMismatch", "Image", "ImageError", "ImageNotFound", "Info", "InvalidManifest",
    "InvalidReference", "Isolation", "LayerError", "Mount", "NameInUse", "NoSpace", "NotARegistry", "NoteError",
    "PlatformNotFound", "PrivilegeError", "PyrtError", "RateLimited", "RegistryError", "RegistryUnreachable", "SizeMismatch",
    "StartError", "StoreError", "Ulimit", "Unsupported", "UsageError", "__version__", "info", "pull", "run",
]  # fmt: skip


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            value = getattr(import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'pyrt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
