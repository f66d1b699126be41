"""Facts about graphics devices that Linux tells without their drivers: PCI bus, kernel modules, device files."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from nnunet_doctor.probes.base import Notes

_MAKERS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_CLASSES = ("0x03", "0x12")
"""Display controllers, and processing accelerators (PCI class codes)."""

_SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The variable of the UEFI specification; its value follows four bytes of attributes."""


def see(notes: Notes, root: Path) -> None:
    """Note the devices, and what may keep NVIDIA's kernel module from them; nothing outside Linux.

    Args:
        notes: Where to note it.
        root: The file system's root; tests give another one.
    """
    linux = sys.platform == "linux"
    notes.see("/sys/bus/pci", gpu__pci=_devices(root / "sys/bus/pci/devices") if linux else None)
    notes.see("modules.dep", gpu__module_built=_module_built(root / "lib/modules") if linux else None)
    notes.see("UEFI variable SecureBoot", gpu__secure_boot=_secure_boot(root / "sys/firmware/efi") if linux else None)
    notes.see("/dev/kfd", gpu__kfd=_kfd(root / "dev/kfd") if linux else None)


def _devices(folder: Path) -> tuple[str, ...]:
    """List devices as MAKER:DRIVER; in a container they are those of the host."""
    found = []
    for device in sorted(folder.glob("*")):
        maker = _MAKERS.get(_text(device / "vendor"))
        if maker is not None and _text(device / "class").startswith(_CLASSES):
            driver = (device / "driver").resolve().name if (device / "driver").exists() else ""
            found.append(f"{maker}:{driver}")
    return tuple(found)


def _module_built(folder: Path) -> bool | None:
    """Read the list that depmod makes of the modules of a kernel; containers have none."""
    listed = _text(folder / platform.release() / "modules.dep")
    return re.search(r"/nvidia\.ko", listed) is not None if listed else None


def _secure_boot(folder: Path) -> bool | None:
    try:
        value = (folder / "efivars" / _SECURE_BOOT).read_bytes()
    except OSError:
        return None
    return value[4:5] == b"\x01"


def _kfd(device: Path) -> str:
    if not device.exists():
        return "missing"
    return "ok" if os.access(device, os.R_OK | os.W_OK) else "denied"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
