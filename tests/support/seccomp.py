"""What a unit's system call, address family and memory restrictions let a process do, without systemd."""

import ctypes
import struct
import subprocess
from collections.abc import Iterator
from errno import EPERM
from pathlib import Path

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | EPERM
_NUMBER, _FIRST, _THIRD = 0, 16, 32  # where struct seccomp_data has the call and its arguments
_WRITE, _EXECUTE = 2, 4
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
_NO_NEW_PRIVS, _SECCOMP, _FILTER, _DROP_CAPABILITY = 38, 22, 2, 24
_CAPABILITIES = 64


def settings(unit: Path) -> dict[str, list[str]]:
    """Return what a unit file says, by the name of the setting."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith(("#", ";")):
            found.setdefault(name, []).append(value)
    return found


def _members(name: str) -> set[str]:
    """Return the calls of one of systemd's sets."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True
    )
    words = [line.strip() for line in listed.stdout.splitlines()[1:]]
    return {call for word in words if word and not word.startswith("#") for call in _members(word)}


def _allowed(unit: dict[str, list[str]]) -> set[str]:
    calls = _members("@default")  # systemd adds it to every list of what is allowed
    for line in unit["SystemCallFilter"]:
        named = {call for word in line.removeprefix("~").split() for call in _members(word)}
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def _numbers(calls: set[str]) -> dict[str, int]:
    """Return the numbers of those calls that this machine has."""
    resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name  # systemd brings it
    found = {call: resolve(call.encode()) for call in calls}
    return {call: number for call, number in found.items() if number >= 0}


def _program(unit: dict[str, list[str]]) -> Iterator[tuple[int, int, int, int]]:
    numbers = _numbers(_allowed(unit))
    families = [_FAMILIES[name] for name in unit["RestrictAddressFamilies"][0].split()]
    yield _LOAD, 0, 0, _NUMBER
    # a comparison that fails skips the block behind it; a block ends with an answer
    yield _EQUAL, 0, len(families) * 2 + 2, numbers["socket"]
    yield _LOAD, 0, 0, _FIRST
    for family in families:
        yield from ((_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ALLOW))
    yield _RETURN, 0, 0, _REFUSE
    for call, both in (("mmap", _WRITE | _EXECUTE), ("mprotect", _EXECUTE)):
        yield _EQUAL, 0, 5, numbers[call]
        yield _LOAD, 0, 0, _THIRD
        yield _AND, 0, 0, both
        yield from ((_EQUAL, 0, 1, both), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW))
    for number in numbers.values():
        yield from ((_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW))
    yield _RETURN, 0, 0, _REFUSE


class Filter:
    """A unit's restrictions as a program for the kernel."""

    def __init__(self, unit: Path) -> None:
        code = b"".join(_INSTRUCTION.pack(*one) for one in _program(settings(unit)))
        self._code = ctypes.create_string_buffer(code, len(code))
        self._header = struct.pack("HxxxxxxP", len(code) // _INSTRUCTION.size, ctypes.addressof(self._code))

    def __call__(self) -> None:
        """Put this process, for ever, under the restrictions and without capabilities: for ``preexec_fn``."""
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        # what the next program cannot have; only root needs to drop it, and may
        for capability in range(_CAPABILITIES):
            prctl(_DROP_CAPABILITY, capability, 0, 0, 0)
        if prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_SECCOMP, _FILTER, self._header, 0, 0):
            raise OSError(ctypes.get_errno(), "no filter")
