"""What package metadata say of Triton: which distributions bring it, and which torch asks for."""

from __future__ import annotations

import sys

import pytest

from nnunet_doctor.probes import interpreter


@pytest.mark.parametrize(
    ("requires", "python", "expected"),
    [
        (["filelock", "triton==3.4.0"], "3.12.1", "triton==3.4.0"),
        (["triton~=3.8.0; python_version < '3.15'"], "3.14.0", "triton~=3.8.0"),
        (["triton~=3.8.0; python_version < '3.15'"], "3.15.0", None),
        (["pytorch-triton-rocm==3.4.0; python_version > '3'"], "3.12.1", "pytorch-triton-rocm==3.4.0"),
        (["triton (==2.2.0) ; python_version < '3.12'"], "3.11.7", "triton==2.2.0"),
        (["tritonclient[http]==2.50", "numpy"], "3.12.1", None),
        (["triton==3.4.0; sys_platform == 'amiga'"], "3.12.1", None),
        (["triton ==", "triton==3.4.0; no_such_marker == '1'"], "3.12.1", None),
        ([], "3.12.1", None),
    ],
)
def test_triton_that_torch_asks_for(requires, python, expected):
    """The requirement that holds for this system and the examined Python counts; broken ones are passed over."""
    assert interpreter.required_triton(requires, python) == expected


def test_metadata_of_torch_and_triton(context_of, packages):
    """All distributions that bring Triton are seen, and what torch asks of it, without an import."""
    packages.distribution("nnunetv2", "2.8.1", ["torch>=2.1.2"])
    packages.distribution("torch", "2.8.0", [f"triton==3.4.0; sys_platform == '{sys.platform}'"])
    packages.distribution("triton", "3.4.0")
    packages.distribution("pytorch-triton", "3.5.0+git1")

    values = interpreter.look(context_of(quick=True)).values

    assert values["triton.distributions"] == ("triton 3.4.0", "pytorch-triton 3.5.0+git1")
    assert values["triton.required"] == "triton==3.4.0"


def test_no_torch_asks_for_no_triton(context_of):
    """An empty environment has no Triton and wants none."""
    values = interpreter.look(context_of(quick=True)).values

    assert (values["triton.distributions"], values["triton.required"]) == ((), None)
