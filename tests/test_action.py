"""The ways into a pipeline, run as their runners run them: GitHub's action, pre-commit, and the snippets of the documentation."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up import clean_environ, make_python

from nnunet_doctor import arguments

ROOT = Path(__file__).resolve().parents[1]
ACTION = ROOT / ".github" / "actions" / "preflight"
SAMPLE = ROOT / "tests" / "sample_repository"
BASH = shutil.which("bash") or "bash"
LABEL = "Dataset099_Sample/labelsTr/sample_002.nii.gz"
FIX = "nnunet-doctor fix ./Dataset099_Sample --apply"

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="which bash is found on Windows differs from machine to machine"
)


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@dataclass
class Runner:
    """What GitHub's runner gives to a step: a workspace, a folder for scratch files, and files for what a step says.

    ``said`` holds the standard output of each step, ``complaints`` the standard error of the last one, and ``uploads``
    what an action of others was given.
    """

    workspace: Path
    temp: Path
    environ: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    uploads: list[dict[str, str]] = field(default_factory=list)
    complaints: str = ""

    def __post_init__(self) -> None:
        self.temp.mkdir(parents=True, exist_ok=True)
        self.environ = {
            **clean_environ(),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_WORKFLOW_REF": "someone/sample/.github/workflows/preflight.yml@refs/heads/main",
            "GITHUB_ACTION_PATH": str(ACTION),
            "RUNNER_TEMP": str(self.temp),
            **self.environ,
        }

    def file(self, name: str) -> Path:
        return self.temp / name

    def run(self, script: str, environ: dict[str, str], options: str = "-eo pipefail") -> int:
        """Run a step as the runner does, and take over what it writes to GITHUB_ENV for later steps."""
        files = {name: self.file(name) for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.touch()
        self.file("step.sh").write_text(script, encoding="utf-8")
        done = subprocess.run(
            [BASH, "--noprofile", "--norc", *options.split(), str(self.file("step.sh"))],
            cwd=self.workspace,
            env={**self.environ, **{name: str(path) for name, path in files.items()}, **environ},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        self.said.append(done.stdout)
        self.complaints = done.stderr
        self.environ |= said_in(files["GITHUB_ENV"])
        return done.returncode

    def act(self, **given: str) -> int:
        """Run the steps of the action with inputs; return the exit code of the step that failed, or 0."""
        action = read_yaml(ACTION / "action.yml")
        inputs = {name: given.get(name.replace("-", "_"), item["default"]) for name, item in action["inputs"].items()}
        code = 0
        known = {f"inputs.{name}": value for name, value in inputs.items()}
        for step in action["runs"]["steps"]:
            if "uses" in step:
                assert step["if"] == "${{ !cancelled() && steps.check.outputs.sarif != '' }}"
                if known.get("steps.check.outputs.sarif"):
                    self.uploads.append({name: resolved(text, known) for name, text in step["with"].items()})
            elif code == 0:
                assert step["shell"] == "bash"
                self.file("GITHUB_OUTPUT").unlink(missing_ok=True)
                code = self.run(
                    step["run"], {name: resolved(text, known) for name, text in step.get("env", {}).items()}
                )
                outputs = said_in(self.file("GITHUB_OUTPUT"))
                known |= {f"steps.{step['id']}.outputs.{name}": value for name, value in outputs.items()}
        return code

    @property
    def annotations(self) -> set[tuple[str, str, str]]:
        """Severity, file and id of each annotation of the last step."""
        return set(
            re.findall(r"^::(error|warning|notice) file=([^,]+),line=1,title=([a-z-]+)%3A", self.said[-1], re.MULTILINE)
        )


def resolved(text: str, known: dict[str, str]) -> str:
    """Put values into ``${{ ... }}``; a value that nobody gave is empty, as it is for the runner."""
    return re.sub(r"\$\{\{ *(.+?) *\}\}", lambda found: known.get(found[1], ""), text)


def said_in(path: Path) -> dict[str, str]:
    """Read a file of NAME=value and NAME<<END ... END."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    long = {name: value for name, _, value in re.findall(r"^([^=\n]+?)<<(.+)\n((?:.|\n)*?)\n\2$", text, re.MULTILINE)}
    return dict(re.findall(r"^([\w-]+)=(.*)$", text, re.MULTILINE)) | long


def here_first() -> dict[str, str]:
    """The PATH on which ``python`` is the one that runs the tests."""
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def with_packages_behind(temp: Path) -> Path:
    """Have the packages of this environment at hand behind those of new ones, where PYTHONPATH would lay them before."""
    (temp / "sitecustomize.py").write_text(f"import sys\nsys.path += {[*sys.path, str(ROOT)]!r}\n", encoding="utf-8")
    return temp


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an environment like the one that the action's first step makes: an interpreter and the command."""
    temp = with_packages_behind(tmp_path_factory.mktemp("runner"))
    python = make_python(temp / "nnunet-doctor")
    command = python.with_name("nnunet-doctor")
    command.write_text(
        f"#!{python}\nimport sys\nfrom nnunet_doctor.cli import main\nsys.exit(main())\n", encoding="utf-8"
    )
    command.chmod(0o755)
    return python.parent


@pytest.fixture
def runner(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """A runner with the sample repository checked out, its dataset fetched, and the doctor installed."""
    runner = checked_out(tmp_path, installed)
    monkeypatch.setattr(Runner, "run", without_installing(Runner.run, installed))
    return runner


def checked_out(folder: Path, installed: Path) -> Runner:
    """Return a runner with the sample repository checked out, its dataset fetched, and a doctor that is installed."""
    workspace = folder / "work space"
    shutil.copytree(SAMPLE, workspace)
    found = {"PATH": os.pathsep.join([*here_first().values(), str(installed)]), "PYTHONPATH": str(installed.parents[1])}
    runner = Runner(workspace, folder / "temp", {**found, "XDG_CACHE_HOME": str(folder / "cache")})
    (fetch,) = [step for step in workflow_steps(workspace) if "run" in step]
    assert runner.run(fetch["run"], {}) == 0
    return runner


def without_installing(run: Any, installed: Path) -> Any:
    """Leave out the installation, which the fixture ``installed`` has run, but for what it says to the next step."""

    def wrapped(self: Runner, script: str, environ: dict[str, str], options: str = "-eo pipefail") -> int:
        if "-m venv" not in script:
            return run(self, script, environ, options)  # type: ignore[no-any-return]
        self.file("GITHUB_OUTPUT").write_text(f"bin={installed}\n", encoding="utf-8")
        return 0

    return wrapped


def workflow_steps(workspace: Path) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = read_yaml(workspace / ".github" / "workflows" / "preflight.yml")["jobs"]["dataset"][
        "steps"
    ]
    return steps


def given_by_workflow(workspace: Path) -> dict[str, str]:
    """Inputs that the sample's workflow gives to the action."""
    (step,) = [step for step in workflow_steps(workspace) if "actions/preflight" in step.get("uses", "")]
    inputs: dict[str, str] = step["with"]
    return inputs


@pytest.mark.slow
def test_the_first_step_installs_this_checkout(tmp_path: Path) -> None:
    """Without a package index pip builds and installs the doctor that the action belongs to, and the next step finds it."""
    temp = with_packages_behind(tmp_path)
    without_index = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    first = Runner(temp, temp, {**here_first(), "PYTHONPATH": str(temp), **without_index})
    step = read_yaml(ACTION / "action.yml")["runs"]["steps"][0]
    code = first.run(step["run"], {"VERSION": ""})

    assert (code, first.said) == (0, ["nnunet-doctor 0.1.0\n"]), first.complaints
    bin = said_in(first.file("GITHUB_OUTPUT"))["bin"]
    then = checked_out(tmp_path, Path(bin))
    check = read_yaml(ACTION / "action.yml")["runs"]["steps"][1]
    inputs = {"BIN": bin, "DATASET": "Dataset099_Sample", "ARGUMENTS": "--select dataset", "EXAMINED": "python"}
    ended = then.run(check["run"], {**inputs, "FAIL_ON": "error", "SARIF": "", "REPORT_LANGUAGE": "en"})

    assert ended == 1, then.complaints
    assert ("error", "Dataset099_Sample/dataset.json", "num-training") in then.annotations


def test_a_broken_dataset_fails_with_annotations_at_its_files(runner: Runner) -> None:
    """The workflow's step fails; each finding is shown at the file that it is about, and uploaded."""
    code = runner.act(**given_by_workflow(runner.workspace))
    sarif = json.loads((runner.workspace / "nnunet-doctor.sarif").read_text(encoding="utf-8"))
    files = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in sarif["runs"][0]["results"]
    }

    assert code == 1
    assert runner.annotations == {
        ("error", "Dataset099_Sample/dataset.json", "num-training"),
        ("warning", LABEL, "origin-mismatch"),
        ("notice", "Dataset099_Sample/labelsTr/sample_001.nii.gz", "label-float"),
    }
    assert files == {file for _, file, _ in runner.annotations}
    assert runner.uploads == [{"sarif_file": "nnunet-doctor.sarif", "category": "nnunet-doctor"}]
    assert said_in(runner.file("GITHUB_OUTPUT"))["exit-code"] == "1"
    assert runner.file("GITHUB_STEP_SUMMARY").read_text(encoding="utf-8").count("nnunet-doctor 0.1.0: problems") == 1


def test_a_mended_dataset_passes(runner: Runner) -> None:
    """After ``fix --apply`` the step passes, and only what a person has to decide is still annotated."""
    fixed = runner.run(FIX, {})
    code = runner.act(**given_by_workflow(runner.workspace))

    assert (fixed, code) == (0, 0)
    assert runner.annotations == {("warning", LABEL, "origin-mismatch")}


def test_a_waiver_in_the_repository_passes(runner: Runner) -> None:
    """A problem that the repository's configuration waives with a reason no longer fails the step, nor is it annotated."""
    waiver = '[[waiver]]\nid = "num-training"\nreason = "the sixth case comes on Monday"\n'
    (runner.workspace / "nnunet-doctor.toml").write_text(waiver, encoding="utf-8")
    code = runner.act(**given_by_workflow(runner.workspace))

    assert code == 0
    assert {id for _, _, id in runner.annotations} == {"origin-mismatch", "label-float"}
    assert "the sixth case comes on Monday" in runner.file("GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"arguments": "--select dataset --ignore num-training"}, 0),
        ({"arguments": "--select dataset --ignore num-training", "fail_on": "warning"}, 1),
        ({"arguments": "--select 'dataset'\n--ignore num-training,origin-mismatch\n", "fail_on": "warning"}, 0),
        ({"arguments": "--select dataset", "fail_on": "never"}, 0),
    ],
    ids=["the error is ignored", "warnings fail", "all is ignored", "nothing fails"],
)
def test_severity_decides(runner: Runner, given: dict[str, str], code: int) -> None:
    """What is ignored does not fail the step, and fail-on sets the bar."""
    assert runner.act(dataset="Dataset099_Sample", **given) == code


def test_what_the_repository_configures_counts(runner: Runner) -> None:
    """Inputs that the workflow leaves out are no options, which would outdo the repository's own configuration."""
    text = 'fail-on = "warning"\nlang = "zh"\n'
    (runner.workspace / "nnunet-doctor.toml").write_text(text, encoding="utf-8")
    arguments = "--select dataset --ignore num-training"
    left_out = runner.act(dataset="Dataset099_Sample", arguments=arguments)
    said = runner.said[-1]
    given = runner.act(dataset="Dataset099_Sample", arguments=arguments, fail_on="error", lang="en")

    assert (left_out, given) == (1, 0)
    assert "有问题" in said
    assert runner.said[-1].startswith("nnunet-doctor 0.1.0: nothing stands in the way; Dataset099_Sample")


def test_the_action_sets_nothing_that_is_an_option(runner: Runner) -> None:
    """No variable of its own is taken for a misspelt option, which would be a warning in this step and in later ones."""
    code = runner.act(arguments="--quick --select doctor-variable-unread", fail_on="warning", sarif="")
    given = {name for name, value in runner.environ.items() if name.startswith("NNUNET_DOCTOR_") and value}

    assert (code, given) == (0, set())
    assert "0 FAIL, 0 warn, 0 info, 0 undecided, 1 ok" in runner.said[-1]


def test_wrong_use_is_told_and_nothing_uploaded(runner: Runner) -> None:
    """A dataset that does not exist is no finding: the step fails with code 2 and an annotation."""
    code = runner.act(dataset="./Dataset098_Lost", arguments="--select dataset")

    unclosed = runner.act(dataset="Dataset099_Sample", arguments="--select 'dataset")

    assert (code, unclosed, runner.uploads) == (2, 2, [])
    assert runner.said[-1].startswith("::error title=nnunet-doctor::")


def test_inputs_are_never_run(runner: Runner) -> None:
    """What an input says stays a word, whatever it looks like."""
    text = "$(touch broken)`touch broken`'; touch broken; '\"; touch broken; \"\n touch broken\n"
    code = runner.act(dataset=text, arguments=text, python=text, fail_on=text, sarif=f"{text}.sarif", lang=text)

    assert (code, "there is no --fail-on" in runner.complaints) == (2, True)
    assert not (runner.workspace / "broken").exists()


@pytest.mark.parametrize("name", ["results.json", "sarif", "results.sarif.gz", "results.xml"])
def test_what_is_no_sarif_is_refused(runner: Runner, name: str) -> None:
    """Another form would be uploaded to code scanning, and refused there with words about something else."""
    code = runner.act(dataset="Dataset099_Sample", arguments="--select dataset", sarif=name)

    assert (code, runner.uploads) == (2, [])
    assert runner.said[-1] == (
        "::error title=nnunet-doctor::The input 'sarif' is no file name that ends with .sarif or .sarif.json\n"
    )


def test_the_other_suffix_of_sarif_is_uploaded(runner: Runner) -> None:
    """OASIS knows .sarif.json too, in a folder that the step makes."""
    runner.act(dataset="Dataset099_Sample", arguments="--select dataset", sarif="out/Results.SARIF.json")

    assert [upload["sarif_file"] for upload in runner.uploads] == ["out/Results.SARIF.json"]
    assert json.loads((runner.workspace / "out/Results.SARIF.json").read_text(encoding="utf-8"))["version"] == "2.1.0"


def test_a_version_is_a_release(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input 'version' takes no options of pip and no address."""
    monkeypatch.undo()
    step = read_yaml(ACTION / "action.yml")["runs"]["steps"][0]
    codes = [
        runner.run(step["run"], {"VERSION": text})
        for text in ("--index-url=x", "git+file:///x", "0.1; true", "$(true)")
    ]

    assert codes == [2, 2, 2, 2]


def test_scripts_hold_no_expressions() -> None:
    """The runner pastes ``${{ }}`` into a script before a shell sees it, so that no script may have one."""
    action = read_yaml(ACTION / "action.yml")

    assert [step["name"] for step in action["runs"]["steps"] if "${{" in step.get("run", "")] == []
    assert all(item["description"] for item in action["inputs"].values())
    assert re.fullmatch(r"github/codeql-action/upload-sarif@v\d+", action["runs"]["steps"][-1]["uses"])


HOOK_KEYS = {
    "id", "name", "entry", "language", "alias", "files", "exclude", "types", "types_or", "exclude_types", "always_run",
    "fail_fast", "verbose", "pass_filenames", "require_serial", "description", "language_version",
    "minimum_pre_commit_version", "args", "stages", "additional_dependencies",
}  # fmt: skip
"""Keys of a hook as pre-commit documents them."""


def test_hooks_of_pre_commit() -> None:
    """Each hook has what pre-commit asks for, nothing that it does not know, and a command that the doctor has."""
    hooks = read_yaml(ROOT / ".pre-commit-hooks.yaml")

    assert [hook["id"] for hook in hooks] == ["nnunet-doctor", "nnunet-doctor-checks"]
    for hook in hooks:
        assert set(hook) <= HOOK_KEYS
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert hook["language"] == "python"
        assert hook["entry"] == "python -m nnunet_doctor.hook" or commands_in(f"{hook['entry']} ./somewhere")


def test_hook_stops_a_commit_of_a_broken_dataset(runner: Runner) -> None:
    """The hook's command, as pre-commit runs it with its arguments, fails before the mending and passes after it."""
    command = f"{read_yaml(ROOT / '.pre-commit-hooks.yaml')[0]['entry']} ./Dataset099_Sample"
    broken = runner.run(command, {})
    runner.run(FIX, {})

    assert (broken, runner.run(command, {})) == (1, 0)


@pytest.fixture
def repository(runner: Runner) -> Runner:
    """A repository of git with a sound dataset in it, and the hook as ``pre-commit install`` sets it up.

    A commit runs what pre-commit would: the hook with its arguments if it always runs, or if ``files`` matches one of the
    files that pre-commit hands on, which are those of this very diff, without the deleted.
    """
    hook = read_yaml(ROOT / ".pre-commit-hooks.yaml")[0]
    staged = "git diff --staged --name-only --no-ext-diff --diff-filter=ACMRTUXB"
    runs = "true" if hook.get("always_run") else f"{staged} | grep -qE {shlex.quote(hook.get('files', ''))}"
    runner.run(FIX, {})
    names = ("user.name", "user.email", "init.defaultBranch")
    runner.environ |= {f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(names)}
    runner.environ |= {f"GIT_CONFIG_VALUE_{number}": "a" for number in range(len(names))}
    runner.environ |= {
        "GIT_CONFIG_COUNT": str(len(names)),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    assert runner.run("git init -q . && git add . && git commit -qm first", {}) == 0, runner.complaints
    script = f"#!/bin/sh\nif {runs}; then\n  exec {hook['entry']} $(cat .git/arguments)\nfi\n"
    path = runner.workspace / ".git" / "hooks" / "pre-commit"
    path.parent.mkdir(exist_ok=True)
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    (path.parent.parent / "arguments").write_text("./Dataset099_Sample", encoding="utf-8")
    return runner


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("named", ["./Dataset099_Sample", ""], ids=["named", "found"])
def test_hook_stops_a_commit_that_deletes_a_label(repository: Runner, named: str) -> None:
    """The classic: an image is left without its label. The dataset may be named, or is found in the repository."""
    (repository.workspace / ".git" / "arguments").write_text(named, encoding="utf-8")
    code = repository.run(f"git rm -q {LABEL} && git commit -qm classic", {})

    assert code == 1
    assert "label-missing" in repository.complaints + repository.said[-1]
    assert repository.run("git log --format=%s", {}) == 0
    assert repository.said[-1] == "first\n"


COMMITS = {
    "no dataset": "echo x > README.md && git add README.md && git commit -qm x",
    "no dataset, in a repository with a broken one": f"rm {LABEL} && echo x > README.md && git add README.md && git commit -qm x",
    "the whole dataset deleted": "git rm -rq Dataset099_Sample && git commit -qm x",
    "a dataset deleted that is renamed to no raw one": "git mv Dataset099_Sample old && git commit -qm x",
}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
def test_hook_is_silent_where_no_dataset_is_changed(repository: Runner, commit: str) -> None:
    """A commit that touches no dataset, or leaves none, is not held up, and hears nothing."""
    code = repository.run(commit, {})

    assert (code, repository.said[-1] + repository.complaints) == (0, "")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_hook_tells_a_misspelt_dataset(repository: Runner) -> None:
    """A name in 'args' that leads nowhere is no reason to let everything through."""
    (repository.workspace / ".git" / "arguments").write_text("./Dataset099_Smaple", encoding="utf-8")
    code = repository.run(f"git rm -q {LABEL} && git commit -qm classic", {})

    assert code == 1  # git's own, for any code of a hook
    assert "Dataset099_Smaple" in repository.complaints


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_hook_checks_all_where_nothing_is_staged(repository: Runner) -> None:
    """`pre-commit run --all-files`, and a push that is compared commit by commit."""
    entry = read_yaml(ROOT / ".pre-commit-hooks.yaml")[0]["entry"]
    sound = repository.run(entry, {})
    repository.run(f"git rm -q {LABEL} && git commit -qnm classic", {})
    pushed = {"PRE_COMMIT_FROM_REF": "HEAD~1", "PRE_COMMIT_TO_REF": "HEAD"}

    assert (sound, repository.run(entry, {}), repository.run(entry, pushed)) == (0, 1, 1)
    assert repository.run(entry, {**pushed, "PRE_COMMIT_FROM_REF": "HEAD"}) == 1  # nothing is changed: all is checked


def commands_in(script: str) -> list[list[str]]:
    """Return the command lines of the doctor in a script, each of which its own parser has understood."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        at = re.search(r"(?<![\w/-])nnunet-doctor (?=[a-z-])", line)
        if at and not line.lstrip().startswith(("#", "pip ", "RUN ")):
            words = shlex.split(re.split(r" (?:2?>|\||&&)", line[at.end() :])[0])
            arguments.command_line().parse_args(words)
            found.append(words)
    return found


def snippets(language: str) -> list[str]:
    """Return the blocks of a language in the page about pipelines."""
    page = (ROOT / ".docs" / "pages" / "pipeline.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_snippets_for_shells_are_scripts(tmp_path: Path) -> None:
    """Every shell snippet of the page is one that bash understands, with command lines that the doctor understands."""
    scripts = snippets("bash")
    for script in scripts:
        (tmp_path / "script.sh").write_text(script, encoding="utf-8")
        done = subprocess.run(
            [BASH, "-n", str(tmp_path / "script.sh")], capture_output=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), script
        assert commands_in(script), script

    assert len(scripts) == 4


def test_snippets_for_pipelines_are_yaml() -> None:
    """The workflow, the hook and GitLab's job are YAML that names what is there."""
    workflow, hooks, job = (yaml.safe_load(text) for text in snippets("yaml"))
    (step,) = [step for step in workflow["jobs"]["dataset"]["steps"] if "preflight" in step["uses"]]
    inputs = read_yaml(ACTION / "action.yml")["inputs"]

    assert set(step["with"]) <= set(inputs)
    assert commands_in(f"nnunet-doctor check {step['with']['arguments']}")
    assert hooks["repos"][0]["hooks"][0]["id"] == read_yaml(ROOT / ".pre-commit-hooks.yaml")[0]["id"]
    assert commands_in("\n".join(job["preflight"]["script"]))
    assert job["preflight"]["artifacts"]["reports"]["junit"] in job["preflight"]["script"][1]


@pytest.mark.parametrize(("code", "healthy"), [(0, True), (1, False), (2, False), (3, True)])
def test_container_is_unhealthy_with_a_problem_only(tmp_path: Path, code: int, healthy: bool) -> None:
    """What could not be decided makes no container unhealthy, and no code but 0 and 1 reaches Docker."""
    (dockerfile,) = snippets("dockerfile")
    assert commands_in(dockerfile)
    command = dockerfile.split("CMD ", 1)[1]
    said = Runner(tmp_path, tmp_path).run(f"nnunet-doctor() {{ return {code}; }}\n{command}", {}, "-u")

    assert said == (0 if healthy else 1)


@pytest.mark.parametrize(("code", "drained"), [(0, False), (1, True), (3, False)])
def test_node_is_drained_with_a_problem_only(tmp_path: Path, code: int, drained: bool) -> None:
    """The prolog of a node fails with a problem, and not with what could not be decided."""
    prolog = snippets("bash")[2]
    said = Runner(tmp_path, tmp_path).run(f"nnunet-doctor() {{ return {code}; }}\n{prolog}", {}, "-u")

    assert said == (1 if drained else 0)


def test_inputs_are_documented() -> None:
    """The page names every input of the action."""
    page = (ROOT / ".docs" / "pages" / "pipeline.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(read_yaml(ACTION / "action.yml")["inputs"])


CI = ROOT / ".github" / "workflows" / "ci.yml"


def steps_of(workflow: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(name, step) for name, job in workflow["jobs"].items() for step in job["steps"]]


def test_scripts_of_ci_are_scripts(tmp_path: Path) -> None:
    """Each step that runs something is bash, without a value pasted into it, and the doctor understands its commands."""
    workflow = read_yaml(CI)
    ran = [step["run"] for _, step in steps_of(workflow) if "run" in step]
    for script in ran:
        (tmp_path / "step.sh").write_text(script, encoding="utf-8")
        done = subprocess.run(
            [BASH, "-n", str(tmp_path / "step.sh")], capture_output=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stderr, "${{" in script) == (0, "", False), script

    assert workflow["defaults"]["run"]["shell"] == "bash"
    assert len(commands_in("\n".join(ran).replace("nnunet-doctor --version", ""))) == 2


def test_ci_runs_what_is_promised() -> None:
    """Lint, types, tests on every Python and system that is promised, package, action and site; actions have a version."""
    workflow = read_yaml(CI)
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    ran = "\n".join(step.get("run", "") for _, step in steps_of(workflow))
    used = {step["uses"] for _, step in steps_of(workflow) if "uses" in step}

    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert matrix["os"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert workflow["permissions"] == {"contents": "read"}
    assert {
        name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+|\./\.github/actions/preflight", name)
    } == set()
    for command in (
        "ruff check",
        "ruff format --check",
        "mypy",
        "pytest",
        ".ci/run",
        "-m build",
        "dist/*.whl",
        "mkdocs build",
    ):
        assert command in ran, command
    for _, step in steps_of(workflow):
        if "preflight" in step.get("uses", ""):
            assert set(step["with"]) <= set(read_yaml(ACTION / "action.yml")["inputs"])


def test_the_doctor_runs_on_itself(installed: Path, tmp_path: Path) -> None:
    """The step of CI that runs the doctor, run here: it writes a report in every form that it names."""
    (script,) = [step["run"] for _, step in steps_of(read_yaml(CI)) if step.get("name") == "Run it on itself"]
    runner = Runner(tmp_path, tmp_path / "temp", {"PYTHONPATH": str(installed.parents[1])})
    code = runner.run(script, {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"})

    assert code == 0, runner.complaints
    assert {path.name for path in tmp_path.glob("report.*")} == {"report.sarif", "report.xml", "report.md"}
