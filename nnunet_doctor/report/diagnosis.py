"""What a log says, for people and for programs: text, JSON and Markdown from one record."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from nnunet_doctor import __version__
from nnunet_doctor.check import Check, fill, placeholders
from nnunet_doctor.facts import CATALOGUE, Facts, Unknown
from nnunet_doctor.facts.exchange import to_plain
from nnunet_doctor.log.course import Course
from nnunet_doctor.log.diagnose import Attention, LogDiagnosis, Offered, fixes_for, withholds
from nnunet_doctor.log.facts import SOURCE
from nnunet_doctor.log.reading import Quote
from nnunet_doctor.plan import BUILT_IN
from nnunet_doctor.report.record import FixRecord, fix_record, schema_of, shell_of
from nnunet_doctor.report.text import print_block, print_command, print_fix
from nnunet_doctor.words import say, translated

if TYPE_CHECKING:
    from rich.console import Console


# records are written and never compared, as in record.py
@dataclass(frozen=True, repr=False, eq=False)
class CauseRecord:
    """What ended the run, and the line that names it; ``before`` and ``after`` are the lines around it."""

    id: str
    title: str
    why: str
    line: int
    text: str
    fixes: list[FixRecord]
    log: str
    confidence: Literal["certain", "likely", "possible"]
    severity: str
    references: list[str]
    before: list[str]
    after: list[str]
    check_there: bool
    """Whether a look at the machine itself would show more ways out."""


@dataclass(frozen=True, repr=False, eq=False)
class ConsequenceRecord:
    """A line that follows from the cause, and the check that explains such lines."""

    id: str | None
    line: int
    text: str
    log: str
    times: int


@dataclass(frozen=True, repr=False, eq=False)
class SymptomRecord:
    """The check that explains the consequences when the cause is not in the log."""

    id: str
    title: str
    why: str


@dataclass(frozen=True, repr=False, eq=False)
class LineRecord:
    """A line of a log."""

    log: str
    line: int
    text: str


@dataclass(frozen=True, repr=False, eq=False)
class AttentionRecord:
    """Something odd that did not end the run: a check, or one of the words that ``kind`` can be."""

    kind: str
    id: str | None
    line: int
    text: str


@dataclass(frozen=True, repr=False, eq=False)
class ProgressRecord:
    """How the training went; what is not known is null.

    Attributes:
        stage: none, starting, epoch, between, trained, validating or complete.
        epoch: The epoch it was in, from 0.
        epochs: Epochs that are finished.
    """

    stage: str
    epoch: int | None
    epochs: int
    total_epochs: int | None
    best_dice: float | None
    pseudo_dice: list[float | None]
    train_loss: float | None
    val_loss: float | None
    validation_dice: float | None
    seconds_per_epoch: float | None
    last_epoch_seconds: float | None
    starts: int
    resumed: int
    restarted: int
    case: str | None
    line: int | None


@dataclass(frozen=True, repr=False, eq=False)
class DiagnosisRecord:
    """What a log says."""

    healthy: bool
    outcome: Literal["healthy", "running", "cause", "consequences", "unknown", "stopped"]
    cause: CauseRecord | None
    consequences: list[ConsequenceRecord]
    symptom: SymptomRecord | None
    telling: list[LineRecord]
    attention: list[AttentionRecord]
    progress: ProgressRecord
    facts: dict[str, Any]
    logs: list[str]
    is_own_log: bool = field(default=False)
    is_foreign: bool = field(default=False)
    confidence: Literal["certain", "likely", "possible"] = "certain"
    doctor: str = __version__
    schema_version: int = 1


def build(diagnosis: LogDiagnosis, language: str) -> DiagnosisRecord:
    """Put a diagnosis into the words of one language."""
    facts = _named_interpreter(diagnosis.facts)
    then = facts.with_values(dict.fromkeys(_OF_THE_MOMENT, _THEN))
    cause = None
    if diagnosis.cause is not None:
        check, quote, confidence = diagnosis.cause
        cause = CauseRecord(
            id=check.id,
            title=title_of(check, then, language),
            why=why_of(check, then, language),
            line=quote.number,
            text=quote.text,
            fixes=[_fix(offered, check, facts, language) for offered in fixes_for(check, facts)],
            log=quote.source,
            confidence=confidence,
            severity=check.severity,
            references=list(check.references),
            before=quote.before,
            after=quote.after,
            check_there=withholds(check, facts),
        )
    symptom = diagnosis.symptom
    return DiagnosisRecord(
        healthy=diagnosis.is_healthy,
        outcome=diagnosis.outcome,
        cause=cause,
        consequences=[
            ConsequenceRecord(
                item.check.id if item.check else None, item.quote.number, item.quote.text, item.quote.source, item.times
            )
            for item in diagnosis.consequences
        ],
        symptom=SymptomRecord(symptom.id, title_of(symptom, then, language), why_of(symptom, then, language))
        if symptom
        else None,
        telling=[_line(quote) for quote in diagnosis.telling],
        attention=[_attention(item, then, language) for item in diagnosis.attention],
        progress=_progress(diagnosis.course),
        facts={name: to_plain(value) for name, value in diagnosis.facts if diagnosis.facts.source(name) == SOURCE},
        logs=list(diagnosis.sources),
        is_own_log=diagnosis.is_own,
        is_foreign=diagnosis.is_foreign,
        confidence=diagnosis.confidence,
    )


_OF_THE_MOMENT = tuple(name for name in CATALOGUE if name.endswith(("_free_gib", ".free_gib", "_available_gib")))
_THEN = Unknown("it may have been otherwise when the run failed")


def _named_interpreter(facts: Facts) -> Facts:
    """Let commands begin with "python" where no interpreter is known."""
    if isinstance(facts["python.executable"], Unknown):
        return facts.with_values({"python.executable": "python"})
    return facts


def _line(quote: Quote) -> LineRecord:
    return LineRecord(quote.source, quote.number, quote.text)


def _fix(offered: Offered, check: Check, facts: Facts, language: str) -> FixRecord:
    record = fix_record(offered.fix, facts, language, check.origin in BUILT_IN)
    if offered.where is None:
        return record
    where = say(language, f"diagnose_on_{offered.where}")
    return replace(record, text=say(language, "diagnose_where", where=where, text=record.text))


def _attention(item: Attention, facts: Facts, language: str) -> AttentionRecord:
    values = [*item.value.split(), "", "", ""]
    if item.kind in ("loss-nan", "loss-flat", "dice-zero", "slow-down", "no-validation", "resumed", "restarted"):
        text = say(language, f"diagnose_{item.kind.replace('-', '_')}", a=values[0], b=values[1], c=values[2])
    elif item.check is not None:
        text = title_of(item.check, facts, language)
    else:
        text = item.value
    return AttentionRecord(item.kind, item.check.id if item.check else None, item.line, text)


def _progress(course: Course) -> ProgressRecord:
    return ProgressRecord(
        stage=course.stage,
        epoch=course.epoch,
        epochs=course.finished_epochs,
        total_epochs=course.total_epochs,
        best_dice=_finite(course.best_dice),
        pseudo_dice=[_finite(value) for value in course.pseudo_dice],
        train_loss=_finite(course.train_loss),
        val_loss=_finite(course.val_loss),
        validation_dice=_finite(course.validation_dice),
        seconds_per_epoch=_finite(course.seconds),
        last_epoch_seconds=_finite(course.last_seconds),
        starts=course.starts,
        resumed=course.resumed,
        restarted=course.restarted,
        case=course.case or None,
        line=course.stage_line or None,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# --- words about what is not all known -----------------------------------------------------------------------------


_FACT = r"\{(?:[a-z0-9_]+\.[a-z0-9_]+|python)\}"
_GONE = "\0"


def title_of(check: Check, facts: Facts, language: str) -> str:
    """Return the title of a check, without the parts that need facts which nobody knows."""
    return _reduced(_marked_unknown(check.text[language].title, facts, partial(translated, language)), language)


def why_of(check: Check, facts: Facts, language: str) -> str:
    """Return the reason of a check, without the sentences that need facts which nobody knows."""
    text = _marked_unknown(check.text[language].why, facts, partial(translated, language))
    counted = re.match(rf"{_GONE} [个块]? ?(.)", text)  # "12 workers hand ..." is as true of workers
    if counted:
        text = counted.group(1).upper() + text[counted.end() :]
    sentences = re.split(r"(?<=[.!?]) +|(?<=[。！？])", text)
    known = [sentence for sentence in sentences if sentence.strip() and _GONE not in sentence]
    if known:
        return (" " if language == "en" else "").join(known).strip()
    return _reduced(text, language)


def _marked_unknown(text: str, facts: Facts, said: Callable[[str], str]) -> str:
    """Fill in facts; one that is not known, or does not apply, becomes a mark."""
    for name in placeholders(text):
        if isinstance(facts[name], Unknown) or facts[name] is None:
            text = re.sub(re.escape("{" + name + "}"), _GONE, text)
    return fill(text, facts, said)


def _reduced(text: str, language: str) -> str:
    """Take away brackets and last clauses that hold a mark, and marks that stand behind a name."""
    text = re.sub(rf"\s*[(（][^()（）]*{_GONE}[^()（）]*[)）]", "", text)
    text = re.sub(rf"(?<=.)(?:: |：|; |；)[^:：;；]*{_GONE}[^:：;；]*$", "", text)
    text = re.sub(rf"\b({_NAMES}) {_GONE}", r"\1", text)
    text = re.sub(r"(?<=驱动) (?=[\u4e00-\u9fff])", "", text)  # no blank between Chinese words
    return text.replace(_GONE, "..." if language == "en" else "…").strip()


_NAMES = "nnU-Net|torch|PyTorch|Python|Triton|CUDA|numpy|NVIDIA driver|Fold|fold|NVIDIA 驱动|GPU|Windows"
"""Words that may stand without the version or number behind them."""


# --- JSON ----------------------------------------------------------------------------------------------------------


ORDER = (
    "schema_version",
    "doctor",
    "healthy",
    "outcome",
    "cause",
    "consequences",
    "progress",
    "symptom",
    "telling",
    "attention",
    "confidence",
    "facts",
    "logs",
    "is_own_log",
    "is_foreign",
)


def to_json(record: DiagnosisRecord, *, ascii_only: bool) -> str:
    """Return the record as JSON text, keys in the order of the contract."""
    ordered = {key: getattr(record, key) for key in ORDER}
    text = json.dumps(ordered, indent=2, ensure_ascii=ascii_only, allow_nan=False, default=vars)
    return text if ascii_only or _is_utf8(text) else json.dumps(ordered, indent=2, default=vars)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of the record."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What nnunet-doctor diagnose says of a log",
        **schema_of(DiagnosisRecord),
    }


# --- text ----------------------------------------------------------------------------------------------------------


MOST_FIXES = 4
MOST_SHOWN_CONSEQUENCES = 5
_INDENT = 6


def print_diagnosis(
    record: DiagnosisRecord, console: Console, language: str, shell: str, *, short: bool = False
) -> None:
    """Print what a log says; all of it fits a screen.

    Args:
        record: What it says.
        console: Where to.
        language: Language of the sentences.
        shell: Shell that commands are written for.
        short: Whether the log has just been seen, so that its lines need not be quoted with their neighbours.
    """
    if record.cause is not None:
        _print_cause(record, record.cause, console, language, shell, short=short)
    else:
        _print_without_cause(record, console, language)
    shown = "" if short else _sentence_of_progress(record, language)
    if shown:
        print_block(console, shown, indent=0)
    for item in record.attention:
        mark, style = ("info", "cyan") if item.kind == "resumed" else ("warn", "yellow")
        _print_marked(console, mark, style, _of_line(item, language))
    if record.cause is not None:
        print_block(console, say(language, "diagnose_more", id=record.cause.id), indent=0, style="dim")


def shell_for(diagnosis: LogDiagnosis) -> str:
    """Return the shell of the machine that the log is of."""
    return shell_of(diagnosis.facts)


def _print_cause(
    record: DiagnosisRecord, cause: CauseRecord, console: Console, language: str, shell: str, *, short: bool
) -> None:
    _print_marked(console, "FAIL", "bold red", cause.title, f"  [{cause.id}]")
    if cause.confidence != "certain":
        print_block(console, say(language, f"diagnose_{cause.confidence}"), style="yellow")
    where = _place(cause, record, language)
    print_block(console, where, style="dim")
    if short:
        _print_quoted(console, cause.line, cause.text, "")
    else:
        _print_context(console, cause)
    print_block(console, cause.why)
    for number, fix in enumerate(cause.fixes[:MOST_FIXES], 1):
        print_fix(fix, number if len(cause.fixes) > 1 else None, console, language, shell)
    if len(cause.fixes) > MOST_FIXES:
        print_block(console, say(language, "diagnose_more_fixes", count=len(cause.fixes) - MOST_FIXES), style="dim")
    if cause.check_there:
        print_block(console, say(language, "diagnose_check_there"))
    _print_consequences(record, console, language)


def _print_context(console: Console, cause: CauseRecord) -> None:
    before = [text for text in cause.before if text.strip()]
    for number, text in enumerate(before, cause.line - len(before)):
        _print_quoted(console, number, text, "dim")
    _print_quoted(console, cause.line, cause.text, "bold", most=3)
    after = [text for text in cause.after if text.strip()]
    for number, text in enumerate(after, cause.line + 1):
        _print_quoted(console, number, text, "dim")


def _print_quoted(console: Console, number: int, text: str, style: str, most: int = 1) -> None:
    """Print a line of a log with its number, cut to what fits."""
    from rich.text import Text

    for at, row in enumerate(_rows(text, max(20, console.width - _INDENT - 9), most)):
        head = f"{number:>7}  " if at == 0 else " " * 9
        console.print(Text.assemble(" " * _INDENT, (head, "dim"), (row, style)), soft_wrap=True)


def _rows(text: str, width: int, most: int = 1) -> list[str]:
    """Break a line of a log into rows of a width, and end it with dots where there would be too many."""
    from rich.cells import chop_cells

    rows = chop_cells(_printable(text), width) or [""]
    if len(rows) <= most:
        return rows
    return [*rows[: most - 1], chop_cells(rows[most - 1], width - 3)[0] + "..."]


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text.expandtabs(4)).rstrip()


def _print_consequences(record: DiagnosisRecord, console: Console, language: str) -> None:
    from rich.cells import cell_len
    from rich.text import Text

    if not record.consequences:
        return
    print_block(console, say(language, "diagnose_follows"), style="dim")
    for item in record.consequences[:MOST_SHOWN_CONSEQUENCES]:
        times = say(language, "diagnose_times", times=item.times) if item.times > 1 else ""
        (row,) = _rows(item.text.strip(), max(20, console.width - _INDENT - 9 - cell_len(times)))
        line = Text.assemble(" " * _INDENT, f"{item.line:>7}  {row}{times}", style="dim")
        console.print(line, soft_wrap=True)
    if len(record.consequences) > MOST_SHOWN_CONSEQUENCES:
        count = len(record.consequences) - MOST_SHOWN_CONSEQUENCES
        print_block(console, say(language, "diagnose_more_lines", count=count), style="dim")


def _print_without_cause(record: DiagnosisRecord, console: Console, language: str) -> None:
    progress = record.progress
    if record.outcome == "healthy":
        key = "diagnose_complete" if progress.stage == "complete" else "diagnose_healthy"
        _print_marked(console, "ok", "bold green", say(language, key))
        if record.is_foreign:
            print_block(console, say(language, "diagnose_foreign"))
        return
    if record.outcome == "running":
        _print_marked(console, "ok", "bold green", say(language, "diagnose_running"))
        return
    if record.outcome == "stopped":
        _print_marked(console, "?", "bold magenta", say(language, f"diagnose_stopped_{record.confidence}"))
    elif record.outcome == "consequences":
        _print_marked(console, "?", "bold magenta", say(language, "diagnose_consequences"))
    else:
        _print_marked(console, "?", "bold magenta", say(language, "diagnose_unknown"))
    if record.symptom is not None:
        print_block(console, f"{record.symptom.title}  [{record.symptom.id}]", style="bold")
        print_block(console, record.symptom.why)
    for line in record.telling or record.consequences[:MOST_SHOWN_CONSEQUENCES]:
        _print_quoted(console, line.line, line.text, "bold", most=2)
    if record.is_own_log:
        print_block(console, say(language, "diagnose_own_log"))
    print_block(console, say(language, f"diagnose_next_{record.outcome}"))
    if record.outcome == "stopped" and progress.epochs:
        print_command(console, "nnUNetv2_train ... --c")


def _of_line(item: AttentionRecord, language: str) -> str:
    """Say what deserves attention, and where it stands; what only follows from the log as a whole stands nowhere."""
    return say(language, "diagnose_attention", text=item.text, line=item.line) if item.line else item.text


def _place(cause: CauseRecord, record: DiagnosisRecord, language: str) -> str:
    """Say in which log the cause stands, and where."""
    log = translated(language, _short_name(cause.log, record))
    return say(language, "diagnose_place", log=log, line=cause.line)


def _short_name(log: str, record: DiagnosisRecord) -> str:
    """Return the last part of a path where that says which log it is."""
    last = re.split(r"[/\\]", log)[-1]
    return last if sum(re.split(r"[/\\]", name)[-1] == last for name in record.logs) <= 1 else log


def _sentence_of_progress(record: DiagnosisRecord, language: str) -> str:
    """Say how far the training came."""
    progress = record.progress
    if progress.stage == "none":
        return ""
    parts = [say(language, f"diagnose_stage_{progress.stage}", epoch=progress.epoch, case=progress.case or "?")]
    if progress.epochs:
        total = progress.total_epochs
        key = "diagnose_epochs_of" if total else "diagnose_epochs"
        parts.append(say(language, key, epochs=progress.epochs, total=total))
    if progress.seconds_per_epoch is not None:
        parts.append(say(language, "diagnose_seconds", seconds=f"{progress.seconds_per_epoch:.1f}"))
    if progress.best_dice is not None:
        parts.append(say(language, "diagnose_best", dice=f"{progress.best_dice:.3f}"))
    if progress.validation_dice is not None:
        parts.append(say(language, "diagnose_validation", dice=f"{progress.validation_dice:.3f}"))
    if progress.resumed:
        parts.append(say(language, "diagnose_resumes", count=progress.resumed))
    return say(language, "diagnose_progress", parts=(", " if language == "en" else "，").join(parts))


def _print_marked(console: Console, mark: str, style: str, text: str, tail: str = "") -> None:
    from rich.cells import cell_len
    from rich.text import Text

    body = Text.assemble((text, "bold"), (tail, "dim"))
    for number, line in enumerate(body.wrap(console, max(20, console.width - _INDENT))):
        line.rstrip()
        head = Text(mark, style=style) if number == 0 else Text("")
        head.append(" " * (_INDENT - cell_len(head.plain)))
        console.print(head.append_text(line), soft_wrap=True)


# --- Markdown ------------------------------------------------------------------------------------------------------


def to_markdown(record: DiagnosisRecord, language: str) -> str:
    """Return the record as a piece of Markdown that an issue or a mail can hold."""
    cause = record.cause
    lines: list[str] = []
    if cause is not None:
        place = _place(cause, record, language)
        lines += [f"## {cause.title} (`{cause.id}`)", "", place, "", *_code([*cause.before, cause.text, *cause.after])]
        if cause.confidence != "certain":
            lines += ["", say(language, f"diagnose_{cause.confidence}")]
        lines += ["", cause.why, ""]
        for number, fix in enumerate(cause.fixes, 1):
            lines += [f"{number}. {fix.text}", *_commands(fix)]
        lines += ["", say(language, "diagnose_check_there")] if cause.check_there else []
    else:
        suffix = f"_{record.confidence}" if record.outcome == "stopped" else ""
        lines += [f"## {say(language, f'diagnose_{record.outcome}{suffix}')}", ""]
        if record.symptom is not None:
            lines += [f"**{record.symptom.title}** (`{record.symptom.id}`)", "", record.symptom.why, ""]
        if record.telling:
            lines += [*_code([f"{item.line}: {item.text}" for item in record.telling]), ""]
        if not record.healthy:
            lines.append(say(language, f"diagnose_next_{record.outcome}"))
    if record.consequences:
        lines += ["", say(language, "diagnose_follows"), ""]
        lines += [f"- {item.line}: {_inline(item.text.strip())}" for item in record.consequences]
    progress = _sentence_of_progress(record, language)
    lines += ["", progress] if progress else []
    if record.attention:
        told = (_of_line(item, language) for item in record.attention)
        lines += ["", *(f"- {sentence}" for sentence in told)]
    known = {name: value for name, value in record.facts.items() if value is not None}
    if known:
        head = (say(language, "html_fact"), say(language, "html_value"))
        lines += ["", f"| {' | '.join(head)} |", "| --- | --- |"]
        lines += ["| {} | {} |".format(name, str(value).replace("|", r"\|")) for name, value in known.items()]
    return "\n".join(lines).strip() + "\n"


def _code(lines: Iterable[str]) -> Sequence[str]:
    texts = [_printable(line) for line in lines]
    longest = max((len(run) for text in texts for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *texts, fence]


def _inline(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def _commands(fix: FixRecord) -> list[str]:
    commands = [f"{name}={value}" for name, value in fix.launch.env.items()]
    if fix.launch.args:
        commands.append("nnUNetv2_train ... " + " ".join(fix.launch.args))
    if fix.command:
        commands.append(fix.command)
    return [f"   {line}" for line in _code(commands)] if commands else []
