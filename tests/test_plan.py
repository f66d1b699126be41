"""A plan is proven: these properties hold over recorded machines and over facts that nobody recorded."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import check_text
from shared import CHECKS, facts_of, tries
from shared import MACHINES as RECORDED
from together import together

from nnunet_doctor.check import Check, read_check
from nnunet_doctor.engine import diagnose
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.facts.tables import row_for, table
from nnunet_doctor.plan import Reason, plan, with_fix_of
from nnunet_doctor.settings import OPTIONS, VARIABLES, overlay, parse_options

WORDS: dict[str, list[object]] = {
    "platform.os": ["linux", "windows", "macos"],
    "platform.arch": ["x86_64", "arm64"],
    "platform.wsl": [None, 1, 2],
    "platform.shell": ["posix", "powershell", "cmd"],
    "python.version": ["3.9.18", "3.10.11", "3.11.7", "3.12.3", "3.14.0"],
    "torch.version": [
        "2.1.2+cpu",
        "2.2.2",
        "2.5.1+cu124",
        "2.6.0+cu124",
        "2.9.1+cu128",
        "2.13.0+cu130",
        "2.13.0+cpu",
        None,
    ],
    "torch.build": ["cpu", "cuda", "rocm", None],
    "torch.cuda_build": ["12.4", "12.8", "13.0", None],
    "torch.import_outcome": ["ok", "error", "crash", "timeout", None],
    "triton.version": ["3.4.0", "3.7.1", None],
    "gpu.driver": ["535.183.01", "580.95.05", None],
    "gpu.names": [(), ("NVIDIA GeForce RTX 3090",), ("Tesla V100", "Tesla V100")],
    "gpu.capabilities": [(), ("8.6",), ("7.0", "7.0"), ("6.1",)],
    "torch.device_names": [(), ("NVIDIA GeForce RTX 3090",)],
    "torch.device_capabilities": [(), ("8.6",), ("6.1",)],
    "nnunet.version": [row["version"] for row in table("nnunet")["release"]] + ["3.0.0", None],
    "nnunet.compile_variable": [None, "true", "false", "yes", "T"],
    "nnunet.workers_variable": [None, "0", "4", "64", "-1", "many"],
    "nnunet.processes_variable": [None, "1", "8", "0", "x"],
    "resources.cpus": [1, 2, 6, 64],
    "resources.cpus_machine": [1, 2, 8, 64],
    "resources.memory_available_gib": [0.5, 3.0, 8.0, 60.0],
    "resources.shm_free_gib": [None, 0.06, 0.4, 30.0],
    "preprocessed.patch_size": [None, (128, 128, 128), (512, 512), (56, 48)],
    "preprocessed.batch_size": [None, 2, 12],
    "preprocessed.channels": [None, 1, 4],
    "preprocessed.plans_state": ["ok", "missing", "invalid", None],
    "preprocessed.data_format": ["npz", "b2nd", "mixed", "empty", "missing", None],
    "training.configuration": [None, "2d", "3d_fullres"],
    "training.fold": [None, "0", "7", "all"],
    "training.device_request": ["auto", "cuda", "cpu", "mps"],
    "training.trainer": ["nnUNetTrainer", "nnUNetTrainer_1epoch"],
    "training.num_gpus": [1, 2],
    "training.state": [None, "none", "started", "resumable", "finished"],
}


def _values(name: str) -> list[object]:
    """Return what a fact may be, each as often as it is likely: three times of five it is known."""
    info = CATALOGUE[name]
    generic: dict[object, list[object]] = {
        bool: [False, True],
        int: [*range(65)],
        float: [0.0, 0.5, 4.0, 64.0],
        str: ["x", "/data/x", "1.0"],
        tuple[str, ...]: [(), ("2d",), ("a:2",)],
        tuple[int, ...]: [(8, 8)],
        tuple[float, ...]: [(), (24.0,)],
        tuple[Detail, ...]: [(), (Detail("a", "b"),)],
    }
    known = WORDS[name] if name in WORDS else generic[info.type]
    rest: list[object] = [Unknown("not recorded"), *([None] if info.optional and name not in WORDS else [])]
    return known * 3 + [value for value in rest for _ in known]


OBSERVED = [name for name, info in CATALOGUE.items() if not info.derived]
# one choice for each of hundreds of facts: hypothesis takes longer to make machines than the plan to look at them
MACHINES = st.tuples(*(st.sampled_from(_values(name)) for name in OBSERVED)).map(
    lambda values: derive(Facts().with_values(dict(zip(OBSERVED, values, strict=True))))  # type: ignore[arg-type]
)


@settings(
    max_examples=tries(150),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(MACHINES)
def test_plan_over_made_up_machines(facts: Facts) -> None:
    """Whatever the machine: a safe plan leaves nothing that blocks, none adds trouble, and each is repeatable."""
    before = {finding.check.id for finding in diagnose(facts, CHECKS).blocking}
    planned = plan(facts, CHECKS)
    chosen = {**planned.env, **parse_options(planned.args)}
    after = {finding.check.id for finding in diagnose(overlay(facts, chosen), CHECKS).blocking}
    release = facts["nnunet.behaves_as"]
    understood = row_for("nnunet", release)["variables"] if isinstance(release, str) else []  # type: ignore[index]

    assert planned.is_safe is (after == set())
    assert after <= before
    assert plan(facts, CHECKS).reasons == planned.reasons
    assert set(planned.env) <= set(VARIABLES) & set(understood)
    assert set(parse_options(planned.args)) <= set(OPTIONS)
    assert raised_in(planned.reasons, facts) == []
    assert {reason.because for reason in planned.reasons} <= {check.id for check in CHECKS}


AMOUNTS = {name: setting.in_force for name, setting in {**VARIABLES, **OPTIONS}.items() if setting.in_force}


def raised_in(reasons: Sequence[Reason], facts: Facts) -> list[Reason]:
    """List the settings that are not below what is in force."""
    amounts = [(reason, facts[AMOUNTS[reason.setting]]) for reason in reasons if reason.setting in AMOUNTS]
    return [reason for reason, had in amounts if isinstance(had, int) and int(reason.value) >= had]


def check_of(severity: str, when: str, launch: str, name: str = "some-check", origin: str = "built in") -> Check:
    """Return a check with one launch fix."""
    fires = 'training.num_gpus = 2, nnunet.compile_variable = "true"'
    silent = 'training.num_gpus = 1, nnunet.compile_variable = "false"'
    text = check_text(severity, when, fires, silent, launch)
    return read_check(name, "training", text, name, origin)


def machine(**values: object) -> Facts:
    """Return facts of a plain Linux machine with nnU-Net 2.8.1, with some values."""
    plain: dict[str, object] = {
        "platform__os": "linux", "nnunet__version": "2.8.1", "nnunet__compile_variable": None, "training__device_request": "cuda",
        "nnunet__workers_variable": None, "nnunet__processes_variable": None, "training__continues": False,
    } | values  # fmt: skip
    return derive(Facts().with_values({name.replace("__", ".", 1): value for name, value in plain.items()}))  # type: ignore[arg-type]


COMPILES = check_of("error", "training.compiles", 'launch.env = { nnUNet_compile = "false" }')


def test_a_setting_carries_its_reason() -> None:
    """The plan says which check asked for which value."""
    planned = plan(machine(), [COMPILES])

    assert planned.env == {"nnUNet_compile": "false"}
    assert [(reason.setting, reason.because, reason.overrules) for reason in planned.reasons] == [
        ("nnUNet_compile", "some-check", None)
    ]
    assert planned.is_safe


def test_a_blocking_finding_overrules_the_user_and_names_what_was_set() -> None:
    """The user's own value gives way only to an error, and is named."""
    planned = plan(machine(nnunet__compile_variable="true"), [COMPILES])

    assert [(reason.value, reason.overrules) for reason in planned.reasons] == [("false", "true")]


def test_a_warning_never_overrules_the_user() -> None:
    """A mere warning leaves the user's own value alone."""
    warning = check_of("warning", "training.compiles", 'launch.env = { nnUNet_compile = "false" }')

    assert plan(machine(), [warning]).env == {"nnUNet_compile": "false"}
    assert plan(machine(nnunet__compile_variable="true"), [warning]).env == {}


def test_a_variable_that_the_release_does_not_read_is_never_set() -> None:
    """nnU-Net 2.1 knows no nnUNet_compile."""
    asks = check_of("error", "nnunet.version == '2.1'", 'launch.env = { nnUNet_compile = "false" }')
    planned = plan(machine(nnunet__version="2.1"), [asks])

    assert planned.env == {}
    assert not planned.is_safe


def test_a_setting_that_would_block_something_else_is_not_taken() -> None:
    """A remedy that makes a new blocking finding appear is left alone, and the plan is not called safe."""
    forbids = check_of("error", "nnunet.compile_variable == 'false'", "", name="forbids-it")
    planned = plan(machine(), [COMPILES, forbids])

    assert planned.env == {}
    assert [finding.check.id for finding in planned.diagnosis.blocking] == ["some-check"]


def test_a_warning_that_stays_sets_nothing() -> None:
    """A setting that costs something and mends nothing is not taken for a mere warning."""
    stays = check_of("warning", "nnunet.version == '2.8.1'", 'launch.env = { nnUNet_compile = "false" }')

    assert plan(machine(), [stays]).env == {}


def test_a_packs_settings_need_consent() -> None:
    """A check that is not built in may warn, and sets nothing until its origin is trusted."""
    foreign = check_of("error", "training.compiles", 'launch.env = { nnUNet_compile = "false" }', origin="pack x")

    assert plan(machine(), [foreign]).env == {}
    assert plan(machine(), [foreign], trusted={"built in", "pack x"}).env == {"nnUNet_compile": "false"}


def test_a_setting_with_an_unknown_value_is_not_taken() -> None:
    """A number that cannot be worked out is not set to a question mark."""
    asks = check_of("error", "training.compiles", 'launch.env = { nnUNet_n_proc_DA = "{training.safe_workers}" }')

    assert plan(machine(), [asks]).env == {}


# --- amounts: a setting that lowers something never raises it ------------------------------------------------------

FEWER = 'launch.env = { nnUNet_n_proc_DA = "2" }'
ROOMY: dict[str, object] = {"resources__cpus": 16, "resources__cpus_machine": 16}


@pytest.mark.parametrize(("mine", "expected"), [(None, {"nnUNet_n_proc_DA": "2"}), ("1", {}), ("2", {}), ("0", {})])
def test_fewer_workers_are_never_more_than_mine(mine: str | None, expected: dict[str, str]) -> None:
    """Where as few workers or fewer are in force, a fix that takes fewer is no fix, and is not offered."""
    asks = check_of("error", "training.num_gpus == 2", FEWER)
    planned = plan(machine(nnunet__workers_variable=mine, training__num_gpus=2, **ROOMY), [asks])
    offered = [fix for finding in planned.diagnosis.findings for fix in finding.fixes if fix.env]

    assert planned.env == expected
    assert offered == []  # done already, or no help


def test_what_few_processors_allow_is_in_force_without_a_variable() -> None:
    """nnU-Net itself starts no more workers than there are processors."""
    asks = check_of("error", "training.num_gpus == 2", FEWER)

    assert plan(machine(training__num_gpus=2, resources__cpus=2, resources__cpus_machine=2), [asks]).env == {}


def test_fewer_gpus_are_never_more_than_asked_for() -> None:
    """-num_gpus is lowered to a batch size, and not raised to one."""
    asks = check_of("error", "training.num_gpus == 2", 'launch.args = ["-num_gpus", "{preprocessed.batch_size}"]')
    four = plan(machine(training__num_gpus=2, preprocessed__batch_size=4), [asks])
    one = plan(machine(training__num_gpus=2, preprocessed__batch_size=1), [asks])

    assert (four.args, one.args) == ([], ["-num_gpus", "1"])


def test_only_what_is_lowered_is_set() -> None:
    """Of a fix for workers and processes only the part is taken, and offered, that lowers something."""
    both = 'launch.env = { nnUNet_n_proc_DA = "2", nnUNet_def_n_proc = "2" }'
    asks = check_of("error", "training.num_gpus == 2", both)
    facts = machine(nnunet__workers_variable="1", training__num_gpus=2, **ROOMY)
    (finding,) = diagnose(facts, [asks]).findings

    assert plan(facts, [asks]).env == {"nnUNet_def_n_proc": "2"}
    assert [dict(fix.env) for fix in finding.fixes if fix.env] == [{"nnUNet_def_n_proc": "2"}]


def test_a_setting_of_the_plan_may_be_lowered_further() -> None:
    """Two checks that ask for fewer workers get the smaller number, and the plan ends."""
    four = check_of("error", "training.workers > 4", 'launch.env = { nnUNet_n_proc_DA = "4" }', name="four")
    none = check_of("error", "training.workers > 0", 'launch.env = { nnUNet_n_proc_DA = "0" }', name="none")
    planned = plan(machine(nnunet__workers_variable="8", **ROOMY), [four, none])

    assert [(item.value, item.because, item.overrules) for item in planned.reasons] == [("0", "none", "8")]
    assert planned.is_safe


def test_after_a_failure_nothing_is_raised() -> None:
    """A log that shows too many workers sets fewer than there were, also fewer than the plan took, or nothing."""
    shown = check_of("error", "training.num_gpus == 8", FEWER, name="shown")
    plans = check_of("error", "training.workers > 4", 'launch.env = { nnUNet_n_proc_DA = "4" }', name="plans")

    def after(mine: str | None) -> dict[str, str] | None:
        facts = machine(nnunet__workers_variable=mine, **ROOMY)
        found = with_fix_of(plan(facts, [plans]), shown, facts, [plans])
        return found and found.env

    assert [after(mine) for mine in (None, "3", "2", "1", "0")] == [
        {"nnUNet_n_proc_DA": "2"},
        {"nnUNet_n_proc_DA": "2"},
        None,
        None,
        None,
    ]


LOWERING = [check for check in CHECKS if any({*fix.env, *parse_options(fix.args)} & {*AMOUNTS} for fix in check.fixes)]
SMALL: dict[str, object] = {
    "nnunet.workers_variable": "1", "nnunet.processes_variable": "1", "training.num_gpus": 1, "resources.blas_threads": 1,
}  # fmt: skip


@together("name", RECORDED)
def test_on_recorded_machines_nothing_is_raised(name: str) -> None:
    """Whatever check of the catalogue a log shows there, and in the plan before: no amount is above the one in force."""
    recorded = facts_of(name)
    few = derive(recorded.with_values(SMALL))  # type: ignore[arg-type]
    raised = [
        (reason.because, reason.setting, reason.value)
        for facts in (recorded, few)
        for planned in [plan(facts, CHECKS)]
        for check in [None, *LOWERING]
        for after in [planned if check is None else with_fix_of(planned, check, facts, CHECKS)]
        for reason in raised_in(after.reasons if after else (), facts)
    ]

    assert raised == []


@together("workers", ["1", "2", None])
def test_a_release_that_needs_a_worker_keeps_one(workers: str | None) -> None:
    """Up to 2.2.1 nnU-Net without workers fails after its last epoch: no shortage takes the last one away there."""
    short: dict[str, object] = {
        "nnunet.version": "2.2.1", "nnunet.workers_variable": workers, "resources.cpus": 1, "resources.cpus_machine": 8,
        "resources.memory_available_gib": 0.5, "resources.commit_free_gib": 0.5, "resources.shm_free_gib": 0.01,
        "trial.worker_error": "OSError: no room",
    }  # fmt: skip
    facts = derive(facts_of("linux-cuda-healthy").with_values(short))  # type: ignore[arg-type]
    planned = plan(facts, CHECKS)
    after = [with_fix_of(planned, check, facts, CHECKS) for check in LOWERING]

    assert [found for found in (planned, *after) if found and found.env.get("nnUNet_n_proc_DA") == "0"] == []
