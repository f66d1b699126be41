"""Variables that look like nnU-Net's, and the command that PATH finds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from nnunet_doctor.facts import Detail, Unknown
from nnunet_doctor.probes import nnunet_setup
from nnunet_doctor.probes.nnunet_setup import unknown_variables

posix = pytest.mark.skipif(sys.platform == "win32", reason="commands of Windows have no first line to read")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("nnUNet_preprocesed", "nnUNet_preprocessed"),
        ("nnUNet_result", "nnUNet_results"),
        ("nnUNet_n_proc_da", "nnUNet_n_proc_DA"),
        ("NNUNET_RAW", "nnUNet_raw"),
        ("nnUNet_Compile", "nnUNet_compile"),
        ("nnUNetv2_raw", "nnUNet_raw"),
        ("nnUNet_of_my_own_zzzzzzzzzzzzzz", ""),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no case in the names of variables")
def test_variable_that_no_release_reads(name, nearest):
    """A slip in the name of a variable is found, with the name that was meant."""
    assert unknown_variables({name: "x"}) == (Detail(name, nearest),)


@pytest.mark.parametrize(
    "name",
    [
        "nnUNet_raw",
        "nnUNet_preprocessed",
        "nnUNet_results",
        "nnUNet_compile",
        "nnUNet_n_proc_DA",
        "nnUNet_def_n_proc",
        "nnUNet_raw_data_base",
        "RESULTS_FOLDER",
        "NNUNET_DOCTOR_LANG",
        "PATH",
        "MY_nnUNet_raw",
    ],
)
def test_variable_that_is_right(name):
    """Variables of nnU-Net v2 and v1, of this doctor and of others are no slips."""
    assert unknown_variables({name: "x"}) == ()


def test_values_are_taken_as_they_are(context_of):
    """What the user has set is noted word for word, and what is unset is None."""
    values = nnunet_setup.look(
        context_of({"nnUNet_compile": "F ", "nnUNet_n_proc_DA": "", "RESULTS_FOLDER": "/r"})
    ).values

    expected = {
        "nnunet.compile_variable": "F ",
        "nnunet.workers_variable": "",
        "nnunet.processes_variable": None,
        "nnunet.v1_variables": (Detail("RESULTS_FOLDER", "/r"),),
        "nnunet.unknown_variables": (),
    }
    assert {name: values[name] for name in expected} == expected


def test_command_of_another_environment(context_of, program, tmp_path):
    """Of two environments on PATH the first one's command is found, and it is said whether it is the examined one's."""
    mine, others = tmp_path / "mine", tmp_path / "others"
    python = program(mine, "python")
    own, other = program(mine, "nnUNetv2_train"), program(others, "nnUNetv2_train")

    def look(*folders):
        path = os.pathsep.join(map(str, folders))
        values = nnunet_setup.look(context_of({"PATH": path}, python=python)).values
        command = values["nnunet.command"]
        return command and os.path.normcase(command), values["nnunet.command_here"]

    assert look(others, mine) == (os.path.normcase(other), False)
    assert look(mine, others) == (os.path.normcase(own), True)
    assert look(tmp_path) == (None, None)


@posix
def test_command_over_a_link_is_the_examined_ones(context_of, program, tmp_path):
    """A link on PATH that leads into the examined environment, as pipx makes, is its command."""
    python = program(tmp_path / "mine", "python")
    own = program(tmp_path / "mine", "nnUNetv2_train")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nnUNetv2_train").symlink_to(own)

    values = nnunet_setup.look(context_of({"PATH": str(tmp_path / "bin")}, python=python)).values

    assert values["nnunet.command_here"] is True


@posix
@pytest.mark.parametrize(
    ("first_lines", "here"),
    [
        ("#!{mine}/python3\nimport nnunetv2\n", True),
        ("#!/bin/sh\n'''exec' \"{mine}/python\" \"$0\" \"$@\"\n' '''\n", True),
        ("#!{other}/python3\nimport nnunetv2\n", False),
        ("#!/bin/sh\n'''exec' \"{other}/python\" \"$0\" \"$@\"\n' '''\n", False),
        ("", False),
        ("\x7fELF", False),
    ],
)
def test_command_that_pip_has_installed_for_the_user(context_of, program, tmp_path, first_lines, here):
    """A command of 'pip install --user' lies elsewhere and belongs to the interpreter that its first line names."""
    mine = tmp_path / "my python"
    python = program(mine, "python")
    text = first_lines.format(mine=mine, other=tmp_path / "other")
    program(tmp_path / "local", "nnUNetv2_train", text or "\n")

    values = nnunet_setup.look(context_of({"PATH": str(tmp_path / "local")}, python=python)).values

    assert values["nnunet.command_here"] is here


def test_launcher_of_windows_tells_its_interpreter(tmp_path, program):
    """Behind a launcher stands the path of the Python that it starts; another Python's launcher is not this one's."""
    python = program(tmp_path / "mine", "python")
    own, others = tmp_path / "own.exe", tmp_path / "others.exe"
    for launcher, folder in ((own, python.parent), (others, tmp_path / "other")):
        launcher.write_bytes(b"MZ" + bytes(200_000) + f"#!{folder}{os.sep}python.exe\n".encode() + b"PK\x03\x04")

    assert nnunet_setup._belongs(own, python) is True
    assert nnunet_setup._belongs(others, python) is False


def test_shim_of_a_version_manager_is_not_judged(tmp_path, program):
    """A shim of pyenv starts what pyenv has chosen, so nobody says whose command it is."""
    python = program(tmp_path / "mine", "python")
    shim = program(tmp_path / ".pyenv" / "shims", "nnUNetv2_train")

    assert isinstance(nnunet_setup._belongs(shim, python), Unknown)


def test_variables_that_are_set(context_of):
    """Every variable that some release reads is told with its value, and folders of trainers that are not there."""
    gone = str(Path("no", "such", "folder"))
    values = nnunet_setup.look(
        context_of(
            {
                "nnUNet_npp": "1",
                "nnUNet_extTrainer": os.pathsep.join([gone, str(Path.cwd()), ""]),
                "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
            }
        )
    ).values

    assert {item.subject for item in values["nnunet.variables"]} == {"nnUNet_npp", "nnUNet_extTrainer"}
    assert values["nnunet.trainers_missing"] == (Detail(gone),)
    assert values["nnunet.load_variable"] == "1"
