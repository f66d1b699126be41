"""What helps at the prompt: completion in four shells, help with examples, and the manual page."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import call
from made_up import clean_environ

from nnunet_doctor import arguments, catalogue, completion, manual
from nnunet_doctor.check import AREAS

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "en": ROOT / ".docs" / "nnunet-doctor.1",
    "zh": ROOT / ".docs" / "nnunet-doctor.zh.1",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script of each shell, as the command prints it."""
    folder = tmp_path_factory.mktemp("completion")
    found = {}
    first = subprocess.run(
        [sys.executable, "-W", "error", "-m", "nnunet_doctor", "completion", completion.SHELLS[0]],
        env=clean_environ(),
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    rest = [call(["completion", shell], clean_environ(), ROOT) for shell in completion.SHELLS[1:]]
    for shell, done in zip(completion.SHELLS, [first, *rest], strict=True):
        assert (done.returncode, done.stderr) == (0, "")
        found[shell] = folder / f"completion.{shell}"
        found[shell].write_text(done.stdout, encoding="utf-8")
    return found


BEHIND = {f"nan,inf,{check.id}" for check in catalogue.listed() if check.id.startswith("trit")}
TYPED: dict[str, tuple[str, set[str] | None]] = {
    "commands": ("nnunet-doctor ch", {"check", "checks"}),
    "a command below a command": ("nnunet-doctor checks ", {"test"}),
    "options": ("nnunet-doctor check --fac", {"--facts"}),
    "choices of an option": ("nnunet-doctor check --fail-on ", {"error", "warning", "never"}),
    "languages": ("nnunet-doctor check --lang ", {"en", "zh"}),
    "checks to explain": ("nnunet-doctor explain triton-m", None),
    "checks to ignore": ("nnunet-doctor check --ignore shm-", None),
    "areas to select": ("nnunet-doctor check --select wsl", None),
    "a check behind another": ("nnunet-doctor check --select nan,shm-t", {"nan,shm-too-small"}),
    "an area behind two checks": ("nnunet-doctor check --ignore nan,inf,trit", {"nan,inf,triton", *BEHIND}),
    "one configuration alone": ("nnunet-doctor check -c 2d,3d_f", None),
    "a finding to overrule": ("nnunet-doctor run 10 2d 0 --force fold-fin", None),
    "configurations": ("nnunet-doctor check -c 3d_f", {"3d_fullres"}),
    "files": ("nnunet-doctor check --facts mach", {"machine.json"}),
    "folders": ("nnunet-doctor fix Data", {"Dataset010_Colon"}),
    "schemas": ("nnunet-doctor schema ", {"report", "diagnosis", "facts"}),
    "shells": ("nnunet-doctor completion ", {"bash", "zsh", "fish", "powershell"}),
}


@pytest.mark.skipif(os.name == "nt", reason="bash on Windows is whatever is installed")
@pytest.mark.parametrize(("line", "words"), TYPED.values(), ids=TYPED.keys())
def test_bash_completes(scripts: dict[str, Path], tmp_path: Path, line: str, words: set[str] | None) -> None:
    """A real bash offers, after the words that are typed, exactly what may follow; None stands for ids and areas."""
    (tmp_path / "Dataset010_Colon").mkdir()
    (tmp_path / "machine.json").touch()
    names = {check.id for check in catalogue.listed()} | (
        set() if " --force " in line or " explain " in line else {*AREAS}
    )
    words = words or {name for name in names if name.startswith(line.rsplit(maxsplit=1)[-1])}
    script = f"""
source {scripts["bash"]}
COMP_WORDS=({line}); [[ "$1" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE=$1; COMP_POINT=${{#1}}
function=$(complete -p nnunet-doctor | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
"$function" nnunet-doctor "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", line], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )

    assert {word.strip() for word in done.stdout.split()} == words, done.stderr


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_shell_knows_commands_options_and_ids(scripts: dict[str, Path], shell: str) -> None:
    """Each script holds every command, option, id and area."""
    text = scripts[shell].read_text(encoding="utf-8")
    options = {
        # zsh joins the names of an option in braces, fish leaves the dashes out
        word.lstrip("-")
        for _, parser in commands()
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        for word in action.option_strings
    }
    names = {name.split()[-1] for name, _ in commands()}

    assert {
        word for word in {*options, *names, *AREAS, *(item.id for item in catalogue.listed())} if word not in text
    } == set()


@pytest.mark.parametrize(("shell", "check"), [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["-n"])])
def test_scripts_are_scripts(scripts: dict[str, Path], shell: str, check: list[str]) -> None:
    """The shell itself reads the script, where it is installed; elsewhere its beginning and end are looked at."""
    found = shutil.which(shell)
    text = scripts[shell].read_text(encoding="utf-8")
    if found and os.name != "nt":
        done = subprocess.run([found, *check, scripts[shell]], capture_output=True, encoding="utf-8", check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert "nnunet-doctor" in text.splitlines()[0] + text.splitlines()[-1] + text


ZSH = {
    "source": "autoload -Uz compinit; compinit -u; source SCRIPT",
    "source before compinit": "source SCRIPT",
    "eval": 'autoload -Uz compinit; compinit -u; eval "$(<SCRIPT)"',
    "fpath": "fpath=(FOLDER $fpath); autoload -Uz compinit; compinit -u",
}


@pytest.mark.skipif(os.name == "nt", reason="there is no zsh")
@pytest.mark.parametrize("way", ZSH)
def test_zsh_takes_the_script_in_every_way(scripts: dict[str, Path], tmp_path: Path, way: str) -> None:
    """A file in fpath, source and eval register it, without a word; where there is no zsh, the ways are looked for."""
    text = scripts["zsh"].read_text(encoding="utf-8")
    assert "loadautofunc" in text
    assert text.count("compdef _shtab_nnunet_doctor") == 1
    assert len(re.findall(r":ID\|AREA:_sequence compadd - os python", text)) >= 2
    zsh = shutil.which("zsh")
    if zsh is None:
        return
    (tmp_path / "_nnunet-doctor").write_text(text, encoding="utf-8")
    line = ZSH[way].replace("SCRIPT", str(scripts["zsh"])).replace("FOLDER", str(tmp_path))
    done = subprocess.run(
        [zsh, "-f", "-c", f"{line}; print -r -- $_comps[nnunet-doctor]"],
        env={**os.environ, "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (done.stdout.strip(), done.stderr) == ("_nnunet-doctor" if way == "fpath" else "_shtab_nnunet_doctor", "")


def test_fish_knows_words_after_one_dash(scripts: dict[str, Path]) -> None:
    """nnUNetv2_train's -device is one option and not six; fish itself completes it and its values, where there is one."""
    text = scripts["fish"].read_text(encoding="utf-8")

    assert re.findall(r" -s \w\w+", text) == []
    assert " -o device " in text
    fish = shutil.which("fish")
    if fish:
        lines = ("run 10 2d 0 -dev", "run 10 2d 0 -device ", "check --select nan,shm-too", "check --ignore shm-too")
        asked = "; ".join(["source $argv[1]", *(f"complete -C 'nnunet-doctor {line}'" for line in lines)])
        done = subprocess.run(
            [fish, "-N", "-c", asked, str(scripts["fish"])], capture_output=True, encoding="utf-8", check=True
        )
        assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [
            *("-device", "cuda", "cpu", "mps"),
            *("nan,shm-too-small", "shm-too-small"),
        ]


def test_powershell_registers_a_completer(scripts: dict[str, Path]) -> None:
    """The script registers one completer for the command, and its braces and quotes are in balance."""
    text = scripts["powershell"].read_text(encoding="utf-8")
    code = re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"(?m)^\s*#.*$", "", text))

    assert len(re.findall(r"Register-ArgumentCompleter[^\n]*-CommandName[^\n]*nnunet-doctor", text)) == 1
    assert [code.count(sign) for sign in "{(["] == [code.count(sign) for sign in "})]"]


def test_the_parser_of_the_command_is_not_changed() -> None:
    """Words that completion offers are no restriction: a fold beyond 4 and a plan of one's own are still taken."""
    parser = arguments.command_line()
    completion.script(parser, "bash", ["x"], AREAS)

    assert parser.parse_args(["check", "-f", "7", "-p", "MyPlans"]).fold == "7"


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the name and parser of every command, those that only hold others included."""

    def below(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for command in action.choices.values():
                    yield command.prog.removeprefix("nnunet-doctor "), command
                    yield from below(command)

    return below(arguments.command_line())


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", ["80", "200"])
def test_help_has_examples_in_80_columns(name: str, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of each command ends with examples, each of which its parser takes, and no line is wider than 80."""
    monkeypatch.setenv("COLUMNS", columns)
    text = dict(commands())[name].format_help()
    examples = re.findall(r"(?m)^  nnunet-doctor (.+)$", text.partition("examples:\n")[2])

    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert examples
    for example in examples:
        arguments.command_line().parse_args(re.split(r" +(?:>>?|\|) ", example)[0].split())
        assert example.startswith(name.split(maxsplit=1)[0])


def test_help_of_the_command_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of commands fits too, and names each."""
    monkeypatch.setenv("COLUMNS", "80")
    text = arguments.command_line().format_help()

    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert {name for name in COMMANDS if " " not in name and not re.search(rf"(?m)^    {name}\b", text)} == set()


@pytest.mark.parametrize("language", PAGES)
def test_manual_page_is_up_to_date(language: str) -> None:
    """The page that is shipped is the one that the parser gives; `python .docs/manual.py` writes it anew."""
    assert PAGES[language].read_text(encoding="utf-8") == manual.page(arguments.command_line(), language)


@pytest.mark.parametrize("language", PAGES)
def test_manual_page_names_every_command_and_option(language: str) -> None:
    """Nothing that help tells is missing on the page."""
    text = PAGES[language].read_text(encoding="utf-8").replace("\\-", "-")
    for name, parser in COMMANDS.items():
        if any(isinstance(action, argparse._SubParsersAction) for action in parser._actions):
            continue
        part = text.partition(f".SS {name}\n")[2].partition(".SS ")[0]
        options = {
            word for action in parser._actions if action.help != argparse.SUPPRESS for word in action.option_strings
        }
        assert {word for word in options - {"-h", "--help"} if word not in part} == set(), name


@pytest.mark.skipif(sys.platform == "win32", reason="there is no groff")
@pytest.mark.parametrize("language", PAGES)
def test_groff_renders_the_manual_page(language: str) -> None:
    """groff has no warning about the page; where it is not installed, the requests that are used are looked at."""
    groff = shutil.which("groff")
    if groff is None:
        requests = set(re.findall(r"(?m)^\.(\w+)", PAGES[language].read_text(encoding="utf-8")))
        assert requests <= {"TH", "SH", "SS", "TP", "PP", "B", "nf", "fi", "ad", "nh", "ds", "nr"}
        return
    done = subprocess.run(
        [groff, "-Kutf8", "-man", "-Tutf8", "-ww", "-z", PAGES[language]],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    shown = subprocess.run(
        [groff, "-Kutf8", "-man", "-Tutf8", "-P-c", PAGES[language]], capture_output=True, encoding="utf-8", check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "nnunet-doctor check 10 -c 3d_fullres -f 0 --device cuda" in shown.stdout
    # a word that is broken can neither be searched for nor be copied
    assert "\u2010" not in shown.stdout
