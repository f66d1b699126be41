"""What ended a run, by what its log holds; pure.

The cause is what started it: the first line that names a problem, in the first chain of exceptions, that does not
follow from another. What a training went past did not end it. Where nothing is known, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nnunet_doctor.check import Check, Fix, lowering, placeholders
from nnunet_doctor.facts import Facts, Observed, Unknown
from nnunet_doctor.log.course import Course
from nnunet_doctor.log.reading import Kept, Match, Quote, Reading, Shown, fails
from nnunet_doctor.log.traceback import Raised

Outcome = Literal["healthy", "running", "cause", "consequences", "unknown", "stopped"]
Confidence = Literal["certain", "likely", "possible"]


class Cause(NamedTuple):
    """What ended the run, the line that names it, and how sure that is."""

    check: Check
    quote: Quote
    confidence: Confidence


class Consequence(NamedTuple):
    """A line that follows from the cause; the check that explains such lines, if there is one; how often it came."""

    check: Check | None
    quote: Quote
    times: int


class Attention(NamedTuple):
    """Something odd in a run that did not fail, or that did not end it."""

    kind: str
    check: Check | None
    line: int
    value: str
    source: str = ""


@dataclass(frozen=True)
class LogDiagnosis:
    """What a log says.

    Attributes:
        outcome: healthy; running (a training that is still written to); cause (it is known what ended the run);
            consequences (only what follows from a failure is there); unknown (it failed, and no check knows why);
            stopped (a training just ends, without an error).
        symptom: Without a cause, the check that explains the consequences.
        telling: Without a cause, the lines that say most.
        confidence: How sure it is that a training that just ends was ended from outside.
        is_foreign: Whether nothing in the log is of nnU-Net.
    """

    outcome: Outcome
    cause: Cause | None
    consequences: tuple[Consequence, ...]
    symptom: Check | None
    telling: tuple[Quote, ...]
    attention: tuple[Attention, ...]
    course: Course
    facts: Facts
    sources: tuple[str, ...]
    last: tuple[Quote, ...]
    is_own: bool
    confidence: Confidence = "certain"
    is_foreign: bool = False

    @property
    def is_healthy(self) -> bool:
        """Whether the log shows no failure."""
        return self.outcome in ("healthy", "running")

    @property
    def exit_code(self) -> int:
        """0 no failure in the log, 1 cause recognised, 3 a failure that is not recognised."""
        return 0 if self.is_healthy else 1 if self.outcome == "cause" else 3


def diagnose(reading: Reading, facts: Facts | None = None) -> LogDiagnosis:
    """Say what ended the run.

    Args:
        reading: What one pass over the log has found.
        facts: Facts of the machine that the log is of, with those of the log laid over; only the log's unless given.
    """
    return _Case(reading, reading.facts if facts is None else facts).conclude()


# --- one case ------------------------------------------------------------------------------------------------------


class _Candidate(NamedTuple):
    """A check that a line names as cause."""

    check: Check
    match: Match
    is_weak: bool
    is_warning: bool
    is_contradicted: bool
    group: int
    position: tuple[int, int, int, int]

    @property
    def rank(self) -> tuple[int, bool, tuple[int, int, int, int]]:
        """The latest start counts, then what the log's own facts allow, then what came first."""
        return -self.group, self.is_contradicted, self.position


KILLED = re.compile(
    r"\bKilled\b|\b[Kk]illed process\b|oom[-_ ]?kill|OOMKilled|\bOut Of Memory\b|OUT_OF_ME|TIME LIMIT|CANCELLED AT"
    r"|\bwalltime\b"
    r"|TERM_(?:RUNLIMIT|MEMLIMIT)|^\^C|^KeyboardInterrupt\b|\bTerminated\b|\bSIG(?:KILL|TERM|INT|HUP|SEGV|BUS|ABRT)\b"
    r"|Segmentation fault|Bus error|\bAborted\b|exit(?:ed)?\b.{0,20}(?:-\d|1[34]\d)|^rc=|signal:? ?\w"
)
"""How a system tells that it ended a process; no program prints this of itself."""

_WITHOUT_REASON = re.compile(
    r"^(?!.*(?:oom|OOM|[Oo]ut [Oo]f [Mm]emory|TIME LIMIT|walltime|RUNLIMIT|KeyboardInterrupt|SIGSEGV|SIGBUS|Segment"
    r"|Bus error|\b139\b|\b135\b)).*(?:\bKilled\b|^\^C|SIGKILL|SIGTERM|Terminated|exit|^rc=|signal|returned non-zero)"
)

_CLEAN_UP_FRAMES = re.compile(
    r"multiprocessing[/\\](?:queues|connection|resource_sharer|resource_tracker|spawn|util|pool|popen_\w+|process"
    r"|managers|synchronize|reduction)\.py|threading\.py|<frozen|weakref\.py|tempfile\.py|shutil\.py"
    r"|torch[/\\]multiprocessing[/\\]reductions\.py|nondet_multi_threaded_augmenter\.py|concurrent[/\\]futures"
)
_OF_PIPES = ("BrokenPipeError", "ConnectionResetError", "ConnectionRefusedError", "EOFError")
_CLEAN_UP_TEXT = re.compile(
    r"Broken pipe|Connection reset by peer|Connection refused|Ran out of input|can only test a child process"
    r"|One or more background workers|Device or resource busy: '\.nfs|'NoneType' object has no attribute 'terminate'"
    r"|leaked semaphore|python is likely shutting down|sys\.meta_path is None|cannot schedule new futures"
    r"|ChildFailedError|ProcessExitedException|CalledProcessError"
    r"|DataLoader worker .{0,60}(?:exited unexpectedly|is killed)"
    r"|Bad file descriptor|handle is closed|The handle is invalid|句柄无效|管道正在被关闭"
)


_TRIES_READERS = "determine_reader_writer_from_file_ending"


class _Case:
    def __init__(self, reading: Reading, facts: Facts) -> None:
        self.reading, self.facts = reading, facts
        self.chains = {kept.chain.number: kept for kept in reading.chains}
        self.consequences_at: dict[int, list[Match]] = {}
        for match in reading.matches:
            if match.kind == "consequence":
                self.consequences_at.setdefault(match.order, []).append(match)
        self.last = {(quote.source, quote.number) for quote in reading.last[-_VERY_LAST:]}
        self.told = frozenset(_platform_facts(reading.facts))

    def conclude(self) -> LogDiagnosis:
        candidates = self._candidates()
        live = [item for item in candidates if not self._is_passed(item.match)]
        unknown = [kept for kept in self._live_chains() if not self._is_known(kept, live)]
        real = [kept for kept in unknown if not self._is_clean_up(kept)]
        chosen = self._choose(live)
        if chosen is not None and chosen.is_weak and any(kept.order < chosen.position[0] for kept in real):
            chosen = None  # what looks like a cause may follow from what nobody knows
        if chosen is not None and self._is_over(chosen):
            chosen, live = None, []
        symptoms = [
            match
            for match in self.reading.matches
            if match.kind == "consequence" and not self._is_passed(match) and not self._went_past_warning(match)
        ]
        outcome: Outcome = "cause" if chosen else self._without_cause(real, unknown, symptoms)
        failed = outcome in ("cause", "consequences", "unknown")
        explains = (check for match in symptoms if (check := symptom_of(match.checks)))
        return LogDiagnosis(
            outcome=outcome,
            cause=_cause(chosen) if chosen else None,
            consequences=self._consequences(chosen, live, symptoms) if failed else (),
            symptom=next(explains, None) if outcome == "consequences" else None,
            telling=self._telling(real) if outcome in ("unknown", "stopped") else (),
            attention=self._attention(candidates, chosen, outcome),
            course=self.reading.course,
            facts=self.facts,
            sources=self.reading.sources,
            last=self.reading.last,
            is_own=self.reading.is_own,
            confidence=self._confidence(outcome),
            is_foreign=self._is_foreign(),
        )

    # --- candidates ---

    def _candidates(self) -> list[_Candidate]:
        found = []
        for match in self.reading.matches:
            if match.kind != "cause":
                continue
            also = self.consequences_at.get(match.order, ())
            for check in match.checks:
                others = any(other.id != check.id for item in also for other in item.checks)
                ends = self._ends(match)
                found.append(
                    _Candidate(
                        check,
                        match,
                        is_weak=others,
                        is_warning=not ends and _only_says(check, match.quote.text),
                        is_contradicted=self._contradicts(check),
                        group=self.reading.tracker.group(match.place, ends=ends),
                        position=self._position(match),
                    )
                )
        return found

    def _choose(self, live: Sequence[_Candidate]) -> _Candidate | None:
        able = [item for item in live if not self._only_warns(item)]
        for weak in (False, True):
            some = [item for item in able if item.is_weak is weak]
            explained = {id for item in some for id in item.check.explains if id != item.check.id}
            left = [item for item in some if item.check.id not in explained] or some
            if left:
                return min(left, key=lambda item: item.rank)
        return None

    def _only_warns(self, item: _Candidate) -> bool:
        """A warning, and what the training itself tells of its course, end nothing; some are followed by what does."""
        if item.match.chain is None and re.search(r"\b(?:train|val)_loss |Pseudo dice ", item.match.quote.text):
            return True
        if not item.is_warning:
            return False
        if self.reading.course.stage == "none" and (item.match.quote.source, item.match.quote.number) in self.last:
            return False  # nothing came after it
        if any(0 < kept.order - item.match.order <= _NEAR for kept in self._live_chains()):
            return bool(re.match(r"WARNING|INFO|.{0,300}Warning:", item.match.quote.text))  # printed, and then raised
        own = [match for match in self.reading.matches if match.kind == "consequence" and item.check in match.checks]
        return not any(match.order > item.match.order and not self._is_passed(match) for match in own)

    def _contradicts(self, check: Check) -> bool:
        """Say whether the log's own system and versions rule a check out by its condition.

        Nothing else may: a condition is one of a machine before a run, and a log shows but a part of what it did.
        """
        if check.when is None or not self.told:
            return False
        return check.when.holds(Facts({name: self.reading.facts[name] for name in self.told})).value is False

    def _position(self, match: Match) -> tuple[int, int, int, int]:
        """Order causes: by the chain they are in, by their place in it, the exception's own line before code."""
        kept = self.chains.get(match.chain or 0)
        if kept is None:
            return match.order, 0, 0, match.order
        index, raised = _raised_at(kept, match.quote.number)
        return kept.order, index, int(match.quote.number < raised.line), match.order

    def _ends(self, match: Match) -> bool:
        kept = self.chains.get(match.chain or 0)
        return kept is not None and not kept.chain.raised[0].heading.startswith("Exception ignored")

    def _is_passed(self, match: Match) -> bool:
        kept = self.chains.get(match.chain or 0)
        if kept is not None and self._is_only_printed(kept):
            return True
        return self.reading.tracker.is_passed(match.place, ends=match.chain is not None)

    def _went_past_warning(self, match: Match) -> bool:
        """Say whether nnU-Net went on after a line that only warns, as after what pip says of other packages."""
        warns = all(check.severity != "error" for check in match.checks)
        return warns and match.chain is None and match.order < self.reading.worked

    def _is_over(self, chosen: _Candidate) -> bool:
        """Say whether all was done when it happened: a crash on the way out, after the validation, loses nothing."""
        if self.reading.course.stage != "complete" or chosen.match.place != self.reading.tracker.place:
            return False
        if chosen.match.chain is None:
            return bool(KILLED.search(chosen.match.quote.text))
        kept = self.chains.get(chosen.match.chain)
        return kept is not None and self._is_clean_up(kept)

    # --- what is not known ---

    def _live_chains(self) -> list[Kept]:
        tracker = self.reading.tracker
        return [
            kept
            for kept in self.reading.chains
            if not tracker.is_passed(kept.place, ends=True) and not self._is_only_printed(kept)
        ]

    def _is_only_printed(self, kept: Kept) -> bool:
        """Say whether nnU-Net printed it, took the next reader and went on (reader_writer_registry.py)."""
        frames = kept.chain.raised[0].frames
        return bool(frames) and frames[0].function == _TRIES_READERS and self.reading.worked > kept.order

    def _is_known(self, kept: Kept, live: Iterable[_Candidate]) -> bool:
        return any(item.match.chain == kept.chain.number for item in live)

    def _is_clean_up(self, kept: Kept) -> bool:
        """Say whether a chain was begun by what dying workers and leaving interpreters print."""
        root = kept.chain.raised[0]
        if root.heading.startswith("Exception ignored") or _CLEAN_UP_TEXT.search(f"{root.type}: {root.message}"):
            return True
        following = (match for found in self.consequences_at.values() for match in found)
        if any(
            match.chain == kept.chain.number and _raised_at(kept, match.quote.number)[0] == 0 for match in following
        ):
            return True
        innermost = root.frames[-1].file if root.frames else ""
        return (not root.type or root.name in _OF_PIPES) and bool(_CLEAN_UP_FRAMES.search(innermost))

    def _live_endings(self) -> list[Quote]:
        tracker = self.reading.tracker
        return [item.quote for item in self.reading.endings if not tracker.is_passed(item.place, ends=True)]

    def _live_failures(self) -> list[Quote]:
        tracker = self.reading.tracker
        return [
            shown.quote
            for shown in self.reading.telling
            if fails(shown.quote.text)
            and not tracker.is_passed(shown.place, ends=True)
            and (shown.order > self.reading.worked or KILLED.search(shown.quote.text))
        ]

    def _without_cause(self, real: Sequence[Kept], unknown: Sequence[Kept], symptoms: Sequence[Match]) -> Outcome:
        course = self.reading.course
        if real:
            return "unknown"
        if course.stage == "complete":
            return "healthy"
        if symptoms or unknown:
            return "consequences"
        if course.stage == "none" and self._is_foreign() and any(map(_quotes_error, self.reading.telling)):
            return "unknown"
        failures = [quote for quote in self._live_failures() if not _is_killed(quote)]
        endings = self._live_endings()
        if failures or (endings and (course.stage == "none" or not all(map(_is_from_outside, endings)))):
            return "unknown"
        if not course.is_training:
            return "healthy"
        if not endings and not self._live_failures() and self._is_fresh():
            return "running"
        return "stopped"

    def _confidence(self, outcome: Outcome) -> Confidence:
        """Say how sure it is that a training which just ends was ended from outside."""
        if outcome != "stopped":
            return "certain"
        return "likely" if self._live_endings() or self._live_failures() else "possible"

    def _is_foreign(self) -> bool:
        reading = self.reading
        known = reading.facts["nnunet.installed"] is True or not isinstance(reading.facts["dataset.name"], Unknown)
        return not known and reading.worked < 0 and reading.course.starts == 0

    def _is_fresh(self) -> bool:
        age, course = self.reading.age, self.reading.course
        return age is not None and age < max(FRESH_S, FRESH_EPOCHS * (course.seconds or 0))

    def _telling(self, real: Sequence[Kept]) -> tuple[Quote, ...]:
        """Return the lines that say most of a failure that nobody knows."""
        wanted: list[Quote] = []
        for kept in real[:3]:
            ends = (kept.chain.raised[0], kept.chain.raised[-1])
            wanted += [_quote_of(raised, kept, self.reading) for raised in ends]
        wanted += self._live_failures()[:3] + self._live_endings()[-2:]
        if not wanted:
            tracker = self.reading.tracker
            wanted = [item.quote for item in self.reading.telling if not tracker.is_passed(item.place, ends=True)][-4:]
        unique = {(quote.source, quote.number): quote for quote in wanted if quote.text.strip()}
        return tuple(sorted(unique.values(), key=lambda quote: (quote.source, quote.number)))[:MOST_TELLING]

    # --- what follows ---

    def _consequences(
        self, chosen: _Candidate | None, live: Sequence[_Candidate], symptoms: Sequence[Match]
    ) -> tuple[Consequence, ...]:
        lines = [*self._known_consequences(chosen, live, symptoms), *self._other_exceptions(chosen)]
        found: dict[tuple[str, str], Consequence] = {}
        numbers: set[tuple[str, int]] = set()
        for _, check, quote in sorted(lines, key=lambda line: (line[0], line[1] is None)):
            if (quote.source, quote.number) in numbers:
                continue
            numbers.add((quote.source, quote.number))
            key = (check.id if check else "", re.sub(r"\d+", "", quote.text))
            first = found.get(key)
            found[key] = first._replace(times=first.times + 1) if first else Consequence(check, quote, 1)
        return tuple(found.values())[:MOST_CONSEQUENCES]

    def _known_consequences(
        self, chosen: _Candidate | None, live: Sequence[_Candidate], symptoms: Sequence[Match]
    ) -> list[tuple[int, Check | None, Quote]]:
        """Return lines that a check says to follow from something, and causes that were not the first."""
        lines: list[tuple[int, Check | None, Quote]] = []
        for match in symptoms:
            kept = self.chains.get(match.chain or 0)
            code = kept is not None and match.quote.number < _raised_at(kept, match.quote.number)[1].line
            if not code and (chosen is None or match.order != chosen.match.order):
                told = {check.id: check for item in self.consequences_at[match.order] for check in item.checks}
                about = _about(check for check in told.values() if not chosen or check.id != chosen.check.id)
                lines.append((match.order, about, match.quote))
        if chosen is not None:
            lines += [
                (item.match.order, item.check, item.match.quote)
                for item in live
                if item.check.id != chosen.check.id and not item.position[2] and not self._only_warns(item)
            ]
        return lines

    def _other_exceptions(self, chosen: _Candidate | None) -> list[tuple[int, Check | None, Quote]]:
        lines: list[tuple[int, Check | None, Quote]] = []
        for kept in self._live_chains():
            if chosen is None and not self._is_clean_up(kept):
                continue
            for raised in kept.chain.raised:
                if raised.type and not (chosen and _is_same(raised, kept, chosen)):
                    order = kept.order + max(0, raised.line - min(item.first for item in kept.chain.raised))
                    lines.append((order, None, _quote_of(raised, kept, self.reading)))
        return lines

    # --- what deserves attention ---

    def _attention(
        self, candidates: Sequence[_Candidate], chosen: _Candidate | None, outcome: Outcome
    ) -> tuple[Attention, ...]:
        checks = {check.id: check for item in candidates for check in item.match.checks}
        found = [
            Attention(odd.kind, checks.get(odd.kind), odd.line, odd.value)
            for odd in self.reading.course.oddities
            if odd.kind != "no-validation" or outcome == "healthy"
        ]
        kinds = {item.kind for item in found}
        for item in candidates:
            about = item.check.id
            if about in kinds or (chosen is not None and about == chosen.check.id):
                continue
            if item.match.chain is None and (item.is_warning or self._is_passed(item.match) or self._is_over(item)):
                kinds.add(about)
                quote = item.match.quote
                found.append(Attention(about, item.check, quote.number, quote.text, quote.source))
        return tuple(found)


_WARNING = re.compile(r"(?:\S{1,400}:\d{1,6}: )?\w{0,40}Warning: ")
"""How Python prints a warning, which stops nothing."""


def _only_says(check: Check, text: str) -> bool:
    """Say whether a line that is no exception only warns."""
    return (check.severity != "error" or _WARNING.match(text) is not None) and not _is_final(text)


def _is_final(text: str) -> bool:
    """Say whether a line tells of an end, so that it is no mere warning."""
    return bool(KILLED.search(text)) or fails(text)


def _cause(chosen: _Candidate) -> Cause:
    quote = chosen.match.quote
    likely = chosen.match.chain is None and _WITHOUT_REASON.search(quote.text)
    return Cause(chosen.check, quote, "likely" if likely else "certain")


_QUOTED = re.compile(
    r"""(?:^|[\s"'`(*:=])(?:(?:\w{1,60}\.){0,6}[A-Z]\w{0,60}(?:Error|Exception)|\w{1,60}\.error) ?: ?\S"""
)


def _quotes_error(shown: Shown) -> bool:
    """Say whether somebody tells of an exception in a sentence, which a warning may do too."""
    return not _WARNING.match(shown.quote.text) and _QUOTED.search(shown.quote.text) is not None


FRESH_S = 900.0
"""A log that was written to in the last quarter of an hour may belong to a run that goes on."""

FRESH_EPOCHS = 3
MOST_TELLING = 6
_VERY_LAST = 4
_NEAR = 4
MOST_CONSEQUENCES = 40

_PLATFORM_FACTS = ("platform.os", "platform.wsl", "python.version", "torch.version", "nnunet.version")


def _platform_facts(facts: Facts) -> list[str]:
    return [name for name in _PLATFORM_FACTS if not isinstance(facts[name], Unknown)]


_ABORTED = re.compile(r"\bAborted\b|SIGABRT|\b134\b|(?<!\d)-6\b")


def _is_killed(quote: Quote) -> bool:
    """Say whether a line tells that a process was ended; one that aborts ends by itself, for a reason of its own."""
    return bool(KILLED.search(quote.text)) and not _ABORTED.search(quote.text)


def _is_from_outside(quote: Quote) -> bool:
    """Say whether an exit code is one that a program does not choose: a signal, or a time limit of the caller."""
    ended = re.search(r"-\d|\b1[34]\d\b|\b124\b|SIG|signal|OOM", quote.text)
    return bool(ended) and not _ABORTED.search(quote.text)


def _raised_at(kept: Kept, number: int) -> tuple[int, Raised]:
    """Return the exception of a chain whose traceback holds a line, with its place in the order of causes."""
    raised = kept.chain.raised
    inside = [index for index, item in enumerate(raised) if item.first <= number] or [0]
    index = max(inside, key=lambda index: raised[index].first)
    return index, raised[index]


def _is_same(raised: Raised, kept: Kept, chosen: _Candidate) -> bool:
    """Say whether an exception is the cause itself, or the same once more in another process."""
    if kept.chain.number == chosen.match.chain:
        return _raised_at(kept, chosen.match.quote.number)[1] is raised
    return raised.message.partition("\n")[0] in chosen.match.quote.text and bool(raised.message)


def _quote_of(raised: Raised, kept: Kept, reading: Reading) -> Quote:
    for shown in reading.telling:
        if shown.quote.number == raised.line and shown.quote.source == kept.source:
            return shown.quote
    said = raised.message.partition("\n")[0]
    return Quote(kept.source, raised.line, f"{raised.type}: {said}" if said else raised.type or "...")


def symptom_of(checks: Iterable[Check]) -> Check | None:
    """Return the check that explains a line of which many say that it follows: one that knows no cause itself."""
    return next((check for check in checks if not check.log_cause and not check.is_decided_by_facts), None)


def _about(checks: Iterable[Check]) -> Check | None:
    """Return the check that a line which follows is about: one that explains it, else one of logs that knows few such.

    Many checks list the messages of dying workers; the one that such a message belongs to lists little else.
    """
    of_logs = sorted(
        (check for check in checks if not check.is_decided_by_facts), key=lambda check: len(check.log_consequence)
    )
    explaining = symptom_of(of_logs)
    if explaining or not of_logs:
        return explaining
    first, *others = of_logs
    alone = not others or len(others[0].log_consequence) > len(first.log_consequence)
    return first if alone and len(first.log_consequence) <= _FEW else None


_FEW = 3


# --- ways out ------------------------------------------------------------------------------------------------------


class Offered(NamedTuple):
    """A way out, and the words for where it applies when the log does not tell: a key of ``diagnose_on_*``, or None."""

    fix: Fix
    where: str | None


_HYPOTHESES: dict[str, tuple[Sequence[Observed], dict[str, str]]] = {
    "platform.os": (
        ("windows", "linux", "macos"),
        {"100": "windows", "010": "linux", "001": "macos", "011": "not_windows", "110": "not_macos"},
    ),
    "platform.wsl": ((2, None), {"10": "wsl2", "01": "not_wsl2"}),
    "platform.container": (("docker", None), {"10": "container", "01": "not_container"}),
    "platform.scheduler": (("slurm", "lsf", None), {"100": "slurm", "110": "cluster", "001": "not_cluster"}),
    "platform.shell": (("cmd", "powershell", "posix"), {"100": "cmd", "010": "powershell", "001": "posix"}),
    "python.environment": (("conda", "venv"), {"10": "conda", "01": "not_conda"}),
    "gpu.count": ((0, 1, 2), {"001": "several_gpus", "100": "no_gpu", "011": "gpu"}),
    "nnunet.outdated": ((True, False), {"10": "outdated", "01": "newest"}),
    "training.compiles": ((True, False), {"10": "compiles", "01": "not_compiles"}),
}
"""Facts that a reader knows of his own machine: values to try, and for those that a condition holds for, its words."""


def _in_words(fix: Fix, facts: Facts, deciding: Sequence[str]) -> str | None:
    """Return a condition in words, when it hangs on one fact that a reader knows."""
    if fix.when is None or len(deciding) != 1 or deciding[0] not in _HYPOTHESES:
        return None
    values, words = _HYPOTHESES[deciding[0]]
    holds = [fix.when.holds(facts.with_values({deciding[0]: value})).value for value in values]
    return words.get("".join("1" if value else "0" for value in holds))


def fixes_for(check: Check, facts: Facts) -> tuple[Offered, ...]:
    """Return the ways out that can be offered by what is known, those that surely apply first.

    What a condition rules out is left out, and so is a text that needs a fact which nobody knows. A condition that is
    not decided is said in words where a reader can decide it; others are kept back as long as there is a sure way.
    """
    sure: list[Offered] = []
    perhaps: list[Offered] = []
    for fix in check.fixes:
        if _lacks(facts, fix.text.values()):
            continue
        shown = lowering(fix._replace(command=()) if _lacks(facts, fix.command) else fix, facts)
        if shown is None:
            continue
        value, deciding = (True, ()) if fix.when is None else fix.when.holds(facts)
        if value:
            sure.append(Offered(shown, None))
        elif value is None:
            perhaps.append(Offered(shown, _in_words(fix, facts, deciding) or "perhaps"))
    if sure:
        return (*sure, *(item for item in perhaps if item.where != "perhaps"))
    return tuple(perhaps)


def withholds(check: Check, facts: Facts) -> bool:
    """Say whether there is a way out that may apply, and cannot be worded without facts that nobody knows."""
    return any(
        _lacks(facts, fix.text.values()) and (fix.when is None or fix.when.holds(facts).value is not False)
        for fix in check.fixes
    )


def _lacks(facts: Facts, words: Iterable[str]) -> bool:
    """Say whether words hold a fact that nobody knows."""
    asked = {name for word in words for name in placeholders(word)} - {"python.executable"}
    return any(isinstance(facts[name], Unknown) for name in asked)
