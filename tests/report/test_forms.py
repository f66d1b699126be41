"""SARIF, JUnit XML, GitHub's annotations and Markdown, each read by what it is meant for."""

from __future__ import annotations

import html
import json
import re
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

import jsonschema
import junitparser
import pytest
from made_up import Installation
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report.nasty import MESSAGE, NAMES, manner, nasty
from report.test_html import cases
from rich.cells import cell_len

from nnunet_doctor.cli import main
from nnunet_doctor.report.forms import FORMS, form_of, render
from nnunet_doctor.report.forms.manner import counts
from nnunet_doctor.report.places import Places, as_uri, from_checkout, located, places_of
from nnunet_doctor.report.record import DetailRecord, EvidenceRecord, FixRecord, LaunchRecord
from nnunet_doctor.words import say

HERE = Path(__file__).parent
MACHINES = HERE.parent / "machines"
RECORDED = MACHINES / "linux-cases-damaged.json"
URI = re.compile(r"(?:file:)?(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2}|(?<=file:///[A-Z]):)+")
"""What RFC 3986 lets stand in a path, with the colon of a drive."""
LANGUAGES = ("en", "zh")


def sarif(report: object, how: object) -> dict:
    return json.loads(render("sarif", report, how))["runs"][0]  # type: ignore[arg-type]


# --- SARIF ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_sarif_fits_its_schema(language: str) -> None:
    """A report full of awkward names and messages is valid SARIF 2.1.0, in pure ASCII."""
    schema = json.loads((HERE / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    text = render("sarif", nasty(language), manner(language))

    jsonschema.Draft4Validator(schema).validate(json.loads(text))
    assert text.isascii()


def test_sarif_holds_no_lone_surrogate() -> None:
    """Readers in other languages refuse half a character, so none is left after the escapes are undone."""
    text = json.dumps(sarif(nasty(), manner()), ensure_ascii=False)

    assert text.encode("utf-8").decode("utf-8") == text


def test_every_result_has_a_place_in_the_repository() -> None:
    """GitHub wants a path and all four numbers of a region of every result, machine findings included."""
    results = sarif(nasty(), manner())["results"]
    places = [result["locations"][0]["physicalLocation"] for result in results]

    assert {len(result["locations"]) for result in results} == {1}
    assert all(URI.fullmatch(place["artifactLocation"]["uri"]) for place in places)
    assert {place["artifactLocation"]["uriBaseId"] for place in places} == {"%SRCROOT%"}
    assert all(set(place["region"]) == {"startLine", "startColumn", "endLine", "endColumn"} for place in places)
    assert [place["artifactLocation"]["uri"] for place in places if ".yml" in place["artifactLocation"]["uri"]] == [
        ".github/workflows/check.yml"
    ] * 3


def test_sarif_names_files_by_valid_uris() -> None:
    """Blanks, #, %, colons, Chinese, control characters and bytes that are no UTF-8 are encoded as what they are."""
    results = [result for result in sarif(nasty(), manner())["results"] if result["ruleId"] == "label-unexpected"]
    uris = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results]

    assert uris == [f"data/Dataset%201/{uri}" for uri in NAMES.values()]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("C:/Users/A B/x#1.nii", "file:///C:/Users/A%20B/x%231.nii"),
        ("//server/share/x y.nii", "file://server/share/x%20y.nii"),
        ("/data/x y.nii", "file:///data/x%20y.nii"),
        ("c:x.nii", "c%3Ax.nii"),
    ],
)
def test_absolute_paths_are_file_uris(path: str, uri: str) -> None:
    """What lies outside of the repository keeps its drive or host; a colon in a name is no drive."""
    assert as_uri(path) == uri


def fingerprints(run: dict) -> dict[tuple[str, str], str]:
    return {
        (
            result["ruleId"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].rpartition("/")[2],
        ): result["partialFingerprints"]["primaryLocationLineHash"]
        for result in run["results"]
    }


def test_fingerprints_stay() -> None:
    """A result is the same in another language, order and checkout, and no two results are the same."""
    once = fingerprints(sarif(nasty(), manner()))
    in_chinese = fingerprints(sarif(nasty("zh"), manner("zh")))
    other_order = fingerprints(sarif(nasty(names=tuple(reversed(NAMES))), manner()))
    elsewhere = fingerprints(sarif(nasty(), manner(root="/elsewhere")))

    assert once == in_chinese == other_order == elsewhere
    assert len(set(once.values())) == len(once) == len(NAMES) + 3


def test_fingerprints_stay_when_other_words_are_said_of_a_file() -> None:
    """More voxels, another sentence or a further fix make no new result."""
    report = nasty()
    first = report.findings[0]
    details = [replace(item, message=f"{number} voxels") for number, item in enumerate(first.details)]
    other = replace(first, title="Another title", why="Other words.", fixes=[], details=details)
    said_anew = replace(report, findings=[other, *report.findings[1:]])

    assert fingerprints(sarif(said_anew, manner())) == fingerprints(sarif(report, manner()))


@pytest.mark.parametrize(
    "folders",
    [("good/Dataset 1", "bad/Dataset 1"), ("data/Dataset 1", "data/Dataset 2"), ("/far/Dataset 1", "/far/Dataset 2")],
    ids=["of one name", "of two names", "outside"],
)
def test_two_datasets_do_not_collide(folders: tuple[str, str]) -> None:
    """Each has its results, its category, which else replaces the other, and its class of test cases."""
    told = [manner(dataset=folder) for folder in folders]
    first, second = (sarif(nasty(), how) for how in told)
    classes = [
        {
            case.classname
            for suite in junitparser.JUnitXml.fromstring(render("junit", nasty(), how).encode())
            for case in suite
        }
        for how in told
    ]
    shared = set(fingerprints(first).values()) & set(fingerprints(second).values())

    assert len(shared) == 3  # what is said of the machine is the same machine's
    assert first["automationDetails"] != second["automationDetails"]
    assert classes[0].isdisjoint(classes[1])


def test_trainings_of_two_datasets_do_not_collide() -> None:
    """A finding about a training has no file in the repository, and is none about the training of another dataset."""
    report = nasty()
    damaged = replace(report.findings[1], id="preprocessed-damaged", area="training")
    report = replace(report, findings=[damaged])
    found = [fingerprints(sarif(report, manner(dataset=folder))) for folder in ("Dataset001_A", "Dataset002_B")]

    assert set(found[0].values()).isdisjoint(found[1].values())


def test_rules_are_named_once_and_found_by_number() -> None:
    """Each rule is there once, and each result points to its own."""
    run = sarif(nasty(more=5), manner())
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]

    assert len(rules) == len(set(rules)) == 9
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])


def test_many_results_leave_a_place_for_each_finding() -> None:
    """Of more results than GitHub shows, each finding keeps some, and errors stand first."""
    run = sarif(nasty(names=[f"labelsTr/{number}.nii" for number in range(6000)], more=50), manner())

    assert len(run["results"]) == 5000
    assert {result["ruleId"] for result in run["results"]} == {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert run["results"][0]["level"] == "error"


def test_sarif_says_what_is_undecided() -> None:
    """Checks without an answer are notifications of the run, in the language of the report."""
    said, waived = sarif(nasty("zh"), manner("zh"))["invocations"][0]["toolExecutionNotifications"]

    assert [item["descriptor"] for item in (said, waived)] == [{"id": "gpu-too-small"}, {"id": "spacing-outlier"}]
    assert "已豁免：" in waived["message"]["text"]
    assert said["message"]["text"].startswith("gpu-too-small 无法判断：")


# --- places --------------------------------------------------------------------------------------------------------


def test_findings_about_the_machine_are_put_to_the_workflow(tmp_path: Path) -> None:
    """In a workflow its file stands for the machine, whatever the branch is called; elsewhere the configuration does."""
    (tmp_path / "pyproject.toml").touch()
    environ = {
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_WORKFLOW_REF": "octocat/hello/.github/workflows/check.yml@refs/heads/me@home/x.yml@y",
    }

    assert places_of(environ, tmp_path, None).machine == ".github/workflows/check.yml"
    assert places_of({}, tmp_path, None).machine == "pyproject.toml"


def test_paths_are_relative_to_the_checkout(tmp_path: Path) -> None:
    """The nearest checkout upwards is the root, links are followed, and the dataset may be the root itself."""
    root = (tmp_path / "repo").resolve()
    dataset = root / "data" / "Dataset001_X"
    dataset.mkdir(parents=True)
    (root / ".git").touch()
    (tmp_path / "link").symlink_to(dataset, target_is_directory=True)
    finding = nasty(names=("labelsTr/a.nii", ".", "../other/b.nii", "/far/c.nii")).findings[0]
    linked = places_of({}, root / "data", str(tmp_path / "link"))
    alone = places_of({"CI_PROJECT_DIR": str(dataset)}, tmp_path, str(dataset))

    assert [place.file for place in located(finding, linked)] == [
        "data/Dataset001_X/labelsTr/a.nii",
        "data/Dataset001_X/dataset.json",
        "data/other/b.nii",
        "/far/c.nii",
    ]
    assert [place.file for place in located(finding, alone)][:2] == ["labelsTr/a.nii", "dataset.json"]


def test_folders_of_a_dataset_are_shown_at_its_description() -> None:
    """A code host shows nothing at a folder; the message names it, and two folders make one place."""
    places = Places(PurePosixPath("/r"), PurePosixPath("/r/Dataset001_X"), "README.md")
    details = [DetailRecord("imagesTr", "4"), DetailRecord("labelsTr", ""), DetailRecord("/r/Dataset001_X", "BIDS")]
    finding = replace(nasty().findings[0], subjects=[item.subject for item in details], details=details)
    (place,) = located(finding, places)

    assert place.file == "Dataset001_X/dataset.json"
    assert place.messages == ("imagesTr: 4", "labelsTr", "/r/Dataset001_X: BIDS")


def test_commands_of_a_runner_are_those_of_every_checkout(tmp_path: Path) -> None:
    """What a runner calls its checkout is on no other machine; paths elsewhere, and of a person's own, stay whole."""
    root = (tmp_path / "work space").resolve()
    fix = FixRecord(
        f"Look into {root}/data, not {root}2 and /mnt{root}/x.", f"nnunet-doctor fix '{root}/data/A'", LaunchRecord()
    )
    report = nasty()
    report = replace(report, findings=[replace(report.findings[0], title=f"Nothing in {root}", fixes=[fix])])
    in_ci, at_home = (
        from_checkout(report, places_of(environ, root, None)).findings[0]
        for environ in ({"CI_PROJECT_DIR": str(root)}, {})
    )

    assert in_ci.title == "Nothing in ."
    assert in_ci.fixes[0].command == "nnunet-doctor fix './data/A'"
    assert in_ci.fixes[0].text == f"Look into ./data, not {root}2 and /mnt{root}/x."
    assert (at_home.title, at_home.fixes[0].command) == (f"Nothing in {root}", fix.command)


def test_a_recorded_windows_dataset_keeps_its_paths() -> None:
    """Facts of a Windows machine, replayed elsewhere, give paths of that machine."""
    places = places_of({}, Path(), "D:\\raw\\Dataset 1")
    finding = nasty(names=("labelsTr/a b.nii",)).findings[0]
    (place,) = located(finding, places)

    assert places.dataset == PureWindowsPath("D:/raw/Dataset 1")
    assert as_uri(place.file) == "file:///D:/raw/Dataset%201/labelsTr/a%20b.nii"


def test_messages_of_the_machine_name_their_subject() -> None:
    """A finding about folders or variables says which, since its file cannot."""
    places = Places(PurePosixPath("/r"), None, "README.md")
    (place,) = located(nasty().findings[1], places)

    assert place.messages == ("nnUNet_raw: not set",)


WAIVERS = """fail-on = "warning"

[[waiver]]
id = "compile-on-windows"
reason = "soon"
until = 2020-12-31

[[waiver]]
id = "compile-on-windows"
dataset = "Dataset010_*"
reason = "soon"
until = 2020-12-31
"""


@pytest.mark.parametrize("name", ["nnunet-doctor.toml", "pyproject.toml"])
@pytest.mark.parametrize("below", ["", "sub"])
@pytest.mark.parametrize("ref", ["o/r/.github/workflows/check.yml@refs/heads/main", ""])
def test_findings_about_waivers_stand_at_their_lines(
    installation: Installation, name: str, below: str, ref: str
) -> None:
    """In annotations and SARIF a waiver is shown where it is written, from wherever in the checkout the check starts."""
    text = WAIVERS
    if name == "pyproject.toml":
        text = f"[tool.nnunet-doctor]\n{text}".replace("[[waiver]]", "[[tool.nnunet-doctor.waiver]]")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("id = ")]
    installation.path(name).write_text(text, encoding="utf-8")
    folder = installation.path(below) if below else installation.base
    folder.mkdir(exist_ok=True)
    facts, report = MACHINES / "windows-cpu-nnunet242.json", installation.path("r.sarif")
    arguments = ["check", "--facts", str(facts), "--lang", "en", "--format", "github", "--report", str(report)]
    done = replace(installation, base=folder).process(
        *arguments, GITHUB_WORKSPACE=str(installation.base), GITHUB_WORKFLOW_REF=ref
    )
    found = [item for item in commands(done.stdout) if item[1]["title"].startswith("waiver-expired:")]
    results = json.loads(report.read_text(encoding="utf-8"))["runs"][0]["results"]
    places = [result["locations"][0]["physicalLocation"] for result in results if result["ruleId"] == "waiver-expired"]

    assert [(item["file"], item["line"]) for _, item, _ in found] == [(name, str(line)) for line in lines]
    assert [item["artifactLocation"]["uri"] for item in places] == [name] * 2
    assert [(item["region"]["startLine"], item["region"]["endLine"]) for item in places] == [(n, n) for n in lines]
    assert [message.splitlines()[0] for _, _, message in found] == [
        f"{name}:{lines[0]}: compile-on-windows; valid until 2020-12-31",
        f"{name}:{lines[1]}: compile-on-windows dataset=Dataset010_*; valid until 2020-12-31",
    ]


def test_fingerprints_of_waivers_stay_when_lines_are_put_above_them(tmp_path: Path) -> None:
    """A waiver that moves down is the same result, and two waivers are two."""
    (tmp_path / ".git").touch()
    found = []
    for lines in ((3, 8), (13, 18)):
        details = [
            DetailRecord(f"nan dataset={name}", f"nnunet-doctor.toml:{line}; valid until 2020-12-31")
            for name, line in zip("ab", lines, strict=True)
        ]
        evidence = [EvidenceRecord("config.expired_waivers", [vars(item) for item in details], "x")]
        finding = replace(nasty().findings[1], id="waiver-expired", area="nnunet", details=details, evidence=evidence)
        run = sarif(replace(nasty(), findings=[finding]), manner()._replace(places=places_of({}, tmp_path, None)))
        found.append([item["partialFingerprints"]["primaryLocationLineHash"] for item in run["results"]])

    assert found[0] == found[1]
    assert len(set(found[0])) == 2


def test_a_configuration_outside_of_the_checkout_has_no_place_in_it(tmp_path: Path) -> None:
    """What lies above the repository cannot be shown there; the machine's file stands for it, and the words name it."""
    (tmp_path / "repo").mkdir()
    places = places_of({"CI_PROJECT_DIR": str(tmp_path / "repo")}, tmp_path / "repo", None)
    outside = str(tmp_path / "nnunet-doctor.toml")
    details = [DetailRecord("nan", f"{outside}:3")]
    evidence = [EvidenceRecord("config.unused_waivers", [vars(item) for item in details], "x")]
    finding = replace(nasty().findings[1], id="waiver-unused", area="nnunet", details=details, evidence=evidence)
    (place,) = located(finding, places)

    assert (place.file, place.line, place.messages) == (places.machine, None, (f"nan: {outside}:3",))


# --- JUnit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_junit_is_read_back(language: str) -> None:
    """One case for each check, with the outcome that it had; junitparser and Python's own parser agree."""
    text = render("junit", nasty(language), manner(language))
    suites = junitparser.JUnitXml.fromstring(text.encode())
    (suite,) = suites
    outcome = {case.name: [type(result).__name__ for result in case.result] for case in suite}

    assert outcome == {
        "label-unexpected": ["Failure"],
        "paths-unset": ["Failure"],
        "torch-old": [],
        "follower": ["Failure"],
        "gpu-too-small": ["Skipped"],
        "spacing-outlier": ["Skipped"],
        "shape-outlier": ["Skipped"],
        "nan": [],
        "inf": [],
    }
    assert (suites.tests, suites.failures, suites.skipped) == (suite.tests, suite.failures, suite.skipped) == (9, 3, 3)
    assert len(ET.fromstring(text).findall(".//testcase")) == 9  # noqa: S314 - our own
    assert {case.classname for case in suite} == {"nnunet-doctor/data/Dataset 1"}


def test_junit_shows_what_xml_cannot_hold() -> None:
    """Control characters and halves of characters in names and messages are written out."""
    (suite,) = junitparser.JUnitXml.fromstring(render("junit", nasty(), manner()).encode())
    text = next(case for case in suite if case.name == "label-unexpected").result[0].text

    assert "labelsTr/caf\\udce9.nii.gz" in text
    assert "\\x1b[31m\\u202egz.nii" in text
    assert "病例_0000.nii.gz" in text


@pytest.mark.parametrize(("fail_on", "failures"), [("error", 3), ("warning", 5), ("never", 3)])
def test_junit_fails_as_the_exit_code_does(fail_on: str, failures: int) -> None:
    """Warnings are failures only where they make the command fail; else their words are output of the case."""
    suites = junitparser.JUnitXml.fromstring(render("junit", nasty(more=2), manner(fail_on=fail_on)).encode())
    warned = next(case for suite in suites for case in suite if case.name == "more-0")

    assert suites.failures == failures
    assert ("It stops." in (warned.system_out or "")) == (fail_on != "warning")


# --- GitHub --------------------------------------------------------------------------------------------------------


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Read workflow commands as the runner does (ActionCommand.TryParseV2): kind, properties, message."""
    found = []
    for line in text.split("\n"):
        match = re.fullmatch(r"::(\w[\w-]*) (.*?)::(.*)", line.strip())
        if match:
            pairs = (pair.split("=", 1) for pair in match[2].split(","))
            properties = {
                name.strip(): value.replace("%0D", "\r").replace("%0A", "\n").replace("%3A", ":").replace("%2C", ",")
                for name, value in pairs
            }
            properties = {name: value.replace("%25", "%") for name, value in properties.items()}
            found.append((match[1], properties, match[3].replace("%0A", "\n").replace("%25", "%")))
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_annotations_are_read_as_they_are_meant(language: str) -> None:
    """Title and file come back whole, no message makes a command of its own, and a consequence is not annotated."""
    report = nasty(language)
    found = commands(render("github", report, manner(language)))

    assert {kind for kind, _, _ in found} == {"error", "notice"}
    assert {properties["title"] for _, properties, _ in found} == {
        f"{item.id}: {item.title}" for item in report.findings if item.explained_by is None
    }
    assert [properties["file"] for kind, properties, _ in found if kind == "error"] == [
        *(f"data/Dataset 1/{name}" for name in list(NAMES)[:3]),
        ".github/workflows/check.yml",
    ]
    assert "::set-env" in found[0][2]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_log_can_be_read_without_the_annotations(language: str) -> None:
    """Of a command the log shows the message alone: the title stands before it, the file in it, the counts at the end."""
    report = nasty(language)
    lines = render("github", report, manner(language)).splitlines()
    said = [message for _, _, message in commands("\n".join(lines))]
    title = report.findings[0].title

    assert [line for line in lines if not line.startswith("::")][1] == f"FAIL  {title}  [label-unexpected]"
    assert lines[0].startswith("nnunet-doctor 0.1.0")
    assert "Dataset001_病 例" in lines[0]
    assert said[0].startswith(f"data/Dataset 1/{next(iter(NAMES))}")
    assert lines[-1] == counts(report, language)


def test_what_is_left_out_is_said_once_and_the_fix_is_not_cut_off() -> None:
    """GitHub takes 4,096 characters of a message, in which a machine with hundreds of faults leaves room for the way out."""
    many = [DetailRecord(f"colon_{number}", "not there " * 50) for number in range(500)]
    report = nasty()
    training = replace(report.findings[1], area="training", details=many, subjects=[item.subject for item in many])
    report = replace(report, findings=[report.findings[0], training, *report.findings[2:]])
    found = commands(render("github", report, manner()))
    messages = [text for kind, _, text in found if kind == "error"]

    assert ["\nand 7 more\n" in text for text in messages[:3]] == [False, False, True]
    assert "and 490 more" in messages[3]
    assert max(map(len, messages)) < 4096
    assert messages[3].endswith("export nnUNet_compile=false\nnnUNetv2_train ... -device cpu")


def test_an_empty_log_is_no_answer() -> None:
    """Where nothing is wrong, the log says what was looked at and how many checks passed."""
    report = replace(nasty(verdict="ok"), findings=[], waived=[], known=[])

    first, last = render("github", report, manner()).splitlines()

    assert first.startswith("nnunet-doctor 0.1.0: nothing stands in the way; Dataset001_病 例: cases 10")
    assert last == "0 FAIL, 0 warn, 0 info, 1 undecided, 2 ok"


@pytest.mark.parametrize("form", ["github", "markdown", "html"])
def test_what_was_known_before_is_not_said_to_be_gone(form: str) -> None:
    """With a baseline, a report without findings says that nothing is new, not that nothing is in the way."""
    text = render(form, replace(nasty(verdict="ok"), findings=[], waived=[]), manner())

    assert "nothing new stands in the way" in text
    assert "shape-outlier" in text


def test_annotations_are_at_most_ten_of_a_kind() -> None:
    """Each finding has one before any has two, errors come first, and what is left over is told in plain words."""
    text = render("github", nasty(more=25), manner())
    kinds = [kind for kind, _, _ in commands(text)]
    plain = [line for line in text.splitlines() if not line.startswith("::")]
    titles = [line.split("[")[-1] for line in plain if line.startswith(("FAIL", "warn", "info"))]

    assert (kinds.count("error"), kinds.count("warning"), kinds.count("notice")) == (4, 10, 1)
    assert kinds == sorted(kinds, key=["error", "warning", "notice"].index)
    assert titles == ["label-unexpected]", "paths-unset]", *(f"more-{number}]" for number in range(25)), "torch-old]"]
    assert plain[-3].startswith("--  A title: ")
    assert plain[-3].endswith("[spacing-outlier]  waived: `so` @octocat ## [x]")
    assert plain[-2] == "--  In the baseline already, not shown: shape-outlier"


def test_an_undecided_run_says_why_it_fails() -> None:
    """A step that ends with exit code 3 has an error that names what could not be decided."""
    kind, properties, text = commands(render("github", nasty(verdict="undecided"), manner()))[0]

    assert (kind, properties["title"]) == ("error", "Checks that could not be decided: 1")
    assert text.startswith("1 not decided because gpu.memory: ")
    assert text.endswith("\ngpu-too-small")


def test_the_step_summary_is_added_to(installation: Installation) -> None:
    """With --format github the Markdown goes below what other steps have put into the summary."""
    summary = installation.path("summary.md")
    summary.write_text("# Before\n", encoding="utf-8")
    done = installation.doctor(
        "check", "--facts", str(RECORDED), "--format", "github", GITHUB_STEP_SUMMARY=str(summary)
    )
    text = summary.read_text(encoding="utf-8")

    assert done.returncode == 1
    assert "\n::error file=" in done.stdout
    assert text.startswith("# Before\n## nnunet-doctor ")
    assert "`preprocessed-damaged`" in text


def test_a_summary_that_cannot_be_written_changes_nothing(installation: Installation) -> None:
    """The verdict stands, and a note says what was not written."""
    done = installation.doctor(
        "check", "--facts", str(RECORDED), "--format", "github", GITHUB_STEP_SUMMARY=str(installation.path("no", "s"))
    )

    assert done.returncode == 1
    assert "cannot be written" in done.stderr


# --- Markdown ------------------------------------------------------------------------------------------------------


def tokens(text: str) -> list[Token]:
    """Return all tokens of a Markdown text, those within paragraphs included."""
    found = MarkdownIt("commonmark").parse(text)
    return [inner for token in found for inner in [token, *(token.children or ())]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_markdown_keeps_what_it_quotes_in_its_place(language: str) -> None:
    """Names and messages make no heading, link, picture or HTML, mention nobody, and no code ends early."""
    report = nasty(language)
    found = tokens(render("markdown", report, manner(language)))
    said = "".join(token.content for token in found if token.type == "text")
    code = [token.content for token in found if token.type == "code_inline"]

    assert [token.tag for token in found if token.type == "heading_open"] == ["h2", "h3", "h3", "h3"]
    assert {token.type for token in found} & {"link_open", "image"} == set()
    assert {token.content for token in found if token.type == "html_inline"} <= {"<span>", "</span>"}
    assert [token.content.strip() for token in found if token.type == "html_block"] == [
        f"<details><summary>{say(language, 'markdown_undecided', count=1)}</summary>",
        "</details>",
        f"<details><summary>{say(language, 'html_waived')}</summary>",
        "</details>",
    ]
    assert re.search(r"[@#]\w", said) is None
    assert any("`x` [y](http:evil.example) <b>&amp; @octocat org/repo#12 ``` $a$.nii" in item for item in code)
    assert "rm -- '```' && echo $HOME\n" in [token.content for token in found if token.type == "fence"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_markdown_fits_an_issue(language: str) -> None:
    """However much there is to say, GitHub takes it, the worst is in it, and so is the plan."""
    report = nasty(language, more=3000)
    text = render("markdown", report, manner(language))

    assert len(text) <= 65_536
    assert "`label-unexpected`" in text
    assert "nnUNet_compile=false" in text
    assert ("a comment takes no more" in text) == (language == "en")
    assert text.rstrip().endswith("</details>")


def test_markdown_says_all_of_a_small_report() -> None:
    """Nothing of a report that fits is left out: findings, undecided checks, what follows, what blocks."""
    text = render("markdown", nasty(), manner())

    assert [
        id
        for id in ("label-unexpected", "paths-unset", "torch-old", "follower", "gpu-too-small", "spacing-outlier")
        if f"`{id}`" not in text
    ] == []
    assert "export nnUNet_compile=false" in text
    assert "A training cannot start safely yet: `label-unexpected`" in text


# --- all -----------------------------------------------------------------------------------------------------------


def test_one_run_writes_all_forms(installation: Installation) -> None:
    """--report may be given for each form, beside what goes to standard output, in one run."""
    suffixes = [suffix for form in FORMS.values() for suffix in form.suffixes]
    files = [installation.path(f"report{suffix}") for suffix in suffixes]
    done = installation.doctor(
        "check", "--facts", str(RECORDED), "--format", "github", *(w for file in files for w in ("--report", str(file)))
    )

    assert done.returncode == 1
    assert "\n::error" in done.stdout
    assert [file.suffix for file in files if "preprocessed-damaged" not in file.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_large_report_takes_less_than_a_second(form: str) -> None:
    """Five thousand files in findings, three hundred checks and a thousand cases take less than a second of processor time."""
    report = nasty(names=[f"labelsTr/case_{number}.nii.gz" for number in range(5000)], more=300)
    how = manner()._replace(cases=cases(1000))
    render(form, nasty(), manner())  # what is loaded once is not the work
    begun = time.process_time()
    text = render(form, report, how)

    assert time.process_time() - begun < 1.0
    assert len(text) > 10_000


@pytest.mark.parametrize("suffix", [suffix for form in FORMS.values() for suffix in form.suffixes])
def test_suffixes_name_one_form(suffix: str) -> None:
    """No two forms share a suffix, and capitals do not matter."""
    assert form_of(suffix.upper()) == form_of(suffix)
    assert sum(suffix in form.suffixes for form in FORMS.values()) == 1


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("results.sarif.json", "sarif"),
        ("Results.SARIF.JSON", "sarif"),
        ("results.junit.xml", "junit"),
        ("sarif.json", "json"),
        ("results.v2.json", "json"),
        ("results", None),
        ("results.sarif.gz", None),
    ],
)
def test_names_of_files_tell_their_form(name: str, form: str | None) -> None:
    """Of two suffixes that fit, the longer one counts: OASIS recommends .sarif.json too."""
    assert form_of(name) == form


def test_sarif_json_holds_sarif(tmp_path: Path) -> None:
    """--report results.sarif.json writes what code scanning takes."""
    path = tmp_path / "results.sarif.json"
    main(["check", "--facts", str(RECORDED), "--report", str(path), "--fail-on", "never"])

    assert json.loads(path.read_text(encoding="utf-8"))["version"] == "2.1.0"


def test_message_is_as_nasty_as_it_should_be() -> None:
    """What the tests above rely on."""
    assert {"\n", "\x00", "\udcff", "%", "@"} <= set(MESSAGE)


def test_chinese_in_a_picture_is_not_squeezed(tmp_path: Path) -> None:
    """Each text of the SVG is as wide as its columns: two for a Chinese letter."""
    path = tmp_path / "report.svg"
    facts = Path(__file__).parents[1] / "machines" / "windows-cpu-nnunet242.json"
    main(["check", "--facts", str(facts), "--lang", "zh", "--report", str(path), "--fail-on", "never"])
    texts = re.findall(r'textLength="([\d.]+)"[^>]*>([^<]*)', path.read_text(encoding="utf-8"))
    shown = [(float(width), cell_len(html.unescape(text))) for width, text in texts]

    assert any(not text.isascii() for _, text in texts)
    assert [(width, columns) for width, columns in shown if abs(width - 12.2 * columns) > 0.06] == []
