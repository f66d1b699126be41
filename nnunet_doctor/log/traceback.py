"""Tracebacks as records: what was raised where, by which process, and what led to it.

Python prints what was raised first at the top of a chain; a worker's error that is handed on to another process stands
inside the text of the error there. ``Chain.raised`` is in the order of causes in both cases.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class Frame(NamedTuple):
    """One step of a traceback."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Raised:
    """One exception with the way to it.

    Attributes:
        type: Its class as printed, with its module; empty where the end is cut off.
        message: The first lines of what it says.
        line: Number of the line that names it in the log.
        first: Number of the first line of its traceback.
        frames: The last steps, the innermost last.
        heading: What was printed over it, such as "Exception in thread Thread-2 (results_loop):".
    """

    type: str
    message: str
    line: int
    first: int
    frames: tuple[Frame, ...] = ()
    heading: str = ""

    @property
    def name(self) -> str:
        """The class without its module."""
        return self.type.rpartition(".")[2]


@dataclass
class Chain:
    """Exceptions of which each led to the next; the first is what started it.

    Attributes:
        number: Names the chain among those of a log.
        stream: The process that printed it, as far as its lines tell.
        raised: What was raised, in the order of causes.
    """

    number: int
    stream: str
    raised: list[Raised] = field(default_factory=list)


@dataclass
class _Open:
    """A traceback that is being read."""

    chain: Chain
    first: int
    indent: int
    heading: str
    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=MOST_FRAMES))
    waiting: int = 1
    noise: int = 0
    type: str = ""
    message: list[str] = field(default_factory=list)
    line: int = 0
    is_notebook: bool = False
    is_stamped: bool = False
    expects_code: bool = False
    place: int | None = None
    """Where in the chain it goes; None for its end."""
    over: _Open | None = None
    """A traceback without an end yet, over which this one was begun: two processes print at once."""


MOST_FRAMES = 30
MOST_NOISE = 40
MOST_MESSAGE = 60
KEPT_MESSAGE = 6

_HEADER = re.compile(r"Traceback \(most recent call last\)(?P<colon>:?)\s*$")
_NOTEBOOK_HEADER = re.compile(r"^(?P<type>[A-Za-z_][\w.]*) {2,}Traceback \(most recent call last\)\s*$")
_FRAME = re.compile(
    r'^(?P<indent>\s*)File "(?P<file>[^"]{1,1000})", line (?P<line>\d{1,9})(?:, in (?P<function>.{1,200}))?'
)
_NOTEBOOK_FRAME = re.compile(r"^(?:File|Cell|Input) .{1,400}(?:, line (?P<line>\d{1,9})|:(?P<number>\d{1,9}))")
_RAISED = re.compile(r"^(?P<type>[A-Za-z_]\w{0,80}(?:\.[A-Za-z_<]\w{0,80}>?){0,8})(?P<rest>: .*|:)?\s*$")
_ORPHAN = re.compile(
    r"^(?P<type>(?:[A-Za-z_]\w{0,80}\.){0,8}[A-Z]\w{0,80}(?:Error|Exception|Interrupt|Exit|Failed|Killed|BrokenProcessPool))"
    r"(?P<rest>: .*|:)?\s*$"
)
_LINK = re.compile(
    r"^\s*(?:During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception)"
)
_HEADING = re.compile(
    r"^(?:Exception in (?:thread|background worker|user code)|Exception ignored in|Process \S{1,60}:|-- Process \d"
    r"|Error in |Caught .{1,80} in |multiprocessing\.pool\.RemoteTraceback|.{0,40}_RemoteTraceback)"
)
_WRAPPER = re.compile(
    r"Caught \w{1,80} in |-- Process \d{1,6} terminated with the following error|^Original Traceback"
    r"|ProcessRaisedException|RemoteTraceback"
)
_GROUP = re.compile(r"^(?P<indent> {1,40})(?:\| ?|\+ (?=Exception Group))")
_GROUP_RULE = re.compile(r"^ {1,40}\+[-+]{2,80}(?: (?:\d{1,4}|\.\.\.) )?-*\s*$")
_ENDS_MESSAGE = re.compile(
    r"^(?:slurmstepd|srun|sbatch|scancel|Killed|Terminated|Aborted|Segmentation fault|\^C|rc=|W\d{4} |Exception in"
    r"|Exception ignored|Process \S{1,60}:$|Epoch \d|Using device|##########|real\t|user\t|sys\t|--- std"
    r"|.{0,200}: line \d{1,6}: {1,8}\d{1,10} |.{0,200}(?:\(core dumped\)|exit(?:ed)? (?:with )?(?:code|status)))"
)


class Tracebacks:
    """Reads lines one by one and knows, of each, the chain of exceptions that it belongs to.

    Attributes:
        finished: Chains that have grown since they were last looked at; the reader takes them out.
    """

    def __init__(self) -> None:
        """Begin outside of any traceback."""
        self._open: dict[str, _Open] = {}
        self._linking: dict[str, Chain] = {}
        self._after: dict[str, tuple[int, str]] = {}
        self._groups: dict[str, tuple[int, Chain]] = {}
        self._count = 0
        self.finished: list[Chain] = []

    @property
    def is_inside(self) -> bool:
        """Whether lines that come next may belong to a traceback, whatever they look like."""
        return bool(self._open) or bool(self._linking)

    def names(self, number: int, stream: str) -> bool:
        """Say whether a line that was just read names the exception of a traceback that is open."""
        current = self._open.get(stream)
        return current is not None and bool(current.type) and current.line == number

    @property
    def is_linking(self) -> bool:
        """Whether the next traceback belongs to the last one."""
        return bool(self._linking)

    def take(self, number: int, stream: str, text: str, *, stamped: bool = False) -> int | None:
        """Read one line, without what others put in front of it.

        Args:
            number: Its number in the log.
            stream: The process that printed it.
            text: The line.
            stamped: Whether a time stamp stood in front; those of nnU-Net end the message of an exception.

        Returns:
            The number of the chain that the line belongs to; None when it belongs to none.
        """
        if "|" in text or "+" in text:
            if _GROUP_RULE.match(text):
                return self._number_of(stream)
            text = _GROUP.sub(r"\g<indent>", text)
        if "Traceback" in text and (header := _HEADER.search(text)):
            return self._begin(number, stream, text, header, stamped=stamped)
        current = self._open.get(stream)
        if "above exception" in text and _LINK.match(text):
            return self._link(stream)
        frame = _FRAME.match(text) if 'File "' in text else None
        if current is None:
            return self._outside(number, stream, text, frame, stamped=stamped)
        if current.type:
            return self._in_message(current, number, stream, text, frame, stamped=stamped)
        return self._in_frames(current, number, stream, text, frame)

    def end(self) -> None:
        """Close what is still open: the log is cut off there."""
        for stream in list(self._open):
            self._close(stream)

    # --- the states of one stream ---

    def _begin(self, number: int, stream: str, text: str, header: re.Match[str], *, stamped: bool) -> int:
        current = self._open.get(stream)
        indent = len(text) - len(text.lstrip())
        if current is not None and not current.type and not current.frames and not current.is_notebook:
            current.waiting += 1  # two processes print at once
            return current.chain.number
        chain: Chain | None = self._linking.pop(stream, None)
        place: int | None = None
        over: _Open | None = None
        if current is not None:
            said = " ".join([current.type, *current.message[-3:], text[: header.start()]])
            over = None if current.type else current
            self._close(stream)
            if current.type and _WRAPPER.search(said):
                chain, place = current.chain, len(current.chain.raised) - 1
        group = self._groups.get(stream)
        if group and indent > group[0]:
            chain, place = group[1], len(group[1].raised) - 1
        elif group:
            del self._groups[stream]
        chain = chain or self._new_chain(stream)
        notebook = not header["colon"] and _NOTEBOOK_HEADER.match(text) is not None
        heading = self._heading(number, stream, text[: header.start()])
        self._open[stream] = _Open(
            chain, number, indent, heading, place=place, is_notebook=notebook, is_stamped=stamped, over=over
        )
        return chain.number

    def _heading(self, number: int, stream: str, before: str) -> str:
        last, said = self._after.pop(stream, (0, ""))
        return said if said and number - last <= 3 else before.strip() if _HEADING.match(before.strip()) else ""

    def _outside(
        self, number: int, stream: str, text: str, frame: re.Match[str] | None, *, stamped: bool
    ) -> int | None:
        if frame:  # the head of the log is cut off
            chain = self._linked_chain(stream)
            self._open[stream] = opened = _Open(
                chain, number, max(0, len(frame["indent"]) - 2), "", is_stamped=stamped, expects_code=True
            )
            opened.frames.append(_frame(frame))
            return chain.number
        if _HEADING.match(text):
            self._after[stream] = (number, text.strip()[:200])
            return None
        found = _ORPHAN.match(text)
        if found:
            chain = self._linked_chain(stream)
            self._open[stream] = opened = _Open(chain, number, 0, self._heading(number, stream, ""), is_stamped=stamped)
            self._name(opened, number, found)
            return chain.number
        if text.strip() and stream in self._linking:
            del self._linking[stream]
        return None

    def _in_frames(
        self, current: _Open, number: int, stream: str, text: str, frame: re.Match[str] | None
    ) -> int | None:
        expects_code, current.expects_code = current.expects_code, False
        if frame:
            current.frames.append(_frame(frame))
            current.noise, current.expects_code = 0, True
            return current.chain.number
        if current.is_notebook and (found := _NOTEBOOK_FRAME.match(text)):
            current.frames.append(Frame(text.strip()[:200], int(found["line"] or found["number"]), ""))
            current.noise = 0
            return current.chain.number
        indent = len(text) - len(text.lstrip())
        if not text.strip() or indent > current.indent:
            return current.chain.number
        found = _RAISED.match(text.lstrip())
        if found and current.over and not current.frames and _is_exception(found, named=True):
            return self._name_over(current, current.over, number, found)
        if found and _is_exception(found, named=bool(current.frames)):
            self._name(current, number, found)
            return current.chain.number
        if expects_code:  # its indentation was lost
            return current.chain.number
        current.noise += 1
        if current.noise > MOST_NOISE:
            self._close(stream)
        return None

    def _in_message(
        self, current: _Open, number: int, stream: str, text: str, frame: re.Match[str] | None, *, stamped: bool
    ) -> int | None:
        if frame and len(frame["indent"]) <= current.indent + 2 and current.waiting > 1:
            return current.chain.number
        if current.waiting > 1 and (found := _RAISED.match(text)) and _is_exception(found, named=False):
            self._close(stream)
            other = self._new_chain(stream)
            opened = _Open(other, number, current.indent, "", current.frames, current.waiting - 1)
            self._open[stream] = opened
            self._name(opened, number, found)
            return other.number
        said = len(current.message)
        if (stamped and not current.is_stamped) or said > MOST_MESSAGE or _ENDS_MESSAGE.match(text):
            self._close(stream)
            return self._outside(number, stream, text, frame, stamped=stamped)
        if _HEADING.match(text) and not _WRAPPER.search(text):
            self._close(stream)
            return self._outside(number, stream, text, frame, stamped=stamped)
        if said > 1 and not current.message[-1].strip() and (found := _ORPHAN.match(text)):
            # after an empty line, an exception of its own whose head is not there
            self._close(stream)
            return self._outside(number, stream, text, frame, stamped=stamped)
        current.message.append(text.rstrip()[:500])
        return current.chain.number

    # --- parts ---

    def _name(self, current: _Open, number: int, found: re.Match[str]) -> None:
        current.type, current.line = found["type"], number
        current.message = [(found["rest"] or "").removeprefix(":").strip()[:2000]]
        if found["type"].endswith("Group"):
            self._groups[current.chain.stream] = (current.indent, current.chain)

    def _name_over(self, current: _Open, over: _Open, number: int, found: re.Match[str]) -> int:
        """Name the exception of the traceback over which this one was begun."""
        self._name(over, number, found)
        current.over = None
        cut = next(item for item in reversed(over.chain.raised) if item.first == over.first)
        named = replace(cut, type=over.type, message=over.message[0], line=number)
        over.chain.raised[over.chain.raised.index(cut)] = named
        self.finished.append(over.chain)
        return over.chain.number

    def _link(self, stream: str) -> int | None:
        current = self._open.get(stream)
        if current is None:
            chain = self._linking.get(stream)
            return chain.number if chain else None
        self._close(stream)
        self._linking[stream] = current.chain
        return current.chain.number

    def _close(self, stream: str) -> None:
        current = self._open.pop(stream)
        kept = [part for part in current.message if part.strip(' \t"')][:KEPT_MESSAGE]
        raised = Raised(
            type=current.type,
            message="\n".join(kept),
            line=current.line or current.first,
            first=current.first,
            frames=tuple(current.frames),
            heading=current.heading,
        )
        if current.place is None:
            current.chain.raised.append(raised)
        else:
            current.chain.raised.insert(max(0, current.place), raised)
        self.finished.append(current.chain)

    def _new_chain(self, stream: str) -> Chain:
        self._count += 1
        return Chain(self._count, stream)

    def _linked_chain(self, stream: str) -> Chain:
        linked = self._linking.pop(stream, None)
        return linked or self._new_chain(stream)

    def _number_of(self, stream: str) -> int | None:
        current = self._open.get(stream)
        return current.chain.number if current else None


def _frame(found: re.Match[str]) -> Frame:
    return Frame(found["file"], int(found["line"]), found["function"] or "")


_LOWER_CASE_EXCEPTIONS = ("error", "timeout", "herror", "gaierror", "struct.error")


def _is_exception(found: re.Match[str], *, named: bool) -> bool:
    """Say whether a line names an exception: by its class, and where nothing else is certain, by its ending too."""
    last = found["type"].rpartition(".")[2]
    if last in _LOWER_CASE_EXCEPTIONS:
        return True
    if not last[:1].isupper() and not last.startswith("_"):
        return False
    return named or last.endswith(("Error", "Exception", "Interrupt", "Exit", "Warning", "Failed", "Group"))
