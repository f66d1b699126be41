"""Arguments and exit codes of the command ``nnunet-doctor``, nothing else."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import errno
import gc
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from nnunet_doctor import __version__
from nnunet_doctor.completion import SHELLS
from nnunet_doctor.errors import UserError, nearest
from nnunet_doctor.options import make_configurable, settle
from nnunet_doctor.request import DEVICES, Request
from nnunet_doctor.words import phrase, translated

if TYPE_CHECKING:
    from nnunet_doctor.check import Check
    from nnunet_doctor.engine import Diagnosis
    from nnunet_doctor.facts import Facts
    from nnunet_doctor.history import Start
    from nnunet_doctor.probes.base import Context, RawLook
    from nnunet_doctor.probes.raw.cases import Cases
    from nnunet_doctor.probes.raw.survey import Survey
    from nnunet_doctor.redact import Redactor
    from nnunet_doctor.report.record import Report
    from nnunet_doctor.waivers import Waiver

LANGUAGES = ("en", "zh")
WRONG_USE = 2
INTERRUPTED = 130

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


class _HelpAsked(Exception):  # noqa: N818 - nothing is wrong
    """The help of a parser is asked for."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the nearest word for a misspelt one; leaves help to its caller."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {_sentence(message)}; see '{self.prog} --help'")

    def print_help(self, file: Any = None) -> NoReturn:  # noqa: ARG002 - the signature is argparse's
        raise _HelpAsked(self)


def _refuse(words: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
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
    from nnunet_doctor.words.command import translate

    translate(parser, language)
    text = parser.format_help()
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if sys.stdout is None:  # closed by the shell (>&-)
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it is open to the end
    for stream in (sys.stdout, sys.stderr):
        make_safe(stream)
    # what this loads stays to its end; to search it for garbage, then and on the way, takes a tenth of its time
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    # children are ended by exit handlers, which a plain SIGTERM would skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    words = sys.argv[1:] if argv is None else list(argv)
    code = 0
    try:
        try:
            options, unknown = _parser().parse_known_args(words)
            if unknown:
                _refuse(unknown, options.parser)
            settle(options, os.environ)
            code = options.command(options)
        except _HelpAsked as asked:
            sys.stdout.write(help_of(asked.parser, _spoken(words)))
        sys.stdout.flush()
    except UserError as error:
        _tell(str(error), _spoken(words))
        return WRONG_USE
    except KeyboardInterrupt:
        _tell("interrupted", _spoken(words))
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        _forget_output()
        _tell(f"the output cannot be written: {error.strerror}", _spoken(words))
        return WRONG_USE
    return code


def _tell(sentence: str, language: str) -> None:
    """Tell what goes wrong, or aside, on standard error."""
    said = translated(language, sentence)
    print(said if said.startswith("nnunet-doctor") else f"nnunet-doctor: {said}", file=sys.stderr)


def _spoken(words: Sequence[str]) -> str:
    """Return the language of what is said before, or in place of, a command that has settled its options."""
    given = [word.removeprefix("--lang=") for word in words if word.startswith("--lang=")]
    given += [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--lang"]
    from nnunet_doctor.probes.platform import default_language

    if not given and not os.environ.get("NNUNET_DOCTOR_LANG"):
        from nnunet_doctor.config import load

        with contextlib.suppress(UserError, OSError):
            options = load(Path.cwd()).options
            given += [str(options["lang"].value)] if "lang" in options else []
    known = [word for word in given if word in LANGUAGES]
    return known[-1] if known else default_language(os.environ)


def _forget_output() -> None:
    """Drop what is still to be written: the reader of the pipe has gone (| head), or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_safe(stream: IO[str] | None) -> None:
    """See that no character stops the output: what the stream's code page lacks is replaced."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


# --- arguments -----------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nnunet-doctor",
        description="Says what is wrong with this machine, this nnU-Net and this dataset, and starts trainings safely.",
        epilog=EPILOG,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"nnunet-doctor {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    _check_arguments(_add(commands, "check", _check, "look at everything and report problems with their fixes"))
    _run_arguments(_add(commands, "run", _run, "start nnUNetv2_train with settings that are proven safe here"))
    _diagnose_arguments(_add(commands, "diagnose", _diagnose, "say from its log what ended a run, and how to mend it"))
    _fix_arguments(_add(commands, "fix", _fix, "show what can be mended in a raw dataset; mend it, or take it back"))
    _demo_arguments(
        _add(commands, "demo", _demo, "a tiny dataset in a folder of its own: check, prepare, train, for real")
    )
    _facts_arguments(_add(commands, "facts", _facts, "print what is known of this machine as JSON"))
    _diff_arguments(_add(commands, "diff", _diff, "tell what has changed since a training last finished here"))
    _bundle_arguments(
        _add(commands, "bundle", _bundle, "put what a maintainer needs into one file, without names and images")
    )
    listing = _add(commands, "list", _list, "list all checks, or the facts they ask, or the tables behind them")
    shown = listing.add_mutually_exclusive_group()
    shown.add_argument("--facts", action="store_true", help="list the facts that conditions may ask")
    shown.add_argument("--tables", action="store_true", help="list the tables of releases and their dates")
    shown.add_argument(
        "--markdown", action="store_true", help="print checks, and the failure modes that they cover, as Markdown"
    )
    listing.add_argument("--format", choices=("text", "json"), default="text", help="form of what is said")
    _common(listing)
    explain = _add(commands, "explain", _explain, "all about one check")
    explain.add_argument("id", metavar="ID", help="id of a check, as a report or 'list' shows it")
    _common(explain)
    checks = _add(commands, "checks", None, "work on check files")
    inner = checks.add_subparsers(metavar="COMMAND", required=True)
    test = _add(inner, "test", _checks_test, "validate check files and run their examples")
    test.add_argument("path", metavar="PATH", type=Path, help="a check file, an area folder, or a folder of areas")
    _language_option(test)
    schema = _add(commands, "schema", _schema, "print the JSON Schema of a format")
    schema.add_argument(
        "name", metavar="NAME", choices=("report", "diagnosis", "facts"), help="report, diagnosis or facts"
    )
    _language_option(schema)
    completion = _add(commands, "completion", _completion, "print a script that completes this command line")
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh, fish or powershell")
    _language_option(completion)
    configured = _add(commands, "config", _config, "show every option as it counts here, and where it comes from")
    configured.epilog = "\n\n".join((*CONFIGURATION, EXAMPLES["config"]))
    configured.add_argument("--format", choices=("text", "json"), default="text", help="form of what is said")
    _common(configured)
    for command in commands.choices.values():
        make_configurable(command)
    return parser


def _add(commands: Any, name: str, command: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=EXAMPLES.get(name),
        formatter_class=_Help,
    )
    parser.set_defaults(parser=parser)
    if command is not None:
        parser.set_defaults(command=command)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checks", metavar="FOLDER", action="append", default=[], help="more checks; repeatable")
    _language_option(parser)


def _language_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lang", choices=LANGUAGES, help="language of the report; default: that of the system")


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
    parser.add_argument("--facts", metavar="FILE", type=Path, help="examine a recorded machine instead of this one")
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
        help="facts file, or folder: its last start; default: this machine, now",
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
    doctor.add_argument("--overwrite", action="store_true", help="let a finished or resumable training be overwritten")
    doctor.add_argument(
        "--trust-packs", action="store_true", help="let checks that are not built in choose launch settings too"
    )
    _looking(doctor)  # type: ignore[arg-type]
    _common(doctor)  # type: ignore[arg-type]


PASSED_ON = ("--npz", "--val_best", "--disable_checkpointing", "--use_compressed")
"""Options of nnUNetv2_train, of all releases, that the doctor has no opinion of."""


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", metavar="FOLDER", type=Path, help="working folder; default: nnunet-doctor-demo, here"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: the best there is")
    _looking(parser)
    _common(parser)


# --- commands ------------------------------------------------------------------------------------------------------


def _language(options: argparse.Namespace) -> str:
    from nnunet_doctor.probes.platform import default_language

    return options.lang or default_language(os.environ)


def _raw_look(options: argparse.Namespace) -> RawLook:
    """Return how to look at the raw dataset.

    Raises:
        UserError: Options that do not go together.
    """
    from nnunet_doctor.probes.base import RawLook

    if options.quick and options.deep:
        raise UserError("--quick and --deep do not go together")
    if (options.predict_input is None) != (options.model is None):
        raise UserError("--predict-input and --model go together: the images, and the model that is to predict them")
    if options.predict_input is not None and options.dataset is not None:
        raise UserError(f"--predict-input takes the place of a dataset; leave out {options.dataset}")
    return RawLook(
        depth="quick" if options.quick else "deep" if options.deep else "default",
        caches=options.caches,
        predict_input=options.predict_input,
        model=options.model,
    )


def _context(options: argparse.Namespace, request: Request, raw: RawLook | None = None) -> Context:
    from nnunet_doctor.probes.base import Context, RawLook

    python = Path(sys.executable)
    if options.python is not None:
        from nnunet_doctor.probes.child import find_python

        python = find_python(options.python)
    raw = raw or RawLook()
    return Context(
        python,
        dict(os.environ),
        request,
        quick=options.quick,
        deep=getattr(options, "deep", False),
        timeout=options.timeout,
        raw=raw,
        packs=tuple(_words(options.probes)),
    )


def _load_checks(options: argparse.Namespace, *, with_examples: bool = False) -> tuple[Check, ...]:
    from nnunet_doctor import examination

    checks = examination.load_checks(options.checks, with_examples=with_examples)
    _tell_left_out(checks, options)
    return checks


def _tell_left_out(checks: Sequence[Check], options: argparse.Namespace) -> None:
    """Name the packs that cannot be read."""
    for check in checks:
        if check.unreadable is not None:
            from nnunet_doctor.words import say

            pack = check.origin.removeprefix("pack ")
            language = _language(options)
            problem = translated(language, check.unreadable)
            text = say(language, "pack_left_out", pack=pack, problem=problem)
            print(f"nnunet-doctor: {text}", file=sys.stderr)


def _start_looking(
    options: argparse.Namespace,
    request: Request,
    asked: Collection[str] | None = None,
    keep: Callable[[Survey], None] | None = None,
) -> Callable[[], Facts]:
    """Start to look at everything, or at the facts that are asked; the returned call waits for the facts.

    ``keep`` gets the survey of a raw dataset.
    """
    import dataclasses

    from nnunet_doctor.probes.look import start_looking
    from nnunet_doctor.report.progress import SurveyProgress

    progress = SurveyProgress(sys.stderr, lambda: _language(options))
    context = _context(options, request, dataclasses.replace(_raw_look(options), progress=progress, keep=keep))
    wait = start_looking(context, asked)

    def facts() -> Facts:
        from nnunet_doctor.examination import facts_from

        try:
            return facts_from(context, wait)
        finally:
            progress.clear()

    return facts


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return those parts of the request that the user gives."""
    names = ("dataset", "configuration", "fold", "device", "trainer", "plans", "num_gpus")
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _words(values: Sequence[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _check(options: argparse.Namespace) -> int:
    _refuse_unknown_suffixes(options.report)
    if options.facts and (options.python or options.quick or options.deep or options.predict_input):
        raise UserError(
            "--facts examines a recorded machine; --python, --quick, --deep and --predict-input look at this one"
        )
    given = _given(options)
    request = Request(**given)
    select, ignore = _words(options.select), _words(options.ignore)
    # a look at everything takes longer than all that follows, and begins before it is loaded
    surveys: list[Survey] = []
    keep = surveys.append if _shows_cases(options) else None
    wait = None if options.facts or select or ignore else _start_looking(options, request, keep=keep)
    from nnunet_doctor import examination
    from nnunet_doctor.report import record

    language = _language(options)
    baseline = _baseline(options.baseline)
    checks, ignored = examination.choose_checks(options.checks, select, ignore)
    _tell_left_out(checks, options)
    checks, expired = _with_configuration(options, checks, ignored)
    if not options.facts and wait is None:
        wait = _start_looking(options, request, examination.asked_by(checks), keep)
    facts = wait() if wait else examination.read_facts(options.facts, request.as_facts(given))
    result = examination.conclude(facts, checks, trust_packs=options.trust_packs, expired=expired)
    diagnosis, known = baseline(result.diagnosis)
    report = record.build(result.facts, diagnosis, result.plan, ignored, language, options.fail_on, known)
    shell = record.shell_of(facts)
    told = _teller(report, facts, language, options.fail_on, surveys)
    for path in options.report:
        _write(path, told(path.suffix))
    try:
        if options.format == "json":
            _print_json(record.to_json(report, ascii_only=not _speaks_utf8()))
        elif options.format == "text":
            from nnunet_doctor.report.text import console_for, print_report

            print_report(report, console_for(sys.stdout), language, shell)
        else:
            sys.stdout.write(told(options.format))
        sys.stdout.flush()
    except BrokenPipeError:  # what the reader took was enough for it, and the verdict stands
        _forget_output()
    if options.format == "github" and os.environ.get("GITHUB_STEP_SUMMARY"):
        _add_to_summary(Path(os.environ["GITHUB_STEP_SUMMARY"]), told("markdown"), language)
    if wait is not None and facts["dataset.survey_interrupted"] is True:
        return INTERRUPTED
    return report.exit_code(options.fail_on)


def _with_configuration(
    options: argparse.Namespace, checks: Sequence[Check], others: Collection[str] = (), *, starts: bool = False
) -> tuple[tuple[Check, ...], tuple[Waiver, ...]]:
    """Give checks the severities and waivers of the configuration; return those with waivers that have expired."""
    config = options.config
    if not config.severities and not config.waivers:
        return tuple(checks), ()
    from datetime import datetime

    from nnunet_doctor.config import applied

    known = {*others, *(check.id for check in checks)}
    return applied(config, checks, known, datetime.now().astimezone().date().isoformat(), starts=starts)


def _baseline(path: Path | None) -> Callable[[Diagnosis], tuple[Diagnosis, list[str]]]:
    """Return what tells the new from what an earlier report said; the report is read at once."""
    if path is None:
        return lambda diagnosis: (diagnosis, [])
    from functools import partial

    from nnunet_doctor.baseline import read_baseline, without_known

    return partial(without_known, baseline=read_baseline(path))


def _refuse_unknown_suffixes(paths: Sequence[Path]) -> None:
    """Tell a wrong --report before anything is looked at."""
    if paths:
        from nnunet_doctor.report.forms import FORMS, form_of

        for path in paths:
            if form_of(path.suffix) is None:
                suffixes = ", ".join(suffix for form in FORMS.values() for suffix in form.suffixes)
                raise UserError(f"--report {path}: the suffix tells the form of the report, and is one of {suffixes}")


def _shows_cases(options: argparse.Namespace) -> bool:
    """Say whether one of the forms that are asked for shows single cases."""
    return options.format == "html" or any(path.suffix.lower() in (".html", ".htm") for path in options.report)


def _teller(
    report: Report, facts: Facts, language: str, fail_on: str, surveys: Sequence[Survey]
) -> Callable[[str], str]:
    """Return a call that tells a report in a form, which is named or told by the suffix of a file."""
    gathered: list[Cases] = []

    def cases(folder: str) -> Cases:
        from nnunet_doctor.probes.raw.cases import gather
        from nnunet_doctor.report.forms.html import named_files

        if not gathered:
            gathered.append(gather(folder, surveys[0], named_files(report)))
        return gathered[0]

    def told(form: str) -> str:
        from nnunet_doctor.report.forms import form_of, render
        from nnunet_doctor.report.forms.manner import Manner
        from nnunet_doctor.report.places import places_of
        from nnunet_doctor.report.record import shell_of

        known = (facts["dataset.predict_input"], facts["dataset.folder"])
        folder = next((item for item in known if isinstance(item, str)), None)
        places = places_of(os.environ, Path.cwd(), folder)
        name = form_of(form) or form
        known_cases = cases(folder) if name == "html" and surveys and folder is not None else None
        return render(name, report, Manner(language, shell_of(facts), places, fail_on, known_cases))

    return told


def _add_to_summary(path: Path, text: str, language: str) -> None:
    """Put the report on the page of a GitHub workflow run, below what earlier steps have put there."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        _tell(f"the step summary {path} cannot be written: {error.strerror}", language)


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _speaks_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _print_json(text: str) -> None:
    print(text)


def _run(options: argparse.Namespace) -> int:
    from nnunet_doctor.run.go import Manner
    from nnunet_doctor.run.session import Wishes, run

    checks, expired = _with_configuration(options, _load_checks(options), starts=True)
    for id in options.force:
        ids = {check.id for check in checks}
        if id not in ids:
            raise UserError(f"--force {id}: there is no such check{nearest(id, ids)}; 'nnunet-doctor list' shows them")
    request = Request(
        dataset=options.dataset,
        configuration=options.configuration,
        fold=options.fold,
        device=options.device,
        trainer=options.trainer,
        plans=options.plans,
        num_gpus=options.num_gpus,
        continues=options.continues,
        validates=options.validates,
        pretrained=options.pretrained,
        overwrites=options.overwrite,
    )
    wishes = Wishes(
        flags=options.flags,
        force=options.force,
        only_shows=options.dry_run,
        prepares=options.prepare,
        yes=options.yes,
        estimates=options.estimate,
        retries=options.retries,
        trusts_packs=options.trust_packs,
        expired=expired,
        manner=Manner(_language(options), options.plots, options.stall_timeout),
    )
    return run(_context(options, request), checks, wishes, sys.stdout)


def _diagnose(options: argparse.Namespace) -> int:
    from nnunet_doctor.log import source, whole
    from nnunet_doctor.log.diagnose import diagnose
    from nnunet_doctor.log.facts import laid_over, observed_in
    from nnunet_doctor.log.reading import Known
    from nnunet_doctor.report import diagnosis as report

    sources = source.find_sources(options.log)
    known = Known(_load_checks(options))
    here = options.here or source.is_of_results(sources, os.environ.get("nnUNet_results"))  # noqa: SIM112
    language = _language(options)
    stdin = getattr(sys.stdin, "buffer", None)
    if options.follow:
        reading = whole.follow_log(sources, known, lambda text: print(text, file=sys.stderr, flush=True), language)
    else:
        reading = whole.read_logs(sources, known, stdin)
    facts = laid_over(_own_facts(), observed_in(reading.facts)) if here else None
    found = diagnose(reading, facts)
    record = report.build(found, language)
    try:
        if options.format == "json":
            _print_json(report.to_json(record, ascii_only=not _speaks_utf8()))
        elif options.format == "markdown":
            print(report.to_markdown(record, language), end="")
        else:
            from nnunet_doctor.report.text import console_for

            report.print_diagnosis(record, console_for(sys.stdout), language, report.shell_for(found))
        sys.stdout.flush()
    except BrokenPipeError:  # what the reader took was enough for it, and the verdict stands
        _forget_output()
    return found.exit_code


def _own_facts() -> Facts:
    """Look at this machine without starting torch."""
    from nnunet_doctor import examination
    from nnunet_doctor.probes.base import Context

    context = Context(Path(sys.executable), dict(os.environ), Request(), quick=True)
    return examination.look_at(context)


def _fix(options: argparse.Namespace) -> int:
    from functools import partial

    from nnunet_doctor import examination
    from nnunet_doctor.fixers.command import fix
    from nnunet_doctor.probes.base import Context
    from nnunet_doctor.probes.look import look
    from nnunet_doctor.probes.raw.survey import Means
    from nnunet_doctor.probes.resources import granted_cpus
    from nnunet_doctor.report.progress import SurveyProgress
    from nnunet_doctor.report.record import shell_of

    context = Context(Path(sys.executable), dict(os.environ), Request(dataset=options.dataset))
    facts = examination.facts_from(context, partial(look, context, {"dataset.folder", "platform.shell"}))
    folder = facts["dataset.folder"]
    if not isinstance(folder, str):
        raise UserError(f"there is no raw dataset {options.dataset}; name its folder, or set nnUNet_raw")
    progress = SurveyProgress(sys.stderr, lambda: _language(options))
    means = Means(lambda: granted_cpus(context.environ)[0], context.environ, progress=progress)
    try:
        return fix(
            Path(folder),
            applies=options.apply,
            undoes=options.undo,
            commits=options.commit,
            relabels=options.relabel,
            means=means,
            language=_language(options),
            out=sys.stdout,
            for_shell=shell_of(facts),
        )
    finally:
        progress.clear()


def _demo(options: argparse.Namespace) -> int:
    from nnunet_doctor import demo

    context = _context(options, Request(device=options.device))
    return demo.demo(context, _load_checks(options), options.folder, _language(options), sys.stdout)


def _facts(options: argparse.Namespace) -> int:
    import json

    from nnunet_doctor.facts.exchange import to_document

    facts = _start_looking(options, Request(**_given(options)))()
    if options.redact:
        from nnunet_doctor.redact import redact

        facts = redact(facts, _redactor(facts))
    document = to_document(facts, __version__)
    if options.output is not None:
        _write(options.output, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        _print_json(json.dumps(document, indent=2, ensure_ascii=not _speaks_utf8()))
    return 0


def _diff(options: argparse.Namespace) -> int:
    from nnunet_doctor import examination, history
    from nnunet_doctor.words import say

    language = _language(options)
    checks, _ = _with_configuration(options, examination.load_checks(options.checks))
    results = os.environ.get("nnUNet_results")  # noqa: SIM112 - nnU-Net's spelling
    if options.old is None and not results:
        raise UserError("nnUNet_results is not set; name a facts file or a folder of results as OLD")
    old_file = _start_or_file(options.old or Path(str(results)), history.last_finished)
    old = examination.read_facts(old_file, {})
    if options.new is not None:
        new_file = _start_or_file(options.new, history.last_of)
        new, source = examination.read_facts(new_file, {}), str(new_file)
    else:
        from nnunet_doctor.probes.base import RawLook

        depth = RawLook(depth="quick" if options.quick else "default")
        now = examination.look_at(_context(options, history.request_of(old), depth))
        # a start is kept with the settings that the plan chose
        new, source = examination.conclude(now, checks).plan.facts, say(language, "diff_now")
    comparison = history.compare(old, new, checks)
    if options.format == "json":
        _print_json(history.to_json(comparison, (str(old_file), source), ascii_only=not _speaks_utf8()))
    else:
        from nnunet_doctor.report.difference import print_difference

        print_difference(comparison, (str(old_file), source), language, sys.stdout)
    return 0


def _start_or_file(path: Path, choose: Callable[[Path], Start]) -> Path:
    """Return a facts file: the path itself, or that of the start that is chosen below a folder."""
    return choose(path).file if path.is_dir() else path


def _bundle(options: argparse.Namespace) -> int:
    from datetime import datetime

    from nnunet_doctor import bundle, examination
    from nnunet_doctor.redact import redact
    from nnunet_doctor.report import record

    wait = _start_looking(options, Request(**_given(options)))
    language = _language(options)
    checks, expired = _with_configuration(options, examination.load_checks(options.checks))
    facts = wait()
    log = options.log or bundle.log_of(facts)
    redactor = _redactor(facts)
    shared = redact(facts, redactor)
    found = examination.conclude(shared, checks, expired=expired)
    report = record.build(found.facts, found.diagnosis, found.plan, (), language, "error")
    told = _teller(report, shared, language, "error", ())
    reports = [bundle.Item(f"report.{form}", told(f".{form}")) for form in ("json", "md")]
    items = bundle.collect(facts, shared, reports, log, redactor)
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    path = options.output or Path(f"nnunet-doctor-bundle_{stamp}.zip")
    bundle.write(path, items)
    bundle.print_contents(path, items, log, language, sys.stdout)
    return 0


def _redactor(facts: Facts) -> Redactor:
    from nnunet_doctor.lock import machine
    from nnunet_doctor.redact import names_of, redactor_for

    return redactor_for(facts, names_of(os.environ, [machine()]))


def _list(options: argparse.Namespace) -> int:
    from nnunet_doctor.report import listing

    checks = _load_checks(options)
    what = "facts" if options.facts else "tables" if options.tables else "checks"
    if options.markdown:
        print(listing.to_markdown(checks), end="")
    elif options.format == "json":
        _print_json(listing.to_json(what, checks, ascii_only=not _speaks_utf8()))
    else:
        listing.print_list(what, checks, _language(options), sys.stdout)
    return 0


def _explain(options: argparse.Namespace) -> int:
    from nnunet_doctor.report import listing

    checks = {check.id: check for check in _load_checks(options, with_examples=True)}
    if options.id not in checks:
        raise UserError(
            f"there is no check {options.id!r}{nearest(options.id, checks)}; 'nnunet-doctor list' shows them"
        )
    listing.print_explanation(checks[options.id], _language(options), sys.stdout)
    return 0


def _checks_test(options: argparse.Namespace) -> int:
    from nnunet_doctor import packs
    from nnunet_doctor.report import listing

    packs.know_facts_beside(options.path)
    return listing.test_checks(options.path, _language(options), sys.stdout)


def _completion(options: argparse.Namespace) -> int:
    from nnunet_doctor import catalogue, completion
    from nnunet_doctor.check import AREAS
    from nnunet_doctor.words.command import translate

    ids = [item.id for item in catalogue.listed()]
    parser = _parser()
    translate(parser, _language(options))
    print(completion.script(parser, options.shell, ids, AREAS), end="")
    return 0


def _schema(options: argparse.Namespace) -> int:
    import json

    from nnunet_doctor.facts import exchange
    from nnunet_doctor.report import diagnosis, record

    schemas = {"report": record.schema, "diagnosis": diagnosis.schema, "facts": exchange.schema}
    _print_json(json.dumps(schemas[options.name](), indent=2))
    return 0


def _config(options: argparse.Namespace) -> int:
    from nnunet_doctor.options import rows
    from nnunet_doctor.report import configuration

    _with_configuration(options, _load_checks(options))
    commands = next(action.choices for action in _parser()._actions if isinstance(action.choices, dict))  # noqa: SLF001
    shown = rows([commands["check"], commands["run"]], options.config, os.environ)
    if options.format == "json":
        _print_json(configuration.to_json(options.config, shown, os.environ, ascii_only=not _speaks_utf8()))
    else:
        configuration.print_configuration(options.config, shown, os.environ, _language(options), sys.stdout)
    return 0
