"""Takes names and paths out of facts and texts before anything is shared. Pure.

What checks decide by stays: a path is replaced by one of the same kind, piece by piece. Separators, drives,
punctuation, blanks, endings, length and the kind of each letter stay, and so does whether an encoding of the machine
knows it; the same piece becomes the same piece everywhere, so that what was below a folder still is. Pieces that
everybody has (``home``, ``site-packages``, ``nnUNet_raw``) and what lies inside installed packages are kept.
Replacements are counted in the order in which names appear and are no hashes, which a list of patients would open.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nnunet_doctor import persons
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Observed, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.facts.record import AREAS

PATHS = frozenset(
    (
        *("python.executable", "python.prefix", "python.headers_folder", "python.uv", "python.conda"),
        *("platform.inductor_cache", "platform.wsl_linux_driver"),
        *("triton.c_compiler", "triton.cpp_compiler", "triton.cache", "triton.own_cache"),
        *("nnunet.location", "nnunet.command", "nnunet.script", "nnunet.shadowed", "nnunet.trainer_file"),
        *(f"paths.{folder}{real}" for folder in ("raw", "preprocessed", "results") for real in ("", "_real")),
        *("resources.tmp", "dataset.requested", "dataset.name", "dataset.folder", "dataset.present"),
        *("dataset.predict_input", "dataset.model", "preprocessed.folder", "preprocessed.data_folder"),
        *("preprocessed.other_dataset", "training.pretrained", "training.folder", "training.stage_folder"),
    )
)
"""Facts that are a path or a name, whatever they look like."""

OF_FILES = ("dataset", "preprocessed", "training")
"""Areas whose lists are about files and cases."""

NOT_OF_FILES = frozenset(
    (
        *(f"dataset.json_{noun}" for noun in ("missing_keys", "type", "key_missing", "duplicate_key", "channel_keys")),
        *(f"dataset.json_{noun}" for noun in ("labels", "regions", "reader")),
        *("dataset.class_never_occurs", "dataset.channel_normalisation", "dataset.num_training"),
        *("preprocessed.configuration_faults", "preprocessed.json_changed", "preprocessed.split_faults"),
        *("preprocessed.next_lacking", "training.weights_misfit", "training.patch_unfit"),
    )
)
"""Lists of these areas that are about keys, labels and parts of a network."""

_PUBLIC_WORDS = (
    "home|users|user|root|usr|bin|sbin|lib|lib64|opt|local|share|etc|var|tmp|temp|private|dev|shm|proc|sys|"
    "run|media|mnt|volumes|library|frameworks|python.framework|versions|applications|system|data|datasets|"
    "scratch|work|workspace|project|projects|storage|nfs|gpfs|lustre|content|drive|mydrive|kaggle|input|"
    "working|output|outputs|app|apps|code|src|repo|repos|git|github|documents|desktop|downloads|onedrive|"
    "dropbox|icloud|appdata|roaming|programs|python|software|programdata|packages|localcache|windows|system32|"
    "wsl$|wsl.localhost|ubuntu|debian|runner|runneradmin|jovyan|hostedtoolcache|toolcache|x64|x86|x86_64|"
    "arm64|amd64|venv|.venv|venvs|env|.env|envs|virtualenvs|conda|.conda|miniconda3|miniforge3|anaconda3|"
    "mambaforge|micromamba|miniconda|miniforge|anaconda|mamba|homebrew|cellar|pipx|.local|.cache|.pyenv|pyenv|"
    ".triton|triton|cache|inductor|uv|tools|tool|scripts|include|site-packages|dist-packages|nnunet|nnunetv2|"
    "nnunet_v2|nnunet-v2|torch|cuda|cudnn|nvidia|docker|podman|slurm|linux|macos|gcc|clang|error|memory|"
    "training|train|predict|model|models|results|result|raw|preprocessed|imagestr|labelstr|imagests|labelsts|"
    "gt_segmentations|validation|predicted_next_stage|dataset.json|plans.json|splits_final.json|"
    "dataset_fingerprint.json|folders|t|d|c|job|jobs|python3|python.exe|nnunetv2_train|nnunetv2_train.exe|"
    "cl.exe|libcuda.so.1|seg|segmentation|segmentations|image|images|label|labels|mask|masks|case|cases|loss|"
    "epoch|epochs|network|net|dice|val|test|tests|batch|patch|fold|folds|plan|plans|config|configs|"
    "configuration|log|logs|main|utils|module|modules|device|gpu|cpu|dataset|experiments|experiment|script|"
    "file|files|path|paths|\u6570\u636e|\u6570\u636e\u96c6|\u6587\u4ef6|\u7528\u6237|\u684c\u9762|"
    "\u6587\u6863|\u4e0b\u8f7d|\u56fe\u50cf|\u7cfb\u7edf|hostx64|msvc|vc|mic-dkfz|pytorch|issues|weights|"
    "checkpoint|checkpoints|postprocessing|preprocessing|inference|__init__"
)
_PUBLIC = frozenset(_PUBLIC_WORDS.split("|"))
"""Names that everybody has, in small letters."""

_PUBLIC_PIECE = re.compile(
    r"""(?ix) [a-z]: | \.{1,2} | \$\{?\w+\}? | %\w+% | \d{1,2} | python[\d.]*t?(\.exe)?
    | c?python-[\w.-]+ | v?\d+(\.\d+)+[\w.+-]* | cuda-?[\d.]* | (x86_64|aarch64)-[\w-]+(-(cc|c\+\+|gcc|g\+\+))?
    | (gcc|g\+\+|clang(\+\+)?)(-\d+)?
    | lib\w+\.so[\d.]* | (conda|mamba|micromamba|uv|pip|nnunetv2_\w+)(\.exe)? | program\ files(\ \(x86\))?
    | microsoft\ visual\ studio | nnunet_(raw|preprocessed|results)(_data_base)? | nnunet\w*trainer\w*(\.py)?
    | nnunet\w*plan(s|ner)\w*(\.json)? | \w*nnunetplans_\w+ | fold_(\d+|all) | (2d|3d_\w*res|3d_cascade_fullres)
    | torch_\d+(_\d+)* | (nccl|pymp)-\w+ | pythonsoftwarefoundation\.python\.[\w.]+ | progress\.png
    | model_final_checkpoint\.model(\.pkl)? | (summary|inference_\w+)\.json | crossval_results_folds_\w+
    | (u-?mamba|lightm-unet|swin-umamba|nextou|nnformer|mednext)(-main|-master)?
    | checkpoint_(final|best|latest)\.pth | training_log\w*\.txt | nnunet_doctor_[\d_-]+\.log | debug\.json
    """
)
_ENDING = re.compile(
    r"""(?ix) (_\d{4})? \.(nii(\.gz)? | nrrd | mh[ad] | tiff? | png | bmp | jpe?g | gipl(\.gz)? | dcm | json | pkl | npz
    | npy | b2nd | pth | toml | txt | log | csv | exe | py | so | dll) $"""
)
_OF_CASE = re.compile(r"(?i)(_\d{4})?\.(nii(\.gz)?|nrrd|mh[ad]|tiff?|png|bmp|gipl(\.gz)?|dcm|npz|b2nd)")
_NO_BLANKS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Letters of scripts that set no blanks between words."""

_LETTER = r"[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_COLOUR = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
_TOKEN = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*")
MOST_SEARCHED = 300
MOST_LIKE_A_WORD = 3
"""Letters of a name that may well be a word."""
_KEPT_HEAD = re.compile(r"(?i)dataset\d{3}_|task\d{2,3}_|torchinductor_|~")
_OF_THE_SYSTEM = re.compile(r"/(proc|sys|etc|dev(?!/shm/.)|bin|sbin|lib|usr/(bin|sbin|lib|lib64|include|share))(/|$)")
_INSTALLED = frozenset({"site-packages", "dist-packages", "nnunetv2"})

_LETTERS = {
    "lower": "xabcdefghijklmnopqrstuvwyz",
    "upper": "XABCDEFGHIJKLMNOPQRSTUVWYZ",
    "digit": "0123456789",
    "CJK": "\u67d0\u7532\u4e59\u4e19\u4e01\u620a\u5df1\u5e9a\u8f9b\u58ec\u7678\u5b50\u4e11\u5bc5\u536f\u8fb0",
    "HIRAGANA": "\u3042\u3044\u3046\u3048\u304a\u304b\u304d\u304f\u3051\u3053",
    "KATAKANA": "\u30a2\u30a4\u30a6\u30a8\u30aa\u30ab\u30ad\u30af\u30b1\u30b3",
    "HANGUL": "\uac00\ub098\ub2e4\ub77c\ub9c8\ubc14\uc0ac\uc544\uc790\ucc28",
    "CYRILLIC": "\u0436\u0430\u0431\u0432\u0433\u0434\u0435\u0437\u0438\u043a",
    "GREEK": "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b6\u03b7\u03b8\u03b9\u03ba",
    "LATIN": "\u00e9\u00e8\u00e0\u00f9\u00ea\u00e4\u00f6\u00fc\u00e7\u00f1\u0159\u0161\u017e\u0142\u0144\u0131\u015f",
    "other": "\U0001f600\U0001f601\U0001f602\U0001f603\U0001f604\U0001f605\U0001f606\U0001f607",
}
"""What letters are replaced by, in the order of counting."""


class Redactor:
    """Replaces names and paths, one and the same always by one and the same.

    Args:
        encodings: Encodings of the machine; a letter that one of them lacks is replaced by another that it lacks.
        names: Names to take out of texts wherever they stand, such as those of the user and the host.
    """

    def __init__(self, encodings: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        """Know the names that are given."""
        self._encodings = tuple(dict.fromkeys(encodings))
        self._alphabets: dict[tuple[str, tuple[bool, ...]], str] = {}
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._of_people: dict[str, str] = {}
        self._without_blanks: dict[str, list[str]] = {}
        self._odd: list[str] = []
        self._searched: dict[str, None] = {}
        self._learns = True
        self._told: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        for name in names:
            self.know(name)

    # --- names and paths ---

    def know(self, name: str) -> None:
        """Take a name of a user or a host out of all texts from now on, in whatever case, unless everybody has it."""
        if len(name) > 1 and not _is_public(name):
            self._of_people.setdefault(name.lower(), self._replaced(name))
            self._search(name)

    def path(self, text: str) -> str:
        """Return a path, or a single name, of the same kind."""
        if "://" in text:
            return _URL.sub(self._url, text)
        if _OF_THE_SYSTEM.match(text):
            return text
        parts = re.split(r"([\\/]+)", text)
        found = []
        inside = False
        for number, part in enumerate(parts):
            if number % 2 or inside or not part:
                found.append(part)
                continue
            above = parts[number - 2] if number > 1 else ""
            if above.lower() in ("home", "users"):
                self.know(part)
            found.append(self.piece(part))
            inside = part in _INSTALLED or bool(above == "lib" and re.fullmatch(r"python3\.\d+t?", part))
        return "".join(found)

    def piece(self, piece: str) -> str:
        """Return the name of a file or folder of the same kind: endings, channel numbers and dataset ids stay."""
        bare = piece.strip(" \"'")
        if _is_public(bare):
            return piece
        head = _KEPT_HEAD.match(piece)
        start = head.end() if head else 0
        ending = _ENDING.search(piece, start)
        end = ending.start() if ending else len(piece)
        stem = piece[start:end]
        # a file that takes the place of a module is told by its name
        is_kept = _is_public(stem) or (piece.endswith(".py") and stem in sys.stdlib_module_names)
        if is_kept:
            return piece
        if self._learns or (ending and _OF_CASE.fullmatch(ending[0])):
            self._search(stem)
        return piece[:start] + self._replaced(stem) + piece[end:]

    def _search(self, name: str) -> None:
        """Look for a name in all texts from now on."""
        if name not in self._searched:
            self._searched[name] = None
            self._pattern = None
            self._told.clear()
            if len(name) > 1 and _NO_BLANKS.match(name):
                self._without_blanks.setdefault(name[0], []).append(name)
            if _ENDS_A_PATH.search(name) and len(self._odd) < MOST_SEARCHED:
                self._odd.append(name)

    def _path_of_text(self, path: str) -> str:
        """Return a path of the same kind; the folders of a log are no words that it may not say."""
        self._learns = False
        try:
            return self.path(path)
        finally:
            self._learns = True

    def _replaced(self, stem: str) -> str:
        if stem not in self._names:
            alphabets = [self._alphabet(char) for char in stem]
            alike = "".join(alphabet[:1] or char for char, alphabet in zip(stem, alphabets, strict=True))
            rest = self._counts.get(alike, 0)
            self._counts[alike] = rest + 1
            letters = list(stem)
            for at in reversed([at for at, alphabet in enumerate(alphabets) if alphabet]):
                rest, digit = divmod(rest, len(alphabets[at]))
                letters[at] = alphabets[at][digit]
            self._names[stem] = "".join(letters)
        return self._names[stem]

    def _alphabet(self, char: str) -> str:
        """Return the letters that one may be replaced by; none for what says nothing: blanks, punctuation, accents."""
        kind = _kind(char)
        if kind is None:
            return ""
        if char.isascii():
            return _LETTERS[kind]
        profile = self._profile(char)
        if (kind, profile) not in self._alphabets:
            every = "".join(letters for name, letters in _LETTERS.items() if name not in ("lower", "upper", "digit"))
            alike = [letter for letter in _LETTERS[kind] if self._profile(letter) == profile]
            alike = alike or [letter for letter in every if self._profile(letter) == profile]
            self._alphabets[kind, profile] = "".join(alike) or char
        return self._alphabets[kind, profile]

    def _profile(self, char: str) -> tuple[bool, ...]:
        return tuple(_can_encode(char, encoding) for encoding in self._encodings)

    # --- texts ---

    def text(self, text: str) -> str:
        """Return a text without tokens, addresses, paths, names of image files, and the names that are known."""
        if text in self._told:
            return self._told[text]
        known = len(self._searched)
        told = self._redacted(text)
        if len(self._searched) == known:  # else what was learnt from it counts from now on
            self._told[text] = told
        return told

    def _redacted(self, text: str) -> str:
        text = _without_secrets(_COLOUR.sub("", text))
        kept: list[str] = []

        def hold(replaced: str) -> str:
            """Keep what is done from what comes next."""
            kept.append(replaced)
            return f"\x00{len(kept) - 1}\x00"

        text = _URL.sub(lambda found: hold(self._url(found)), text)
        for pattern in (_ESCAPED_PATH, _QUOTED_PATH):
            text = pattern.sub(lambda found: found[1] + hold(self._path_of_text(found[2])) + found[1], text)
        for pattern in (_WINDOWS_PATH, _posix_path(self._odd)):
            text = pattern.sub(lambda found: hold(self._path_of_text(found[0])), text)
        if self._odd:
            names = "|".join(map(re.escape, sorted(self._odd, key=len, reverse=True)))
            text = re.sub(rf"(?<!{_LETTER})(?:{names})(?!{_LETTER})", lambda found: hold(self._name(found[0])), text)
        for pattern in (_FILE_OF_CASE, _IMAGE_FILE, _MOUNTED_HOST, _DATASET):
            text = pattern.sub(lambda found: hold(self.path(found[0])), text)
        text = persons.without(text, lambda name: hold(self._person(name)))
        for pattern in _AFTER_A_WORD:
            text = pattern.sub(lambda found: found[1] + hold(self.path(found[2])), text)
        text = _LIST_OF_CASES.sub(
            lambda found: found[1] + _QUOTED.sub(lambda name: hold(self.path(name[0])), found[2]), text
        )
        text = _ADDRESS.sub(lambda found: "git@" if found[1] == "git" else "someone@example.org", text)
        text = _HOST.sub(lambda found: found[0] if _is_public_host(found[0]) else "host.example", text)
        for pattern in (_PRIVATE_NUMBERS, _NUMBERS):
            text = pattern.sub(lambda found: found[0] if _is_no_address(found) else "192.0.2.1", text)
        text = self._without_names(text)
        # what is kept may lie in what is kept
        while "\x00" in text and kept:
            text, count = re.subn(r"\x00(\d+)\x00", lambda found: kept[int(found[1])], text)
            if not count:
                break
        return text

    def _without_names(self, text: str) -> str:
        if self._without_blanks:
            text = self._without_names_between_letters(text)
        if self._pattern is None:
            names = [name for name in self._searched if len(name) > 2 or not name.isascii()]
            # the names of thousands of cases are found as words only
            names = sorted(names[:MOST_SEARCHED], key=len, reverse=True)
            self._pattern = re.compile("|".join(map(self._searched_as, names)) or r"(?!)")
        text = _TOKEN.sub(lambda found: self._name(found[0]) if len(found[0]) > 2 else found[0], text)
        return self._pattern.sub(lambda found: self._name(found[0]), text)

    def _searched_as(self, name: str) -> str:
        """Return what finds a name: that of a person in any case and place, a folder's that is a word as one."""
        if name.lower() in self._of_people:
            return rf"(?<!{_LETTER})(?i:{re.escape(name)})(?!{_LETTER})"
        if re.fullmatch(r"[a-z]+\d*", name):
            return rf"(?<![\w.]){name}(?!\w|\.\w)"
        return rf"(?<!{_LETTER}){re.escape(name)}(?!{_LETTER})"

    def _person(self, name: str) -> str:
        """Replace what a program calls a user, a host or a patient, and know them from now on.

        Short names are replaced where they stand only: somebody called Max does not hide ``max`` in a log.
        """
        if name.lower() in persons.NOBODY or _is_public(name):
            return name
        for part in re.split(r"[\^,\[\] ]+", name):
            if part.lower() not in persons.NOBODY and (len(part) > MOST_LIKE_A_WORD or not part.isascii()):
                self.know(part)
        return self._of_people.get(name.lower()) or self._replaced(name)

    def _name(self, word: str) -> str:
        return self._names[word] if word in self._searched else self._of_people.get(word.lower(), word)

    def _in_code(self, word: str) -> str:
        """Return the name of a function, class or the like without people; parts of it are no names of folders."""
        if word in self._searched or not self._of_people:
            return self._name(word) if word in self._searched else _without_secrets(word)
        people = "|".join(map(re.escape, sorted(self._of_people, key=len, reverse=True)))
        found = re.compile(rf"(?<!{_LETTER})(?i:{people})(?!{_LETTER})")
        return found.sub(lambda name: self._name(name[0]), _without_secrets(word))

    def _without_names_between_letters(self, text: str) -> str:
        """Replace names of scripts that set no blanks between words, wherever they stand."""
        parts, done = [], 0
        for found in re.finditer(f"[{''.join(self._without_blanks)}]", text):
            at = found.start()
            names = self._without_blanks[found[0]] if at >= done else ()
            name = max((name for name in names if text.startswith(name, at)), key=len, default="")
            if name:
                parts += [text[done:at], self._names[name]]
                done = at + len(name)
        return "".join([*parts, text[done:]])

    def value(self, text: str) -> str:
        """Return the value of a variable or the like: a path where all of it is one, else a text."""
        return self.path(text) if is_path(text) else self.text(text)

    def word(self, text: str) -> str:
        """Return a text; one that is a single word, such as a version or a kind, is no name of this machine."""
        return _without_secrets(text) if _WORD.fullmatch(text) else self.value(text)

    def _url(self, found: re.Match[str]) -> str:
        scheme, host, rest = found["scheme"], found["host"], found["rest"].partition("?")[0]
        if scheme.lower().endswith("file"):
            return f"{scheme}://{self._path_of_text(rest)}"
        owner = rest.strip("/").partition("/")[0]
        if _is_public_host(host) and (_is_public(owner) or not host.lower().endswith(_OF_PEOPLE)):
            return f"{scheme}://{host}{rest}"
        # the number of an issue names nobody
        rest = "".join(part if part.isdigit() else self._path_of_text(part) for part in re.split(r"(/)", rest))
        return f"{scheme}://{host if _is_public_host(host) else 'host.example'}{rest}"

    def plain(self, value: Any) -> Any:
        """Return JSON data with every text in it redacted; keys are redacted like texts."""
        if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
            return self._in_code(value)
        if isinstance(value, str):
            return self.value(value)
        if isinstance(value, Mapping):
            return {
                self.plain(str(key)): _REMOVED if _SECRET_NAME.fullmatch(str(key)) else self.plain(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        return value


def is_path(text: str) -> bool:
    """Say whether all of a text is a path."""
    return _WHOLE_PATH.fullmatch(text) is not None


def _kind(char: str) -> str | None:
    """Name the alphabet that a letter is of; None for what is no letter, digit or picture."""
    if char.isascii():
        return "digit" if char.isdigit() else "lower" if char.islower() else "upper" if char.isupper() else None
    category = unicodedata.category(char)
    if category == "So":
        return "other"
    if category[0] not in "LN":
        return None
    first = unicodedata.name(char, "").partition(" ")[0]
    return first if first in _LETTERS else "other"


def _can_encode(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _is_public(piece: str) -> bool:
    return piece.lower() in _PUBLIC or _PUBLIC_PIECE.fullmatch(piece) is not None or not any(map(str.isalnum, piece))


_PUBLIC_HOSTS = (
    *("github.com", "githubusercontent.com", "gitlab.com", "pypi.org", "pythonhosted.org", "pytorch.org", "python.org"),
    *(
        "nvidia.com",
        "anaconda.org",
        "anaconda.com",
        "conda.io",
        "huggingface.co",
        "docker.io",
        "docker.com",
        "kernel.org",
    ),
    *("microsoft.com", "apple.com", "readthedocs.io", "readthedocs.org", "zenodo.org", "example.org", "example.com"),
    *("numpy.org", "scipy.org", "kaggle.com", "google.com", "googleapis.com", "localhost", "host.example"),
)
_OF_PEOPLE = ("github.com", "githubusercontent.com", "gitlab.com", "huggingface.co", "kaggle.com", "google.com")
"""Hosts whose addresses name people."""
_OF_ANY_HOST = ("127.0.0.1", "0.0.0.0", "255.255.255.255", "192.0.2.1")  # noqa: S104 - nothing listens here


def _is_no_address(found: re.Match[str]) -> bool:
    """Say whether four numbers are the address of every machine, or a version."""
    before = found.string[max(0, found.start() - 20) : found.start()]
    return found[0] in _OF_ANY_HOST or _VERSION_BEFORE.search(before) is not None


def _is_public_host(host: str) -> bool:
    return any(host.lower() == public or host.lower().endswith(f".{public}") for public in _PUBLIC_HOSTS)


_REMOVED = "(removed)"
_SECRET_NAME = re.compile(
    r"(?i)\w*?(?:api[_-]?key|access[_-]?key|token|secret|passwo?r?d|passphrase|credentials?|_pass|pwd"
    r"|(?:account|shared|storage|encryption|signing|private)[_-]?key|auth[_-]key)"
    r"|\u5bc6\u7801|\u53e3\u4ee4|\u4ee4\u724c"
)
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\x00"), ""),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), _REMOVED),
    # a login in an address; the number of a port is none
    (re.compile(r"(?<=://)[^\s/@:'\"]{1,200}:(?!\d+[/\s])[^\s@'\"]{0,500}@"), ""),
    (
        re.compile(r"\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bhf_\w{20,}|\bpypi-[\w-]{20,}"),
        _REMOVED,
    ),
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\bxox[abprs]-[\w-]{10,}|\bsk-[\w-]{20,}"), _REMOVED),
    (re.compile(r"\bya29\.[\w-]{10,}|\bGOCSPX-[\w-]{20,}|\bSG\.[\w-]{8,}\.[\w-]{8,}|\bwhsec_[\w+/=-]{8,}"), _REMOVED),
    (re.compile(r"\bgl(?:rt|rtr|ptt|dt|cbt|soat|imt|agent|ft|ffct)-[\w.-]{16,}|\bnvapi-[\w-]{20,}"), _REMOVED),
    (
        re.compile(r"\bhv[sbr]\.[\w-]{16,}|\b[srp]k_(?:live|test)_\w{8,}|\bdapi[0-9a-f]{32}|\bATATT[\w=-]{20,}"),
        _REMOVED,
    ),
    (re.compile(r"\bdckr_[po]at_[\w-]{16,}|\bAGE-SECRET-KEY-\w+|\bxapp-[\w-]{10,}|\b\d{8,10}:AA[\w-]{30,}"), _REMOVED),
    (re.compile(r"\b((?:sk-)?(?:ssh|ecdsa)-[\w@.-]{3,40}\s+)AAAA[\w+/]+=*"), r"\1" + _REMOVED),
    (re.compile(r"\bSHA256:[A-Za-z0-9+/]{43}=?"), _REMOVED),
    (re.compile(r"(?i)\b((?:set-)?cookie:\s?)[^\n]+"), r"\1" + _REMOVED),
    (
        re.compile(
            r"(?i)(?<![\w.-])((?:(?:php|j)?sess(?:ion)?(?:[_-]?id)?|sid|csrf\w{0,20}|sig|signature|cookie)=)"
            r"(?=[^\s;&,]*\d)[^\s;&,'\"]{6,}"
        ),
        r"\1" + _REMOVED,
    ),
    (re.compile(r"\b[a-z]{2,10}_(?:[a-z0-9]{1,4}_){0,2}(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{30,}\b"), _REMOVED),
    (re.compile(r"\blocal-[0-9a-f]{32,}\b"), _REMOVED),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)?"), _REMOVED),
    (re.compile(r"(?i)\b(bearer|authorization\W{1,4}basic)\s+[\w.~+/-]{8,}=*"), r"\1 " + _REMOVED),
    (
        re.compile(
            rf"(?i)((?<!\w)(?:{_SECRET_NAME.pattern.removeprefix('(?i)')}))"
            r"(\\?[\"']?\s*[=:\uff1a]\s*|\s+is\s+)(\\\"[^\"]*\"|\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
        ),
        r"\1\2" + _REMOVED,
    ),
    (re.compile(r"(?i)(?<!\S)(--?(?:[\w-]*-)?(?:password|passwd|token|secret|api-key))\s+(?!-)\S+"), r"\1 " + _REMOVED),
    (
        re.compile(r"\b([A-Z][A-Z0-9_]*(?:TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY))\s+(?=[^\s\d]*\d)\S{6,}"),
        r"\1 " + _REMOVED,
    ),
    (re.compile(r"(?<!\S)((?:-u|--user)[\s=]+[^\s:]{1,100}:)\S+"), r"\1" + _REMOVED),
    (re.compile(r"(?<!\S)(-U\s+[^\s%]{1,100}%)\S+"), r"\1" + _REMOVED),
    (re.compile(r"(\b(?:mysql|mariadb)[\w-]{0,20} (?:[^\n]{0,200}? )??-p)(?!\s)\S+"), r"\1" + _REMOVED),
    (
        re.compile(
            r"(\b(?:sshpass|(?:docker|podman|skopeo|apptainer|singularity|helm)(?: registry| remote)? login)"
            r" (?:[^\n]{0,200}? )??-p\s?)\S+"
        ),
        r"\1" + _REMOVED,
    ),
    (
        re.compile(
            r"(?<![\w/])(passwd)\s+(?!(?:file|entry|database|is|was|for|and|or|to|in|on|the|not|from)\b)[\w!@#$%^&*]{4,}"
        ),
        r"\1 " + _REMOVED,
    ),
    (re.compile(r"(\blogin\s+\S{1,100}\s+password\s+)\S+"), r"\1" + _REMOVED),
    (
        re.compile(
            r"(?i)(?<![\w/])(passwo?r?d|passwort|passphrase|pwd)\s+(?=[^\s\d]{0,99}\d)(?=[^\sa-z]*[a-z])[^\s'\"]{5,}"
        ),
        r"\1 " + _REMOVED,
    ),
    (
        re.compile(r"(?i)\b(licen[cs]e[\s_-]?(?:key|code|number|id))(\s*[=:]\s*\S+|\s+(?=[^\s\d]*\d)\S+)"),
        r"\1 " + _REMOVED,
    ),
    (
        re.compile(r"(?<![\w-])(?=[A-Z-]*\d)(?=[\d-]*[A-Z])[A-Z0-9]{4,6}(?:-[A-Z0-9]{4,6}){3,}(?![\w-])"),
        _REMOVED,
    ),
    # what a DICOM file says of its patient
    (
        re.compile(
            r"(?i)\b(patient(?:'s)?[\s_]*(?:name|id|birth[\s_]*date|address|comments?)|accession[\s_]*number"
            r"|(?:referring|performing)[\s_]*physician(?:'?s)?[\s_]*name|(?:institution|station)[\s_]*name)"
            r"(['\"]?(?:\s+[A-Z]{2})?\s*[=:]\s*)[^\n,;\])}]{1,200}"
        ),
        r"\1\2" + _REMOVED,
    ),
    (re.compile(r"(\([0-9a-f]{4},\s?[0-9a-f]{4}\)\s+[A-Z]{2}\s+)\[[^\]\n]{0,1000}\]"), r"\1[" + _REMOVED + "]"),
    (
        re.compile(r"(?i)\b(MRN|(?:fall|patienten|pat\.?-?)(?:nummer|nr\.?))(\W{0,3})(?=[A-Z-]{0,9}\d)[\w-]{3,}"),
        r"\1\2" + _REMOVED,
    ),
    (
        re.compile(
            "((?:\u4f4f\u9662|\u95e8\u8bca|\u75c5\u5386|\u75c5\u6848|\u767b\u8bb0|\u68c0\u67e5|\u5f71\u50cf|\u8eab\u4efd\u8bc1|\u533b\u4fdd|\u5c31\u8bca|\u60a3\u8005)"
            "(?:\u53f7\u7801?|\u7f16\u53f7|ID)\\s?[:\uff1a=]?\\s?)(?=[A-Za-z-]{0,9}\\d)[A-Za-z0-9-]+"
        ),
        r"\1" + _REMOVED,
    ),
    (
        re.compile(
            r"(?i)\b((?:DOB|date of birth|birth[\s_-]?da(?:te|y)|geburtsdatum|geb(?:oren|\.)?(?:\s+am)?)\W{0,3})"
            r"\d[\d./-]{4,10}"
        ),
        r"\1" + _REMOVED,
    ),
    (
        re.compile(
            "((?:\u51fa\u751f(?:\u65e5\u671f|\u5e74\u6708)?|\u751f\u65e5|\u751f\u4e8e)\\s?[:\uff1a=]?\\s?)\\d[\\d./\u5e74\u6708\u65e5-]{4,12}"
        ),
        r"\1" + _REMOVED,
    ),
    (re.compile(r"(?<![\w.])[0-2](?:\.\d{1,39}){6,}(?!\w)"), _REMOVED),
    # 32 or more hexadecimal digits, or 40 or more of base 64 with digits and both cases: a key, a hash, an identifier
    (re.compile(r"(?<![\w/-])[0-9a-fA-F]{32,}(?![\w-])"), _REMOVED),
    (re.compile(r"(?<![\w/+.-])(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])[A-Za-z0-9+/]{40,}=*(?![\w/.-])"), _REMOVED),
    # 20 or more letters of both cases with digits in three places: no name of a function looks like this
    (
        re.compile(
            r"(?<![\w/+.-])(?=\w*[a-z])(?=\w*[A-Z])(?=[A-Za-z]*\d+[A-Za-z]+\d+[A-Za-z]+\d+[A-Za-z])[A-Za-z0-9]{20,}"
            r"(?![\w/.-])"
        ),
        _REMOVED,
    ),
    (re.compile(r"(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "00000000-0000-0000-0000-000000000000"),
    (re.compile(r"(?i)\b[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}\b"), "00:00:00:00:00:00"),
    (re.compile(r"(?i)\b(?=[\d.]{0,13}[a-f])[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b"), "0000.0000.0000"),
    (re.compile(r"(?i)\b(mac(?:[\s_-]?addr\w*)?\s*[=:]?\s*)[0-9a-f]{12}\b"), r"\g<1>000000000000"),
    (re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){4,7}(?:[0-9a-f]{1,4})?(?::[0-9a-f]{1,4})*(?![\w:])"), "2001:db8::1"),
    (
        re.compile(
            r"(?i)(?<![\w:])(?:fe80|f[cd][0-9a-f]{2}|2[0-9a-f]{3})(?::[0-9a-f]{1,4}){0,6}::"
            r"(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?:%\w+)?(?![\w:])"
        ),
        "2001:db8::1",
    ),
    (re.compile(r"(?<![\w.+])\+\d{1,3}[ (/-]{1,2}\d[\d ()/-]{6,18}\d(?!\w)"), "+00 000 0000"),
)


def _without_secrets(text: str) -> str:
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


_URL = re.compile(
    r"(?P<scheme>\b[a-zA-Z][\w+.-]{0,30})://(?:[^\s/@'\"]{0,500}@)?(?P<host>[^\s/:'\"<>()\[\],;?]*)(?::\d+)?(?P<rest>[^\s'\"<>)\],;]*)"
)
_BEGINS_A_PATH = r"(?:file:|~?/|[A-Za-z]:[\\/]|\\\\)"
_ESCAPED_PATH = re.compile(rf"(\\[\"'])({_BEGINS_A_PATH}(?:(?!\1)[^\n\x00]){{1,4096}})\1")
_QUOTED_PATH = re.compile(rf"(?<!\\)([\"'`])({_BEGINS_A_PATH}(?:\\\1|(?!\1)[^\n\x00]){{1,4096}})\1")
_WINDOWS_PATH = re.compile(
    r"(?:(?<![A-Za-z\x00])[A-Za-z]:[\\/]|(?<![\\\w])\\\\(?=[^\\\s]))"
    r"(?:[^\\/:*?\"<>|\r\n\t'\x00]+[\\/]+)*[^\\/:*?\"<>|\r\n\t'\x00,;()\s]*"
)
_IN_A_PATH = r"[^/\s:'\"<>|,;()\x00]"
_ENDS_A_PATH = re.compile(r"[\s:'\"<>|,;()]")


def _posix_path(odd: Sequence[str]) -> re.Pattern[str]:
    """Return what finds a path in a text, with names in it that hold blanks and the like."""
    piece = f"(?:{'|'.join([*map(re.escape, sorted(odd, key=len, reverse=True)), _IN_A_PATH])})" if odd else _IN_A_PATH
    return re.compile(
        r"(?:(?<![\w/.~\x00-])(?:~[\w.-]{0,100})?|(?<=\s-[A-Za-z]))/"
        # the name of a home may have blanks
        rf"(?:(?:home|Users|Volumes)/{_IN_A_PATH}+(?: [^\W\da-z_]{_IN_A_PATH}*){{1,3}}/+)?"
        rf"(?:{piece}+/+)*{piece}+"
    )


_FILE_OF_CASE = re.compile(
    r"(?i)(?<![\w/\\])(?:images|labels)T[rs][\\/]+[^\\/:*?\"'<>|\r\n\t\x00]{1,255}?"
    r"\.(?:nii(?:\.gz)?|nrrd|mh[ad]|tiff?|png|bmp|gipl(?:\.gz)?)(?!\w)"
)
_MOUNTED_HOST = re.compile(r"(?<![\w./\\@-])(?=[A-Za-z_]+[-.\d])[\w.-]{1,253}(?=:(?:/(?!/)|\x00))")
_DATASET = re.compile(r"\b(?:Dataset\d{3}|Task\d{2,3})_\w[\w-]{0,200}")
_IMAGE_FILE = re.compile(
    # a name has 255 characters at most; without a bound a line of a million dots would take hours
    r"(?i)(?<![^\s/\\:'\"<>|,;()])(?:[^\s/\\:'\"<>|,;()\x00]{1,255}[\\/]){0,50}[^\s/\\:'\"<>|,;()\x00]{1,255}"
    r"\.(?:nii(?:\.gz)?|nrrd|mh[ad]|tiff?|png|bmp|gipl(?:\.gz)?|dcm|pkl|npz|npy|b2nd)(?!\w)"
)
_AFTER_A_WORD = (
    re.compile(
        r"(?m)((?:^|\s)(?:[Pp]redicting(?!\snext\sstage)|[Uu]npacking|case(?:_identifier)?[:=])\s+)([^\s\x00:,]+)"
    ),
    # case, patient or subject with a name that has digits or underlines and letters
    re.compile(
        r"(?i)(\b(?:case|patient|subject|identifier)(?:_?(?:id|identifier|name))?s?['\"]?\s*[:=]?\s+['\"]?)"
        r"((?=[^\W_]*[\d_^-])(?=[\d_.^-]*[^\W\d_])\w[\w.^-]*)"
    ),
    re.compile(
        r"(?i)(\b(?:case|patient|subject|identifier)\w{0,30}['\"]?\s*[:=]\s*(?=(['\"]))\2)([^'\"\n\x00]{1,255})"
    ),
    re.compile(
        r"(?i)((?<!\w)(?:\w*_)?(?:user(?:name)?|logname|host(?:name)?|node(?:list|name)|computername)"
        r"(?:['\"]?\s*=\s*|['\"]\s*:\s*)['\"]?)([^\s'\",;:&\x00]+)"
    ),
    re.compile(
        r"(\b(?:(?:[A-Z]+_)*(?:USER(?:NAME)?|LOGNAME|HOSTNAME|NODELIST|NODENAME|COMPUTERNAME)|[Hh]ostname|[Uu]sername)"
        r":\s*)([^\s'\",;:&\x00]+)"
    ),
    # Slurm, and the kernel about a disk of the network
    re.compile(r"(\b(?:JOB|STEP)\s+\S{1,40}\s+ON\s+)([\w.-]+)(?=\s+CANCELLED)"),
    re.compile(r"(\bsrun: error: )([\w.,\[\]-]+)(?=: task)"),
    re.compile(r"(\bnfs: server )([\w.-]+)"),
    # Weights & Biases
    re.compile(r"(\blogged in as:? )([\w.-]+)"),
    re.compile(r"(\blogged in as:? [^\n(]{1,100}\()([\w.-]+)(?=\))"),
)
"""Words before a name, and the name."""

_LIST_OF_CASES = re.compile(r"(?i)(\b(?:case|patient|subject|identifier)\w{0,30}['\"]?\s*[:=]\s*)(\[[^\]\n]{1,4000}\])")
_QUOTED = re.compile(r"(?<=')[^'\n]+(?=')|(?<=\")[^\"\n]+(?=\")")
_ADDRESS = re.compile(
    r"(?<![\w.+-])([\w.+-]{1,100})(?:@(?!\x00)|\s?[\[(]\s?at\s?[\])]\s?)[\w-]+(?:\.[\w-]+)*",
)
_HOST = re.compile(
    r"(?i)(?:(?<![\w./\\@+=-])|(?<=proxy=)|(?<=host=)|(?<=server=)|(?<=addr=)|(?<=url=))(?:[a-z0-9-]+\.)+"
    r"(?:local|lan|intern|internal|corp|home|arpa|edu|gov|org|com|net|io|eu|de|ch|at|fr|it|es|nl|be|uk|cn|jp|kr|us|ca|au)(?![\w.-]*\w)"
)
_NUMBERS = re.compile(r"(?<![\w.-])(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?![\w.+-])")
_PRIVATE_NUMBERS = re.compile(r"(?<![\w.])(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2}(?![\w.+])")
_VERSION_BEFORE = re.compile(
    r"(?i)(?:version|release|driver|cu1\d|cuda|cudnn|cublas|cufft|cusolver|cusparse|curand|nccl|nvjitlink)\W{0,3}$"
    r"|[=<>~!]=\s?$"
)
_WHOLE_PATH = re.compile(r"\s*[\"']?(?:file://|~[\w.-]*[\\/]|/|[A-Za-z]:[\\/]|\\\\)[^\n:]*")
_IDENTIFIER = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
_WORD = re.compile(r"(?:[\w.+:,<>!~-]|(?<=[<>=!~])=|=(?==))*", re.ASCII)


# --- facts ---------------------------------------------------------------------------------------------------------


def redactor_for(facts: Facts, names: Iterable[str] = ()) -> Redactor:
    """Return a redactor that knows the encodings of a machine."""
    encodings = [facts[name] for name in ("platform.file_encoding", "platform.console_encoding")]
    return Redactor([item for item in encodings if isinstance(item, str)], names)


def redact(facts: Facts, redactor: Redactor) -> Facts:
    """Return facts without names and paths of their machine; checks say the same of them.

    Args:
        facts: Facts with derived ones.
        redactor: What replaces; it knows all names of the facts afterwards.
    """
    observed = {name: value for name, value in facts if not CATALOGUE[name].derived}
    named = {name: how for name in observed if (how := _how(name, redactor)) is not None}
    for name, how in named.items():  # texts are searched for them
        for text in _texts(observed[name]):
            how(text)
    values = {name: _applied(value, named.get(name, redactor.word), redactor) for name, value in observed.items()}
    values |= _identifiers(observed)
    sources = {name: redactor.value(text) for name, text in facts.sources.items() if not CATALOGUE[name].derived}
    return derive(Facts(values, sources))


def _how(name: str, redactor: Redactor) -> Callable[[str], str] | None:
    """Return how a fact that is a name is replaced, or the subjects of a list; None for texts."""
    if name in PATHS:
        return redactor.path
    if name in ("triton.cc_variable", "nnunet.origin"):
        return redactor.value
    if name == "platform.wsl_distributions":
        return lambda text: ":".join([redactor.piece(text.rpartition(":")[0]), text.rpartition(":")[2]])
    area, lists = name.partition(".")[0], CATALOGUE[name].is_list_of_details
    if area not in AREAS:  # of a pack: what it lists is mostly cases, and its texts are anybody's
        return redactor.path if lists else redactor.value
    of_files = area in OF_FILES and lists
    return redactor.path if of_files and name not in NOT_OF_FILES else None


def _texts(value: Observed) -> list[str]:
    items = value if isinstance(value, tuple) else (value,)
    return [item.subject if isinstance(item, Detail) else item for item in items if isinstance(item, (Detail, str))]


def _applied(value: Observed, how: Callable[[str], str], redactor: Redactor) -> Observed:
    if isinstance(value, Unknown):
        return Unknown(redactor.text(value.reason))
    if isinstance(value, str):
        return how(value)
    if not isinstance(value, tuple):
        return value
    return tuple(_item(item, how, redactor) for item in value)  # type: ignore[return-value]


def _item(item: object, how: Callable[[str], str], redactor: Redactor) -> object:
    if isinstance(item, Detail):
        is_name = item.subject in _CALLED_BY_USERS
        return Detail(how(item.subject), redactor.piece(item.message) if is_name else redactor.value(item.message))
    return how(item) if isinstance(item, str) else item


_CALLED_BY_USERS = frozenset({"nnUNet_wandb_project"})
"""Variables whose values are names that users give."""


def _identifiers(observed: Mapping[str, Observed]) -> dict[str, Observed]:
    """Return the identifiers of GPUs as their numbers; a beginning of one still finds it, as CUDA would."""
    known = observed.get("gpu.uuids")
    uuids = [item for item in known if isinstance(item, str)] if isinstance(known, tuple) else []
    told = {uuid: _numbered(uuid, number) for number, uuid in enumerate(uuids)}
    found: dict[str, Observed] = {"gpu.uuids": tuple(told.values())} if uuids else {}
    visible = observed.get("gpu.visible")
    if isinstance(visible, str) and ("GPU-" in visible or "MIG-" in visible):
        found["gpu.visible"] = ",".join(_visible(entry, told, len(uuids)) for entry in visible.split(","))
    return found


def _visible(entry: str, told: Mapping[str, str], count: int) -> str:
    name = entry.strip()
    whole = next((uuid for uuid in told if name and uuid.startswith(name)), None)
    if whole is not None:
        return entry.replace(name, told[whole][: len(name)])
    return entry.replace(name, _numbered(name, count)) if name.startswith(("GPU-", "MIG-")) else entry


def _numbered(uuid: str, number: int) -> str:
    """Replace the digits of an identifier by one that tells it from the others from the first one on."""
    prefix, dash, rest = uuid.partition("-")
    return prefix + dash + re.sub(r"[0-9a-fA-F]", f"{number % 16:x}", rest)


def names_of(environ: Mapping[str, str], host: Sequence[str] = ()) -> list[str]:
    """Return the names of the user and the host that an environment tells, to be taken out of texts."""
    variables = ("USER", "LOGNAME", "USERNAME", "SUDO_USER", "HOSTNAME", "COMPUTERNAME", "USERDOMAIN", "SLURM_JOB_USER")
    found = [environ.get(name, "") for name in variables]
    found += [re.split(r"[\\/]", environ.get(name, "").rstrip("\\/"))[-1] for name in ("HOME", "USERPROFILE")]
    # a host is named with and without its domain
    found += [part for name in host for part in (name, name.partition(".")[0])]
    return list(dict.fromkeys(name for name in found if len(name) > 1))
