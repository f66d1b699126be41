"""What a checkpoint is and what it holds, read without torch and without executing anything.

A checkpoint of nnU-Net (nnUNetTrainer.save_checkpoint, torch.save) is a zip file with a pickle named ``data.pkl`` and
one file for each tensor. Unpickling executes what the pickle says; so its opcodes are only listed (:mod:`pickletools`),
and a machine that knows containers and nothing else follows them. Every call in the pickle, other than those that
rebuild a tensor, gives an empty value.
"""

from __future__ import annotations

import pickletools
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_PICKLE_BYTES = 16 * 1024**2
"""The pickle of a checkpoint of 1000 epochs has less than 2 MB; a larger one is not read."""

MOST_DIRECTORY_BYTES = 8 * 1024**2
"""A checkpoint holds a few hundred tensors, each of which takes some 100 bytes of the zip file's directory."""

_END = 22
_END_MARK = b"PK\x05\x06"
_MOST_COMMENT = 65535


class UnreadableError(Exception):
    """A checkpoint that cannot be read to its end; the message is the reason."""


@dataclass(frozen=True)
class Contents:
    """What a checkpoint tells.

    Attributes:
        weights: Shape of each tensor of ``network_weights`` by name; None when the checkpoint has no such key.
        devices: Devices that its tensors were saved from, such as cpu and cuda:0.
        trainer: Class of the trainer that wrote it.
    """

    weights: Mapping[str, tuple[int, ...]] | None
    devices: frozenset[str]
    trainer: str | None


def fault_of(path: Path) -> str | None:
    """Say what keeps torch from opening a file as a checkpoint; None for nothing, and for what nobody can say.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    if size == 0:
        return "0 bytes"
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"version https://git-lfs"):
        return f"Git LFS pointer, {size} bytes"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"web page, {size} bytes"
    if head.startswith(b"PK\x03\x04"):
        return None if zipfile.is_zipfile(path) else f"cut off, {size} bytes"
    if not head.strip(b"\0"):
        return f"only zeros, {size} bytes"
    return None  # formats of torch before 1.6, which it still reads


def read(path: Path) -> Contents:
    """Return what a checkpoint tells.

    Raises:
        UnreadableError: It is no zip file of torch, or damaged, or beyond all measure.
        OSError: The file cannot be read.
    """
    content = follow(_pickle(path))
    if not isinstance(content, dict):
        raise UnreadableError("it holds no dictionary")
    weights, trainer = content.get("network_weights"), content.get("trainer_name")
    tensors = _tensors(weights)
    return Contents(
        {name: tensor.size for name, tensor in tensors.items()} if isinstance(weights, dict) else None,
        frozenset(tensor.device for tensor in tensors.values()),
        trainer if isinstance(trainer, str) else None,
    )


def _tensors(weights: Any) -> dict[str, _Tensor]:
    items = weights.items() if isinstance(weights, dict) else ()
    return {str(name): item for name, item in items if isinstance(item, _Tensor)}


def _pickle(path: Path) -> bytes:
    if _directory_bytes(path) > MOST_DIRECTORY_BYTES:
        raise UnreadableError("its directory is too long")
    try:
        with zipfile.ZipFile(path) as archive:
            found = [item for item in archive.infolist() if item.filename.rpartition("/")[2] == "data.pkl"]
            if len(found) != 1 or found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UnreadableError("it is not a zip file that torch has written")
            with archive.open(found[0]) as file:
                content = file.read(MOST_PICKLE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, LookupError) as error:
        raise UnreadableError(str(error)) from None
    if len(content) > MOST_PICKLE_BYTES:
        raise UnreadableError(f"its pickle has more than {MOST_PICKLE_BYTES // 1024**2} MB")
    return content


def _directory_bytes(path: Path) -> int:
    """Return the length of a zip file's directory, as its end declares it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END - _MOST_COMMENT))
        tail = file.read(_END + _MOST_COMMENT)
    place = tail.rfind(_END_MARK)
    if place < 0 or len(tail) - place < _END:
        raise UnreadableError("it is not a zip file")
    length: int = struct.unpack_from("<L", tail, place + 12)[0]
    return 0 if length == 0xFFFFFFFF and size > 0xFFFFFFFF else length  # zip64: the checkpoint has over 4 GB


# --- the machine ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tensor:
    size: tuple[int, ...]
    device: str


class _Mark:
    """Where a container begins on the stack."""


_MARK = _Mark()

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUSHED = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_IGNORED = {"PROTO", "FRAME", "READONLY_BUFFER"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_TAKES = {"NEWOBJ": 2, "NEWOBJ_EX": 3, "PERSID": 0, "EXT1": 0, "EXT2": 0, "EXT4": 0, "NEXT_BUFFER": 0}
"""Opcodes whose result is an empty value, and how many items they take from the stack."""


def follow(pickled: bytes) -> Any:
    """Return the containers, texts and numbers of a pickle, and the shapes of its tensors.

    Raises:
        UnreadableError: It is not a pickle, or it is cut.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name == "STOP":
                return stack.pop()
            _step(opcode.name, argument, stack, memo)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise UnreadableError(f"its pickle cannot be followed: {error}") from None
    raise UnreadableError("its pickle is cut")


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in _PUSHED:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
        memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET", "GET"):
        stack.append(memo[argument])
    elif name in _BYTES:
        stack.append(None)
    elif name in ("GLOBAL", "STACK_GLOBAL", "REDUCE", "BINPERSID"):
        _calls(name, argument, stack)
    elif name not in _IGNORED:
        _containers(name, stack)


def _calls(name: str, argument: Any, stack: list[Any]) -> None:
    if name == "GLOBAL":
        stack.append(_Global(argument.replace(" ", ".")))
        return
    last = stack.pop()
    if name == "BINPERSID":
        # ("storage", type, file, device, count): torch.serialization, persistent_id
        stack.append(_Storage(last[3]) if isinstance(last, tuple) and len(last) >= 4 else None)
        return
    before = stack.pop()
    stack.append(_called(before, last) if name == "REDUCE" else _Global(f"{before}.{last}"))


def _containers(name: str, stack: list[Any]) -> None:
    if name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_SET"):
        stack.append({} if name == "EMPTY_DICT" else [])
    elif name == "MARK":
        stack.append(_MARK)
    elif name in _TUPLES:
        items = stack[len(stack) - _TUPLES[name] :]
        del stack[len(stack) - len(items) :]
        stack.append(tuple(items))
    elif name in ("TUPLE", "LIST", "DICT", "FROZENSET", "INST", "OBJ"):
        items = _to_mark(stack)
        made: dict[str, Any] = {"TUPLE": tuple(items), "LIST": items, "DICT": _paired(items), "FROZENSET": items}
        stack.append(made.get(name))
    elif name in ("APPEND", "SETITEM", "BUILD", "POP"):
        taken = [stack.pop() for _ in range(2 if name == "SETITEM" else 1)][::-1]
        if name in ("APPEND", "SETITEM"):
            _fill(stack[-1], taken)
    elif name in ("APPENDS", "SETITEMS", "ADDITEMS", "POP_MARK"):
        items = _to_mark(stack)
        if name != "POP_MARK":
            _fill(stack[-1], items)
    elif name == "DUP":
        stack.append(stack[-1])
    else:
        count = _TAKES[name]
        del stack[len(stack) - count :]
        stack.append(None)


def _to_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _fill(container: Any, items: list[Any]) -> None:
    """Put items into a container; an object that is none takes them and stays empty."""
    if isinstance(container, dict):
        container.update(_paired(items))
    elif isinstance(container, list):
        container.extend(items)


def _paired(items: Iterable[Any]) -> dict[Any, Any]:
    """Return a dictionary of keys and values in turn; only texts and numbers are kept as keys."""
    rest = iter(items)
    return {key: value for key, value in zip(rest, rest, strict=False) if isinstance(key, (str, int))}


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    device: Any


def _called(function: Any, given: Any) -> Any:
    """Say what a call gives: a tensor, a dictionary, or an empty value. Nothing is called."""
    name = function.name if isinstance(function, _Global) else ""
    if name in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"):
        storage, size = given[0], given[2]
        usable = isinstance(size, tuple) and all(type(length) is int for length in size)
        return _Tensor(size, str(getattr(storage, "device", ""))[:40]) if usable else None
    if name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
        return given[0]
    return {} if name == "collections.OrderedDict" else None
