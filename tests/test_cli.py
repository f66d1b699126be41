"""The command line as a user meets it: exit codes, streams, and one sentence for every slip."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from made_up import Installation, check_text, clean_environ, distribution, make_installation, write

from nnunet_doctor import catalogue
from nnunet_doctor.check import AREAS
from nnunet_doctor.cli import main
from nnunet_doctor.report import record

RECORDED = Path(__file__).with_name("machines") / "windows-cpu-nnunet242-unconverted.json"
RULE = catalogue.built_in_folder() / "device" / "cpu-training-slow.toml"

WRONG = {
    "no command": ([], "COMMAND"),
    "misspelt command": (["chek"], "did you mean 'check'?"),
    "unknown option": (["check", "--qick"], "--qick"),
    "no such dataset": (["check", "999"], "there is no dataset 999"),
    "no such dataset name": (["check", "Dataset999_Nothing"], "there is no dataset Dataset999_Nothing"),
    "neither id nor name": (["check", "colon"], "'colon' is no dataset"),
    "missing folder": (["check", "./nowhere/Dataset010_Colon"], "is no dataset"),
    "no such interpreter": (["check", "--python", "/no/such/python"], "--python /no/such/python"),
    "not an interpreter": (["check", "--python", "README.txt"], "README.txt"),
    "folder without interpreter": (["check", "--python", "."], "without a Python interpreter"),
    "bad fold": (["check", "10", "-f", "x"], "'x' is no fold"),
    "bad device": (["check", "--device", "gpu"], "there is no --device 'gpu'"),
    "bad number of GPUs": (["check", "--num-gpus", "0"], "whole number above 0"),
    "bad timeout": (["check", "--timeout", "soon"], "not a number of seconds"),
    "unknown check": (["check", "--select", "tritn"], "did you mean 'triton'?"),
    "unknown check to ignore": (["check", "--ignore", "shm-to-small"], "did you mean 'shm-too-small'?"),
    "unknown check beside an area that is asked": (
        ["check", "--select", "dataset", "--ignore", "shm-to-small"],
        "did you mean 'shm-too-small'?",
    ),
    "no such dataset for the checks asked": (["check", "999", "--select", "triton"], "there is no dataset 999"),
    "no such dataset for its own checks": (["check", "999", "--select", "dataset"], "there is no dataset 999"),
    "checks of nowhere": (["check", "--checks", "nowhere"], "--checks nowhere is not a folder"),
    "report of unknown form": (["check", "--report", "r.docx"], "suffix"),
    "checks of a dataset without one": (
        ["check", "--select", "nan,dataset"],
        "all that --select names is about a dataset",
    ),
    "facts of nowhere": (["check", "--facts", "nowhere.json"], "cannot be read"),
    "facts that are a folder": (["check", "--facts", "."], "cannot be read"),
    "facts that are not JSON": (["check", "--facts", "broken.json"], "line 1, column"),
    "facts that are not facts": (["check", "--facts", "other.json"], "it holds no 'facts'"),
    "facts of another schema": (["check", "--facts", "newer.json"], "schema_version is 99"),
    "facts with a misspelt name": (["check", "--facts", "misspelt.json"], "did you mean 'platform.os'?"),
    "facts of a wrong type": (["check", "--facts", "typed.json"], "is whole number, not 'many'"),
    "facts in a code page": (["check", "--facts", "gbk.json"], "not UTF-8"),
    "facts with an endless number": (["check", "--facts", "digits.json"], "too long to be read"),
    "facts from a device": (["check", "--facts", "/dev/zero"], "has more than 20 MB"),
    "facts nested deeply": (["check", "--facts", "deep.json"], "nested too deeply"),
    "facts of another dataset": (["check", "11", "--facts", "good.json"], "holds nothing about dataset 11"),
    "run without fold": (["run", "10", "2d"], "FOLD"),
    "run with bad fold": (["run", "10", "2d", "first"], "'first' is no fold"),
    "run with bad device": (["run", "10", "2d", "0", "-device", "cuda:1"], "'cuda:1'"),
    "run with a misspelt option": (["run", "10", "2d", "0", "--dryrun"], "--dryrun"),
    "run of no dataset": (["run", "999", "2d", "0"], "there is no dataset 999"),
    "explain of nothing": (["explain", "triton-mising"], "did you mean 'triton-missing'?"),
    "schema of nothing": (["schema", "reports"], "did you mean 'report'?"),
    "test of nothing": (["checks", "test", "nowhere"], "does not exist"),
    "test of a folder without checks": (["checks", "test", "raw"], "holds no check files"),
    "recorded machine and interpreter": (
        ["check", "--facts", "good.json", "--quick"],
        "--facts examines a recorded machine",
    ),
    "force of an area": (["run", "10", "2d", "0", "--force", "training"], "--force training: there is no such check"),
    "demo into a full folder": (["demo", "--folder", "raw"], "is not empty"),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, training_python: Path) -> Installation:
    """A made-up installation with broken files lying about, in which nobody writes anything."""
    installation = make_installation(tmp_path_factory.mktemp("desk"), training_python)
    texts = {
        "README.txt": "not a program",
        "broken.json": '{"facts": {,}}',
        "other.json": "[1, 2]",
        "newer.json": '{"schema_version": 99, "facts": {}}',
        "misspelt.json": '{"schema_version": 1, "facts": {"platform.oss": "linux"}}',
        "typed.json": '{"schema_version": 1, "facts": {"resources.cpus": "many"}}',
        "deep.json": "[" * 200_000,
        "good.json": '{"schema_version": 1, "facts": {"dataset.requested": "10"}}',
    }
    for name, text in texts.items():
        installation.path(name).write_text(text, encoding="utf-8")
    installation.path("gbk.json").write_text(
        '{"schema_version": 1, "facts": {"platform.version": "中文"}}', encoding="gbk"
    )
    installation.path("digits.json").write_text('{"schema_version": ' + "1" * 5000 + "}", encoding="utf-8")
    return installation


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use_gets_one_sentence(desk: Installation, arguments: list[str], words: str) -> None:
    """Wrong use ends with exit code 2, nothing on standard output, and one line that names what is wrong."""
    done = desk.doctor(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_is_plain_text(installation: Installation, language: str) -> None:
    """No Python puts colours into help, not even where the environment asks for them: its Chinese is made from it."""
    done = installation.process("check", "--help", NNUNET_DOCTOR_LANG=language, FORCE_COLOR="1", PYTHON_COLORS="1")
    head = {"en": "usage: nnunet-doctor check [-h]", "zh": "用法： nnunet-doctor check [-h]"}[language]

    assert done.stdout.startswith(head)
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("name", ["report", "diagnosis"])
def test_schema_is_the_same_with_every_python(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The words of the schemas do not keep the indentation that they have in the code."""
    main(["schema", name])
    told = [part["description"] for part in json.loads(capsys.readouterr().out)["$defs"].values()]

    assert told == [inspect.cleandoc(text) for text in told]


def test_json_is_one_object_that_fits_the_published_schema(installation: Installation) -> None:
    """Standard output of --format json is the report and nothing else, and it fits `schema report`."""
    done = installation.doctor("check", "10", "-c", "2d", "-f", "0", "--format", "json")
    schema = json.loads(installation.doctor("schema", "report").stdout)
    report = json.loads(done.stdout)
    jsonschema.validate(report, schema)

    assert done.returncode == 1
    assert report["verdict"] == "problems"
    assert [finding["id"] for finding in report["findings"] if finding["severity"] == "error"] == [
        "default-device-unusable"
    ]
    assert report["plan"]["args"] == ["-device", "cpu"]
    assert report["plan"]["blocked_by"] == []


def test_evidence_names_facts_values_and_sources(installation: Installation) -> None:
    """A finding carries the facts that decided, what they rest on, and where each comes from."""
    report = json.loads(installation.doctor("check", "--device", "cuda", "--format", "json").stdout)
    (finding,) = [finding for finding in report["findings"] if finding["id"] == "torch-cpu-build"]

    assert {"fact": "torch.build", "value": "cpu", "source": "torch/version.py"} in finding["evidence"]


def test_facts_written_here_give_the_same_findings_there(installation: Installation, tmp_path: Path) -> None:
    """`facts` into a file and `check --facts` of it give the very report of `check`."""
    what = ("10", "-c", "2d", "-f", "0", "--device", "cpu")
    live = json.loads(installation.doctor("check", *what, "--format", "json").stdout)
    file = tmp_path / "machine.json"
    recorded = installation.doctor("facts", *what, "--output", str(file))
    replayed = installation.doctor("check", "--facts", str(file), "--format", "json")
    schema = json.loads(installation.doctor("schema", "facts").stdout)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(with_facts_of_each_form(schema))
    wrong = [error.message for error in validator.iter_errors(json.loads(file.read_text(encoding="utf-8")))]
    again = json.loads(replayed.stdout)
    for report in (live, again):  # free memory moves between the two looks, in evidence and in words
        for finding in report["findings"]:
            finding["evidence"] = [
                item for item in finding["evidence"] if item["fact"] != "resources.memory_available_gib"
            ]
            finding["why"] = re.sub(r"[0-9.]+ GiB", "", finding["why"])

    assert (recorded.stdout, wrong) == ("", [])
    assert again == live


def with_facts_of_each_form(schema: dict) -> dict:
    """Return a schema of facts with one fact of each form: hundreds are alike, and each takes a millisecond to check."""
    parts = schema["properties"]
    alike = {
        kind: {
            json.dumps({**part, "description": type(part["description"]).__name__}): (name, part)
            for name, part in parts[kind]["properties"].items()
        }
        for kind in ("facts", "derived")
    }
    some = {kind: {**parts[kind], "properties": dict(forms.values())} for kind, forms in alike.items()}
    return {**schema, "properties": {**parts, **some}}


def test_request_may_change_on_a_recorded_machine(installation: Installation, tmp_path: Path) -> None:
    """A recorded machine can be asked what another device would meet."""
    file = tmp_path / "machine.json"
    installation.doctor("facts", "10", "-c", "2d", "-f", "0", "--device", "cpu", "--output", str(file))
    done = installation.doctor("check", "10", "--facts", str(file), "--device", "cuda", "--format", "json")

    assert "torch-cpu-build" in [finding["id"] for finding in json.loads(done.stdout)["findings"]]


def test_a_recording_says_nothing_of_another_training(installation: Installation, tmp_path: Path) -> None:
    """What was recorded for one fold is not taken for another: its state is unknown, not free."""
    file = tmp_path / "machine.json"
    installation.doctor("facts", "10", "-c", "2d", "-f", "0", "--device", "cpu", "--output", str(file))
    done = installation.doctor("check", "10", "-f", "1", "--facts", str(file), "--format", "json")
    report = json.loads(done.stdout)

    assert done.returncode == 3
    assert {"training-finished", "training-resumable"} <= {item["id"] for item in report["unknown"]}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--device", "cpu", "-c", "2d", "-f", "0"], 0),
        (["--device", "cpu", "-c", "2d", "-f", "0", "--fail-on", "warning"], 1),
        (["--device", "cuda"], 1),
        (["--device", "cuda", "--fail-on", "never"], 0),
        (["--device", "cuda", "--ignore", "device,triton,dataset"], 0),
        (["--device", "cuda", "--select", "paths"], 0),
        (["--device", "cuda", "--select", "torch-cpu-build,paths"], 1),
        (["--device", "cpu", "--quick", "--select", "torch-import-fails"], 3),
    ],
)
def test_exit_codes_of_check(installation: Installation, arguments: list[str], code: int) -> None:
    """0 nothing at the level that counts, 1 a problem, 3 undecided; select, ignore and fail-on change what counts."""
    done = installation.doctor("check", "10", *arguments)

    assert done.returncode == code, done.stdout


def test_left_out_checks_are_listed_as_ignored(installation: Installation) -> None:
    """What is not asked is neither passed nor hidden."""
    report = json.loads(installation.doctor("check", "--select", "wsl2", "--ignore", "wsl1", "--format", "json").stdout)

    assert "wsl1" in report["ignored"]
    assert "triton-missing" in report["ignored"]
    of_area = {path.stem for path in (catalogue.built_in_folder() / "wsl2").glob("*.toml")}
    assert set(report["passed"]) == of_area - {"wsl1"}


def test_a_report_that_cannot_be_written_is_not_all(installation: Installation) -> None:
    """What was found after a long look is told all the same, and the other reports are written, before the error."""
    installation.path("taken.md").mkdir()
    reports = ("--report", "taken.md", "--report", "good.json")
    done = installation.doctor("check", "10", "--select", "dataset", *reports)

    assert done.returncode == 2
    assert "taken.md cannot be written" in done.stderr
    assert done.stdout.startswith("nnunet-doctor ")
    assert json.loads(installation.path("good.json").read_text(encoding="utf-8"))["schema_version"] == 1


def test_a_report_makes_the_folders_above_it(installation: Installation) -> None:
    """A folder that is not there is made, so that a pipeline need not do it before."""
    done = installation.doctor("check", "10", "--select", "dataset", "--report", "new/and/newer/r.json")

    assert done.returncode in (0, 1), done.stderr
    assert json.loads(installation.path("new", "and", "newer", "r.json").read_text(encoding="utf-8"))["verdict"]


def test_a_report_below_a_file_costs_no_finding(installation: Installation) -> None:
    """Where no folder can be made, findings and annotations are told all the same, and one sentence says why."""
    installation.path("taken").write_text("", encoding="utf-8")
    reports = ("--report", "taken/r.sarif", "--report", "taken/below/r.xml", "--report", "good.json")
    done = installation.doctor("check", "--facts", str(RECORDED), "--format", "github", *reports)
    said = [line for line in done.stderr.splitlines() if "cannot be written" in line]

    assert done.returncode == 2
    assert said[0] == f"nnunet-doctor: {Path('taken/r.sarif')} cannot be written: taken is not a folder"
    assert [line.split(" cannot")[0] for line in said[1:]] == [f"nnunet-doctor: {Path('taken/below/r.xml')}"]
    assert "\n::error file=" in done.stdout
    assert json.loads(installation.path("good.json").read_text(encoding="utf-8"))["verdict"] == "problems"


def test_checks_of_a_dataset_start_no_other_process(installation: Installation) -> None:
    """What is asked of a dataset is looked up without the examined interpreter, which a whole check starts."""
    started = installation.path("started.txt")
    note = f"open({str(started)!r}, 'a').write('python\\n')\n"
    write(Path(installation.environ["PYTHONPATH"], "sitecustomize.py"), note)
    counts = []
    for arguments in (["--select", "dataset"], ["--quick"]):
        started.write_text("", encoding="utf-8")
        done = installation.process("check", "10", *arguments, "--format", "json")
        assert json.loads(done.stdout)["passed"] != [], done.stderr
        counts.append(len(started.read_text(encoding="utf-8").splitlines()))

    assert counts[0] == 1  # the doctor itself
    assert counts[1] > 1


def told(report: dict) -> dict:
    """Return what a report tells of each check; what explains it may be a check that was not asked."""
    findings = {}
    for finding in report["findings"]:
        # free memory moves between two looks, in evidence and in words
        moving = {"why": re.sub(r"[0-9.]+ GiB", "", finding["why"]), "explained_by": None}
        evidence = [item for item in finding["evidence"] if item["fact"] != "resources.memory_available_gib"]
        findings[finding["id"]] = {**finding, **moving, "evidence": evidence}
    return findings | {item["id"]: item["because"] for item in report["unknown"]} | dict.fromkeys(report["passed"])


@pytest.mark.parametrize("word", [*AREAS, "triton-missing", "compile-on-windows"])
def test_a_part_of_a_report_is_that_part(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On a recorded machine, a check of some checks says of them what a whole check says; the others are ignored."""
    reports = []
    for arguments in ([], ["--select", word]):
        main(["check", "--facts", str(RECORDED), "--format", "json", *arguments])
        reports.append(json.loads(capsys.readouterr().out))
    whole, part = (told(report) for report in reports)

    assert part == {id: what for id, what in whole.items() if id not in reports[1]["ignored"]}
    assert part != {}
    assert set(part).isdisjoint(reports[1]["ignored"])


def test_a_part_of_a_look_is_that_part(installation: Installation) -> None:
    """On this machine likewise: a look at what some checks ask decides them as a look at everything does."""
    what = ("check", "10", "-c", "2d", "-f", "0", "--format", "json")
    whole = told(json.loads(installation.doctor(*what).stdout))
    for words in ("dataset", "paths,wsl2", "nnunet", "triton,os", "training,resources"):
        part = json.loads(installation.doctor(*what, "--select", words).stdout)

        assert told(part) == {id: whole[id] for id in told(part)}
        assert not [item for item in part["unknown"] if "not asked for" in item["because"]]
    rest = json.loads(installation.doctor(*what, "--ignore", "dataset,device").stdout)

    assert told(rest) == {id: said for id, said in whole.items() if id not in rest["ignored"]}


def test_the_doctors_own_interpreter_is_examined_unless_another_is_named(installation: Installation) -> None:
    """Whoever installs the doctor beside nnU-Net need not name an interpreter; --python and its variable name another."""
    environ = {name: value for name, value in installation.environ.items() if name != "NNUNET_DOCTOR_PYTHON"}
    seen = [
        json.loads(Installation(installation.base, variables).doctor("facts", "--device", "cpu").stdout)["facts"]
        for variables in (environ, installation.environ)
    ]

    assert [facts["python.executable"] for facts in seen] == [
        sys.executable,
        installation.environ["NNUNET_DOCTOR_PYTHON"],
    ]
    assert [facts["torch.importable"] for facts in seen] == [True, True]


def test_title_names_what_was_looked_at(installation: Installation) -> None:
    """The title of a part leaves out what was not asked for, and has no holes; that of a whole check names all."""
    part = installation.doctor("check", "10", "--select", "dataset").stdout.splitlines()[0]
    whole = " ".join(installation.doctor("check", "10").stdout.splitlines()[:2])

    assert part.startswith("nnunet-doctor 0.1.0")
    assert "torch" not in part
    assert "?" not in part
    assert "torch 2.13.0+cpu, nnU-Net 2.8.1" in whole


@pytest.mark.parametrize("count", [3, record.FEW_DETAILS + 3])
@pytest.mark.parametrize("name", ["case_{}.nii.gz", "病例_{}.nii.gz", "case\udce9_{}.nii.gz"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_reports_of_any_length_are_json(count: int, name: str, ascii_only: bool) -> None:
    """A long report is written as a short one is: indented, characters kept or escaped, and no path stops it."""
    details = [record.DetailRecord(name.format(number), "m") for number in range(count)]
    finding = record.FindingRecord("nan", "dataset", "error", "t", "w", [], details, [], [], [])
    plan, machine = record.PlanRecord({}, [], []), record.MachineRecord("s", "3.12", None, "2.8", "g")
    report = record.Report("problems", [finding], [], [], [], plan, machine)
    text = record.to_json(report, ascii_only=ascii_only)
    (read,) = json.loads(text)["findings"]

    assert [detail["subject"] for detail in read["details"]] == [detail.subject for detail in details]
    assert text.splitlines()[1] == '  "schema_version": 1,'
    assert text.isascii() is (ascii_only or name.isascii() or "\udce9" in name)


def test_reports_are_written_by_suffix(installation: Installation) -> None:
    """--report writes text, JSON and a picture beside what goes to the screen."""
    files = [installation.path(f"report.{suffix}") for suffix in ("txt", "json", "svg")]
    done = installation.doctor("check", *(word for file in files for word in ("--report", str(file))))

    assert done.stdout.replace("\r", "") == files[0].read_text(encoding="utf-8")
    assert json.loads(files[1].read_text(encoding="utf-8"))["schema_version"] == 1
    assert files[2].read_text(encoding="utf-8").startswith("<svg")


def test_unset_folders_are_a_finding_not_a_slip(installation: Installation) -> None:
    """Where the folders are not set, a dataset that is not found is reported with the reason, as a problem."""
    environ = {name: value for name, value in installation.environ.items() if not name.startswith("nnUNet_")}
    done = Installation(installation.base, environ).doctor("check", "10", "--format", "json")

    assert done.returncode == 1
    assert "paths-unset" in [finding["id"] for finding in json.loads(done.stdout)["findings"]]


def test_unconverted_dataset_gets_the_conversion_command(installation: Installation) -> None:
    """Dataset 10 that is only there as the Decathlon gave it is reported with the command that converts it."""
    folder = installation.path("raw", "Task12_Colon")
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "imagesTr" / "colon_001.nii.gz").write_bytes(b"")
    (folder / "dataset.json").write_text('{"modality": {"0": "CT"}, "labels": {"0": "background"}}', encoding="utf-8")
    done = installation.doctor("check", "12", "-c", "2d", "-f", "0")

    assert done.returncode == 1
    assert "nnUNetv2_convert_MSD_dataset" in done.stdout
    assert str(folder) in done.stdout


def test_chinese_report_speaks_chinese(installation: Installation) -> None:
    """--lang zh gives Chinese titles and sentences; ids, facts and commands stay."""
    done = installation.doctor("check", "10", "-c", "2d", "-f", "0", "--lang", "zh")

    assert "默认使用 CUDA" in done.stdout
    assert "[default-device-unusable]" in done.stdout
    assert "nnUNetv2_train takes CUDA unless told otherwise" not in done.stdout


@pytest.mark.parametrize(("words", "title"), [(["--lang", "zh"], "共享内存太小"), (["--lang=zh"], "共享内存太小")])
def test_a_language_may_stand_before_the_command(installation: Installation, words: list[str], title: str) -> None:
    """What stands before the command counts where the command itself names no language."""
    before = installation.doctor(*words, "explain", "shm-too-small")
    both = installation.doctor(*words, "explain", "shm-too-small", "--lang", "en")

    assert title in before.stdout
    assert title not in both.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "ascii", "utf-8"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_code_page_stops_the_report(installation: Installation, encoding: str, form: str) -> None:
    """A redirected report in Chinese never ends in an encoding error, whatever the code page; JSON stays JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "nnunet_doctor", "check", "--lang", "zh", "--format", form, "--facts", str(RECORDED)],
        env={**installation.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert b"Traceback" not in done.stderr
    assert b"warn" in done.stdout
    if form == "json":
        assert "处理器" in json.dumps(json.loads(done.stdout.decode(encoding)), ensure_ascii=False)


def test_a_closed_pipe_is_no_error(installation: Installation) -> None:
    """`nnunet-doctor list | head` ends quietly."""
    if sys.platform == "win32":
        pytest.skip("POSIX pipes")
    line = f'"{sys.executable}" -m nnunet_doctor list | head -1'
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=installation.environ, capture_output=True, check=False, timeout=60
    )

    assert done.stderr == b""


def test_nothing_but_the_doctor_is_useful(tmp_path: Path) -> None:
    """Without torch, nnU-Net and folders the report names each and how to get it, with exit code 1."""
    environ = {**clean_environ(), "NNUNET_DOCTOR_LANG": "en"}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "new")], check=True)
    done = Installation(tmp_path, environ).doctor("check", "--python", str(tmp_path / "new"))

    assert done.returncode == 1
    for words in ("[torch-missing]", "[nnunet-missing]", "[paths-unset]", "-m ensurepip", "-m pip install"):
        assert words in done.stdout


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_facts_as_powershell_writes_them(installation: Installation, encoding: str) -> None:
    """`facts > machine.json` gives UTF-16 in Windows PowerShell 5; the file is read all the same."""
    text = installation.doctor("facts", "--quick").stdout
    installation.path("machine.json").write_text(text, encoding=encoding)

    assert installation.doctor("check", "--facts", "machine.json").returncode in (1, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell")
@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("{doctor} check --facts {recorded} | true; exit ${{PIPESTATUS[0]}}", 1, ""),
        ("{doctor} check --facts {recorded} --format json | true; exit ${{PIPESTATUS[0]}}", 1, ""),
        ("{doctor} schema facts >&-", 0, ""),
        (
            "{doctor} schema facts > /dev/full",
            2,
            "nnunet-doctor: the output cannot be written: No space left on device",
        ),
        ("{doctor} check 999 --quick 2>&-", 2, ""),
        ("{doctor} check 999 --quick 2> /dev/full", 2, ""),
        ("{doctor} facts --quick 2>&- | grep -q schema_version", 0, ""),
        (
            "mkdir gone; cd gone; rmdir ../gone; {doctor} bundle --quick",
            2,
            "nnunet-doctor: the working folder has been deleted; go to one that is there",
        ),
    ],
)
def test_output_that_nobody_takes(installation: Installation, line: str, code: int, error: str) -> None:
    """A closed pipe or stream ends nothing and hides no verdict; a full disk is told."""
    command = line.format(doctor=f'"{sys.executable}" -m nnunet_doctor', recorded=f'"{RECORDED}"')
    done = subprocess.run(
        ["bash", "-c", command],
        env=installation.environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=installation.base,
    )

    assert (done.returncode, done.stderr.strip()) == (code, error)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_name_cannot_command_the_terminal(installation: Installation) -> None:
    """Control characters of a file name are written out, and a line break in it makes no second line."""
    images = installation.path("raw", "Dataset010_Colon", "imagesTr")
    images.mkdir()
    for name in ("a\x1b[2Jb", "c\nFAIL d"):
        (images / f"{name}_0000.nii.gz").write_bytes(b"")
    done = installation.doctor("check", "10", "--select", "dataset")

    assert "imagesTr/a\\x1b[2Jb_0000.nii.gz" in done.stdout
    assert "imagesTr/c\\nFAIL d_0000.nii.gz" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("environ", "is_styled"),
    [
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
)
def test_styles_are_asked_for_and_refused(installation: Installation, environ: dict[str, str], is_styled: bool) -> None:
    """NO_COLOR wins and leaves no bold letters either; an empty variable counts as unset; a file is always plain."""
    done = installation.process("check", "--facts", str(RECORDED), "--report", "report.txt", **environ)

    assert ("\x1b[" in done.stdout) == is_styled
    assert "\x1b" not in installation.path("report.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("what", [[], ["--facts"], ["--tables"]])
def test_lists(installation: Installation, what: list[str]) -> None:
    """Checks, facts and tables can be listed for people and for programs."""
    text = installation.doctor("list", *what).stdout
    rows = json.loads(installation.doctor("list", *what, "--format", "json").stdout)

    assert rows
    for row in rows:
        assert (row.get("id") or row["name"]) in text


def test_explain_tells_all(installation: Installation) -> None:
    """`explain` shows the reason, the condition, the fixes and the sources of one check."""
    text = installation.doctor("explain", "compile-on-windows").stdout

    for words in ("platform.os == 'windows'", "nnUNet_compile=false", "MIC-DKFZ/nnUNet#2219", "2.5.1"):
        assert words in text


def test_version(installation: Installation) -> None:
    """--version names the release."""
    assert installation.doctor("--version").stdout == "nnunet-doctor 0.1.0\n"


PROCESSES = {
    "version": ["--version"],
    "wrong use": ["chek"],
    "check": ["check", "--facts", "machine.json", "--format", "markdown"],
    "facts": ["facts", "10", "-c", "2d", "--device", "cpu"],
    "diff": ["diff", "machine.json", "other.json"],
    "bundle": ["bundle", "--quick", "-o", "out.zip"],
    "fix": ["fix", "10"],
    "list": ["list", "--format", "json"],
    "explain": ["explain", "triton-missing", "--lang", "zh"],
    "test of checks": ["checks", "test", "mine"],
    "schema": ["schema", "facts"],
    "config": ["config"],
    "demo": ["demo", "--folder", "raw"],
}


@pytest.mark.parametrize("arguments", PROCESSES.values(), ids=PROCESSES.keys())
def test_a_process_says_what_a_call_says(installation: Installation, arguments: list[str]) -> None:
    """Most tests call the command line in their own process; started as users start it, it says and ends the same."""
    for name, machine in (("machine.json", "linux-cuda-healthy"), ("other.json", "windows-cpu-nnunet242")):
        shutil.copy(RECORDED.with_name(f"{machine}.json"), installation.path(name))
    write(installation.path("mine", "device", "my-rule.toml"), RULE.read_text(encoding="utf-8"))
    call, process = (run(*arguments) for run in (installation.doctor, installation.process))

    assert (process.returncode, process.stderr) == (call.returncode, call.stderr)
    assert still(process.stdout) == still(call.stdout)


def still(text: str) -> str:
    """Return a text without numbers, which move between two looks at one machine."""
    return re.sub(r"[0-9.]+", "0", text)


def test_installed_pack_is_found_without_running_it(installation: Installation) -> None:
    """A package that names its folder of checks by entry point is read as data; its code never runs."""
    site = Path(installation.environ["PYTHONPATH"])
    check = check_text("warning", "training.device == 'cpu'", 'training.device = "cpu"', 'training.device = "cuda"')
    check = check.replace('title = "t"', 'title = "A hospital\'s own rule"', 1)
    write(site / "hospital" / "__init__.py", "raise SystemExit('this code must not run')")
    write(site / "hospital" / "rules" / "device" / "hospital-rule.toml", check)
    distribution(site, "hospital", "1.0")
    write(site / "hospital-1.0.dist-info" / "entry_points.txt", "[nnunet_doctor.checks]\nhospital = hospital:rules\n")
    done = installation.doctor("check", "--quick", "--device", "cpu")

    assert "A hospital's own rule  [hospital-rule]" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 0, "1 ok, 0 FAIL"),
        ('training.device = "cuda"|training.device = "cpu"', 1, "expects silent, and the check says fires"),
        ("training.device ==|training.devize ==", 1, "did you mean 'training.device'?"),
    ],
)
def test_checks_test_tells_what_is_wrong(installation: Installation, text: str, code: int, words: str) -> None:
    """`checks test` validates a file and runs its examples; a wrong one is named with file, line and reason."""
    good = RULE.read_text(encoding="utf-8")
    old, _, new = text.partition("|")
    changed = good.replace(old, new, 1) if old else good
    write(installation.path("mine", "device", "my-rule.toml"), changed)
    done = installation.doctor("checks", "test", "mine")

    assert (done.returncode, words in done.stdout) == (code, True), done.stdout
