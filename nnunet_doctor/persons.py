"""Where what systems, schedulers and launchers print names a user, a host or a patient. Pure.

The shapes are those of coreutils, sudo, PAM, OpenSSH, procps, Slurm, LSF, Open MPI, NCCL, torch.distributed, syslog
and DICOM tools, as they stand in the logs of clusters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple


class Naming(NamedTuple):
    """A shape of text that names somebody.

    Attributes:
        needle: What a text has that has the shape, so that most texts need no search; empty for no such part.
        pattern: The shape; each of its groups is a name.
    """

    needle: str
    pattern: re.Pattern[str]


_ACCOUNTS = (
    "root|daemon|nobody|nogroup|users|sudo|wheel|video|render|audio|docker|adm|admin|staff|www-data|sys|tty|disk|kvm|"
    "cdrom|dip|plugdev|lxd|lpadmin|sambashare|netdev|input|games|slurm|munge|sshd|messagebus|syslog|systemd-network|"
    "domain users|localhost|localhost.localdomain|administrators|administrator|authority|builtin|system|public|"
    "default|guest|none|unknown|n/a|null"
)
_WORDS = (
    "debug|info|warn|warning|error|critical|fatal|trace|notice|success|fail|failed|ok|note|hint|python|host|memory|"
    "device|stream|server|client|kernel|systemd|stdout|stderr|console|terminal|remote|peer|node|master|worker|rank|"
    "buffer|tensor|shape|value|axis|index|size|line|step|iter|iteration|cuda|mps|xpu|autograd|utc|gmt|cet|cest|name|"
    "data|number|position|orientation|age|sex|weight|folder|level|split|list|group|count|comments|files|images|ids"
)
NOBODY = frozenset((*_ACCOUNTS.split("|"), *_WORDS.split("|")))
"""Names that every system has, and words that stand where a name may, in small letters."""

_NAME = r"[^\W\d_][\w.$-]{0,63}"
_HOST = r"(?=[\w.-]*[^\W\d_])\w[\w.-]{0,252}"
_CODE = r"(?:py|pyx|cpp|cc|cxx|cu|cuh|c|h|hpp|go|rs|js|java)"
_OPEN, _CLOSE = "['\"`\u2018\u201c]", "['\"`\u2019\u201d]"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_PROGRAM = r"[A-Za-z][\w./@()-]{0,63}(?:\[\d{1,9}\])?:\s"
_SURNAME = (
    r"(?:\u6b27\u9633|\u53f8\u9a6c|\u4e0a\u5b98|\u8bf8\u845b|\u590f\u4faf|\u7687\u752b|\u6155\u5bb9|\u4ee4\u72d0"
    r"|[\u738b\u674e\u5f20\u5218\u9648\u6768\u8d75\u9ec4\u5468\u5434\u5f90\u5b59\u80e1\u6731\u6797\u4f55\u90ed\u9a6c"
    r"\u7f57\u6881\u5b8b\u90d1\u8c22\u97e9\u5510\u51af\u8463\u8427\u66f9\u8881\u9093\u5085\u6c88\u66fe\u5f6d\u5415"
    r"\u82cf\u5362\u848b\u8521\u8d3e\u4e01\u9b4f\u859b\u53f6\u960e\u6f58\u675c\u6234\u590f\u949f\u6c6a\u7530\u59dc"
    r"\u8303\u77f3\u59da\u8c2d\u5ed6\u90b9\u718a\u9646\u90dd\u5b54\u5d14\u5eb7\u90b1\u79e6\u987e\u4faf\u90b5\u5b5f"
    r"\u9f99\u6bb5\u94b1\u6c64\u9ece\u4e54\u9f9a])"
)
"""The most frequent surnames but for those that begin common words."""
_BEHIND = (
    "[\u7684\u4e4b\u5728\u4e8e\u5df2\u672a\u65e0\u6709\u88ab\u56e0\u4e3a\u662f\u548c\u4e0e\u53ca\u5c06\u4e0d\u6ca1"
    "\u505a\u4ece\u56fe\u5f71\u6570\u6807\u6587\u68c0\u7b2c\u4f4f\u51fa\u5165\u63a5\u62cd\u7537\u5973]"
)
"""Letters that mostly stand behind a name."""

_CALLED = (
    # --- users of a domain, and computers as Windows calls them by itself ---
    (
        "\\",
        (
            r"(?<![\w\\./:-])(?!(?:NT|AUTHORITY|BUILTIN|ERROR|WARNING|INFO|DEBUG|FAIL)\\)"
            r"([A-Z][A-Z0-9-]{1,14})\\{1,2}(?![nrt][A-Z])([A-Za-z][\w.-]{0,63})(?![\w\\])"
        ),
    ),
    (
        "\\",
        rf"\b(?:[Uu]ser|[Aa]ccount|[Oo]wner|[Ll]ogin|\u7528\u6237)\W{{1,4}}([A-Za-z][\w.-]{{0,63}})\\{{1,2}}({_NAME})",
    ),
    ("-", r"(?<![\w-])(?:DESKTOP|LAPTOP|WIN)-([A-Z0-9]{7,11})(?![\w-])"),
    # --- files and accounts ---
    ("id=", rf"\b(?:[ug]id|e[ug]id)=\d{{1,10}}\(({_NAME})\)"),
    ("id: (", rf"\b[UG]id: \( {{0,10}}\d{{1,10}}/ {{0,10}}({_NAME})\)"),
    (
        "r",
        rf"(?<![\w-])[-dlcbps](?:[r-][w-][xsStT-]){{3}}[.+@]? {{1,10}}\d{{1,9}} {{1,10}}({_NAME}|\d+) +({_NAME}|\d+)",
    ),
    ("invalid ", rf"\binvalid (?:user|group|spec):? {_OPEN}?({_NAME}|\d+)(?:[:.]({_NAME}|\d+))?"),
    ("no such ", rf"{_OPEN}({_NAME}){_CLOSE}: no such (?:user|group)"),
    ("does not exist", rf"\b(?:[Uu]ser|[Gg]roup|[Aa]ccount) {_OPEN}?({_NAME}){_CLOSE}? does not exist"),
    ("nam(", rf"\bget(?:pw|gr)nam\({_OPEN}?({_NAME})"),
    # --- logins ---
    ("sudo", rf"\bsudo(?:\[\d{{1,9}}\])?: {{1,10}}({_NAME}) +:"),
    ("password for ", rf"\bpassword for (?:invalid user |user )?{_OPEN}?({_NAME})(?={_CLOSE}?(?::|@| from\b|$))"),
    ("in the sudoers", rf"(?<![\w.-])({_NAME}) is not in the sudoers"),
    ("Accepted ", rf"\bAccepted [\w/-]{{1,40}} for ({_NAME}) from"),
    ("session ", rf"\bsession (?:opened|closed) for user ({_NAME})"),
    ("ser ", rf"\b(?:[Ii]nvalid|[Ii]llegal|[Aa]uthenticating|[Uu]nknown) user ({_NAME})"),
    # --- processes and their users ---
    (
        "%",
        rf"(?m)(?<![\w.-])({_NAME})\(\d{{1,7}}M\)",
    ),
    (
        ":",
        rf"(?m)^({_NAME}) +\d{{1,9}} +\d{{1,4}}\.\d +\d{{1,3}}\.\d +\d+ +\d+ +(?:\?|pts/\d+|tty\w+) ",
    ),
    (":", rf"(?m)^ *\d{{1,9}} ({_NAME}) +(?:-?\d{{1,3}}|rt) +-?\d{{1,2}} +\S+ +\S+ +\S+ [RSDZTI] "),
    ("/", rf"(?m)^({_NAME}) +(?:pts/\d+|tty\w+|:\d) +"),
    ("", rf"(?m)^ *\d+(?:_\d+)? +[\w.*-]+ +\S+ +({_NAME}) +(?:R|PD|CG|CD|F|ST) +[\d:-]+ +\d+ +(?!\()({_HOST})?"),
    # --- schedulers ---
    (
        "=",
        (
            r"\b(?:UserId|GroupId|Account|MailUser|BatchHost|SubmitHost|AllocNode:Sid|(?:Req|Exc)?NodeList|NodeHostName)"
            r"=([\w.,@\[\]-]+)"
        ),
    ),
    ("slurmstepd-", rf"\bslurmstepd-({_HOST}):"),
    ("<", rf"\b(?:user|cluster|host(?:\(s\))?) <(?:\d+\*)?({_HOST})>"),
    # --- connections ---
    ("onnection ", rf"\bConnection (?:to|from|with) ({_HOST}) (?:closed|timed out|refused|lost|reset|port)\b"),
    ("onnection ", rf"\bConnection (?:closed|reset) by ({_HOST}) port\b"),
    ("host", rf"\b(?:connect to host|resolve host(?:name)?) ({_HOST})"),
    # --- launchers ---
    (
        "[",
        (
            rf"\[(?!(?:rank|gpu|cuda|worker|fold|\w{{0,40}}[Ww]orker|\w{{0,40}}[Pp]rocess|\w{{0,40}}[Tt]hread)-?\d*:)"
            rf"(?![\w.-]{{1,200}}\.{_CODE}:)({_HOST}):\d{{2,7}}\]"
        ),
    ),
    ("on node ", rf"\bon node ({_HOST})"),
    (" NCCL ", rf"(?<![\w.:-])({_HOST}):\d{{1,7}}:\d{{1,7}} \[\d{{1,3}}\] NCCL "),
    (" to [", rf"\bto \[({_HOST})\]:\d"),
    ("addresses of (", rf"\baddresses of \(({_HOST}), \d"),
    ("host", rf"(?m)^ *host {{1,20}}: ({_HOST})"),
    # --- syslog ---
    (":", rf"\b{_MONTH} {{1,2}}\d{{1,2}} \d\d:\d\d:\d\d ({_HOST}) {_PROGRAM}"),
    ("T", rf"\b\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.,:+Z-]{{0,16}} ({_HOST}) {_PROGRAM}"),
    # --- patients ---
    ("^", r"(?<![\w^])([^\W\d_a-z][^\W_]{1,60}\^[^\W\d_][\w^-]{0,120})"),
    (". ", r"\b(?:Dr|Prof|Mr|Mrs|Ms)\. (?:med\. )?([^\W\d_a-z][\w'-]{1,60})"),
    ("r", r"\b(?:Herrn?|Frau) ([^\W\d_a-z][\w'-]{2,60})"),
    ("patient ", r"\bpatient ([A-Z][a-z'-]{2,60})(?:,? ([A-Z][a-z'-]{1,60}))?(?!\w)"),
    (
        "",
        (
            rf"(?:\u60a3\u8005|\u75c5\u4eba|\u53d7\u68c0\u8005|\u53d7\u8bd5\u8005|\u59d3\u540d)\s?[:\uff1a]?\s?"
            rf"({_SURNAME}(?:[\u4e00-\u9fff]{{1,2}}?(?={_BEHIND}|[^\u4e00-\u9fff]|$)|[\u4e00-\u9fff]{{2}}))"
        ),
    ),
)
NAMINGS = tuple(Naming(needle, re.compile(pattern)) for needle, pattern in _CALLED)

_GROUPS = re.compile(r"\bgroups=\d{1,10}\([^)\n]{1,100}\)(?:,\d{1,10}\([^)\n]{1,100}\))*")
_IN_BRACKETS = re.compile(r"(?<=\()[^()]+(?=\))")


def without(text: str, replaced: Callable[[str], str]) -> str:
    """Return a text in which every name that is found is replaced.

    Args:
        text: What a program has printed.
        replaced: Gives what stands for a name; called for those of NOBODY too.
    """

    def rebuilt(found: re.Match[str]) -> str:
        parts, done = [], found.start()
        for start, end in sorted(span for span in map(found.span, range(1, found.re.groups + 1)) if span[0] >= 0):
            parts += [found.string[done:start], replaced(found.string[start:end])]
            done = end
        return "".join([*parts, found.string[done : found.end()]])

    for needle, pattern in NAMINGS:
        if needle in text:
            text = pattern.sub(rebuilt, text)
    if "groups=" in text:
        text = _GROUPS.sub(lambda found: _IN_BRACKETS.sub(lambda name: replaced(name[0]), found[0]), text)
    return text
