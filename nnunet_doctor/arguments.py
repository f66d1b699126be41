"""The arguments of the command line, what each means, and how a wrong one is refused."""

from __future__ import annotations

import argparse
import functools
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from nnunet_doctor import __version__
from nnunet_doctor.completion import SHELLS
from nnunet_doctor.errors import UserError, nearest
from nnunet_doctor.options import make_configurable
from nnunet_doctor.request import DEVICES
from nnunet_doctor.words import phrase

LANGUAGES = ("en", "zh")
TRAINER = "trainer class; default: nnUNetTrainer"
PLANS = "plans; default: nnUNetPlans"
NUM_GPUS = "number of GPUs; default: 1"
EPILOG = """\
exit codes of check: 0 nothing at or above --fail-on, 1 a problem, 2 wrong use,
3 nothing found but a check of that level could not be decided, 130 interrupted.
run: 1 blocked before the start, 2 wrong use, else nnU-Net's own code. diagnose:
0 no failure in the log, 1 its cause is recognised, 2 wrong use, 3 a failure
that is not recognised. 'nnunet-doctor COMMAND --help' shows examples."""


EXAMPLES = {
    name: "examples:\n" + "\n".join(f"  nnunet-doctor {line}" for line in lines)
    for name, lines in {
        "check": (
            "check",
            "check 10 -c 3d_fullres -f 0 --device cuda",
            "check ./Dataset010_Colon --select dataset --deep",
            "check --quick --format json",
            "check --facts machine.json --lang zh",
        ),
        "run": (
            "run 10 3d_fullres 0 -device cuda",
            "run Dataset010_Colon 2d all --prepare",
            "run 10 3d_fullres 0 --c",
            "run 10 2d 0 --dry-run",
        ),
        "diagnose": ("diagnose training_log.txt", "diagnose slurm-1234.out slurm-1234.err --here", "diagnose -"),
        "fix": ("fix 10", "fix ./Dataset010_Colon --apply", "fix ./Dataset010_Colon --undo"),
        "demo": ("demo", "demo --folder /scratch/demo --device cpu"),
        "facts": ("facts 10 --output machine.json", "facts --python ~/nnunet/bin/python"),
        "diff": ("diff", "diff monday.json today.json"),
        "bundle": ("bundle", "bundle 10 --log training_log.txt"),
        "list": ("list", "list --facts", "list --format json"),
        "explain": ("explain shm-too-small", "explain triton-missing --lang zh"),
        "checks": ("checks test my-checks/",),
        "test": ("checks test my-checks/training/my-rule.toml", "checks test my-checks/"),
        "schema": ("schema report", "schema facts"),
        "completion": (
            "completion bash >> ~/.bash_completion",
            "completion zsh > ~/.zfunc/_nnunet-doctor",
            "completion fish > ~/.config/fish/completions/nnunet-doctor.fish",
            "completion powershell | Out-String | Invoke-Expression",
        ),
        "config": ("config", "config --format json"),
    }.items()
}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Eighty columns at most, whatever the terminal, so that help reads the same everywhere."""

    def __init__(self, prog: str) -> None:
        import shutil

        super().__init__(prog, max_help_position=28, width=min(80, shutil.get_terminal_size().columns) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return "\n".join(indent + line for line in self._split_lines(text, width))

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Break a text into lines; Chinese has no blanks to break at, and its letters take two columns."""
        if text.isascii():
            return super()._split_lines(text, width)
        from nnunet_doctor.words.lines import breaks

        places = [0, *breaks(text, width), len(text)]
        return [text[start:end].rstrip() for start, end in itertools.pairwise(places)]


CONFIGURATION = (
    """\
A configuration is nnunet-doctor.toml, or [tool.nnunet-doctor] in
pyproject.toml, in the working folder or above it. An option counts first, then
its variable (NNUNET_DOCTOR_FAIL_ON), then the file, then the default:""",
    """\
'nnunet-doctor config' lists the options that it may hold: all but those that
are said for one start of a training (--force, --overwrite), that name what one
command reads or writes (--facts, --output, --redact), or that change a dataset
(--apply).""",
    """\
  fail-on = "warning"
  ignore = ["wsl2", "nnunet-outdated"]
  checks = ["ci/checks"]                  # relative to the file""",
    '  [severity]\n  shm-too-small = "info"',
    """\
  [[waiver]]                              # listed as waived, and counts not
  id = "label-unexpected"
  dataset = "Dataset010_*"                # optional: name, id or folder
  subject = "labelsTr/colon_00*"          # optional: file, case or folder
  reason = "values are those of the atlas"
  until = 2027-01-31                      # optional: last day""",
)
"""Paragraphs about the configuration, each translated on its own."""


COMPLETION = """\
zsh reads the file from a folder in fpath: 'mkdir -p ~/.zfunc' makes it, and
'fpath=(~/.zfunc $fpath)' stands in ~/.zshrc above compinit. Instead of both,
'source <(nnunet-doctor completion zsh)' at its end does as well."""


class HelpAsked(Exception):  # noqa: N818 - nothing is wrong
    """The help of a parser is asked for."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        """Keep the parser."""
        super().__init__()
        self.parser = parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the nearest word for a misspelt one; leaves help to its caller."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        # argparse colours help since Python 3.14, and puts suggestions into its errors since 3.15
        self.color = self.suggest_on_error = False

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {_sentence(message)}; see '{self.prog} --help'")

    def print_help(self, file: Any = None) -> NoReturn:  # noqa: ARG002 - the signature is argparse's
        raise HelpAsked(self)


def refuse(words: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
    """Say of arguments that no option takes which one may be meant.

    Raises:
        UserError: Always.
    """
    word = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
    if word is None:
        parser.error(f"unrecognized arguments: {' '.join(words)}")
    known = [name for action in parser._actions if action.help != argparse.SUPPRESS for name in action.option_strings]  # noqa: SLF001 - argparse tells them in no other way
    parser.error(f"there is no option {word!r}{nearest(word, known)}")


def help_of(parser: argparse.ArgumentParser, language: str) -> str:
    """Return the help of a command, 80 columns wide at most."""
    from nnunet_doctor.words.command import in_language

    text = in_language(parser, language).format_help()
    if language == "en":
        return text
    text = text.replace("usage: ", phrase(language, "help", "usage: "), 1)
    return re.sub(r"^(\S.*):$", r"\1：", text, flags=re.MULTILINE)  # the heads of groups


def _sentence(message: str) -> str:
    """Turn argparse's words into a sentence with a suggestion."""
    found = re.fullmatch(
        r"argument (?P<where>.+?): invalid choice: '?(?P<word>.+?)'? \(choose from (?P<words>.+)\)", message
    )
    if found is None:
        return message
    words = [word.strip(" '") for word in found["words"].split(",")]
    return (
        f"there is no {found['where']} {found['word']!r}{nearest(found['word'], words)}; there are {', '.join(words)}"
    )


@functools.cache
def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    What it reads names the command that is asked for as ``command``, and keeps a ``--lang`` before it as ``spoken``.
    """
    parser = _Parser(
        prog="nnunet-doctor",
        description="Says what is wrong with this machine, this nnU-Net and this dataset, and starts trainings safely.",
        epilog=EPILOG,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"nnunet-doctor {__version__}")
    _language_option(parser, "spoken")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    _check_arguments(_add(commands, "check", "look at everything and report problems with their fixes"))
    _run_arguments(_add(commands, "run", "start nnUNetv2_train with settings that are proven safe here"))
    _diagnose_arguments(_add(commands, "diagnose", "say from its log what ended a run, and how to mend it"))
    _fix_arguments(_add(commands, "fix", "show what can be mended in a raw dataset; mend it, or take it back"))
    _demo_arguments(_add(commands, "demo", "a tiny dataset in a folder of its own: check, prepare, train, for real"))
    _facts_arguments(_add(commands, "facts", "print what is known of this machine as JSON"))
    _diff_arguments(_add(commands, "diff", "tell what has changed since a training last finished here"))
    _bundle_arguments(_add(commands, "bundle", "put what a maintainer needs into one file, without names and images"))
    listing = _add(commands, "list", "list all checks, or the facts they ask, or the tables behind them")
    shown = listing.add_mutually_exclusive_group()
    shown.add_argument("--facts", action="store_true", help="list the facts that conditions may ask")
    shown.add_argument("--tables", action="store_true", help="list the tables of releases and their dates")
    shown.add_argument(
        "--markdown", action="store_true", help="print checks, and the failure modes that they cover, as Markdown"
    )
    listing.add_argument("--format", choices=("text", "json"), default="text", help="form of what is said")
    _common(listing)
    explain = _add(commands, "explain", "all about one check")
    explain.add_argument("id", metavar="ID", help="id of a check, as a report or 'list' shows it")
    _common(explain)
    checks = _add(commands, "checks", "work on check files")
    inner = checks.add_subparsers(metavar="COMMAND", required=True)
    test = _add(inner, "test", "validate check files and run their examples")
    test.add_argument("path", metavar="PATH", type=Path, help="a check file, an area folder, or a folder of areas")
    _language_option(test)
    schema = _add(commands, "schema", "print the JSON Schema of a format")
    schema.add_argument(
        "name", metavar="NAME", choices=("report", "diagnosis", "facts"), help="report, diagnosis or facts"
    )
    _language_option(schema)
    completion = _add(commands, "completion", "print a script that completes this command line")
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh, fish or powershell")
    completion.epilog = f"{COMPLETION}\n\n{EXAMPLES['completion']}"
    _language_option(completion)
    configured = _add(commands, "config", "show every option as it counts here, and where it comes from")
    configured.epilog = "\n\n".join((*CONFIGURATION, EXAMPLES["config"]))
    configured.add_argument("--format", choices=("text", "json"), default="text", help="form of what is said")
    _common(configured)
    for command in commands.choices.values():
        make_configurable(command)
    return parser


def _add(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=EXAMPLES.get(name),
        formatter_class=_Help,
    )
    parser.set_defaults(parser=parser, command=name)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checks", metavar="FOLDER", action="append", default=[], help="more checks; repeatable")
    _language_option(parser)


def _language_option(parser: argparse.ArgumentParser, kept_as: str = "lang") -> None:
    help = "language of the report; default: that of the system"
    parser.add_argument("--lang", dest=kept_as, choices=LANGUAGES, help=help)


def _looking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="interpreter to examine: a file, a command, or the folder of an environment; default: the doctor's own",
    )
    parser.add_argument("--quick", action="store_true", help="start no torch; what needs it stays undecided")
    parser.add_argument(
        "--probes",
        metavar="PACK",
        action="append",
        default=[],
        help="let the probe of an installed pack look too, which runs its code; repeatable",
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, default=60.0, help="deadline of each look; default: 60"
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help="id (10), name (Dataset010_Colon) or folder")
    parser.add_argument(
        "-c", "--configuration", metavar="CONFIGURATION", help="configuration you mean to train, such as 3d_fullres"
    )
    parser.add_argument("-f", "--fold", metavar="FOLD", type=_fold, help="fold you mean to train: 0 to 4, or all")
    parser.add_argument("--device", choices=DEVICES, help="device you mean to train on; auto takes the best there is")
    parser.add_argument("-tr", dest="trainer", metavar="TRAINER", help=TRAINER)
    parser.add_argument("-p", dest="plans", metavar="PLANS", help=PLANS)
    parser.add_argument("--num-gpus", metavar="N", type=_positive, help=NUM_GPUS)


def _fold(text: str) -> str:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no fold: give a number such as 0, or all")
    return text if text == "all" else str(int(text))


def _surveying(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deep",
        action="store_true",
        help="try out what a training does on this machine, and decode every byte of every file of the dataset",
    )
    parser.add_argument(
        "--no-cache", dest="caches", action="store_false", help="look into files that have not changed since, too"
    )
    parser.add_argument(
        "--predict-input", metavar="FOLDER", help="check a folder of images to predict, instead of a dataset"
    )
    parser.add_argument(
        "--model", metavar="FOLDER|DATASET", help="what --predict-input is for: a trained model or its dataset"
    )


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    _looking(parser)
    _surveying(parser)
    parser.add_argument(
        "--facts",
        metavar="FILE",
        type=Path,
        help="examine a recorded machine instead of this one; - reads standard input",
    )
    parser.add_argument(
        "--select",
        metavar="ID|AREA",
        action="append",
        default=[],
        help="ask only these; repeatable, or separated by commas",
    )
    parser.add_argument(
        "--ignore",
        metavar="ID|AREA",
        action="append",
        default=[],
        help="leave these out; repeatable, or separated by commas",
    )
    parser.add_argument(
        "--format",
        metavar="FORM",
        choices=("text", "json", "sarif", "junit", "github", "markdown", "html"),
        default="text",
        help="form of the report on standard output: text, json, sarif, junit, github, markdown, html; default: text",
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="write the report there too, as the suffix says; repeatable: "
        ".txt, .json, .sarif, .xml (JUnit), .md, .html, .svg",
    )
    parser.add_argument(
        "--baseline", metavar="FILE", type=Path, help="report of an earlier check (JSON): tell only what is new since"
    )
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning", "never"),
        default="error",
        help="least severity that makes the exit code 1; default: error",
    )
    parser.add_argument(
        "--trust-packs", action="store_true", help="let checks that are not built in choose launch settings too"
    )
    _common(parser)


def _facts_arguments(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    _looking(parser)
    _surveying(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write to a file, as UTF-8, instead of standard output"
    )
    parser.add_argument(
        "--redact",
        action="store_true",
        help="leave out names of users, hosts, folders, datasets and cases; checks find the same in it",
    )
    _language_option(parser)


def _diff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "old",
        metavar="OLD",
        nargs="?",
        type=Path,
        help="facts file, or folder of results: its last training that finished; default: nnUNet_results",
    )
    parser.add_argument(
        "new",
        metavar="NEW",
        nargs="?",
        type=Path,
        help="facts file, or folder: its last start; default: this machine, now, with the interpreter of then",
    )
    _looking(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of what is said")
    _common(parser)


def _bundle_arguments(parser: argparse.ArgumentParser) -> None:
    _training(parser)
    _looking(parser)
    _surveying(parser)
    parser.add_argument("--log", metavar="FILE", type=Path, help="log to put in; default: the newest of the fold")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="file to write; default: nnunet-doctor-bundle_TIME.zip, here"
    )
    _common(parser)


def _diagnose_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "log",
        metavar="LOG",
        nargs="+",
        help="log of a run, all its files (job.out job.err), a folder of results, or - for standard input",
    )
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="form of what is said")
    parser.add_argument("--follow", action="store_true", help="watch a log that grows, until the run ends or Ctrl-C")
    parser.add_argument("--here", action="store_true", help="the log is of this machine; what is known of it counts")
    _common(parser)


def _fix_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help="id (10), name (Dataset010_Colon) or folder")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--apply", action="store_true", help="make the changes; the originals are kept")
    what.add_argument("--undo", action="store_true", help="take all changes back that are not committed")
    what.add_argument("--commit", action="store_true", help="keep the changes and delete the originals")
    parser.add_argument(
        "--relabel", action="store_true", help="close gaps between label values too, which rewrites label files"
    )
    _language_option(parser)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    train = parser.add_argument_group("arguments of nnUNetv2_train")
    train.add_argument("dataset", metavar="DATASET", help="id (10) or name (Dataset010_Colon)")
    train.add_argument("configuration", metavar="CONFIGURATION", help="such as 2d or 3d_fullres")
    train.add_argument("fold", metavar="FOLD", type=_fold, help="0 to 4, or all")
    train.add_argument("-tr", dest="trainer", metavar="TRAINER", default="nnUNetTrainer", help=TRAINER)
    train.add_argument("-p", dest="plans", metavar="PLANS", default="nnUNetPlans", help=PLANS)
    train.add_argument("-pretrained_weights", dest="pretrained", metavar="FILE", help="checkpoint to start from")
    train.add_argument("-num_gpus", dest="num_gpus", metavar="N", type=_positive, default=1, help=NUM_GPUS)
    train.add_argument("-device", dest="device", choices=DEVICES[1:], default="auto", help="default: the best there is")
    train.add_argument("--c", dest="continues", action="store_true", help="continue from the latest checkpoint")
    train.add_argument("--val", dest="validates", action="store_true", help="only repeat the final validation")
    train.add_argument("--npz", action="store_true", help="handed on as it is")
    for flag in PASSED_ON:
        train.add_argument(flag, dest="flags", action="append_const", const=flag, default=[], help="handed on as it is")
    doctor = parser.add_argument_group("arguments of the doctor")
    doctor.add_argument("--dry-run", action="store_true", help="show everything, start nothing")
    doctor.add_argument("--deep", action="store_true", help="try out first what the training does on this machine")
    doctor.add_argument(
        "--prepare", action="store_true", help="plan and preprocess first where that is missing or out of date"
    )
    doctor.add_argument("--yes", action="store_true", help="let --prepare replace plans and preprocessed cases")
    doctor.add_argument(
        "--estimate", action="store_true", help="time a few real iterations first; always done for the CPU"
    )
    doctor.add_argument(
        "--no-retry", dest="retries", action="store_false", help="leave a training that failed as it is"
    )
    doctor.add_argument("--plot", dest="plots", action="store_true", help="draw losses and Dice below the output")
    doctor.add_argument(
        "--stall-timeout", metavar="SECONDS", type=_seconds, help="end a training without any sign of life for so long"
    )
    doctor.add_argument(
        "--force", metavar="ID", action="append", default=[], help="start in spite of this finding; repeatable"
    )
    doctor.add_argument("--overwrite", action="store_true", help="train anew; the training that is there is kept aside")
    doctor.add_argument(
        "--trust-packs", action="store_true", help="let checks that are not built in choose launch settings too"
    )
    _looking(doctor)  # type: ignore[arg-type]
    _common(doctor)  # type: ignore[arg-type]


PASSED_ON = ("--val_best", "--disable_checkpointing", "--use_compressed")
"""Options of nnUNetv2_train, that the doctor has no opinion of; --npz is another, and can be configured."""


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", metavar="FOLDER", type=Path, help="working folder; default: nnunet-doctor-demo, here"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: the best there is")
    _looking(parser)
    _common(parser)
