"""Derived facts follow nnU-Net's and torch's own decisions."""

from __future__ import annotations

import itertools

import pytest

from nnunet_doctor.facts import CATALOGUE, NOT_LOOKED_AT, Detail, Facts, Unknown
from nnunet_doctor.facts.derive import RULES, derive, with_inputs
from nnunet_doctor.facts.derive.training import compiles
from nnunet_doctor.facts.derive.workers import batches_in_flight
from nnunet_doctor.facts.tables import table

NEVER = ("2.0", "2.1")
ASKED = ("2.1.2", "2.2", "2.2.1", "2.3.1")
EVERYWHERE = ("2.4", "2.4.1", "2.4.2")
CUDA_NOT_WINDOWS = ("2.5.1", "2.5.2", "2.6.0", "2.6.2", "2.6.3", "2.6.4", "2.7.0", "2.8.0", "2.8.1")
PLACES = [
    ("linux", "cuda"),
    ("linux", "cpu"),
    ("windows", "cuda"),
    ("windows", "cpu"),
    ("macos", "cpu"),
    ("macos", "mps"),
]
VARIABLES = {None: "unset", "true": "on", "True": "on", "1": "on", "t": "on", "T": "on"} | dict.fromkeys(
    ("false", "0", "f", "no", "yes", "on", "", " true", "2"), "off"
)


def known(**values: object) -> Facts:
    """Return facts with some values, written as area__noun, and all that follows from them."""
    return derive(Facts().with_values({name.replace("__", ".", 1): value for name, value in values.items()}))  # type: ignore[arg-type]


def test_the_table_holds_every_release() -> None:
    """Nothing is missing from the truth table below."""
    assert [row["version"] for row in table("nnunet")["release"]] == [*NEVER, *ASKED, *EVERYWHERE, *CUDA_NOT_WINDOWS]


@pytest.mark.parametrize("release", [*NEVER, *ASKED, *EVERYWHERE, *CUDA_NOT_WINDOWS])
def test_compiles_as_each_release_does(release: str) -> None:
    """The truth table of torch.compile, got by running each release's own decision with faked systems and devices."""
    for (system, device), (variable, word) in itertools.product(PLACES, VARIABLES.items()):
        expected = {
            NEVER: False,
            ASKED: word == "on",
            EVERYWHERE: word != "off",
            CUDA_NOT_WINDOWS: word != "off" and device == "cuda" and system != "windows",
        }
        (wanted,) = [compiles for releases, compiles in expected.items() if release in releases]

        assert compiles(release, system, device, variable) is wanted, (system, device, variable)


def test_a_release_newer_than_the_table_counts_as_the_newest_known() -> None:
    """A future release behaves as the newest known one, and the facts say so."""
    facts = known(
        nnunet__version="9.1.0", platform__os="linux", training__device_request="cuda", nnunet__compile_variable=None
    )

    assert facts["nnunet.behaves_as"] == "2.8.1"
    assert facts["nnunet.newer_than_known"] is True
    assert facts["training.compiles"] is True


def test_a_release_between_two_known_ones_counts_as_the_earlier() -> None:
    """2.6.1, which was never published on PyPI, behaves as 2.6.0."""
    assert known(nnunet__version="2.6.1")["nnunet.behaves_as"] == "2.6.0"


@pytest.mark.parametrize(
    ("release", "torch", "fits"),
    [
        ("2.4.2", "2.1.2+cpu", True),
        ("2.4.2", "2.6.0+cu124", True),
        ("2.4.2", "2.7.0", False),
        ("2.5.2", "2.13.0+cpu", False),
        ("2.6.0", "2.2.2", False),
        ("2.6.4", "2.3.0", True),
        ("2.7.0", "2.2.2", True),
        ("2.8.1", "2.15.0", True),
    ],
)
def test_torch_that_a_release_trains_with(release: str, torch: str, fits: bool) -> None:
    """The range by the code of a release, wider or narrower than its metadata."""
    assert known(nnunet__version=release, torch__version=torch)["nnunet.torch_fits"] is fits


@pytest.mark.parametrize(
    ("torch", "python", "fits"),
    [("2.0.1", "3.11.4", False), ("2.3.1", "3.12.3", False), ("2.4.0", "3.12.3", True), ("2.5.1", "3.13.0", False),
     ("2.6.0", "3.13.5", True), ("2.9.1", "3.14.0", False), ("2.10.0", "3.14.2", True), ("2.13.0", "3.15.0rc1", False)],
)  # fmt: skip
def test_python_that_compile_accepts(torch: str, python: str, fits: bool) -> None:
    """torch.compile refuses Python releases that its torch does not know, pre-releases of them included."""
    assert known(torch__version=torch, python__version=python)["training.compile_python_fits"] is fits


@pytest.mark.parametrize(
    ("torch", "cuda", "arch_list", "gpu", "works"),
    [
        ("2.13.0+cu130", "13.0", Unknown("not asked"), "Tesla V100 (7.0)", False),
        ("2.13.0+cu126", "12.6", Unknown("not asked"), "Tesla V100 (7.0)", True),
        ("2.13.0+cu130", "13.0", Unknown("not asked"), "RTX 4090 (8.9)", True),
        ("2.6.0+cu124", "12.4", Unknown("not asked"), "RTX 5090 (12.0)", False),
        ("2.7.1+cu128", "12.8", Unknown("not asked"), "RTX 5090 (12.0)", True),
        ("2.15.0", "13.2", Unknown("not asked"), "GTX 1080 Ti (6.1)", False),
        ("2.13.0", "13.0", ("sm_80", "sm_86"), "RTX 4090 (8.9)", True),
        ("2.13.0", "13.0", ("sm_80", "sm_86"), "A100 (8.0)", True),
        ("2.13.0", "13.0", ("sm_86",), "A100 (8.0)", False),
        ("2.13.0", "13.0", ("sm_80", "compute_90"), "H100 (9.0)", True),
        ("2.13.0", "13.0", ("sm_90a",), "H100 (9.0)", True),
    ],
)
def test_gpus_that_a_build_has_code_for(torch: str, cuda: str, arch_list: object, gpu: str, works: bool) -> None:
    """Code for X.Y runs on X.Z with Z >= Y, PTX on all that is newer; torch's own list wins over the table."""
    name, _, capability = gpu.rpartition(" (")
    facts = known(
        torch__version=torch, torch__cuda_build=cuda, torch__arch_list=arch_list, platform__os="linux",
        torch__device_names=(), torch__device_capabilities=(), gpu__names=(name,), gpu__capabilities=(capability.rstrip(")"),),
    )  # fmt: skip

    assert facts["torch.gpus_without_kernels"] == (() if works else (gpu,))


@pytest.mark.parametrize(
    ("driver", "capabilities", "system", "index"),
    [
        ("580.95.05", ("8.6",), "linux", "cu130"), ("580.95.05", ("6.1",), "linux", "cu126"), ("535.183.01", ("7.0",), "linux", "cu126"),
        ("535.183.01", ("12.0",), "linux", "cu128"), ("470.82.01", ("7.5",), "linux", "cu118"), ("390.157", ("6.1",), "linux", None),
        (None, (), "linux", "cpu"), ("581.29", ("8.9",), "windows", "cu130"), ("560.94", ("8.9",), "windows", "cu126"),
        (None, (), "macos", None),
    ],
)  # fmt: skip
def test_index_of_pytorch_that_fits(
    driver: str | None, capabilities: tuple[str, ...], system: str, index: str | None
) -> None:
    """The suggested index has builds for the driver and for every GPU; none is suggested where none has."""
    facts = known(
        gpu__driver=driver,
        gpu__capabilities=capabilities,
        platform__os=system,
        platform__wsl=None,
        nnunet__version=None,
    )

    assert facts["torch.wanted_index"] == index


def test_index_of_pytorch_fits_nnunet_too() -> None:
    """nnU-Net 2.4.2 trains with torch below 2.7, which the indexes of CUDA 13 do not have."""
    facts = known(
        gpu__driver="580.95.05",
        gpu__capabilities=("8.6",),
        platform__os="linux",
        platform__wsl=None,
        nnunet__version="2.4.2",
    )

    assert facts["nnunet.torch_requirement"] == "torch>=2.1.2,<2.7,!=2.9.*"
    assert facts["torch.wanted_index"] == "cu126"


def test_driver_inside_wsl2_has_the_numbers_of_windows() -> None:
    """A Windows driver 526 is too old for CUDA 12 although a Linux driver 526 is not."""
    linux, wsl = (
        known(gpu__driver="526.98", torch__cuda_build="12.6", platform__os="linux", platform__wsl=version)
        for version in (None, 2)
    )

    assert (linux["torch.driver_fits"], wsl["torch.driver_fits"]) == (True, False)


@pytest.mark.parametrize(
    ("device", "triton", "compiler", "vain"),
    [
        ("cuda", True, None, False),
        ("cuda", False, "cl", True),
        ("cpu", False, "/usr/bin/g++", False),
        ("cpu", True, None, True),
        ("mps", True, "clang", True),
    ],
)
def test_what_the_final_validation_needs_to_compile(
    device: str, triton: bool, compiler: str | None, vain: bool
) -> None:
    """nnUNet_compile=true outside Linux and CUDA reaches the final validation only; Triton or a compiler decide there."""
    facts = known(
        nnunet__version="2.8.1", nnunet__compile_variable="true", platform__os="windows", training__device_request=device,
        triton__importable=triton, triton__cpp_compiler=compiler,
    )  # fmt: skip

    assert facts["training.compiles_late"] is True
    assert facts["training.compiles_late_in_vain"] is vain


@pytest.mark.parametrize(
    ("torch", "system", "arch", "python", "wanted"),
    [
        ("2.8.0+cu128", "linux", "x86_64", "3.12.1", "3.4.0"), ("2.3.1+cu121", "linux", "x86_64", "3.12.1", None),
        ("2.14.1+cu130", "linux", "x86_64", "3.12.1", "3.8.*"), ("2.8.0+cu128", "windows", "x86_64", "3.12.1", "3.4.*"),
        ("2.15.0+cu130", "windows", "x86_64", "3.12.1", None), ("2.10.0+cu128", "linux", "arm64", "3.12.1", None),
        ("2.11.0+cu130", "linux", "arm64", "3.12.1", "3.6.0"), ("2.13.0", "macos", "arm64", "3.12.1", None),
    ],
)  # fmt: skip
def test_triton_that_belongs_to_torch(torch: str, system: str, arch: str, python: str, wanted: str | None) -> None:
    """The release that torch asks for on Linux, the series of triton-windows on Windows, none elsewhere."""
    facts = known(
        torch__version=torch, torch__build="cuda", platform__os=system, platform__arch=arch, python__version=python
    )

    assert facts["triton.wanted"] == wanted


@pytest.mark.parametrize(
    ("count", "visible", "hidden"),
    [(2, None, False), (2, "0", False), (2, "", True), (2, "-1", True), (2, "2", True), (2, "1,7", False), (2, "7,1", True),
     (1, "GPU-8932f937", False), (0, "", False), (1, "MIG-GPU-1/2/3", False)],
)  # fmt: skip
def test_gpus_hidden_by_the_variable(count: int, visible: str | None, hidden: bool) -> None:
    """CUDA_VISIBLE_DEVICES is read up to the first entry that names no GPU."""
    assert known(gpu__count=count, gpu__visible=visible)["gpu.all_hidden"] is hidden


def test_batches_in_flight_are_those_of_both_loaders() -> None:
    """12 workers: 12 + 6 cached for training, 6 + 3 for validation (nnUNetTrainer.get_dataloaders)."""
    assert batches_in_flight(12) == 27
    assert batches_in_flight(1) == 1 + 6 + 1 + 3
    assert batches_in_flight(0) == 0


@pytest.mark.parametrize(
    ("value", "system", "awkward"),
    [
        ("/data/raw", "linux", False), ('"/data/raw"', "linux", True), ("/data/raw ", "linux", True), ("~/raw", "linux", True),
        ("raw", "linux", True), ("C:\\nn\\raw", "windows", False), ("'C:\\nn'", "windows", True), ("\\\\server\\share\\raw", "windows", False),
        ("C:/nn/raw", "windows", False), ("nn\\raw", "windows", True), ("/data/数据", "linux", False),
    ],
)  # fmt: skip
def test_awkward_values_of_folders(value: str, system: str, awkward: bool) -> None:
    """Quotes, blanks at the ends, a tilde and relative paths are what goes wrong, on either path flavour."""
    facts = known(paths__raw=value, paths__preprocessed=None, paths__results=None, platform__os=system)

    assert facts["paths.awkward"] == ((Detail("nnUNet_raw", value),) if awkward else ())


@pytest.mark.parametrize(
    ("request_", "gpus", "cuda", "default", "out_of_reach"),
    [
        ("auto", 0, False, True, False),
        ("auto", 1, False, False, True),
        ("auto", 1, True, False, False),
        ("cpu", 1, False, False, False),
    ],
)
def test_only_a_machine_without_a_gpu_falls_back(
    request_: str, gpus: int, cuda: bool, default: bool, out_of_reach: bool
) -> None:
    """Without a GPU the plan may choose the processor; beside one that cannot be used it may not."""
    facts = known(
        training__device_request=request_, gpu__count=gpus, torch__cuda_available=cuda, platform__os="linux",
        training__configuration="2d",
    )  # fmt: skip

    assert facts["training.device_left_to_default"] is default
    assert facts["training.gpu_out_of_reach"] is out_of_reach


def test_what_follows_from_nothing_is_unknown_and_not_wrong() -> None:
    """From facts that nobody looked at nothing follows but what needs none."""
    facts = derive(Facts())
    certain = {name for name, info in CATALOGUE.items() if info.derived and not isinstance(facts[name], Unknown)}

    assert certain == {"nnunet.newest_known", "torch.newest_known", "torch.cuda_proven"}


@pytest.mark.parametrize(
    "nonsense",
    [
        {"gpu__capabilities": ("abc",), "gpu__names": ("x",), "gpu__driver": "580.1", "platform__os": "linux"},
        {
            "torch__version": "my own",
            "torch__build": "cuda",
            "python__version": "3",
            "platform__os": "linux",
            "platform__arch": "x",
        },
        {
            "nnunet__version": "main",
            "nnunet__compile_variable": "true",
            "platform__os": "beos",
            "training__device_request": "cuda",
        },
        {"resources__cpus": -5, "resources__memory_available_gib": -1.0, "training__device_request": "?"},
    ],
)
def test_nonsense_makes_unknowns_and_no_crash(nonsense: dict[str, object]) -> None:
    """Facts as a broken file may hold them end in unknowns."""
    known(**nonsense)


def test_a_part_is_derived_as_the_whole_is() -> None:
    """Derived facts that are asked for come out as among all; those that are not asked for stay as they are."""
    facts = known(nnunet__version="2.8.1", platform__os="linux", training__device_request="cuda")
    bare = Facts({name: value for name, value in facts if not CATALOGUE[name].derived})
    wanted = with_inputs(["training.compiles"])
    part = derive(bare, wanted)

    assert {name: part[name] for name in wanted} == {name: facts[name] for name in wanted}
    assert part["nnunet.newest_known"] == NOT_LOOKED_AT


def test_inputs_are_known_to_the_last() -> None:
    """What a derived fact follows from, over all steps, is found; an observed one follows from itself alone."""
    assert {"nnunet.version", "torch.cuda_available", "gpu.visible"} <= with_inputs(["training.compiles"])
    assert with_inputs(["platform.os"]) == {"platform.os"}


def test_rules_stand_behind_what_they_follow_from() -> None:
    """One pass in the order of the rules is enough: no rule reads a derived fact that comes later."""
    placed: set[str] = set()
    for name, rule in RULES.items():
        assert {given for given in rule.inputs if CATALOGUE[given].derived} <= placed, name
        placed.add(name)

    assert placed == {name for name, info in CATALOGUE.items() if info.derived}
