"""One pass over a log: what its lines match, what was raised, how the training went, how it ended.

A log may have gigabytes and few kinds of lines. Lines that look alike without their digits are one kind; each kind is
looked at once, and lines are read one by one only where their kind, or an open traceback, asks for it. What is kept
is bounded, whatever the log holds.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from nnunet_doctor.check import Check
from nnunet_doctor.facts import Facts
from nnunet_doctor.log.course import MARKS, QUIET, Course, Place, Tracker, kind_of
from nnunet_doctor.log.facts import DETECTORS, Learner
from nnunet_doctor.log.literals import DIGITS, Index, needs_of
from nnunet_doctor.log.prefix import Stripped, strip_prefixes
from nnunet_doctor.log.signatures import Signature, finds, signatures_of
from nnunet_doctor.log.source import Piece
from nnunet_doctor.log.traceback import Chain, Tracebacks

SHOWN = 240
"""Characters of a line that are kept to be shown."""


@dataclass
class Quote:
    """A line as it is shown: the log it is in, its number and text, and two lines of context on both sides."""

    source: str
    number: int
    text: str
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


class Match(NamedTuple):
    """A line that matches an expression of checks.

    Attributes:
        checks: The checks that have it.
        kind: cause, consequence or within.
        order: Position in all that was read, over all sources.
        chain: The chain of exceptions that the line belongs to; None for none.
    """

    checks: tuple[Check, ...]
    kind: str
    order: int
    quote: Quote
    chain: int | None
    place: Place


class Ending(NamedTuple):
    """A trace of how a process ended: a code other than 0, or a signal."""

    order: int
    quote: Quote
    code: int | None
    signal: str | None
    place: Place


class Shown(NamedTuple):
    """A line that speaks of a failure, whoever printed it."""

    order: int
    quote: Quote
    place: Place


class _Named(NamedTuple):
    """The line that names an exception, with those that go on with it where a terminal has folded it."""

    order: int
    chain: int
    quote: Quote
    text: str
    last: int
    folds: int = 0


class Kept(NamedTuple):
    """A chain of exceptions, and where in all that was read it began."""

    order: int
    source: str
    chain: Chain
    place: Place


@dataclass(frozen=True)
class Reading:
    """All that one pass over a log has found.

    Attributes:
        matches: Lines that checks know, in the order of the log; not all where there are very many.
        chains: What was raised.
        endings: How processes ended.
        telling: Lines that speak of a failure.
        last: The last lines that are not empty.
        worked: Position of the last line that nnU-Net prints while all is well.
        age: Seconds since the log was last written to; None where nobody can know.
        stamp: The last time stamp of a line, as YYYY-MM-DD hh:mm:ss; empty without one.
        tracker: Where the training was, and when.
    """

    sources: tuple[str, ...]
    matches: tuple[Match, ...]
    chains: tuple[Kept, ...]
    endings: tuple[Ending, ...]
    telling: tuple[Shown, ...]
    last: tuple[Quote, ...]
    tracker: Tracker
    course: Course
    facts: Facts
    lines: int
    worked: int = -1
    is_own: bool = False
    age: float | None = None
    stamp: str = ""


_STRUCTURE = (
    r"Traceback \(most recent call last\)",
    r'File "[^"]{1,1000}", line \d',
    r"^Exception in |^Exception ignored in|RemoteTraceback|^Process \S{1,60}:|-- Process \d",
    r"(?:Error|Exception|Interrupt|Exit|BrokenProcessPool)(?::|\s*$)",
)
"""What may begin a traceback."""

ENDING = re.compile(
    r"^rc=(?P<rc>-?\d{1,10})\b"
    r"|\b[Ee]xit(?:ed|s|ing)?(?: with)?(?: (?:exit )?(?:code|status))?(?: of)?[:= ]{1,4}(?P<code>-?\d{1,10})(?!\d|\.\d)"
    r"|\bexit_?[cC]ode\s{0,6}[:=] ?(?P<exitcode>-?\d{1,10})\b"
    r"|\bExit[ _][sS]tatus(?: was|:|=) ?(?P<status>-?\d{1,10})\b"
    r"|\breturned non-zero exit status (?P<returned>\d{1,10})\b"
    r"|\bdied with <Signals\.(?P<died>SIG[A-Z]{2,6})"
    r"|\b(?:terminated (?:by|with)|received|[Kk]illed by|Got|caught) (?:signal )?(?P<name>SIG[A-Z]{2,6})\b"
    r"|\b(?:terminated by|terminated with|received|[Kk]illed by) signal:? (?P<signal>\d{1,2})\b"
    r"|\bkilled by signal: (?P<by>Killed|Terminated|Aborted|Segmentation fault|Bus error)\b"
    r"|\bSignal \d{1,2} \((?P<elastic>SIG[A-Z]{2,6})\) received by PID"
    r"|\bsignal: (?P<word>killed|terminated|aborted|segmentation fault)\b"
    r"|\b(?P<oom>OOMKilled)\b"
    r"|\bexit(?:ed)? with (?P<negative>-\d{1,3})\b"
)
"""How launchers, shells, schedulers and containers tell the end of a process."""

_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    15: "SIGTERM",
    24: "SIGXCPU",
}
_WORDS = {
    "killed": "SIGKILL",
    "terminated": "SIGTERM",
    "aborted": "SIGABRT",
    "segmentation fault": "SIGSEGV",
    "bus error": "SIGBUS",
}

AS_A_SHELL_SAYS = {
    "SIGKILL": "Killed",
    "SIGSEGV": "Segmentation fault",
    "SIGBUS": "Bus error",
    "SIGINT": "KeyboardInterrupt",
    "SIGTERM": "Terminated",
    "SIGABRT": "Aborted",
}
"""Words that stand for signals; what checks know by its word, they know by its number as well."""

_TELLING = re.compile(
    r"[Ee]rror\b|ERROR|Exception\b|[Ff]atal|FATAL|[Ff]ailed\b|[Ff]ailure|FAIL|[Aa]bort|[Kk]illed\b|OOM|[Oo]om[-_]kill"
    r"|core dumped|terminate called|[Ss]egmentation [Ff]ault|[Cc]annot |[Cc]ould not|[Uu]nable to|[Nn]o such file"
    r"|denied|[Nn]ot found|no matches found"
    r"|Terminated|Bus error|No space left|[Tt]imed out|[Tt]imeout|TIMEOUT|not recognized|[Ii]nvalid"
    r"|[Cc]orrupt|CANCELLED|refused|不是内部|识别为|未找到|没有那个"
)

_FAILS = re.compile(
    r"^(?:\S{1,80}: )?error: |\berror: the following arguments|^Fatal Python error|terminate called|core dumped\)"
    r"|^\S{0,200}: (?:line \d{1,6}: )?\S{1,200}: (?:command not found|No such file or directory|Permission denied)"
    r"|不是内部或外部命令|项识别为 ?(?:cmdlet|命令)|未找到命令|: 没有那个文件或目录$"
    r"|^slurmstepd: error|^srun: error|\bError response from daemon: "
    r"|^ERROR: (?:No matching distribution|Could not (?:find|install) )"
    r"|^Exception in background worker \d|^zsh: no matches found: "
    r"|: command not found|is not recognized as (?:an internal|the name)"
    r"|^(?:Killed|Aborted|Terminated|Bus error|Segmentation fault)\b|\bCANCELLED AT\b|^=>> PBS: "
)
"""Lines that are no traceback, and say for certain that something ended."""


class _Looks(NamedTuple):
    """What has to be done with the lines of a kind."""

    course: str | None
    signatures: tuple[int, ...] = ()
    facts: tuple[int, ...] = ()
    is_structure: bool = False
    is_ending: bool = False
    is_telling: bool = False


_DIGIT = re.compile(r"(?<![{,\d])\d(?![\d,]*\})")
"""A digit in an expression, outside of how often something may come."""

_STAMP = re.compile(r"\b(20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d)")

_BEGINS = b"Traceback (most recent call last)"

NARROWEST = 40
"""Characters of the narrowest window that folds what it shows."""

MOST_FOLDS = 3
MOST_ALIKE = 12
MOST_BLOCKS = 2000
MOST_KINDS = 200_000
MOST_MATCHES = 1500
MOST_PER_PLACE = 4
MOST_PENDING = 40
MOST_CHAINS = 300
MOST_ENDINGS = 40
MOST_TELLING = 120
MOST_FACTS_PER_KIND = 50


class Known:
    """All expressions, compiled once, and what to look for so that few of them are tried.

    Args:
        checks: What is known.
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        """Compile them: those of the checks, then those of facts, then the reader's own."""
        self.signatures = signatures_of(checks)
        patterns = [item.expression.pattern for item in self.signatures]
        self.hangs_on_digits = [bool(_DIGIT.search(pattern)) for pattern in patterns]
        self.first_fact = len(patterns)
        patterns += [expression.pattern for expression, _ in DETECTORS]
        self.first_other = len(patterns)
        patterns += [*_STRUCTURE, MARKS, ENDING.pattern, _TELLING.pattern]
        self.index = Index([needs_of(pattern) for pattern in patterns])


class Reader:
    """Reads the pieces of one log after another.

    Args:
        known: What is known.
    """

    def __init__(self, known: Known) -> None:
        """Begin without a log."""
        self._known = known
        self._kinds: dict[bytes, _Looks | str | None] = {}
        self._quiet: dict[bytes, str] = {}
        self._alike: dict[bytes, int] = {}
        self._told: dict[bytes, Place] = {}
        self._blocks: dict[tuple[object, ...], int] = {}
        self._facts_left: dict[bytes, int] = {}
        self.learner = Learner()
        self.tracker = Tracker()
        self._tracebacks = Tracebacks()
        self._sources: list[str] = []
        self._order = 0
        self._tail: list[bytes] = []
        self._waiting: list[Quote] = []
        self._matches: dict[tuple[str, Place], list[Match]] = {}
        self._within: dict[int, set[str]] = {}
        self._pending: dict[int, list[tuple[str, Match]]] = {}
        self._chains: dict[int, Kept] = {}
        self._begun: dict[int, tuple[int, Place]] = {}
        self._endings: list[Ending] = []
        self._telling: deque[Shown] = deque(maxlen=MOST_TELLING)
        self._last: deque[Quote] = deque(maxlen=6)
        self._named: _Named | None = None
        self._worked = -1
        self.age: float | None = None
        self.is_own = False

    def begin(self, source: str, *, is_own: bool = False, age: float | None = None) -> None:
        """Begin with a log; line numbers count anew."""
        self._close_source()
        self._sources.append(source)
        self.is_own, self.age = is_own, age

    def end_with(self, code: int) -> None:
        """Note the code that the run ended with, which its own output does not hold."""
        text = f"exit code {code}"
        ending = ENDING.search(text)
        if ending:
            last = self._last[-1].number if self._last else 0
            self._end(self._order, Quote(self._sources[-1], last, text), ending)

    @property
    def has_ended(self) -> bool:
        """Whether what was read last ends a run: an error that nobody caught, or the end of a process."""
        tracker = self.tracker
        places = [*(item.place for item in self._endings), *(item.place for item in self._chains.values())]
        return not self._tracebacks.is_inside and any(not tracker.is_passed(place, ends=True) for place in places)

    def _close_source(self) -> None:
        self._tracebacks.end()
        self._harvest()
        self._tail, self._waiting = [], []

    # --- a piece ---

    def take(self, piece: Piece) -> None:
        """Read some lines."""
        lines, numbers = piece
        if not lines:
            return
        for quote in self._waiting:
            quote.after += [_shown(line) for line in lines[: 2 - len(quote.after)]]
        self._waiting = [quote for quote in self._waiting if len(quote.after) < 2]
        kinds = b"\n".join(lines).translate(None, DIGITS).split(b"\n")
        here = set(kinds)
        new = list(here.difference(self._kinds))
        if new:
            self._learn_kinds(new)
        self._walk(lines, numbers, kinds, list(map(self._kinds.get, kinds)))
        quiet = here & self._quiet.keys()
        if quiet:
            self._take_quiet(lines, numbers, kinds, quiet)
        self._order += len(lines)
        self._tail = [*self._tail, *lines[-2:]][-2:]
        self._keep_last(lines, numbers)

    def _learn_kinds(self, new: Sequence[bytes]) -> None:
        if len(self._kinds) > MOST_KINDS:
            self._kinds.clear()
            self._quiet.clear()
            self._facts_left.clear()
            self._alike.clear()
            self._told.clear()
        candidates = self._known.index.candidates(new)
        always = self._known.index.always
        self._kinds.update(dict.fromkeys(new))
        for at, found in candidates.items() if not always else ((at, candidates.get(at, [])) for at in range(len(new))):
            self._kinds[new[at]] = self._looks(new[at], (*found, *always))

    def _looks(self, kind: bytes, found: Sequence[int]) -> _Looks | str | None:
        structure = range(self._known.first_other, self._known.first_other + len(_STRUCTURE))
        marks, ending, telling = (structure.stop + offset for offset in range(3))
        looks = _Looks(
            course=kind_of(kind) if marks in found else None,
            signatures=tuple(number for number in found if number < self._known.first_fact),
            facts=tuple(
                number - self._known.first_fact
                for number in found
                if self._known.first_fact <= number < self._known.first_other
            ),
            is_structure=any(number in structure for number in found),
            is_ending=ending in found,
            is_telling=telling in found,
        )
        return self._worth(kind, looks)

    def _worth(self, kind: bytes, looks: _Looks) -> _Looks | str | None:
        """Return the least that has to be done with the lines of a kind."""
        if any(looks[1:]):
            return looks
        if looks.course in QUIET:
            self._quiet[kind] = looks.course
            return None
        return looks.course

    def _walk(
        self,
        lines: Sequence[bytes],
        numbers: Sequence[int],
        kinds: Sequence[bytes],
        looks: Sequence[_Looks | str | None],
    ) -> None:
        """Go to the lines that are to be looked at, and on from each as long as a traceback is open."""
        done = self._stay_inside(lines, numbers, kinds, looks, 0)
        worked = -1
        for at in [at for at, look in enumerate(looks) if look]:
            if at < done:
                continue
            look = looks[at]
            if isinstance(look, str):
                self.tracker.take(look, lines[at], numbers[at])
                worked = at
            elif self._told.get(kinds[at]) != self.tracker.place:
                done = self._after_repeated(kinds, at)
                if done == at:
                    self._line(lines, numbers, kinds[at], look, at)
                    done = self._stay_inside(lines, numbers, kinds, looks, at + 1)
        if worked >= 0:
            self._worked = max(self._worked, self._order + worked)

    def _stay_inside(
        self,
        lines: Sequence[bytes],
        numbers: Sequence[int],
        kinds: Sequence[bytes],
        looks: Sequence[_Looks | str | None],
        at: int,
    ) -> int:
        """Read all lines while a traceback is open; return the first that is not read."""
        while at < len(lines) and self._tracebacks.is_inside:
            after = self._after_repeated(kinds, at)
            if after > at:
                at = after
                continue
            look = looks[at]
            course = look if isinstance(look, str) else self._quiet.get(kinds[at])
            full = _Looks(course) if course else look
            self._line(lines, numbers, kinds[at], full, at)  # type: ignore[arg-type]
            at += 1
        return at

    def _after_repeated(self, kinds: Sequence[bytes], at: int) -> int:
        """Return the line after a traceback that was read often enough at this moment; the line itself for others."""
        if not kinds[at].startswith(_BEGINS) or self._tracebacks.is_linking:
            return at
        end = at + 1
        while end < len(kinds) and kinds[end][:1] == b" ":
            end += 1
        if end + 2 >= len(kinds) or b"above exception" in kinds[end + 2]:
            return at
        block = (self.tracker.place, *kinds[at : end + 1])
        seen = self._blocks.get(block, 0)
        if len(self._blocks) > MOST_BLOCKS:
            self._blocks.clear()
        self._blocks[block] = seen + 1
        return end + 1 if seen >= MOST_PER_PLACE else at

    def _take_quiet(
        self, lines: Sequence[bytes], numbers: Sequence[int], kinds: Sequence[bytes], here: set[bytes]
    ) -> None:
        """Take the last of those lines of which only the last counts."""
        wanted = {self._quiet[kind] for kind in here}
        for at in range(len(kinds) - 1, -1, -1):
            course = self._quiet.get(kinds[at])
            if course in wanted:
                self.tracker.take(str(course), lines[at], numbers[at])
                wanted.discard(course)
                if not wanted:
                    return

    # --- a line ---

    def _line(self, lines: Sequence[bytes], numbers: Sequence[int], kind: bytes, look: _Looks | None, at: int) -> None:
        raw = lines[at].decode("utf-8", "replace")
        line = strip_prefixes(raw)
        text, chain = line.text, None
        if self._tracebacks.is_inside or (look and look.is_structure):
            chain = self._trace(numbers[at], line, at)
        said = text
        if chain is not None:
            if self._named and self._named.chain == chain and self._named.last == numbers[at] - 1:
                self._unfold(self._named, text)
            if self._tracebacks.names(numbers[at], line.stream):
                said = text.lstrip()
                quote = self._quote(lines, numbers[at], text, at)
                self._named = _Named(self._order + at, chain, quote, text, numbers[at])
        if look is None:
            return
        if look.course:
            self.tracker.take(look.course, lines[at], numbers[at])
            self._worked = self._order + at
        if look.facts:
            self._learn_facts(look, kind, text, raw)
        hits = [item for item in map(self._known.signatures.__getitem__, look.signatures) if finds(item, said, raw)]
        ending = ENDING.search(text) if look.is_ending else None
        tells = look.is_telling and _TELLING.search(text) is not None
        if hits or ending or tells:
            quote = self._quote(lines, numbers[at], text, at)
            self._note(self._order + at, quote, hits, ending, chain, tells=tells)
        if not look.is_structure and not look.is_ending and not look.course:
            self._count_alike(kind, look, hits)

    def _unfold(self, named: _Named, text: str) -> None:
        """Look at the line that names an exception together with the next: windows fold what is wider than they are."""
        whole = f"{named.text} {text.strip()}"
        if len(named.text) < NARROWEST:
            return
        for each in dict.fromkeys((whole, whole.replace("  ", " "), named.text + text.strip())):
            kind = each.encode().translate(None, DIGITS)
            found = self._known.index.candidates([kind]).get(0, ())
            for signature in (self._known.signatures[number] for number in found if number < self._known.first_fact):
                if signature.expression.search(each) and not any(map(signature.expression.search, (named.text, text))):
                    self._match(signature, named.order, replace(named.quote, text=each[:SHOWN]), named.chain)
        more = named.folds + 1 < MOST_FOLDS and len(text) >= NARROWEST
        self._named = named._replace(text=whole, last=named.last + 1, folds=named.folds + 1) if more else None

    def _trace(self, number: int, line: Stripped, at: int) -> int | None:
        """Hand a line to the tracebacks; return the chain that it belongs to."""
        chain = self._tracebacks.take(number, line.stream, line.text, stamped=line.stamped)
        if chain is not None and chain not in self._begun:
            self._begun[chain] = (self._order + at, self.tracker.place)
        if self._tracebacks.finished:
            self._harvest()
        return chain

    def _count_alike(self, kind: bytes, look: _Looks, hits: Sequence[Signature]) -> None:
        """Spare lines of a kind that has been seen often: at this moment when it matches, for ever when it cannot."""
        count = self._alike.get(kind, 0) + 1
        self._alike[kind] = count
        if count < MOST_ALIKE:
            return
        self._alike[kind] = 0
        open_still = [
            number
            for number in look.signatures
            if self._known.hangs_on_digits[number] and self._known.signatures[number] not in hits
        ]
        if open_still:
            return  # another of these lines, with other digits, may be what such an expression looks for
        if hits or not look.signatures:
            self._told[kind] = self.tracker.place
        else:
            self._kinds[kind] = self._worth(kind, look._replace(signatures=()))

    def _learn_facts(self, look: _Looks, kind: bytes, text: str, raw: str) -> None:
        for detector in look.facts:
            self.learner.take(detector, text, raw)
        left = self._facts_left.get(kind, MOST_FACTS_PER_KIND) - 1
        self._facts_left[kind] = left
        if left <= 0:  # such lines have told what they know
            self._kinds[kind] = self._worth(kind, look._replace(facts=()))

    def _note(
        self,
        order: int,
        quote: Quote,
        hits: Sequence[Signature],
        ending: re.Match[str] | None,
        chain: int | None,
        *,
        tells: bool,
    ) -> None:
        if ending:
            self._end(order, quote, ending)
        for signature in hits:
            self._match(signature, order, quote, chain)
        if tells:
            self._telling.append(Shown(order, quote, self.tracker.place))

    def _quote(self, lines: Sequence[bytes], number: int, text: str, at: int) -> Quote:
        before = [*self._tail, *lines[:at]][-2:] if at < 2 else lines[at - 2 : at]
        after = lines[at + 1 : at + 3]
        quote = Quote(self._sources[-1], number, text[:SHOWN], [_shown(x) for x in before], [_shown(x) for x in after])
        if len(after) < 2:
            self._waiting.append(quote)
        return quote

    def _end(self, order: int, quote: Quote, found: re.Match[str]) -> None:
        code, signal = ended_by(found)
        if code == 0 and signal is None:
            return
        if len(self._endings) >= MOST_ENDINGS:
            del self._endings[MOST_ENDINGS // 2]
        self._endings.append(Ending(order, quote, code, signal, self.tracker.place))
        word = AS_A_SHELL_SAYS.get(signal or "")
        if word:
            for signature in self._known.signatures:
                known = signature.kind == "cause" and not signature.checks[0].log_within
                if known and signature.expression.search(word):
                    self._match(signature, order, quote, None)

    # --- matches ---

    def _match(self, signature: Signature, order: int, quote: Quote, chain: int | None) -> None:
        match = Match(signature.checks, signature.kind, order, quote, chain, self.tracker.place)
        key = f"{signature.kind} {signature.expression.pattern}"
        if not signature.checks[0].log_within:
            self._keep(key, match)
        elif chain is not None:
            self._keep_within(key, match, chain)

    def _keep_within(self, key: str, match: Match, chain: int) -> None:
        """Keep a line that counts only in a traceback that holds another one, once that one has come."""
        id = match.checks[0].id
        waiting = self._pending.setdefault(chain, [])
        if match.kind == "within":
            self._within.setdefault(chain, set()).add(id)
            for earlier in [item for item in waiting if item[1].checks[0].id == id]:
                waiting.remove(earlier)
                self._keep(*earlier)
        elif id in self._within.get(chain, ()):
            self._keep(key, match)
        elif len(waiting) < MOST_PENDING:
            waiting.append((key, match))
        while len(self._pending) > MOST_CHAINS:
            oldest = next(iter(self._pending))
            del self._pending[oldest]
            self._within.pop(oldest, None)

    def _keep(self, key: str, match: Match) -> None:
        kept = self._matches.setdefault((key, match.place), [])
        if len(kept) < MOST_PER_PLACE:
            kept.append(match)
        if len(self._matches) > MOST_MATCHES:
            self._forget_matches()

    def _forget_matches(self) -> None:
        """Drop what is neither among the latest nor the first of its kind."""
        first: set[str] = set()
        left: dict[tuple[str, Place], list[Match]] = {}
        total = len(self._matches)
        for number, (key, found) in enumerate(self._matches.items()):
            if key[0] not in first or number > total - MOST_MATCHES // 2:
                left[key] = found
                first.add(key[0])
        self._matches = left

    def _harvest(self) -> None:
        for chain in self._tracebacks.finished:
            order, place = self._begun.get(chain.number, (self._order, self.tracker.place))
            self._chains.setdefault(chain.number, Kept(order, self._sources[-1], chain, place))
        self._tracebacks.finished.clear()
        if len(self._chains) > MOST_CHAINS:
            self._forget_chains()

    def _forget_chains(self) -> None:
        """Drop chains that say the same at the same moment; of what is left, the middle."""
        left: dict[object, Kept] = {}
        for kept in self._chains.values():
            said = tuple((raised.type, re.sub(r"\d", "", raised.message)) for raised in kept.chain.raised)
            left.setdefault((kept.place, said), kept)
        chains = list(left.values())
        if len(chains) > MOST_CHAINS // 2:
            chains = chains[: MOST_CHAINS // 6] + chains[-MOST_CHAINS // 3 :]
        self._chains = {kept.chain.number: kept for kept in chains}
        numbers = set(self._chains)
        self._begun = {number: begun for number, begun in self._begun.items() if number in numbers}

    def _keep_last(self, lines: Sequence[bytes], numbers: Sequence[int]) -> None:
        last = islice(
            ((line, number) for line, number in zip(reversed(lines), reversed(numbers), strict=True) if line.strip()), 6
        )
        for line, number in reversed(list(last)):
            self._last.append(Quote(self._sources[-1], number, _shown(line)))

    # --- the end ---

    def reading(self, total_epochs: int | None = None) -> Reading:
        """Return what has been found so far."""
        self._close_source()
        matches = sorted((match for found in self._matches.values() for match in found), key=lambda match: match.order)
        return Reading(
            sources=tuple(self._sources),
            matches=tuple(matches),
            chains=tuple(sorted(self._chains.values(), key=lambda kept: kept.order)),
            endings=tuple(self._endings),
            telling=tuple(self._telling),
            last=tuple(self._last),
            tracker=self.tracker,
            course=self.tracker.course(total_epochs),
            facts=self.learner.facts(),
            lines=self._order,
            worked=self._worked,
            is_own=self.is_own,
            age=self.age,
            stamp=next((found.group(1) for quote in reversed(self._last) if (found := _STAMP.search(quote.text))), ""),
        )


def _shown(line: bytes) -> str:
    return line[: 4 * SHOWN].decode("utf-8", "replace").rstrip()[:SHOWN]


def ended_by(found: re.Match[str]) -> tuple[int | None, str | None]:
    """Return code and signal of a match of ``ENDING``; 128 + n and -n stand for signal n."""
    groups = {name: value for name, value in found.groupdict().items() if value}
    if "oom" in groups:
        return 137, "SIGKILL"
    for name in ("died", "name", "elastic"):
        if name in groups:
            return None, groups[name]
    for name in ("word", "by"):
        if name in groups:
            return None, _WORDS[groups[name].lower()]
    if "signal" in groups:
        return None, _SIGNALS.get(int(groups["signal"]))
    code = int(next(iter(groups.values())))
    number = -code if -64 <= code < 0 else code - 128 if 128 < code < 192 else 0
    return code, _SIGNALS.get(number)


def fails(text: str) -> bool:
    """Say whether a line that is no traceback says for certain that something ended."""
    return bool(_FAILS.search(text))
