"""The command ``nnunet-doctor``: what each of its commands puts together, and the exit codes."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nnunet_doctor import __version__
from nnunet_doctor.arguments import LANGUAGES, HelpAsked, command_line, help_of, refuse
from nnunet_doctor.errors import UserError, nearest
from nnunet_doctor.options import settle
from nnunet_doctor.request import Request
from nnunet_doctor.words import translated

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

WRONG_USE = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    _make_streams_safe()
    # what this loads stays to its end; to search it for garbage, then and on the way, takes a tenth of its time
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    # children are ended by exit handlers, which a plain SIGTERM would skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    words = sys.argv[1:] if argv is None else list(argv)
    code = 0
    try:
        try:
            options, unknown = command_line().parse_known_args(words)
            if unknown:
                refuse(unknown, options.parser)
            options.lang = options.lang or options.spoken
            settle(options, os.environ)
            code = COMMANDS[options.command](options)
        except HelpAsked as asked:
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
        sentence = _in_words(error)
        if sentence is None:
            raise
        _tell(sentence, _spoken(words))
        return WRONG_USE
    return code


def _make_streams_safe() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell (>&-)
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it is open to the end
        make_safe(getattr(sys, name))


def _in_words(error: OSError) -> str | None:
    """Say what is wrong with where the doctor was started, or with where it prints; None for any other error."""
    if error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
        _forget_output()
        return f"the output cannot be written: {error.strerror}"
    if error.errno == errno.ENOENT and not _has_working_folder():
        return "the working folder has been deleted; go to one that is there"
    return None


def _tell(sentence: str, language: str) -> None:
    """Tell what goes wrong, or aside, on standard error."""
    said = translated(language, sentence)
    with contextlib.suppress(OSError):  # the exit code tells it too
        print(said if said.startswith("nnunet-doctor") else f"nnunet-doctor: {said}", file=sys.stderr)


def _noting(language: str) -> Callable[[str], None]:
    """Return a call that tells a sentence aside."""
    return lambda sentence: _tell(sentence, language)


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


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
        contents=options.command in ("run", "demo", "facts", "diff"),  # what one compares with another day
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
    checks, ignored = _chosen(options, select, ignore)
    _tell_left_out(checks, options)
    checks, expired = _with_configuration(options, checks, ignored)
    if not options.facts and wait is None:
        wait = _start_looking(options, request, examination.asked_by(checks), keep)
    note = _noting(language)
    facts = wait() if wait else examination.read_facts(options.facts, request.as_facts(given), note)
    result = examination.conclude(facts, checks, trust_packs=options.trust_packs, expired=expired)
    diagnosis, known = baseline(result.diagnosis, result.facts)
    report = record.build(result.facts, diagnosis, result.plan, ignored, language, options.fail_on, known)
    shell = record.shell_of(facts)
    told = _teller(report, facts, language, options.fail_on, surveys, is_patient=options.deep)
    unwritten = _write_reports(options.report, told)
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
    for error in unwritten[:-1]:
        _tell(str(error), language)
    if unwritten:
        raise unwritten[-1]
    if wait is not None and facts["dataset.survey_interrupted"] is True:
        return INTERRUPTED
    return report.exit_code(options.fail_on)


ABOUT_WAIVERS = ("waiver-expired", "waiver-unused")
"""Checks of the configuration itself."""


def _chosen(
    options: argparse.Namespace, select: Sequence[str], ignore: Sequence[str]
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Return the checks to ask, and the ids of the others; what is wrong with the configuration is asked with each."""
    from nnunet_doctor import examination

    always = ABOUT_WAIVERS if select and options.config.waivers else ()
    checks, others = examination.choose_checks(options.checks, [*select, *always], ignore)
    areas = {check.area for check in checks if check.id not in ABOUT_WAIVERS}
    if select and areas == {"dataset"} and not (options.facts or options.dataset or options.predict_input):
        # a pipeline that forgets to name its dataset must not pass
        raise UserError(
            "all that --select names is about a dataset: give its id (10), its name (Dataset010_Colon) or a folder"
        )
    return checks, others


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


def _baseline(path: Path | None) -> Callable[[Diagnosis, Facts], tuple[Diagnosis, list[str]]]:
    """Return what tells the new from what an earlier report said; the report is read at once."""
    if path is None:
        return lambda diagnosis, _: (diagnosis, [])
    from functools import partial

    from nnunet_doctor.baseline import read_baseline, without_known

    return partial(without_known, baseline=read_baseline(path))


def _refuse_unknown_suffixes(paths: Sequence[Path]) -> None:
    """Tell a wrong --report before anything is looked at."""
    if paths:
        from nnunet_doctor.report.forms import FORMS, form_of

        for path in paths:
            if form_of(path.name) is None:
                suffixes = ", ".join(suffix for form in FORMS.values() for suffix in form.suffixes)
                raise UserError(f"--report {path}: the suffix tells the form of the report, and is one of {suffixes}")


def _shows_cases(options: argparse.Namespace) -> bool:
    """Say whether one of the forms that are asked for shows single cases."""
    return options.format == "html" or any(path.suffix.lower() in (".html", ".htm") for path in options.report)


def _teller(
    report: Report,
    facts: Facts,
    language: str,
    fail_on: str,
    surveys: Sequence[Survey] = (),
    *,
    is_patient: bool = False,
) -> Callable[[str], str]:
    """Return a call that tells a report in a form, which is named or told by the name of a file."""
    gathered: list[Cases] = []

    def cases(folder: str) -> Cases:
        from nnunet_doctor.probes.raw.cases import HURRIED_SECONDS, PATIENT_SECONDS, gather
        from nnunet_doctor.probes.resources import granted_cpus
        from nnunet_doctor.report.forms.html import findings_of_files, named_files

        if not gathered:
            cases = gather(
                folder,
                surveys[0],
                named_files(report),
                assured=len(findings_of_files(report)),
                seconds=PATIENT_SECONDS if is_patient else HURRIED_SECONDS,
                threads=granted_cpus(os.environ)[0],
            )
            gathered.append(cases)
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


def _write_reports(paths: Sequence[Path], told: Callable[[str], str]) -> list[UserError]:
    """Write the reports; return why some cannot be written, to be told when all is said that was found."""
    unwritten = []
    for path in paths:
        try:
            _write(path, told(path.name))
        except UserError as error:
            unwritten.append(error)
    return unwritten


def _write(path: Path, content: str) -> None:
    """Write a file, and make the folders above it.

    Raises:
        UserError: It cannot be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", errors="backslashreplace", newline="\n")
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{path} cannot be written: {path.parent} is not a folder") from None
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

    language = _language(options)
    checks, _ = _with_configuration(options, examination.load_checks(options.checks))
    results = os.environ.get("nnUNet_results")  # noqa: SIM112 - nnU-Net's spelling
    if options.old is None and not results:
        raise UserError("nnUNet_results is not set; name a facts file or a folder of results as OLD")
    old_file = _start_or_file(options.old or Path(str(results)), history.last_finished)
    note = _noting(language)
    old, old_files = examination.read_facts(old_file, {}, note), history.files_of(old_file)
    if options.new is not None:
        new_file = _start_or_file(options.new, history.last_of)
        new, source = examination.read_facts(new_file, {}, note), str(new_file)
        new_files = history.files_of(new_file)
    else:
        from nnunet_doctor.probes.base import RawLook

        depth = RawLook(depth="quick" if options.quick else "default")
        source = _now(options, old, language)
        now = examination.look_at(_context(options, history.request_of(old), depth))
        # a start is kept with the settings that the plan chose
        new = examination.conclude(now, checks).plan.facts
        new_files = history.files_now(new) if old_files else {}
    comparison = history.compare(old, new, checks, (old_files, new_files))
    if options.format == "json":
        _print_json(history.to_json(comparison, (str(old_file), source), ascii_only=not _speaks_utf8()))
    else:
        from nnunet_doctor.report.difference import print_difference

        print_difference(comparison, (str(old_file), source), language, sys.stdout)
    return 0


def _now(options: argparse.Namespace, old: Facts, language: str) -> str:
    """Choose the interpreter of then unless another is named, and say what is compared."""
    from nnunet_doctor.words import say

    recorded = old["python.executable"]
    if options.python is not None or not isinstance(recorded, str) or recorded == sys.executable:
        return say(language, "diff_now")
    if not os.path.isfile(recorded):  # noqa: PTH113 - says no where there is no permission to look
        return say(language, "diff_now_otherwise", python=sys.executable, recorded=recorded)
    options.python = recorded
    return say(language, "diff_now_as_then", python=recorded)


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
    # waivers tell of people and cases, and whoever gets the bundle does without them
    checks = examination.load_checks(options.checks)
    facts = wait()
    log = options.log or bundle.log_of(facts)
    redactor = _redactor(facts)
    shared = redact(facts, redactor)
    found = examination.conclude(shared, checks)
    report = record.build(found.facts, found.diagnosis, found.plan, (), language, "error")
    told = _teller(report, shared, language, "error")
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
    from nnunet_doctor.words.command import in_language

    ids = [item.id for item in catalogue.listed()]
    parser = in_language(command_line(), _language(options))
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
    commands = next(action.choices for action in command_line()._actions if isinstance(action.choices, dict))  # noqa: SLF001
    shown = rows([commands["check"], commands["run"]], options.config, os.environ)
    if options.format == "json":
        _print_json(configuration.to_json(options.config, shown, os.environ, ascii_only=not _speaks_utf8()))
    else:
        configuration.print_configuration(options.config, shown, os.environ, _language(options), sys.stdout)
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "run": _run,
    "diagnose": _diagnose,
    "fix": _fix,
    "demo": _demo,
    "facts": _facts,
    "diff": _diff,
    "bundle": _bundle,
    "list": _list,
    "explain": _explain,
    "test": _checks_test,
    "schema": _schema,
    "completion": _completion,
    "config": _config,
}
