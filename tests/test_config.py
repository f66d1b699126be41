"""Configuration: found upwards, refused with file and line, and outdone by what is said nearer."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import Installation
from shared import tries

from nnunet_doctor.arguments import command_line
from nnunet_doctor.cli import main
from nnunet_doctor.config import OPTIONS, _Reader, load, parse
from nnunet_doctor.errors import UserError
from nnunet_doctor.options import settle

MACHINE = Path(__file__).with_name("machines") / "linux-cuda-healthy.json"


def put(folder: Path, name: str, text: str) -> Path:
    """Write a file into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def options(folder: Path) -> dict[str, object]:
    """Return what the configuration that counts in a folder says."""
    return {name: entry.value for name, entry in load(folder).options.items()}


# --- finding -------------------------------------------------------------------------------------------------------


def test_the_nearest_file_counts_alone(tmp_path: Path) -> None:
    """The first folder upwards that has a configuration ends the search; files above it add nothing."""
    put(tmp_path, "nnunet-doctor.toml", 'lang = "zh"\nquick = true')
    put(tmp_path / "a", "pyproject.toml", '[tool.nnunet-doctor]\nlang = "en"')
    below = tmp_path / "a" / "b" / "c"
    below.mkdir(parents=True)

    assert options(below) == {"lang": "en"}
    assert options(tmp_path) == {"lang": "zh", "quick": True}


def test_of_two_files_in_a_folder_the_doctors_own_counts(tmp_path: Path) -> None:
    """nnunet-doctor.toml stands before pyproject.toml, even when it is empty."""
    put(tmp_path, "pyproject.toml", "[tool.nnunet-doctor]\nquick = true")
    put(tmp_path, "nnunet-doctor.toml", "")

    assert options(tmp_path) == {}
    assert load(tmp_path).file == tmp_path / "nnunet-doctor.toml"


@pytest.mark.parametrize(
    "text",
    ["[tool.nnunet-doctor]\nquick = true", '["tool"."nnunet-doctor"]\nquick = true', "tool.nnunet-doctor.quick = true"],
)
def test_a_project_may_write_the_table_as_toml_allows(tmp_path: Path, text: str) -> None:
    """Quotes and dotted keys mean the same."""
    put(tmp_path, "pyproject.toml", text)

    assert options(tmp_path) == {"quick": True}


def test_a_project_without_the_table_is_passed_over(tmp_path: Path) -> None:
    """A pyproject.toml that only depends on the doctor, or is broken elsewhere, ends no search and stops nothing."""
    put(tmp_path, "nnunet-doctor.toml", "quick = true")
    put(tmp_path / "a", "pyproject.toml", '[project]\ndependencies = ["nnunet-doctor"]')
    put(tmp_path / "a" / "b", "pyproject.toml", "this is = = no TOML")

    assert options(tmp_path / "a" / "b") == {"quick": True}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """A file says the same from every folder below it; a bare command is looked for in PATH."""
    put(tmp_path, "nnunet-doctor.toml", 'checks = ["ci/checks"]\nbaseline = "old.json"\npython = "python3.11"')
    (tmp_path / "deep").mkdir()
    found = options(tmp_path / "deep")

    assert found["checks"] == [str(tmp_path / "ci" / "checks")]
    assert found["baseline"] == str(tmp_path / "old.json")
    assert found["python"] == "python3.11"


@settings(max_examples=tries(300), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*OPTIONS, "severity", "waiver", "overwrite", "else"]),
        st.recursive(
            st.one_of(
                st.booleans(), st.integers(), st.floats(), st.text(), st.dates(), st.times(), st.just("~nobody/x")
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=2),
                st.dictionaries(st.sampled_from(["id", "reason", "until", "dataset", "subject", "nan"]), inner),
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_no_document_ends_in_an_error_of_ours(document: dict[str, object]) -> None:
    """Whatever TOML holds, it is a configuration or is refused in one sentence."""
    said = ""
    try:
        _Reader("", "nnunet-doctor.toml", Path(), "").config(document)
    except UserError as refused:
        said = str(refused)

    assert said == "" or said.startswith("nnunet-doctor.toml: ")


def test_a_table_that_is_none_is_refused() -> None:
    """[tool] nnunet-doctor = 3 says nothing."""
    with pytest.raises(UserError, match=r"\[tool\.nnunet-doctor\] is a table"):
        parse("[tool]\nnnunet-doctor = 3", "pyproject.toml", Path(), in_project=True)


def test_waivers_of_a_project_name_their_lines() -> None:
    """Tables below the tool's own are found under their whole names."""
    text = '[tool.nnunet-doctor]\n[[tool.nnunet-doctor.waiver]]\nid = "nan"\nreason = "a"\n[[tool.nnunet-doctor.waiver]]\nid = "inf"\nreason = "b"'
    found = parse(text, "pyproject.toml", Path(), in_project=True)

    assert found is not None
    assert [waiver.place for waiver in found.waivers] == ["pyproject.toml:3", "pyproject.toml:6"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no numbers of users")
def test_another_users_file_chooses_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies above a working folder on a shared disk may be anybody's, and an interpreter that it names would run."""
    path = put(tmp_path, "nnunet-doctor.toml", 'lang = "zh"\npython = "./evil"')
    if os.getuid() == 0:  # what belongs to root is trusted
        os.chown(path, 12345, 12345)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    found = load(tmp_path)
    said = r"nnunet-doctor\.toml:2: 'python' is not taken from a file that belongs to another user; give --python"

    assert set(found.options) == {"lang"}
    assert re.match(said, found.refused["python"])


def test_a_dataset_chooses_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data that were downloaded may bring a file with them; the user's own word for the interpreter is taken."""
    put(tmp_path, "dataset.json", "{}")
    put(tmp_path / "imagesTr", "nnunet-doctor.toml", 'fail-on = "never"\npython = "./evil"')
    monkeypatch.chdir(tmp_path / "imagesTr")
    codes = [main(["check", "--quick", *more]) for more in ([], ["--python", sys.executable])]

    assert codes == [2, 0]
    assert "nnunet-doctor.toml:2: 'python' is not taken from a file inside a dataset" in capsys.readouterr().err


def test_a_working_folder_that_is_gone_has_no_configuration(installation: Installation) -> None:
    """The doctor still answers in a shell whose folder was deleted."""
    gone = installation.path("gone")
    gone.mkdir()
    script = f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from nnunet_doctor.cli import main; sys.exit(main(['check', '--facts', {str(MACHINE)!r}]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0, done.stderr


# --- refusals ------------------------------------------------------------------------------------------------------

REFUSED = {
    "a misspelt option": (
        'lang = "en"\nfial-on = "error"',
        ":2: there is no option 'fial-on'; did you mean 'fail-on'?",
    ),
    "a misspelt table": ("\n[severty]\na = 1", ":2: there is no option 'severty'; did you mean 'severity'?"),
    "a wrong type": ('\nquick = "yes"', ":2: option 'quick' is true or false, not 'yes'"),
    "a text for a list": ('select = "triton"', ":1: option 'select' is a list of texts, not 'triton'"),
    "a number for a text": ("lang = 1", ":1: option 'lang' is a text in quotes, not 1"),
    "a decision for one start": ("overwrite = true", ":1: 'overwrite' is said for one start"),
    "an option of nnU-Net for one start": ("val_best = true", ":1: 'val_best' is said for one start"),
    "what one command reads": (
        '\nmodel = "x"',
        ":2: 'model' names what one command reads or writes, and is said on its",
    ),
    "what one command writes": ("redact = true", ":1: 'redact' names what one command reads or writes"),
    "a change": ("apply = true", ":1: 'apply' changes a dataset, and is said on the command line each time"),
    "the letters of the command line": ('tr = "x"', ":1: there is no option 'tr'; did you mean 'trainer'?"),
    "an underline": ("num_gpus = 2", ":1: there is no option 'num_gpus'; did you mean 'num-gpus'?"),
    "the word that takes back": ("no-retry = true", ":1: there is no option 'no-retry'; did you mean 'retry'?"),
    "no TOML": ("lang = \n", ":1: this is not TOML"),
    "a wrong severity": (
        '[severity]\nshm-too-small = "fatal"',
        ":2: the severity of 'shm-too-small' is one of error, w",
    ),
    "a lowered guard": (
        '[severity]\ntraining-finished = "info"',
        ":2: 'training-finished' keeps a training from being",
    ),
    "no reason": ('[[waiver]]\nid = "nan"', ":1: a waiver needs 'reason'"),
    "an empty reason": ('[[waiver]]\nid = "nan"\nreason = " "', ":3: a waiver needs 'reason'"),
    "no id": ('[[waiver]]\nreason = "so"', ":1: a waiver needs 'id'"),
    "a misspelt key of the second waiver": (
        '[[waiver]]\nid = "nan"\nreason = "a"\n[[waiver]]\nid = "inf"\nreason = "b"\nutnil = 2027-01-31',
        ":7: there is no key 'utnil' in a waiver; did you mean 'until'?",
    ),
    "no day": ('[[waiver]]\nid = "nan"\nreason = "a"\nuntil = "soon"', ":4: 'until' is a day such as 2027-01-31"),
    "one bracket": ('[waiver]\nid = "nan"', ":1: write each waiver as [[waiver]]"),
    "no pattern": ('[[waiver]]\nid = "nan"\nreason = "a"\nsubject = []', ":4: 'subject' of a waiver is a pattern"),
    "a waiver of nothing": (
        '[[waiver]]\nid = "nann"\nreason = "a"',
        ":2: there is no check 'nann'; did you mean 'nan'?",
    ),
    "a severity of nothing": ('[severity]\nnann = "info"', ":2: there is no check 'nann'; did you mean 'nan'?"),
    "subjects of a check without any": (
        '[[waiver]]\nid = "triton-missing"\nreason = "a"\nsubject = "x"',
        ":2: 'triton-missing' is about no files or cases",
    ),
    "a day that there is not": (
        '[[waiver]]\nid = "nan"\nreason = "a"\nuntil = "2027-02-30"',
        ":4: 'until' is a day such as 2027-01-31, not '2027-02-30'",
    ),
    "the head of a project's table": (
        '\n[tool.nnunet-doctor]\nlang = "zh"',
        ":2: in nnunet-doctor.toml options stand at the top, without [tool.nnunet-doctor]",
    ),
    "the head without tool": (
        '[nnunet-doctor]\nlang = "zh"',
        ":1: in nnunet-doctor.toml options stand at the top, without [tool.nnunet-doctor]",
    ),
    "a wrong severity in a dotted key": (
        '\nseverity.nan = "fatal"',
        ":2: the severity of 'nan' is one of error, warning, info, not 'fatal'",
    ),
    "a waiver in one line": ('\nwaiver = [{ id = "nan" }]', ":2: a waiver needs 'reason'"),
    "a form that no file has": ('\nreport = ["a.md", "b.docx"]', ":2: --report "),
    "an id that there is not": (
        '\n\nignore = ["paths", "nann"]',
        ":3: there is no check and no area 'nann'; did you mean 'nan'?",
    ),
    "a pack that is not installed": ('\nprobes = ["hospital"]', ":2: --probes hospital: "),
    "a choice that there is not": ('fail-on = "warn"', ":1: there is no fail-on 'warn'; did you mean 'warning'?"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_file_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names file, line and what is meant; `config` refuses what `check` refuses, with exit code 2."""
    put(tmp_path, "nnunet-doctor.toml", text)
    monkeypatch.chdir(tmp_path)
    codes = [main(["config"]), main(["check", "--facts", str(MACHINE)])]
    first, second = capsys.readouterr().err.splitlines()

    assert codes == [2, 2]
    assert first == second
    assert first.startswith(f"nnunet-doctor.toml{said}")


def test_a_number_out_of_range_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values are held to what the option takes."""
    put(tmp_path, "nnunet-doctor.toml", "\n\ntimeout = -1")
    monkeypatch.chdir(tmp_path)

    assert main(["check", "--quick"]) == 2
    assert "nnunet-doctor.toml:3: timeout: '-1' is not a number of seconds above 0" in capsys.readouterr().err


def test_the_line_is_found_in_a_project_file(tmp_path: Path) -> None:
    """Keys of the same name in other tables are not taken for it."""
    put(tmp_path, "pyproject.toml", '[tool.other]\nlang = "de"\n\n[tool.nnunet-doctor]\nselect = []\nlang = 7\n')

    with pytest.raises(UserError, match=r"^pyproject\.toml:6: option 'lang' is a text"):
        load(tmp_path)


def test_a_wrong_variable_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables are held to the same words as options."""
    monkeypatch.setenv("NNUNET_DOCTOR_QUICK", "maybe")

    assert main(["check", "--facts", str(MACHINE)]) == 2
    assert "NNUNET_DOCTOR_QUICK is 'maybe'" in capsys.readouterr().err


def test_a_wrong_id_in_a_variable_is_told_with_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has typed it in the command that is refused; an option that is given keeps it from counting."""
    monkeypatch.setenv("NNUNET_DOCTOR_SELECT", "paths, devise")

    assert main(["check", "--facts", str(MACHINE)]) == 2
    assert (
        "NNUNET_DOCTOR_SELECT: there is no check and no area 'devise'; did you mean 'device'?"
        in capsys.readouterr().err
    )
    assert main(["check", "--facts", str(MACHINE), "--select", "device"]) == 0


def test_help_needs_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file does not keep the help away."""
    put(tmp_path, "nnunet-doctor.toml", "broken = = =")
    monkeypatch.chdir(tmp_path)

    assert main(["check", "--help"]) == 0


SHORT = {"c", "f", "tr", "p", "num_gpus", "no-cache", "no-retry", "o"}
"""Options that a file calls otherwise, or not at all."""


def test_every_option_is_configured_or_has_a_reason() -> None:
    """Whatever a command takes stands in the file, or is refused with the sentence that tells why."""
    (commands,) = [action for action in command_line()._actions if isinstance(action, argparse._SubParsersAction)]
    words = {
        word.lstrip("-")
        for parser in commands.choices.values()
        for action in parser._actions
        if action.help != argparse.SUPPRESS and action.dest != "help"
        for word in action.option_strings
    }
    lost = []
    for word in sorted(words - set(OPTIONS) - SHORT):
        with pytest.raises(UserError) as refused:
            _Reader("", "x.toml", Path(), "").config({word: 1})
        lost += [word] if "there is no option" in str(refused.value) else []

    assert lost == []


def test_what_a_project_hands_on_to_nnunet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """npz in the file is an argument of each start, once, and --no-npz takes it back."""
    put(tmp_path, "nnunet-doctor.toml", "npz = true")
    monkeypatch.chdir(tmp_path)
    found = []
    for words in ((), ("--npz",), ("--no-npz",), ("--val_best",)):
        options = command_line().parse_args(["run", "10", "2d", "0", *words])
        settle(options, {})
        found.append(options.flags)

    assert found == [["--npz"], ["--npz"], [], ["--npz", "--val_best"]]
    assert main(["config"]) == 0
    assert re.search(r"npz +true +nnunet-doctor\.toml:1", capsys.readouterr().out)


# --- what counts ---------------------------------------------------------------------------------------------------


def settled(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[object, object]]:
    """Return value and source of each option, as `config --format json` tells them."""
    assert main(["config", "--format", "json"]) == 0
    return {item["name"]: (item["value"], item["source"]) for item in json.loads(capsys.readouterr().out)["options"]}


def test_config_tells_value_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment outdoes the file, the file the default; nothing is left out."""
    put(tmp_path, "nnunet-doctor.toml", 'fail-on = "warning"\nignore = ["wsl2"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNUNET_DOCTOR_IGNORE", "os, paths")
    found = settled(capsys)

    assert set(found) == set(OPTIONS)
    assert found["fail-on"] == ("warning", "nnunet-doctor.toml:1")
    assert found["ignore"] == (["os", "paths"], "NNUNET_DOCTOR_IGNORE")
    assert found["timeout"] == (60.0, None)


def ignored_and_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[set[str], int]:
    """Return the areas that a check of a recorded machine leaves out, and its exit code."""
    code = main(["check", "--facts", str(MACHINE), "--format", "json", *arguments])
    ignored = set(json.loads(capsys.readouterr().out)["ignored"])
    return {
        area
        for area, id in {"wsl2": "wsl1", "triton": "triton-missing", "paths": "paths-unset"}.items()
        if id in ignored
    }, code


def test_an_option_outdoes_the_environment_and_that_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each layer replaces the list of the one below; `--no-...` takes a flag back."""
    put(tmp_path, "nnunet-doctor.toml", 'ignore = ["wsl2"]\n')
    monkeypatch.chdir(tmp_path)
    by_file = ignored_and_code([], capsys)[0]
    monkeypatch.setenv("NNUNET_DOCTOR_IGNORE", "triton")
    by_variable = ignored_and_code([], capsys)[0]
    by_option = ignored_and_code(["--ignore", "paths"], capsys)[0]

    assert (by_file, by_variable, by_option) == ({"wsl2"}, {"triton"}, {"paths"})


def test_how_to_look_is_no_matter_of_a_recorded_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--facts is refused beside --quick, and not beside a configuration that says quick or names a training."""
    put(tmp_path, "nnunet-doctor.toml", 'quick = true\npython = "nowhere/python"\nconfiguration = "3d_lowres"\n')
    plain = main(["check", "--facts", str(MACHINE), "--format", "json"]), capsys.readouterr().out
    monkeypatch.chdir(tmp_path)

    assert (main(["check", "--facts", str(MACHINE), "--format", "json"]), capsys.readouterr().out) == plain


def test_a_look_follows_the_file_and_the_command_line(installation: Installation) -> None:
    """`quick` in the file leaves torch alone, --no-quick starts it, and --deep is no contradiction to it."""
    put(installation.base, "nnunet-doctor.toml", "quick = true\n")
    reasons = {
        arguments: installation.doctor("check", *arguments).stdout.count("--quick")
        for arguments in ((), ("--no-quick",), ("--deep",))
    }

    assert reasons[()] > 0
    assert (reasons["--no-quick",], reasons["--deep",]) == (0, 0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_config_fits_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    """The table has 80 columns at most, and names severities, waivers and variables that nothing reads."""
    text = (
        '[severity]\nnan = "info"\n[[waiver]]\nid = "inf"\nreason = "known"\nuntil = 2099-01-31\nsubject = "imagesTr/*"'
    )
    put(tmp_path, "nnunet-doctor.toml", text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNUNET_DOCTOR_FIAL_ON", "never")

    assert main(["config", "--lang", language]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(sum(1 + (ord(char) > 0x2E80) for char in line.rstrip()) for line in lines) <= 80
    for words in ("nan = info", "inf", "known", "2099-01-31", "imagesTr/*", "NNUNET_DOCTOR_FAIL_ON"):
        assert any(words in line for line in lines), words


def test_a_severity_changes_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lowered error fails no check and asks for no setting."""
    machine = str(MACHINE.with_name("windows-cpu-nnunet242.json"))
    before = main(["check", "--facts", machine, "--select", "compile-on-windows"])
    put(tmp_path, "nnunet-doctor.toml", '[severity]\ncompile-on-windows = "info"\n')
    monkeypatch.chdir(tmp_path)
    after = main(["check", "--facts", machine, "--select", "compile-on-windows"])
    said = capsys.readouterr().out.split("nnunet-doctor 0.1.0")[-1]

    assert (before, after) == (1, 0)
    assert "info  nnU-Net 2.4.2 compiles" in said
    assert "nnUNet_compile=false   asked for" not in said
