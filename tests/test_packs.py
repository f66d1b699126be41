"""Packs of others: found as data, asked like our own, and never able to take the doctor down."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
from in_process import call
from made_up import Installation, clean_environ, distribution, write

ROOT = Path(__file__).resolve().parents[1]
PACKS = ROOT / "tests" / "packs"
ASKED = ("check", "./Dataset099_Sample", "--select", "dataset", "--ignore", "num-training")
"""A check that passes: what is planted in the sample beyond that is a warning."""

CHECK = (PACKS / "house-rules/house_rules/checks/training/house-fold-all.toml").read_text(encoding="utf-8")


class Desk:
    """A folder with the sample dataset, and a folder of installed packages that the doctor has in its path."""

    def __init__(self, base: Path) -> None:
        self.base, self.site = base, base / "site"
        self.environ = {**clean_environ(), "PYTHONPATH": str(self.site), "XDG_CACHE_HOME": str(base / "cache")}
        runpy.run_path(str(ROOT / "tests/sample_repository/make_dataset.py"))["main"](base)

    def doctor(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return call(arguments, self.environ, self.base)

    def process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in a process of its own, as a user does."""
        return subprocess.run(
            [sys.executable, "-m", "nnunet_doctor", *arguments],
            env=self.environ,
            cwd=self.base,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )

    def install(self, pack: str) -> None:
        """Lay a pack into the path, as an installer does."""
        project = tomli.loads((PACKS / pack / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for package in (path for path in (PACKS / pack).iterdir() if path.is_dir()):
            shutil.copytree(package, self.site / package.name)
        groups = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
            for group, entries in project["entry-points"].items()
        ]
        self.make(project["name"].replace("-", "_"), "\n".join(groups))

    def make(self, name: str, entry_points: str, files: dict[str, str] | None = None) -> None:
        """Install a package with entry points and files."""
        distribution(self.site, name, "1.0")
        write(self.site / f"{name}-1.0.dist-info" / "entry_points.txt", entry_points)
        for path, text in (files or {}).items():
            write(self.site / path, text)

    def scanners(self, text: str = "case,model\nsample_000,A1\nsample_001,B2\nsample_002,\n") -> None:
        write(self.base / "Dataset099_Sample" / "scanners.csv", text)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("pack", ["house-rules/house_rules", "scanner/scanner_pack"])
def test_packs_hold_what_they_promise(desk: Desk, pack: str) -> None:
    """Check files of a pack are valid and their examples right, before it is installed."""
    done = desk.doctor("checks", "test", str(PACKS / pack / "checks"))

    assert (done.returncode, "0 FAIL" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_pack_without_code_is_found_without_importing_it(desk: Desk) -> None:
    """Its check fires, is explained and listed with where it comes from; importing the package would raise."""
    desk.install("house-rules")
    done = desk.process(
        "check", "--facts", str(ROOT / "tests/machines/linux-resenc-l-fold-all.json"), "--format", "json"
    )
    explained = desk.doctor("explain", "house-fold-all")

    assert "house-fold-all" in [finding["id"] for finding in json.loads(done.stdout)["findings"]]
    assert (done.stderr, explained.stderr) == ("", "")
    assert "pack house-rules" in explained.stdout


def test_a_probe_of_a_pack_fills_its_facts(desk: Desk) -> None:
    """A probe that is named looks, and its facts fire checks with subjects and evidence like any other."""
    desk.install("scanner")
    desk.scanners()
    done = desk.process(*ASKED, "--probes", "scanner", "--format", "json")
    found = {finding["id"]: finding for finding in json.loads(done.stdout)["findings"]}

    assert (done.returncode, done.stderr) == (1, "")
    assert found["scanner-unknown"]["details"] == [{"subject": "sample_002", "message": "no model"}]
    assert found["scanners-mixed"]["title"] == "Cases come from several scanners: A1, B2"
    assert found["scanners-mixed"]["evidence"] == [
        {"fact": "scanner.models", "value": ["A1", "B2"], "source": "pack scanner"}
    ]


def test_a_probe_of_a_pack_runs_only_when_it_is_named(desk: Desk) -> None:
    """Without --probes its code is not run, and its checks are undecided with what would decide them."""
    desk.install("scanner")
    write(desk.site / "scanner_pack" / "probe.py", "open('ran', 'w').close()")
    done = desk.doctor(*ASKED, "--format", "json")
    unknown = {item["id"]: item["because"] for item in json.loads(done.stdout)["unknown"]}

    assert done.returncode == 3
    assert "--probes scanner" in unknown["scanner-unknown"]
    assert not (desk.base / "ran").exists()


def test_a_dataset_without_the_file_of_the_probe_passes(desk: Desk) -> None:
    """Facts that do not apply are None, which no check of the pack takes for a problem."""
    desk.install("scanner")

    assert desk.doctor(*ASKED, "--probes", "scanner").returncode == 0


def test_facts_of_packs_are_recorded(desk: Desk) -> None:
    """A recording gives the same findings where the pack is installed, and can be read where it is not."""
    desk.install("scanner")
    desk.scanners()
    desk.doctor("facts", "./Dataset099_Sample", "--quick", "--probes", "scanner", "--output", "machine.json")
    again = desk.doctor(*ASKED[:2], "--facts", "machine.json", "--select", "dataset", "--format", "json")
    shutil.rmtree(desk.site)
    without = desk.doctor(*ASKED[:2], "--facts", "machine.json", "--select", "dataset", "--format", "json")

    ids = {finding["id"] for finding in json.loads(again.stdout)["findings"]}
    assert {"scanner-unknown", "scanners-mixed"} <= ids
    assert {finding["id"] for finding in json.loads(without.stdout)["findings"]} == ids - {
        "scanner-unknown",
        "scanners-mixed",
    }


def test_facts_of_packs_are_redacted(desk: Desk) -> None:
    """Cases and paths that a probe tells are names like others; checks find the same."""
    desk.install("scanner")
    desk.scanners("case,model\nsample_000,A1\nsample_001,/home/amueller/B2\nMeier,\n")
    words = ("./Dataset099_Sample", "--quick", "--probes", "scanner", "--redact", "--output", "machine.json")
    desk.doctor("facts", *words)
    text = (desk.base / "machine.json").read_text(encoding="utf-8")
    again = desk.doctor(
        "check", "--facts", "machine.json", "--select", "scanner-unknown,scanners-mixed", "--format", "json"
    )
    found = {item["id"]: item["subjects"] for item in json.loads(again.stdout)["findings"]}

    assert [word for word in ("Meier", "amueller") if word in text] == []
    assert found == {"scanner-unknown": ["Xxxxx"], "scanners-mixed": []}


def test_facts_of_packs_are_listed(desk: Desk) -> None:
    """What a pack adds stands in the list of facts with its type and meaning."""
    desk.install("scanner")
    facts = {row["name"]: row for row in json.loads(desk.doctor("list", "--facts", "--format", "json").stdout)}

    assert facts["scanner.models"]["type"] == "list of texts or none"


ENTRY = "[nnunet_doctor.checks]\nward = ward\n"
PROBE = ENTRY + "[nnunet_doctor.probes]\nward = ward.probe\n"
FACTS = '[ward]\nbeds = { type = "whole number", doc = "beds" }\n'
IN = "ward/checks/training/"
BROKEN = {
    "bad TOML": (ENTRY, {IN + "ward-rule.toml": "severity = "}, "this is not TOML"),
    "not UTF-8": (ENTRY, {IN + "ward-rule.toml": "\udcff"}, "not UTF-8"),
    "unknown fact": (
        ENTRY,
        {IN + "ward-rule.toml": CHECK.replace("training.fold ==", "training.folt ==")},
        "did you mean",
    ),
    "id of ours": (ENTRY, {"ward/checks/triton/triton-missing.toml": CHECK}, "'triton-missing' is taken"),
    "id of its own": (ENTRY, {IN + "rule.toml": CHECK, "ward/checks/os/rule.toml": CHECK}, "'rule' is taken"),
    "no such area": (ENTRY, {"ward/checks/wards/ward-rule.toml": CHECK}, "there is no area 'wards'"),
    "no folder": (ENTRY, {"ward/__init__.py": ""}, "there is no folder checks"),
    "a check in no area": (ENTRY, {"ward/checks/ward-rule.toml": CHECK}, "lies in no area folder"),
    "no check at all": (ENTRY, {"ward/checks/README.md": ""}, "there is no check file"),
    "no package": (ENTRY, {}, "there is no folder checks"),
    "no entry": ("[nnunet_doctor.checks]\nward = !!\n", {}, "package:folder is wanted"),
    "garbage": ("[nnunet_doctor.checks]\nward\n", {}, "cannot be read: 'ward' is no entry"),
    "facts that are not TOML": (PROBE, {"ward/checks/facts.toml": "[ward"}, "is not TOML"),
    "facts of a strange type": (
        PROBE,
        {"ward/checks/facts.toml": FACTS.replace("whole number", "hole number")},
        "did you mean 'whole number'?",
    ),
    "facts in an area of ours": (PROBE, {"ward/checks/facts.toml": FACTS.replace("[ward]", "[torch]")}, "doctor's own"),
    "facts without a probe": (ENTRY, {"ward/checks/facts.toml": FACTS}, "there is no probe"),
    "a probe without facts": (PROBE, {IN + "ward-rule.toml": CHECK}, "no facts.toml"),
    "a probe without checks": ("[nnunet_doctor.probes]\nward = ward\n", {}, "no entry of that name"),
}


@pytest.mark.parametrize(("entries", "files", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_pack_is_left_out_and_named(desk: Desk, entries: str, files: dict[str, str], words: str) -> None:
    """The rest of the report is there, the pack is named, and what it would have found counts as undecided."""
    desk.install("scanner")
    desk.make("ward", entries)
    for path, text in files.items():
        (desk.site / path).parent.mkdir(parents=True, exist_ok=True)
        (desk.site / path).write_bytes(text.encode("utf-8", "surrogateescape"))
    done = desk.doctor(*ASKED, "--probes", "scanner", "--format", "json")
    report = json.loads(done.stdout)

    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("nnunet-doctor: The pack ward is left out: ")
    assert words in done.stderr
    assert [item["id"] for item in report["unknown"]] == ["pack-ward"]
    assert {"scanner-unknown", "label-float"} <= {*report["passed"], *(item["id"] for item in report["findings"])}


def test_entries_of_others_do_no_harm(desk: Desk) -> None:
    """A comment, and an entry of another group that no Python would load, cost a pack nothing."""
    desk.make("ward", "# ours\n[console_scripts]\nward = !!\n\n" + ENTRY, {IN + "ward-rule.toml": CHECK})

    assert desk.doctor("explain", "ward-rule").stdout.startswith("training/ward-rule  [warning]  pack ward\n")


LAID = {
    "the package": ("acme_pack", "acme_pack/checks/"),
    "a folder of it": ("acme_pack:rules", "acme_pack/rules/"),
    "the folder, as a module is written": ("acme_pack.checks", "acme_pack/checks/"),
    "a folder in a folder": ("acme_pack:data/checks", "acme_pack/data/checks/"),
    "a folder in a folder, as a module is written": ("acme_pack.data.checks", "acme_pack/data/checks/"),
    "a folder in a folder, with dots": ("acme_pack:data.checks", "acme_pack/data/checks/"),
    "a package in the package": ("acme_pack.data:rules", "acme_pack/data/rules/"),
    "the folder that holds the checks": ("acme_pack:data", "acme_pack/data/checks/"),
    "the package that holds the checks": ("acme_pack.data", "acme_pack/data/checks/"),
    "the package, which holds the areas": ("acme_pack", "acme_pack/"),
    "a folder, for an extra": ("acme_pack:rules [all]", "acme_pack/rules/"),
}


@pytest.mark.parametrize(("entry", "folder"), LAID.values(), ids=LAID.keys())
@pytest.mark.parametrize("package", [True, False], ids=["packages", "folders"])
def test_checks_are_found_wherever_an_entry_may_say(desk: Desk, entry: str, folder: str, *, package: bool) -> None:
    """The folder that an entry names, or ``checks`` in it, whether Python takes it for a package; nothing is imported."""
    code = {"acme_pack/__init__.py": "raise SystemExit('imported')"}
    code |= {f"{folder}__init__.py": "raise SystemExit('imported')"} if package else {}
    entries = f"[nnunet_doctor.checks]\nacme = {entry}\n"
    desk.make("acme", entries, {**code, f"{folder}training/acme-rule.toml": CHECK})
    done = desk.doctor("explain", "acme-rule")

    assert done.stdout.startswith("training/acme-rule  [warning]  pack acme\n"), done.stderr


@pytest.mark.parametrize("entry", ["acme_pack:../outside", "acme_pack:/outside", "acme_pack:..", "acme_pack:nowhere"])
def test_an_entry_names_no_folder_outside_its_package(desk: Desk, entry: str) -> None:
    """What lies elsewhere is no part of the pack, and is not asked."""
    files = {"acme_pack/__init__.py": "", "outside/training/acme-rule.toml": CHECK}
    desk.make("acme", f"[nnunet_doctor.checks]\nacme = {entry}\n", files)

    assert "The pack acme is left out: " in desk.doctor("list").stderr


LOADED = {
    "an id of ours": ({"triton/triton-missing.toml": CHECK}, "mine", "the id 'triton-missing' is taken by a built-in"),
    "an id of ours in another area": (
        {"os/triton-missing.toml": CHECK},
        "mine/os/triton-missing.toml",
        "the id 'triton-missing' is taken by a built-in check",
    ),
    "an id of its own": (
        {"os/twin.toml": CHECK, "training/twin.toml": CHECK},
        "mine/training",
        "the id 'twin' is taken by",
    ),
    "a lost explanation": (
        {"os/own-rule.toml": 'explains = ["other-rule", "triton-mising"]\n' + CHECK, "os/other-rule.toml": CHECK},
        "mine",
        "own-rule.toml:1: 'explains' names 'triton-mising', and there is no such check; did you mean 'triton-missing'?",
    ),
    "a lost explanation of its own": (
        {"os/own-rule.toml": 'explains = ["other-rul"]\n' + CHECK, "training/other-rule.toml": CHECK},
        "mine/os/own-rule.toml",
        "did you mean 'other-rule'?",
    ),
}


@pytest.mark.parametrize(("files", "path", "words"), LOADED.values(), ids=LOADED.keys())
def test_what_cannot_be_loaded_fails_its_test(desk: Desk, files: dict[str, str], path: str, words: str) -> None:
    """`checks test` passes no pack that `--checks` refuses for the company that it is in."""
    for file, text in files.items():
        write(desk.base / "mine" / file, text)
    tested = desk.doctor("checks", "test", path)
    asked = desk.doctor("check", "--quick", "--checks", "mine")

    assert (tested.returncode, words in tested.stdout) == (1, True), tested.stdout
    assert asked.returncode == 2, asked.stdout


def test_a_lost_explanation_is_told_with_its_line(desk: Desk) -> None:
    """Whoever asks a folder whose check explains none that exists is shown the line, and the nearest id."""
    write(desk.base / "mine/os/own-rule.toml", 'severity = "info"\nexplains = ["nan-s"]\n' + CHECK.partition("\n")[2])
    done = desk.doctor("check", "--quick", "--checks", "mine")

    assert (done.returncode, done.stdout) == (2, "")
    assert "own-rule.toml:2: 'explains' names 'nan-s', and there is no such check; did you mean 'nan'?" in done.stderr


def test_explanations_of_its_own_and_ours_pass(desk: Desk) -> None:
    """One file of a pack may explain what another file of it finds, and what we find."""
    write(desk.base / "mine/os/own-rule.toml", 'explains = ["other-rule", "triton-missing"]\n' + CHECK)
    write(desk.base / "mine/training/other-rule.toml", CHECK)
    done = desk.doctor("checks", "test", "mine/os/own-rule.toml")

    assert (done.returncode, done.stdout.count("ok  ")) == (0, 1), done.stdout


@pytest.mark.parametrize("folder", ["checks", "checks/triton", "checks/triton/triton-missing.toml"])
def test_our_own_catalogue_passes_in_another_checkout(desk: Desk, folder: str) -> None:
    """Whoever changes a built-in check in a checkout that is not installed is not told that its id is taken."""
    shutil.copytree(ROOT / "checks" / "triton", desk.base / "clone" / "checks" / "triton")
    write(desk.base / "clone" / "nnunet_doctor" / "check.py", "")
    done = desk.doctor("checks", "test", f"clone/{folder}")

    assert (done.returncode, " 0 FAIL" in done.stdout) == (0, True), done.stdout


def test_a_built_in_check_passes_where_it_lies(desk: Desk) -> None:
    """Its id is its own."""
    assert desk.doctor("checks", "test", str(ROOT / "checks" / "triton")).returncode == 0


def test_a_pack_is_tested_by_the_folder_that_holds_it(desk: Desk) -> None:
    """The folder above ``checks`` will do, as in an entry."""
    done = desk.doctor("checks", "test", str(PACKS / "scanner" / "scanner_pack"))

    assert (done.returncode, done.stdout.count("ok  ")) == (0, 2), done.stdout + done.stderr


def test_an_example_of_the_unknown_is_asked_for(desk: Desk) -> None:
    """A check whose facts can be unknown, with no example of that, passes, and its author is told."""
    text = CHECK.rpartition("[[example]]")[0]
    write(desk.base / "mine/os/own-rule.toml", text)
    done = desk.doctor("checks", "test", "mine")
    chinese = desk.doctor("checks", "test", "mine", "--lang", "zh")

    assert "unknown" not in text
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 ok, 0 FAIL")
    assert "warn  mine/os/own-rule.toml: no [[example]] expects 'unknown'" in done.stdout.replace("\\", "/")
    assert "own-rule.toml：没有期望 'unknown' 的 [[example]]" in chinese.stdout


@pytest.mark.parametrize(("file", "words"), [("notes.txt", "there is no check file"), ("rule.toml", "no area folder")])
def test_a_folder_whose_checks_are_not_read_is_refused(desk: Desk, file: str, words: str) -> None:
    """Whoever names a folder without area folders would take a check that was never asked for one that passed."""
    write(desk.base / "own" / file, CHECK)
    done = desk.doctor(*ASKED, "--checks", "own")

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


NAMED = {
    "ignore": 'ignore = ["ward-rule"]',
    "select": 'select = ["ward-rule", "os"]',
    "severity": '[severity]\nward-rule = "info"',
    "waiver": '[[waiver]]\nid = "ward-rule"\nreason = "known"',
}


@pytest.mark.parametrize("name", NAMED)
def test_a_configuration_may_name_checks_of_a_broken_pack(desk: Desk, name: str) -> None:
    """A cluster's configuration that names a check of a pack stops nobody when the pack breaks."""
    desk.make("ward", ENTRY, {IN + "ward-rule.toml": CHECK, IN + "other.toml": "x"})
    write(desk.base / "nnunet-doctor.toml", NAMED[name])
    done = desk.doctor(*ASKED[:2], "--quick", "--format", "json")
    left_out = desk.doctor(*ASKED[:2], "--quick", "--ignore", "pack-ward")

    assert "pack-ward" in [item["id"] for item in json.loads(done.stdout)["unknown"]]
    assert "The pack ward is left out: " in done.stderr
    assert "other.toml: this is not TOML" in done.stderr
    assert left_out.returncode != 2, left_out.stderr


def test_a_broken_pack_can_be_left_out_on_purpose(desk: Desk) -> None:
    """Whoever ignores it by name decides that its checks do not count."""
    desk.make("ward", ENTRY)
    left_out = [*ASKED[:-1], "num-training,pack-ward"]

    assert desk.doctor(*left_out).returncode == 0


def test_two_packs_with_one_check_keep_the_first(desk: Desk) -> None:
    """Of two packs that claim an id, the later one by name is left out, and says whose the id is."""
    for name in ("alpha", "beta"):
        desk.make(name, f"[nnunet_doctor.checks]\n{name} = {name}\n", {f"{name}/checks/os/twin.toml": CHECK})
    done = desk.doctor("explain", "twin")

    assert "pack alpha" in done.stdout
    assert "The pack beta is left out" in done.stderr
    assert "(pack alpha)" in done.stderr


def test_a_broken_pack_stops_no_other_command(desk: Desk) -> None:
    """Lists, explanations and diagnoses go on, and name it."""
    desk.make("ward", ENTRY)
    write(desk.base / "train.log", "RuntimeError: CUDA out of memory\n")
    for arguments in (["list"], ["explain", "triton-missing"], ["diagnose", "train.log"]):
        done = desk.doctor(*arguments)

        assert "The pack ward is left out" in done.stderr, arguments
        assert done.returncode in (0, 1, 3), arguments
        assert done.stdout, arguments


def test_a_broken_pack_blocks_no_training(installation: Installation) -> None:
    """A training is started as without it, and what could not be asked is told."""
    command = ("run", "10", "2d", "0", "-device", "cpu")
    before = installation.doctor(*command)
    shutil.rmtree(installation.path("results", "Dataset010_Colon"), ignore_errors=True)
    site = Path(installation.environ["PYTHONPATH"])
    distribution(site, "ward", "1.0")
    write(site / "ward-1.0.dist-info" / "entry_points.txt", ENTRY)
    done = installation.doctor(*command)

    assert (before.returncode, done.returncode) == (0, 0), done.stdout + done.stderr
    assert "pack-ward" in done.stdout
    assert "The pack ward is left out" in done.stderr


HARMFUL = {
    "raises": ("def look(request): raise ValueError('no bed is free')", "ValueError: no bed is free"),
    "raises a novel": ("def look(request): raise ValueError('no\\n' * 10**6)", "ValueError: no no no"),
    "writes its own answer": (
        "import os, sys\ndef look(request):\n    open(sys.argv[2], 'w').write('{')\n    os._exit(0)",
        "its answer cannot be read",
    ),
    "raises when imported": ("import nowhere_to_be_found", "ModuleNotFoundError"),
    "has no function": ("", "AttributeError"),
    "hangs": ("import time\ndef look(request): time.sleep(600)", "no end after 1 s"),
    "exits": ("import sys\ndef look(request): sys.exit('enough')", "exit code 1, enough"),
    "exits at once": ("import os\ndef look(request): os._exit(0)", "exit code 0"),
    "kills itself": ("import os, signal\ndef look(request): os.kill(os.getpid(), signal.SIGABRT)", "SIGABRT"),
    "says nothing": ("def look(request): pass", "NoneType, and a dict of facts is wanted"),
    "leaves a fact out": ("def look(request): return {}", "says nothing of it"),
    "says a wrong type": ("def look(request): return {'ward.beds': 'many'}", "is whole number, not 'many'"),
    "says half a name": ("def look(request): return {'beds': 1}", "did you mean 'ward.beds'?"),
    "says what is not declared": ("def look(request): return {'torch.version': '9'}", "does not declare"),
}


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("code", "words"), HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_probe_costs_its_own_facts_only(desk: Desk, code: str, words: str) -> None:
    """Whatever a probe does, its facts are unknown with that as the reason, and the rest of the report is there."""
    rule = CHECK.replace("training.fold == 'all'", "ward.beds == 0")
    rule = rule.replace('severity = "warning"', 'severity = "error"').split("[[example]]")[0]
    rule += "".join(
        f'[[example]]\nexpect = "{expect}"\nfacts = {{ ward.beds = {beds} }}\n'
        for expect, beds in (("fires", 0), ("silent", 1))
    )
    files = {"ward/probe.py": code, "ward/checks/facts.toml": FACTS, "ward/checks/dataset/no-bed.toml": rule}
    desk.make("ward", PROBE, files)
    deadline = "1" if "sleep" in code else "20"
    done = desk.doctor(*ASKED, "--probes", "ward", "--timeout", deadline, "--format", "json")
    report = json.loads(done.stdout)

    assert done.returncode == 3, done.stderr
    assert [item["id"] for item in report["unknown"]] == ["no-bed"]
    assert words in report["unknown"][0]["because"]
    assert "label-float" in [item["id"] for item in report["findings"]]


def test_a_probe_gets_the_folder_of_the_dataset(desk: Desk) -> None:
    """Whether the user names it by id, name or path; None where there is none."""
    code = "def look(request): return {'ward.name': request['folder'] and request['folder'][-17:]}"
    facts = '[ward]\nname = { type = "text or none", doc = "folder" }\n'
    desk.make("ward", PROBE, {"ward/probe.py": code, "ward/checks/facts.toml": facts})
    desk.environ["nnUNet_raw"] = str(desk.base)
    named = [("99",), ("Dataset099_Sample",), ("./Dataset099_Sample",), ()]
    done = [desk.doctor("facts", *words, "--quick", "--probes", "ward") for words in named]

    assert [json.loads(item.stdout)["packs"]["ward.name"] for item in done] == ["Dataset099_Sample"] * 3 + [None]


def test_a_probe_may_leave_threads_and_numbers_of_numpy(desk: Desk) -> None:
    """An answer counts when it is given, whatever still runs; arrays are lists."""
    code = (
        "import threading, time, numpy\ndef look(request):\n    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    return {'ward.beds': numpy.array([1, 2])}\n"
    )
    facts = '[ward]\nbeds = { type = "list of whole numbers", doc = "beds" }\n'
    desk.make("ward", PROBE, {"ward/probe.py": code, "ward/checks/facts.toml": facts})
    done = desk.doctor("facts", "--quick", "--probes", "ward", "--timeout", "20")

    assert json.loads(done.stdout)["packs"] == {"ward.beds": [1, 2]}


def test_what_json_cannot_write_is_no_number(desk: Desk) -> None:
    """NaN and infinity are unknown, with that as the reason; the facts file is JSON that any program reads."""
    code = "def look(request): return {'ward.rate': float('nan'), 'ward.rates': [1.5, float('inf')]}"
    facts = '[ward]\nrate = { type = "number", doc = "r" }\nrates = { type = "list of numbers", doc = "r" }\n'
    desk.make("ward", PROBE, {"ward/probe.py": code, "ward/checks/facts.toml": facts})
    done = desk.doctor("facts", "--quick", "--probes", "ward")
    packs = json.loads(done.stdout, parse_constant=pytest.fail)["packs"]

    assert [packs[name]["unknown"].rpartition(", ")[2] for name in ("ward.rate", "ward.rates")] == ["not nan", "inf]"]


def test_files_of_notepad_are_read(desk: Desk) -> None:
    """Windows puts a mark before UTF-8; check files and declarations with it are as good as others."""
    desk.make("ward", PROBE, {"ward/probe.py": "def look(request): return {'ward.beds': 7}"})
    write(desk.site / "ward/checks/facts.toml", "\ufeff" + FACTS)
    write(desk.site / IN / "ward-rule.toml", "\ufeff" + CHECK)
    done = desk.doctor("explain", "ward-rule")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_noisy_probe_is_not_heard(desk: Desk) -> None:
    """What a probe prints does not reach the report; numbers of numpy and paths are understood."""
    code = "from pathlib import Path\nimport numpy\ndef look(request):\n    print('{' * 9)\n    return {'ward.beds': numpy.int64(3)}\n"
    desk.make("ward", PROBE, {"ward/probe.py": code, "ward/checks/facts.toml": FACTS})
    done = desk.doctor("facts", "--quick", "--probes", "ward")

    assert json.loads(done.stdout)["packs"] == {"ward.beds": 3}


@pytest.mark.parametrize(
    ("name", "words"),
    [("scaner", "did you mean 'scanner'?"), ("house-rules", "this pack has no probe")],
)
def test_a_probe_that_is_not_there_is_a_slip(desk: Desk, name: str, words: str) -> None:
    """A name that no pack has, or one of a pack without a probe, is told in one sentence."""
    desk.install("scanner")
    desk.install("house-rules")
    done = desk.doctor(*ASKED, "--probes", name)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.slow
def test_packs_installed_for_real(tmp_path: Path) -> None:
    """Built and installed by pip into an environment of its own, both packs do what they do above."""
    desk = Desk(tmp_path)
    desk.scanners()
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    write(tmp_path / "outer" / "sitecustomize.py", f"import sys\nsys.path += {sys.path!r}\n")
    environ = {**desk.environ, "PYTHONPATH": str(tmp_path / "outer"), "PIP_NO_BUILD_ISOLATION": "0"}
    wanted = ["--no-deps", "--no-index", str(ROOT), str(PACKS / "house-rules"), str(PACKS / "scanner")]
    subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", *wanted], env=environ, check=True)
    done = subprocess.run(
        [scripts / "nnunet-doctor", *ASKED, "--probes", "scanner", "--format", "json"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    report = json.loads(done.stdout)

    assert {"scanner-unknown", "scanners-mixed"} <= {finding["id"] for finding in report["findings"]}, done.stderr
    assert "house-fold-all" in report["ignored"]
