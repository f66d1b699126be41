"""Derived facts follow nnU-Net's and torch's own decisions."""

from __future__ import annotations

import itertools

import pytest

from nnunet_doctor.facts import CATALOGUE, NOT_LOOKED_AT, Detail, Facts, Unknown
from nnunet_doctor.facts.derive import RULES, derive, inputs_of, with_inputs
from nnunet_doctor.facts.derive.training import compiles
from nnunet_doctor.facts.derive.workers import batches_in_flight
from nnunet_doctor.facts.tables import table

NEVER = ("2.0", "2.1")
ASKED = ("2.1.2", "2.2", "2.2.1", "2.3", "2.3.1")
EVERYWHERE = ("2.4", "2.4.1", "2.4.2")
CUDA_NOT_WINDOWS = ("2.5", "2.5.1", "2.5.2", "2.6.0", "2.6.2", "2.6.3", "2.6.4", "2.7.0", "2.8.0", "2.8.1")
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

    assert certain == {
        "nnunet.newest_known", "torch.newest_known", "torch.newest_cuda", "torch.cuda_proven", "triton.newest_known"
    }  # fmt: skip


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


def test_no_fact_follows_from_itself() -> None:
    """Rules are computed in the order in which they need each other, so that a circle would have no end."""

    def below(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " <- ".join((*path, name))
        if name not in done:
            for given in inputs_of(name):
                below(given, (*path, name))
            done.add(name)

    done: set[str] = set()
    for name in RULES:
        below(name, ())

    assert set(RULES) == {name for name, info in CATALOGUE.items() if info.derived}


# --- Triton, torch.compile and builds of torch ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("required", "wanted", "package"),
    [
        ("triton==3.4.0", "3.4.0", "triton"),
        ("triton~=3.8.0", "3.8.*", "triton"),
        ("pytorch-triton-rocm==3.4.0", "3.4.0", "pytorch-triton-rocm"),
        ("triton>=3.0", None, None),
    ],
)
def test_triton_that_the_metadata_of_torch_ask_for(required: str, wanted: str | None, package: str | None) -> None:
    """What the installed torch says of its Triton goes before the table, also for a torch that no table knows."""
    facts = known(
        torch__version="9.1.0", torch__build="cuda", platform__os="linux", platform__arch="x86_64",
        python__version="3.12.1", triton__required=required, triton__version="3.4.0",
    )  # fmt: skip

    assert (facts["triton.wanted"], facts["triton.wanted_package"]) == (wanted, package)
    assert facts["triton.fits"] is (None if wanted is None else wanted == "3.4.0")


@pytest.mark.parametrize("torch", ["9.1.0", "2.7.0a0+ecf3bae40a.nv25.2", "2.6.1"])
def test_no_triton_is_wrong_for_a_torch_that_the_table_does_not_hold(torch: str) -> None:
    """Builds of vendors and releases of tomorrow have a Triton of their own, of which nobody here can say anything."""
    facts = known(
        torch__version=torch, torch__build="cuda", platform__os="linux", platform__arch="x86_64",
        python__version="3.12.1", triton__required=None, triton__version="4.0.0",
    )  # fmt: skip

    assert (facts["triton.wanted"], facts["triton.fits"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "value", "torch", "off"),
    [
        ("TORCHDYNAMO_DISABLE", "1", "2.13.0", True), ("TORCHDYNAMO_DISABLE", "0", "2.13.0", False),
        ("TORCH_COMPILE_DISABLE", "1", "2.13.0", True), ("TORCH_COMPILE_DISABLE", "true", "2.13.0", False),
        ("TORCH_COMPILE_DISABLE", "0", "2.6.0", True), ("TORCH_COMPILE_DISABLE", "", "2.6.0", False),
        ("TORCHDYNAMO_SUPPRESS_ERRORS", "0", "2.13.0", True), ("TORCHDYNAMO_SUPPRESS_ERRORS", "", "2.13.0", False),
        ("TORCH_LOGS", "+dynamo", "2.13.0", False),
    ],
)  # fmt: skip
def test_variables_that_switch_torch_compile_off(name: str, value: str, torch: str, off: bool) -> None:
    """A training whose torch.compile does nothing, or forgives, does not have to be able to compile."""
    facts = known(
        nnunet__version="2.8.1", nnunet__compile_variable="true", platform__os="linux", training__device_request="cuda",
        torch__version=torch, triton__variables=(Detail(name, value),),
    )  # fmt: skip

    assert facts["triton.compile_off"] == (f"{name}={value}" if off else None)
    assert facts["training.compiles"] is not off
    assert facts["training.compiles_late"] is False


@pytest.mark.parametrize(
    ("value", "release", "device", "word"),
    [
        ("yes", "2.8.1", "cuda", "yes"), ("true ", "2.8.1", "cuda", "true "), ("", "2.8.1", "cuda", ""),
        ("tRue", "2.8.1", "cuda", None), ("OFF", "2.8.1", "cuda", None), ("false ", "2.8.1", "cuda", None),
        ("yes", "2.8.1", "cpu", None), ("yes", "2.4.2", "cpu", "yes"), ("on", "2.3.1", "cuda", "on"),
        ("yes", None, "cuda", None), (None, "2.8.1", "cuda", None),
    ],
)  # fmt: skip
def test_a_word_of_nnunet_compile_is_lost_only_where_nnunet_would_compile(
    value: str | None, release: str | None, device: str, word: str | None
) -> None:
    """On the CPU current releases compile nothing, whatever the variable holds; what means off is taken so."""
    facts = known(
        nnunet__compile_variable=value, nnunet__version=release, platform__os="linux",
        training__device_request=device, triton__variables=(),
    )  # fmt: skip

    assert facts["triton.compile_word"] == word


@pytest.mark.parametrize(
    ("value", "unusable"),
    [("8", None), (" 4 ", None), ("0", None), ("-1", None), ("four", "four"), ("1.5", "1.5"), ("", "")],
)
def test_only_what_int_refuses_makes_the_number_of_compile_threads_unusable(value: str, unusable: str | None) -> None:
    """A negative number compiles in the main process, as 1 does, and must not keep a training from starting."""
    facts = known(triton__variables=(Detail("TORCHINDUCTOR_COMPILE_THREADS", value),))

    assert facts["triton.threads_unusable"] == unusable


@pytest.mark.parametrize(
    ("triton", "link", "old_gcc"),
    [("2.1.0", True, False), ("2.3.1", True, True), ("3.2.0", True, True), ("3.5.1", True, True),
     ("3.6.0", False, True), ("3.8.0", False, True), ("9.0.0", False, True)],
)  # fmt: skip
def test_what_releases_of_triton_ask_of_the_machine(triton: str, link: bool, old_gcc: bool) -> None:
    """Which name of libcuda a release links with, and whether gcc 4.8 refuses its code; clang never does."""
    facts = known(triton__version=triton, triton__c_compiler_version="gcc 4.8.5")
    others = [
        known(triton__version=triton, triton__c_compiler_version=compiler)["triton.gcc_too_old"]
        for compiler in ("gcc 5.4.0", "gcc 12.2.0", "clang 3.4.2")
    ]

    assert (facts["triton.links_libcuda_so"], facts["triton.gcc_too_old"]) == (link, old_gcc)
    assert others == [False] * 3


@pytest.mark.parametrize(
    ("triton", "gpu", "driver", "behind", "too_new"),
    [
        ("3.1.0", "RTX 3090 (8.6)", "11.4", True, False), ("2.1.0", "RTX 3090 (8.6)", "11.4", False, False),
        ("3.1.0", "RTX 3090 (8.6)", "12.0", False, False), ("3.7.1", "RTX 3090 (8.6)", "12.2", False, False),
        ("3.7.1", "RTX 5090 (12.0)", "12.8", True, False), ("3.6.0", "RTX 5090 (12.0)", "12.8", False, False),
        ("3.5.1", "GB10 (12.1)", "13.0", False, True), ("3.6.0", "GB10 (12.1)", "13.0", False, False),
        ("3.2.0", "RTX 5090 (12.0)", "12.8", False, True), ("3.5.1", "H100 (9.0)", "13.0", False, False),
    ],
)  # fmt: skip
def test_assembler_of_triton_driver_and_gpu(triton: str, gpu: str, driver: str, behind: bool, too_new: bool) -> None:
    """The assembler that a Triton brings must know the GPU, and the driver must load what it makes."""
    seen = {"gpu__names": (gpu.partition(" (")[0],), "gpu__capabilities": (gpu.partition("(")[2].rstrip(")"),)}
    facts = known(
        triton__version=triton, triton__variables=(), gpu__driver_cuda=driver, torch__device_names=(),
        torch__device_capabilities=(), torch__cuda_build=None, torch__version="2.13.0", platform__os="linux", **seen,
    )  # fmt: skip

    assert facts["triton.driver_behind"] is behind
    assert facts["triton.gpus_too_new"] == ((gpu,) if too_new else ())


def test_an_assembler_of_ones_own_and_a_newer_triton_are_believed() -> None:
    """Where TRITON_PTXAS_PATH is set, and for a Triton that is newer than the table, no GPU is said to be too new."""
    gb10 = {
        "gpu__names": ("GB10",),
        "gpu__capabilities": ("12.1",),
        "torch__device_names": (),
        "torch__device_capabilities": (),
        "torch__cuda_build": None,
        "torch__version": "2.13.0",
        "platform__os": "linux",
    }
    own = known(
        triton__version="3.5.1", triton__variables=(Detail("TRITON_PTXAS_PATH", "/x"),), gpu__driver_cuda="12.8", **gb10
    )
    newer = known(triton__version="99.0", triton__variables=(), **gb10)

    assert [facts["triton.gpus_too_new"] for facts in (own, newer)] == [None, None]
    assert own["triton.driver_behind"] is None
    assert newer["triton.newer_than_known"] is True


@pytest.mark.parametrize(
    ("torch", "python", "free", "fits"),
    [("2.7.1", "3.13.5", True, False), ("2.8.0", "3.13.3", True, True), ("2.13.0", "3.13.2", True, False),
     ("2.13.0", "3.14.0", True, True), ("2.13.0", "3.13.2", False, None)],
)  # fmt: skip
def test_free_threaded_python_that_compile_accepts(torch: str, python: str, free: bool, fits: bool | None) -> None:
    """Torch 2.6 and 2.7 refuse all of them, later ones those before 3.13.3."""
    facts = known(torch__version=torch, python__version=python, python__free_threaded=free)

    assert facts["triton.free_threaded_fits"] is fits


CACHES = {
    "triton__cache": "/tmp/torchinductor_li",
    "triton__own_cache": "/home/li/.triton/cache",
    "platform__os": "linux",
    "training__device_request": "cuda",
    "torch__build": "cuda",
    "nnunet__installed": True,
    "nnunet__version": "2.8.1",
    "triton__variables": (),
}
INDUCTOR, TRITON = (
    Detail("TORCHINDUCTOR_CACHE_DIR", "/tmp/torchinductor_li"),
    Detail("TRITON_CACHE_DIR", "/home/li/.triton/cache"),
)


@pytest.mark.parametrize(
    ("torch", "compile_", "writable", "own", "bad"),
    [
        ("2.8.0", None, True, True, ()), ("2.8.0", None, False, True, (INDUCTOR,)),
        ("2.8.0", None, True, False, (TRITON,)), ("2.8.0", "false", False, False, ()),
        ("2.10.0", "false", False, False, (INDUCTOR,)), ("2.13.0", None, False, False, (INDUCTOR, TRITON)),
    ],
)  # fmt: skip
def test_caches_that_are_needed_must_take_files(
    torch: str, compile_: str | None, writable: bool, own: bool, bad: tuple[Detail, ...]
) -> None:
    """Both caches count when nnU-Net compiles; from torch 2.10 on Inductor's is made when nnU-Net is imported."""
    facts = known(
        **CACHES, torch__version=torch, nnunet__compile_variable=compile_,
        triton__cache_writable=writable, triton__own_cache_writable=own, triton__cache_there=False,
    )  # fmt: skip

    assert facts["triton.unmakeable"] == bad


def test_a_cache_that_is_there_already_is_enough_to_import_torch() -> None:
    """The folder of somebody else stops a training that compiles, and not one that only imports torch._dynamo."""
    bad = [
        known(
            **CACHES, torch__version="2.13.0", nnunet__compile_variable=compile_, triton__cache_writable=False,
            triton__own_cache_writable=True, triton__cache_there=True,
        )["triton.unmakeable"]
        for compile_ in ("false", "true")
    ]  # fmt: skip

    assert bad == [(), (INDUCTOR,)]


def test_caches_without_room_or_rights() -> None:
    """A cache on a noexec mount or a full disk is listed with the variable that moves it; unknown ones are no reason."""
    facts = known(
        **CACHES, torch__version="2.8.0", nnunet__compile_variable=None,
        triton__cache_executable=False, triton__own_cache_executable=None,
        triton__cache_free_gib=40.0, triton__own_cache_free_gib=0.0,
    )  # fmt: skip

    assert (facts["triton.no_exec"], facts["triton.nearly_full"]) == ((INDUCTOR,), (TRITON,))


@pytest.mark.parametrize(
    ("number", "release"), [("91002", "9.10.2"), ("8902", "8.9.2"), ("90100", "9.1.0"), (None, None), ("8500", "8.5.0")]
)
def test_cudnn_release_from_its_number(number: str | None, release: str | None) -> None:
    """The number that torch gives is read as cuDNN writes it, four digits up to 8 and five from 9 on."""
    assert known(torch__cudnn=number)["torch.cudnn_release"] == release


@pytest.mark.parametrize(
    ("torch", "build", "cudnn", "names", "slow"),
    [
        ("2.9.0+cu128", "cuda", "91002", (), True), ("2.9.0+cu128", "cuda", "91600", (), True),
        ("2.9.1+cu128", "cuda", "91002", (), True), ("2.9.1+cu128", "cuda", "91500", (), False),
        ("2.9.1+cu128", "cuda", Unknown("--quick starts no torch"), (), True), ("2.10.0+cu128", "cuda", "91002", (), False),
        ("2.8.0+cu128", "cuda", "91002", (), False), ("2.9.0+cpu", "cpu", None, (), False),
        ("2.8.0+rocm6.4", "rocm", None, ("AMD Radeon RX 7900 XTX",), True),
        ("2.8.0+rocm6.4", "rocm", None, ("AMD Instinct MI300X",), False), (None, None, None, (), False),
    ],
)  # fmt: skip
def test_torch_with_slow_3d_convolutions(
    torch: str | None, build: str | None, cudnn: object, names: tuple[str, ...], slow: bool
) -> None:
    """Torch 2.9 with the cuDNN of its wheels, and torch for AMD on Radeon; where nobody asked, the wheel's own counts."""
    facts = known(
        torch__version=torch, torch__build=build, torch__cudnn=cudnn, torch__device_names=names,
        torch__device_capabilities=(), gpu__names=(), gpu__capabilities=(),
    )  # fmt: skip

    assert facts["torch.conv3d_slow"] is slow


@pytest.mark.parametrize(
    ("capability", "cudnn", "without"), [("7.0", "91500", True), ("7.0", "91002", False), ("7.5", "91500", False)]
)
def test_cudnn_that_has_no_code_for_the_gpu(capability: str, cudnn: str, without: bool) -> None:
    """From 9.11 on cuDNN serves Turing and newer only."""
    facts = known(
        torch__version="2.10.0+cu126", torch__build="cuda", torch__cudnn=cudnn, torch__device_names=("Tesla V100",),
        torch__device_capabilities=(capability,), training__num_gpus=1,
    )  # fmt: skip

    assert facts["torch.cudnn_without_gpu"] is without


@pytest.mark.parametrize(
    ("python", "glibc", "arch", "driver", "capability", "index"),
    [
        ("3.12.1", "2.35", "x86_64", "580.95.05", "8.6", "cu130"), ("3.12.1", "2.17", "x86_64", "580.95.05", "8.6", "cu124"),
        ("3.12.1", "2.17", "x86_64", "470.82.01", "7.5", "cu118"), ("3.14.0", "2.17", "x86_64", "580.95.05", "8.6", None),
        ("3.15.0", "2.35", "x86_64", "580.95.05", "8.6", "cu130"), ("3.15.0", "2.35", "x86_64", "535.1", "8.6", None),
        ("3.12.1", "2.35", "arm64", "580.95.05", "9.0", "cu130"), ("3.12.1", "2.35", "arm64", "550.1", "12.0", "cu128"),
        ("3.12.1", "2.35", "arm64", "535.1", "7.0", None), ("3.12.1", "2.35", "arm64", "580.1", "8.7", None),
    ],
)  # fmt: skip
def test_index_of_pytorch_fits_python_libc_and_processor(
    python: str, glibc: str, arch: str, driver: str, capability: str, index: str | None
) -> None:
    """An index is suggested only when it has a wheel that this Python, this C library and this processor can use."""
    facts = known(
        gpu__driver=driver, gpu__capabilities=(capability,), platform__os="linux", platform__wsl=None,
        nnunet__version="2.8.1", python__version=python, platform__glibc=glibc, platform__arch=arch,
    )  # fmt: skip

    assert facts["torch.wanted_index"] == index


def test_what_is_newer_than_the_tables_raises_no_alarm() -> None:
    """CUDA 14 asks for no older driver than CUDA 13, and a torch of tomorrow is taken to know the GPUs of tomorrow."""
    facts = known(
        torch__version="3.1.0+cu140", torch__cuda_build="14.0", torch__arch_list=Unknown("--quick starts no torch"),
        platform__os="windows", platform__wsl=None, gpu__driver="610.10", gpu__names=("RTX 6090",),
        gpu__capabilities=("14.0",), torch__device_names=(), torch__device_capabilities=(),
    )  # fmt: skip

    assert facts["torch.cuda_newer_than_known"] is True
    assert facts["torch.driver_fits"] is True
    assert facts["torch.gpus_without_kernels"] == ()


def test_python_of_the_newest_torch_that_compile_accepts() -> None:
    """Torch 2.15 accepts Python 3.15, of which 2.14 knows nothing."""
    fits = [
        known(torch__version=torch, python__version="3.15.0")["training.compile_python_fits"]
        for torch in ("2.14.1", "2.15.0")
    ]

    assert fits == [False, True]


@pytest.mark.parametrize(
    ("device", "cache", "breaks"),
    [("cpu", "/tmp/my cache", True), ("cpu", "/tmp/cache", False), ("cuda", "/tmp/my cache", False), ("cpu", "/tmp/缓存", False)],
)  # fmt: skip
def test_cache_whose_path_breaks_the_compiler_call(device: str, cache: str, breaks: bool) -> None:
    """On the CPU a blank in the path cuts the call of the compiler; letters outside ASCII do not."""
    facts = known(
        nnunet__version="2.4.2", nnunet__compile_variable=None, platform__os="linux", training__device_request=device,
        triton__cache=cache, triton__variables=(),
    )  # fmt: skip

    assert facts["triton.cache_breaks_commands"] is breaks


@pytest.mark.parametrize(
    ("torch", "cache", "compile_", "fails"),
    [
        ("2.6.0", None, None, True), ("2.6.0", None, "false", False), ("2.6.0", "/scratch", None, False),
        ("2.8.0", "/scratch", None, True), ("2.9.1", None, "false", False), ("2.10.0", None, "false", True),
        ("2.12.1", "/scratch", "false", False), ("2.12.1", "/scratch", None, True), ("2.13.0", None, None, False),
    ],
)  # fmt: skip
def test_torch_that_asks_for_the_name_of_the_user(
    torch: str, cache: str | None, compile_: str | None, fails: bool
) -> None:
    """When a user without a name cannot train: while compiling up to 2.12, and from 2.10 on as soon as torch._dynamo is imported."""
    facts = known(
        nnunet__version="2.8.1", nnunet__compile_variable=compile_, platform__os="linux", training__device_request="cuda",
        platform__user_named=False, platform__inductor_cache=cache, torch__version=torch, triton__variables=(),
    )  # fmt: skip

    assert facts["platform.cache_nameless"] is fails


ORDINARY = {
    "python__pip": True,
    "python__uv": None,
    "python__environment": "venv",
    "python__externally_managed": False,
    "python__writable": True,
    "python__user_site": False,
    "python__venv_module": True,
}
"""An environment into which pip installs."""


@pytest.mark.parametrize(
    ("changes", "way"),
    [
        ({}, "pip"),
        ({"python__pip": False, "python__uv": "/usr/bin/uv"}, "uv"),
        ({"python__pip": False, "python__environment": "conda"}, "conda"),
        ({"python__pip": False}, "ensurepip"),
        ({"python__pip": False, "python__venv_module": False}, "nothing"),
        ({"python__environment": "system", "python__externally_managed": True, "python__writable": False}, "venv"),
        ({"python__writable": False}, "venv"),
        ({"python__environment": "conda", "python__writable": False, "python__user_site": True}, "venv"),
        ({"python__environment": "system", "python__writable": False, "python__user_site": True}, "pip"),
        ({"python__environment": "system", "python__writable": False}, "venv"),
    ],
)
def test_how_packages_get_into_an_environment(changes: dict[str, object], way: str) -> None:
    """pip where it may, what stands in for it where it is absent, and a new environment where nothing can be added."""
    assert known(**(ORDINARY | changes))["python.installs_with"] == way


@pytest.mark.parametrize(
    ("numpy", "torch", "system", "too_new"),
    [
        ("2.0.0", "2.2.2", "macos", True),
        ("1.26.4", "2.2.2", "macos", False),
        ("2.1.0", "2.3.0+cu121", "linux", False),
        ("2.1.0", "2.4.0+cpu", "windows", True),
        ("2.1.0", "2.4.1+cpu", "windows", False),
        ("2.1.0", None, "linux", None),
        (None, "2.2.2", "linux", None),
    ],
)
def test_numpy_that_torch_does_not_know(
    numpy: str | None, torch: str | None, system: str, too_new: bool | None
) -> None:
    """Torch is built for numpy 2 from 2.3 on, on Windows from 2.4.1 on."""
    facts = known(python__numpy=numpy, torch__version=torch, platform__os=system)

    assert facts["python.numpy_too_new"] is too_new


@pytest.mark.parametrize(
    ("numpy", "blosc2", "release", "too_old"),
    [
        ("1.23.5", None, "2.4.2", False),
        ("1.23.5", None, "2.5.1", True),
        ("1.24.0", None, "2.5.2", False),
        ("1.26.4", "3.9.0", "2.6.2", True),
        ("1.26.4", "3.9.1", "2.6.2", False),
        ("2.0.0", "3.9.0", "2.6.2", False),
        (None, None, "2.8.1", None),
        ("1.20.0", None, None, None),
    ],
)
def test_numpy_without_what_is_called(
    numpy: str | None, blosc2: str | None, release: str | None, too_old: bool | None
) -> None:
    """np.vstack takes a dtype from 1.24 on, and blosc2 3.9.0 looks for what numpy 2 brought."""
    facts = known(python__numpy=numpy, python__blosc2=blosc2, nnunet__version=release)

    assert facts["python.numpy_too_old"] is too_old


@pytest.mark.parametrize(
    ("threadpoolctl", "numpy", "conda", "system", "fails"),
    [
        ("2.2.0", "1.26.4", (), "windows", True),
        ("2.2.0", "1.26.4", (), "macos", True),
        ("2.2.0", "1.26.4", (), "linux", False),
        ("2.2.0", "1.26.4", ("numpy",), "windows", False),
        ("2.2.0", "2.1.0", (), "windows", False),
        ("2.2.0", "1.21.6", (), "windows", False),
        ("3.0.0", "1.26.4", (), "windows", False),
        (None, "1.26.4", (), "windows", False),
    ],
)
def test_threadpoolctl_that_cannot_read_openblas(
    threadpoolctl: str | None, numpy: str, conda: tuple[str, ...], system: str, fails: bool
) -> None:
    """Only releases before 3 fail, only over the wheels of numpy 1.22 to 1.26, and on Linux without harm."""
    facts = known(
        python__threadpoolctl=threadpoolctl, python__numpy=numpy, python__from_conda=conda, platform__os=system
    )  # fmt: skip

    assert facts["python.threadpoolctl_fails"] is fails


@pytest.mark.parametrize(
    ("python", "setuptools", "cases", "lacking"),
    [
        ("3.11.7", None, None, False),
        ("3.12.1", None, None, True),
        ("3.12.1", "80.9.0", None, False),
        ("3.12.1", None, 0, True),
        ("3.12.1", None, 40, False),
        ("3.12.1", None, NOT_LOOKED_AT, True),
    ],
)
def test_distutils_that_preprocessing_ends_with(
    python: str, setuptools: str | None, cases: object, lacking: bool
) -> None:
    """From Python 3.12 on setuptools has to bring it; data that are preprocessed do not need it any more."""
    facts = known(
        python__version=python, python__setuptools=setuptools, nnunet__version="2.8.1", preprocessed__cases=cases
    )  # fmt: skip

    assert facts["nnunet.distutils_lacking"] is lacking


@pytest.mark.parametrize(
    ("variables", "release", "idle"),
    [
        ({"nnUNet_extTrainer": "/t"}, "2.7.0", (Detail("nnUNet_extTrainer", ">=2.8.0"),)),
        ({"nnUNet_extTrainer": "/t"}, "2.8.0", ()),
        ({"nnUNet_npp": "1"}, "2.5.2", (Detail("nnUNet_npp", ">=2.6.2"),)),
        ({"nnUNet_keep_files_open": "1"}, "2.8.1", ()),
        ({"nnUNet_compile": "f"}, "2.0", ()),
        ({"nnUNet_wandb_enabled": "0"}, "2.6.4", ()),
        ({"nnUNet_wandb_enabled": "1"}, "2.6.4", (Detail("nnUNet_wandb_enabled", ">=2.7.0"),)),
        ({"nnUNet_raw": "/r"}, "2.0", ()),
        ({"nnUNet_extTrainer": "/t"}, None, ()),
    ],
)
def test_variables_of_other_releases(variables: dict[str, str], release: str | None, idle: tuple[Detail, ...]) -> None:
    """What another release would read is told with that release; what is harmless is not."""
    given = tuple(Detail(name, value) for name, value in variables.items())

    assert known(nnunet__variables=given, nnunet__version=release)["nnunet.idle_variables"] == idle


@pytest.mark.parametrize(
    ("value", "release", "package", "word", "lacking"),
    [
        ("1", "2.8.1", None, None, True),
        ("1", "2.8.1", "0.25.1", None, False),
        ("yes", "2.8.1", "0.25.1", "yes", False),
        ("", "2.8.1", None, "", False),
        ("false", "2.8.1", None, None, False),
        ("yes", "2.6.4", None, None, False),
        (None, "2.8.1", None, None, False),
    ],
)
def test_words_for_weights_and_biases(
    value: str | None, release: str, package: str | None, word: str | None, lacking: bool
) -> None:
    """nnU-Net 2.7.0 and newer know six words and stop at any other, and at a package that is not there."""
    variables = () if value is None else (Detail("nnUNet_wandb_enabled", value),)
    facts = known(nnunet__variables=variables, nnunet__version=release, python__wandb=package)

    assert (facts["nnunet.wandb_word"], facts["nnunet.wandb_lacking"]) == (word, lacking)


RESUMED = {
    "nnunet__version": "2.5.2",
    "torch__version": "2.6.0+cu124",
    "nnunet__load_variable": None,
    "training__trainer": "nnUNetTrainer",
    "training__continues": True,
    "training__validates": False,
    "training__pretrained": None,
    "training__state": "resumable",
}
"""A training with --c whose checkpoint torch refuses."""


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, True),
        ({"nnunet__version": "2.6.0"}, False),
        ({"torch__version": "2.5.1"}, False),
        ({"nnunet__load_variable": "1"}, False),
        ({"training__state": "none"}, False),
        ({"training__continues": False}, False),
        ({"training__continues": False, "training__validates": True, "training__state": "finished"}, True),
        ({"training__continues": False, "training__pretrained": "/w.pth"}, True),
        ({"nnunet__version": "2.8.1", "training__trainer": "nnUNet_Primus_M_Trainer"}, True),
        ({"nnunet__version": "2.8.1", "training__trainer": "nnUNet_PrimusV2S_Trainer"}, True),
        ({"nnunet__version": "2.8.1", "training__trainer": "nnUNetTrainer_warmup"}, True),
        ({"nnunet__version": "2.8.1", "training__trainer": "nnUNet_Trainer_BS8"}, False),
        ({"nnunet__version": "2.9.0", "training__trainer": "nnUNetTrainer_warmup"}, False),
        (
            {
                "nnunet__version": "2.8.1",
                "training__trainer": "nnUNetTrainer_warmup",
                "training__continues": False,
                "training__pretrained": "/w.pth",
            },
            False,
        ),
    ],
)
def test_checkpoint_that_torch_refuses(changes: dict[str, object], refused: bool) -> None:
    """Torch 2.6 and newer have to be told to load one: by nnU-Net from 2.6.0 on, except for its warm-up trainers."""
    assert known(**(RESUMED | changes))["nnunet.resume_refused"] is refused


OLD, NEW = (
    ("plans", "configuration", "fold", "dataset_json", "unpack_dataset", "device"),
    (
        "plans",
        "configuration",
        "fold",
        "dataset_json",
        "device",
    ),
)


@pytest.mark.parametrize(
    ("takes", "hands_on", "release", "fits"),
    [
        (OLD, True, "2.5.2", True),
        (OLD, True, "2.6.0", False),
        (OLD, False, "2.6.0", False),
        (NEW, False, "2.8.1", True),
        (NEW, True, "2.8.1", False),
        (NEW, False, "2.5.2", False),
        (("*args", "**kwargs"), False, "2.8.1", False),
        ((*NEW, "alpha"), False, "2.8.1", False),
        (None, None, "2.8.1", None),
    ],
)
def test_trainer_that_this_release_can_build(
    takes: tuple[str, ...] | None, hands_on: bool | None, release: str, fits: bool | None
) -> None:
    """A trainer takes what nnU-Net gives it by name, and nothing else, because nnU-Net looks every name up."""
    facts = known(nnunet__trainer_takes=takes, nnunet__trainer_hands_on=hands_on, nnunet__version=release)

    assert facts["nnunet.trainer_fits"] is fits


OF_22 = ("plans_manager", "dataset_json", "configuration_manager", "num_input_channels", "enable_deep_supervision")
OF_25 = ("architecture_class_name", "arch_init_kwargs", "imports", "inputs", "outputs", "enable_deep_supervision")
OF_28 = ("plans_manager", "configuration_manager", "inputs", "outputs", "enable_deep_supervision")


@pytest.mark.parametrize(
    ("takes", "fits"),
    [
        (OF_22, {"2.2.1": True, "2.3": True, "2.3.1": False, "2.6.4": False, "2.7.0": False, "2.8.1": False}),
        (OF_25, {"2.2.1": False, "2.3": False, "2.3.1": True, "2.6.4": True, "2.7.0": True, "2.8.1": True}),
        (OF_28, {"2.2.1": False, "2.3": False, "2.3.1": False, "2.6.4": False, "2.7.0": True, "2.8.1": True}),
        (("self", *OF_25), {"2.5.2": True, "2.8.1": True}),
        (("*args",), {"2.2.1": True, "2.5.2": True, "2.8.1": True}),
    ],
)
def test_network_that_this_release_can_build(takes: tuple[str, ...], fits: dict[str, bool]) -> None:
    """How the network is built changed in 2.3.1 and in 2.7.0, which still calls the form before it."""
    found = {
        release: known(nnunet__network_takes=takes, nnunet__version=release)["nnunet.network_fits"] for release in fits
    }

    assert found == fits


@pytest.mark.parametrize(
    ("takes", "network", "form"),
    [
        (None, OF_22, "<2.3.1"),
        (OLD, OF_25, "<2.6"),
        (NEW, OF_25, ">=2.6.0,<2.7"),
        (None, OF_25, ">=2.3.1,<2.7"),
        (NEW, OF_28, ">=2.7.0"),
        (None, None, None),
    ],
)
def test_releases_that_a_trainer_was_written_for(
    takes: tuple[str, ...] | None, network: tuple[str, ...] | None, form: str | None
) -> None:
    """Parameters that releases have added and removed tell them."""
    assert known(nnunet__trainer_takes=takes, nnunet__network_takes=network)["nnunet.trainer_form"] == form


@pytest.mark.parametrize(
    ("named", "outside", "release", "found"),
    [
        (True, False, "2.0", True),
        (False, True, "2.7.0", False),
        (False, True, "2.8.0", True),
        (False, False, "2.8.1", False),
        (None, None, "2.8.1", None),
    ],
)
def test_trainer_that_this_release_finds(
    named: bool | None, outside: bool | None, release: str, found: bool | None
) -> None:
    """nnUNet_extTrainer counts from 2.8.0 on."""
    facts = known(nnunet__trainer_named=named, nnunet__trainer_outside=outside, nnunet__version=release)

    assert facts["nnunet.trainer_found"] is found


def test_conflicts_that_other_facts_tell_are_left_out() -> None:
    """nnU-Net's bound on torch and torch's on Triton have checks of their own; every other conflict stays."""
    stays = (Detail("nnunetv2", "acvl-utils<0.3,>=0.2.6 != 0.2"), Detail("torchvision", "torch==2.13.0 != 2.8.0"))
    told = (
        Detail("nnunetv2", "torch!=2.9.*,>=2.1.2 != 2.9.1"),
        Detail("torch", "triton==3.4.0 != 3.1.0"),
        Detail("torch", "pytorch-triton-rocm==3.4.0 != -"),
    )

    assert known(nnunet__conflicts=(*stays, *told))["nnunet.unmet"] == stays


@pytest.mark.parametrize(
    ("conda", "packages", "from_conda", "over"),
    [
        (None, (), False, False),
        ("2.5.1 py3.11_cuda12.4_cudnn9.1.0_0", ("torch",), True, False),
        ("2.5.1 py3.11_cuda12.4_cudnn9.1.0_0", ("numpy",), False, True),
    ],
)
def test_who_installed_torch(conda: str | None, packages: tuple[str, ...], from_conda: bool, over: bool) -> None:
    """conda's own record tells whether the torch that is found is the one that it installed."""
    facts = known(python__conda_torch=conda, python__from_conda=packages, torch__installed=True)

    assert (facts["python.torch_from_conda"], facts["python.torch_over_conda"]) == (from_conda, over)


PLACES_OF_DATA = {
    "paths__preprocessed": "/p", "paths__results": "/r", "paths__preprocessed_free_gib": 900.0,
    "paths__results_free_gib": 900.0, "paths__preprocessed_writable": True, "paths__results_writable": True,
    "paths__preprocessed_refusal": None, "paths__results_refusal": None,
}  # fmt: skip
"""Folders that take files and have room."""

READY = {
    "training__configuration": "2d", "training__fold": "0", "dataset__requested": "10", "preprocessed__plans_state": "ok",
    "preprocessed__configurations": ("2d",), "preprocessed__data_format": "b2nd", "preprocessed__splits": 5,
}  # fmt: skip
"""A training whose data are there."""

NOTHING_NAMED = {
    "training__configuration": None, "training__fold": None, "dataset__requested": None, "preprocessed__plans_state": None,
    "preprocessed__configurations": None, "preprocessed__data_format": None, "preprocessed__splits": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "folders"),
    [
        ({}, ("results",)),
        ({"preprocessed__splits": None}, ("preprocessed", "results")),
        ({"preprocessed__splits": None, "training__fold": "all"}, ("results",)),
        ({"preprocessed__data_format": "missing"}, ("preprocessed", "results")),
        ({"preprocessed__plans_state": "missing"}, ("preprocessed", "results")),
        ({"training__configuration": None, "preprocessed__plans_state": "missing"}, ("preprocessed",)),
        (NOTHING_NAMED, ()),
    ],
)
def test_folders_that_are_sure_to_be_written_to(changes: dict[str, object], folders: tuple[str, ...]) -> None:
    """A training from prepared data writes results only; what is still to be prepared, or split, is written too."""
    assert known(**(READY | changes))["paths.to_write"] == folders


@pytest.mark.parametrize(
    ("asked", "refused", "error", "warning"),
    [
        (READY, "results", ["nnUNet_results"], []),
        (READY, "preprocessed", [], []),
        (READY | {"preprocessed__splits": None}, "preprocessed", ["nnUNet_preprocessed"], []),
        (NOTHING_NAMED, "preprocessed", [], ["nnUNet_preprocessed"]),
        (NOTHING_NAMED, "results", [], ["nnUNet_results"]),
    ],
)
def test_a_folder_that_takes_no_files_matters_where_it_is_written_to(
    asked: dict[str, object], refused: str, error: list[str], warning: list[str]
) -> None:
    """Preprocessed data that others share may be read-only; results of a training may not."""
    shut = {f"paths__{refused}_writable": False, f"paths__{refused}_refusal": "EACCES: Permission denied"}
    facts = known(**(PLACES_OF_DATA | asked | shut))

    assert [item.subject for item in facts["paths.not_writable"]] == error  # type: ignore[union-attr]
    assert [item.subject for item in facts["paths.read_only"]] == warning  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("refusal", "free", "quota", "full", "shut"),
    [
        ("EDQUOT: Disk quota exceeded", 900.0, True, False, False),
        ("ENOSPC: No space left on device", 900.0, True, False, False),
        ("ENOSPC: No space left on device", 0.0, False, True, False),
        ("EROFS: Read-only file system", 900.0, False, False, True),
        ("EROFS: Read-only file system", 0.0, False, True, True),
    ],
)
def test_a_quota_is_told_from_a_full_disk_and_from_a_right(
    refusal: str, free: float, quota: bool, full: bool, shut: bool
) -> None:
    """Why a folder takes no file decides what is said of it."""
    where = {
        "paths__results_writable": False, "paths__results_refusal": refusal, "paths__results_free_gib": free,
    }  # fmt: skip
    facts = known(**(PLACES_OF_DATA | READY | where))

    assert bool(facts["paths.over_quota"]) is quota
    assert bool(facts["paths.full"]) is full
    assert bool(facts["paths.not_writable"]) is shut


def test_a_full_disk_of_data_that_are_only_read_is_no_matter() -> None:
    """An image of a file system, as clusters hold data in, has no room at all and needs none."""
    image = {"paths__preprocessed_free_gib": 0.0, "paths__preprocessed_writable": False}
    refused = {"paths__preprocessed_refusal": "EROFS: Read-only file system"}
    facts = known(**(PLACES_OF_DATA | READY | image | refused))

    assert facts["paths.full"] == facts["paths.nearly_full"] == facts["paths.not_writable"] == ()


@pytest.mark.parametrize(
    ("changes", "subjects"),
    [
        ({}, []),
        ({"paths__results_kind": "missing", "paths__results_parent": True}, []),
        ({"paths__results_kind": "missing", "paths__results_parent": False}, ["nnUNet_results"]),
        ({"paths__preprocessed_kind": "missing", "paths__preprocessed_parent": True}, []),
        ({"paths__raw_kind": "missing"}, []),
        ({"paths__raw_kind": "missing", "preprocessed__plans_state": "missing"}, ["nnUNet_raw"]),
    ],
)
def test_a_folder_that_nnunet_makes_is_not_missing(changes: dict[str, object], subjects: list[str]) -> None:
    """Folders to write to are made; raw data are not asked for once they are preprocessed."""
    there = {f"paths__{folder}": f"/{folder}" for folder in ("raw", "preprocessed", "results")}
    kinds = {f"paths__{folder}_kind": "folder" for folder in ("raw", "preprocessed", "results")}
    parents = {"paths__preprocessed_parent": True, "paths__results_parent": True}
    facts = known(**(there | kinds | parents | READY | changes))

    assert [item.subject for item in facts["paths.missing"]] == subjects  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "awkward"),
    [("/data/raw\r", True), ("$HOME/raw", True), ("${DATA}/raw", True), ("/data/50$/raw", False), ("/data/100%/raw", False)],
)  # fmt: skip
def test_values_that_a_shell_did_not_resolve(value: str, awkward: bool) -> None:
    """Line ends of Windows and variables inside single quotes become part of a path; a sign alone may be a name."""
    facts = known(paths__raw=value, paths__preprocessed=None, paths__results=None, platform__os="linux")

    assert bool(facts["paths.awkward"]) is awkward


@pytest.mark.parametrize(
    ("encoding", "python", "fold", "stops"),
    [
        ("cp1252", "3.12.1", "0", True),
        ("cp1252", "3.15.0", "0", False),
        ("cp1252", "3.12.1", "all", False),
        ("cp936", "3.12.1", "0", False),
        ("gb18030", "3.12.1", "0", False),
        ("utf-8", "3.12.1", "0", False),
        ("ascii", "3.12.1", "0", True),
    ],
)
def test_a_path_that_the_log_cannot_hold(encoding: str, python: str, fold: str, stops: bool) -> None:
    """The splits file is named in the log of every fold but 'all', in the encoding of the system until Python 3.15."""
    facts = known(
        paths__preprocessed="D:\\医学\\p", preprocessed__folder="D:\\医学\\p\\Dataset010_Colon",
        platform__file_encoding=encoding, python__version=python, training__fold=fold,
    )  # fmt: skip

    assert bool(facts["paths.unencodable"]) is stops


@pytest.mark.parametrize(
    ("filesystem", "drive", "far"),
    [
        ("nfs4", None, True), ("fuse.drive", None, True), ("NTFS", "remote", True), ("vboxsf", None, True),
        ("ext4", None, False), ("lustre", None, False), ("gpfs", None, False), ("ceph", None, False), ("9p", None, False),
        ("NTFS", "fixed", False), (None, None, False),
    ],
)  # fmt: skip
def test_storage_of_another_machine(filesystem: str | None, drive: str | None, far: bool) -> None:
    """Parallel file systems are made for many readers; WSL's border to Windows has a check of its own."""
    facts = known(paths__preprocessed="/p", paths__preprocessed_filesystem=filesystem, paths__preprocessed_drive=drive)

    assert facts["paths.on_network"] is far


@pytest.mark.parametrize(
    ("container", "filesystem", "lost"),
    [
        ("docker", "overlay", True), ("kubernetes", "overlay", True), ("docker", "ext4", False),
        ("apptainer", "overlay", False), (None, "overlay", False),
    ],
)  # fmt: skip
def test_results_inside_a_container(container: str | None, filesystem: str, lost: bool) -> None:
    """Only what lies in a container's own layer goes with it; outside, an overlay is a choice of the machine."""
    facts = known(platform__container=container, paths__results_filesystem=filesystem)

    assert facts["paths.lost_with_container"] is lost


def test_longest_path_is_that_of_the_log_until_names_are_known() -> None:
    """Names of cases make paths longer than the log's, once they are long themselves."""
    fold = "C:\\r\\Dataset010_Colon\\nnUNetTrainer__nnUNetPlans__2d\\fold_0"
    cases = "C:\\p\\Dataset010_Colon\\nnUNetPlans_2d"
    plain = {"training__folder": fold, "preprocessed__data_folder": cases, "dataset__file_ending": ".nii.gz"}

    assert known(**plain, paths__longest_name=None)["paths.longest"] == len(fold) + 1 + 34
    assert known(**plain, paths__longest_name=20)["paths.longest"] == len(fold) + 1 + 34
    assert known(**plain, paths__longest_name=90)["paths.longest"] == len(fold) + len("\\validation\\") + 90
    assert known(**(plain | {"training__folder": None}), paths__longest_name=90)["paths.longest"] is None


@pytest.mark.parametrize(
    ("spins", "memory", "often"),
    [(True, 8.0, True), (True, 400.0, False), (False, 8.0, False), (None, 8.0, None)],
)
def test_a_hard_disk_matters_for_data_that_memory_cannot_keep(
    spins: bool | None, memory: float, often: bool | None
) -> None:
    """5e9 voxels of CT are some 14 GiB when stored: a large memory reads them once."""
    facts = known(
        paths__preprocessed_rotational=spins, preprocessed__all_voxels=5_000_000_000, preprocessed__channels=1,
        resources__memory_available_gib=memory,
    )  # fmt: skip

    assert facts["paths.disk_read_often"] is often


@pytest.mark.parametrize(("store", "found"), [(True, 1), (False, 0), (None, 0)])
def test_folders_that_the_store_hides(store: bool | None, found: int) -> None:
    """Only a Python of the Store keeps what it writes below AppData elsewhere."""
    facts = known(
        paths__preprocessed="D:\\p",
        paths__results="C:\\Users\\li\\AppData\\Local\\nnunet\\results",
        python__store=store,
    )

    assert len(facts["paths.redirected"]) == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("distributions", "ready", "only_1"),
    [
        (None, None, None), ((), False, False), (("Ubuntu:1",), False, True), (("Ubuntu:1", "Debian:2"), True, False),
        (("docker-desktop:2",), False, False), (("Ubuntu:1", "docker-desktop:2"), False, True),
    ],
)  # fmt: skip
def test_distributions_of_wsl(distributions: tuple[str, ...] | None, ready: bool | None, only_1: bool | None) -> None:
    """Those that programs install for themselves count for nobody."""
    facts = known(platform__wsl_distributions=distributions)

    assert (facts["platform.wsl2_ready"], facts["platform.wsl1_only"]) == (ready, only_1)


WSL2 = {
    "platform__wsl": 2, "platform__container": None, "training__device_request": "auto", "platform__wsl_gpu": True,
    "platform__wsl_driver": True, "platform__wsl_linux_driver": None, "gpu__count": 1, "torch__build": "cuda",
    "torch__cuda_available": True, "platform__os": "linux",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "without_gpu", "without_driver", "wrong_driver"),
    [
        ({}, False, False, False),
        ({"platform__wsl_gpu": False, "platform__wsl_driver": False, "gpu__count": 0}, True, False, False),
        ({"platform__wsl_driver": False, "gpu__count": 0}, False, True, False),
        ({"platform__wsl_linux_driver": "/usr/lib/libcuda.so.1"}, False, False, False),
        ({"platform__wsl_linux_driver": "/usr/lib/libcuda.so.1", "torch__cuda_available": False}, False, False, True),
        ({"platform__wsl_gpu": False, "training__device_request": "cpu"}, False, False, False),
        ({"platform__wsl_gpu": False, "platform__container": "docker"}, False, False, False),
        ({"platform__wsl": None, "platform__wsl_gpu": None}, None, None, None),
    ],
)
def test_gpu_of_wsl2(
    changes: dict[str, object], without_gpu: bool | None, without_driver: bool | None, wrong_driver: bool | None
) -> None:
    """Who asks for the CPU, or works in a container, is not told of a GPU; a driver too many matters where CUDA fails."""
    facts = known(**(WSL2 | changes))

    assert facts["platform.wsl_without_gpu"] is without_gpu
    assert facts["platform.wsl_without_driver"] is without_driver
    assert facts["platform.wsl_wrong_driver"] is wrong_driver


@pytest.mark.parametrize(
    ("system", "arch", "glibc", "macos", "newest"),
    [
        ("linux", "x86_64", "2.17", None, "2.6.0"), ("linux", "arm64", "2.17", None, "2.5.1"),
        ("linux", "x86_64", "2.28", None, None), ("linux", "x86_64", None, None, None),
        ("macos", "x86_64", None, "15.1", "2.2.2"), ("macos", "arm64", None, "13.7.8", "2.11.0"),
        ("macos", "arm64", None, "14.0", None), ("windows", "x86_64", None, None, None),
    ],
)  # fmt: skip
def test_newest_torch_of_a_system(
    system: str, arch: str, glibc: str | None, macos: str | None, newest: str | None
) -> None:
    """The platform tags of the wheels say where each release still installs (asked of the index, 2026-11)."""
    facts = known(platform__os=system, platform__arch=arch, platform__glibc=glibc, platform__macos=macos)

    assert facts["platform.newest_torch"] == newest


@pytest.mark.parametrize(
    ("torch", "cache", "fails"),
    [
        ("2.6.0", None, True), ("2.12.1", None, True), ("2.13.0", None, False), ("2.6.0", "/cache", False),
        ("2.8.0+cu128", "/cache", True), ("2.14.1", "/cache", False),
    ],
)  # fmt: skip
def test_a_user_without_a_name_and_the_cache_of_torch(torch: str, cache: str | None, fails: bool) -> None:
    """Before 2.13 torch asks for the name; a folder of one's own helps up to 2.7."""
    compiles = {"nnunet__version": "2.8.1", "platform__os": "linux", "training__device_request": "cuda"}
    variable = {"nnunet__compile_variable": None, "platform__inductor_cache": cache}

    assert (
        known(**compiles, **variable, torch__version=torch, platform__user_named=False)["platform.cache_nameless"]
        is fails
    )
    assert (
        known(**compiles, **variable, torch__version=torch, platform__user_named=True)["platform.cache_nameless"]
        is False
    )


@pytest.mark.parametrize(
    ("system", "letters", "python", "long"),
    [
        ("linux", 75, "3.11.7", False), ("linux", 76, "3.11.7", True), ("linux", 76, "3.14.0", False),
        ("linux", 76, "3.13.3", True), ("linux", 76, "3.13.5", False),
        ("macos", 90, "3.11.7", False), ("windows", 90, "3.11.7", False),
    ],
)  # fmt: skip
def test_folder_for_temporary_files_is_too_long_for_sockets(system: str, letters: int, python: str, long: bool) -> None:
    """TMPDIR of 75 letters hands tensors over, one of 76 does not (tried with torch 2.14 on Python 3.11)."""
    facts = known(platform__os=system, resources__tmp="/" + "x" * (letters - 1), python__version=python)

    assert facts["resources.tmp_too_long"] is long


@pytest.mark.parametrize(
    ("limit", "workers", "short"), [(1024, None, False), (512, None, False), (256, None, True), (256, "2", False)]
)
def test_open_files(limit: int, workers: str | None, short: bool) -> None:
    """The usual limits are enough; a few hundred are for few workers only."""
    facts = known(
        platform__os="linux", resources__open_files=limit, nnunet__workers_variable=workers, resources__cpus_machine=16
    )

    assert facts["resources.over_open_files"] is short


@pytest.mark.parametrize(
    ("free", "available", "over"), [(64.0, 60.0, False), (14.0, 60.0, True), (14.0, 12.0, False), (None, 12.0, None)]
)
def test_memory_that_the_system_promises(free: float | None, available: float, over: bool | None) -> None:
    """A page file that is too small matters beside memory that is free; where memory is short, that is said."""
    machine = {
        "platform__os": "windows", "training__device_request": "cuda", "nnunet__version": "2.8.1",
        "resources__cpus_machine": 16, "resources__cpus": 16, "resources__memory_available_gib": available,
        "resources__shm_free_gib": None, "resources__commit_free_gib": free, "training__num_gpus": 1,
    }  # fmt: skip
    facts = known(**machine, nnunet__workers_variable=None)
    fewer = known(**machine, nnunet__workers_variable=str(facts["resources.commit_workers"]))

    assert facts["resources.over_commit"] is over
    assert not fewer["resources.over_commit"] or free is None


@pytest.mark.parametrize(
    ("cpus", "user", "group", "blas", "over"),
    [
        (64, None, None, None, None), (64, 4096, None, None, False), (64, None, 1024, None, True), (64, None, 1024, 1, False),
        (8, None, 1024, None, False), (8, 100, 1024, None, True),
    ],
)  # fmt: skip
def test_processes_and_threads(
    cpus: int, user: int | None, group: int | None, blas: int | None, over: bool | None
) -> None:
    """Eight processes with numpy and scipy start a thousand threads on 64 processors, unless they are told to start one."""
    facts = known(
        platform__os="linux", resources__cpus=cpus, resources__cpus_machine=cpus, resources__cpus_limited_by=None,
        resources__processes_limit=user, resources__pids_limit=group, resources__pids_used=None if group is None else 10,
        resources__blas_threads=blas, nnunet__workers_variable=None, nnunet__processes_variable=None,
        training__num_gpus=1,
    )  # fmt: skip

    assert facts["resources.over_threads"] is over
    if over:
        fewer = derive(facts.with_values({"nnunet.processes_variable": str(facts["resources.thread_processes"])}))

        assert fewer["resources.over_threads"] is False


@pytest.mark.parametrize(
    ("limit", "device", "over"),
    [(None, "cuda", None), (64.0, "cuda", False), (8.0, "cuda", True), (8.0, "cpu", False), (3.0, "cpu", True)],
)
def test_address_space(limit: float | None, device: str, over: bool | None) -> None:
    """CUDA maps far more than the CPU needs; without 5 GiB not even the imports fit."""
    facts = known(resources__address_space_gib=limit, training__device_request=device)

    assert facts["resources.over_address_space"] is over


@pytest.mark.parametrize(
    ("hours", "trainer", "continues", "short"),
    [
        (1.0, "nnUNetTrainer", False, True), (1.0, "nnUNetTrainer", True, False), (24.0, "nnUNetTrainer", False, False),
        (1.0, "nnUNetTrainer_100epochs", False, False), (1.0, "nnUNetTrainer_4000epochs", False, True),
        (1.0, "MyTrainer", False, False), (None, "nnUNetTrainer", False, None),
    ],
)  # fmt: skip
def test_a_job_that_ends_before_its_training_can(
    hours: float | None, trainer: str, continues: bool, short: bool | None
) -> None:
    """No GPU makes 1000 epochs in an hour; trainings that go on over jobs, or are short, are left alone."""
    facts = known(
        resources__job_hours_left=hours,
        training__configuration="2d",
        training__trainer=trainer,
        training__continues=continues,
    )

    assert facts["resources.job_too_short"] is short


@pytest.mark.parametrize(
    ("cpus", "machine", "memory", "workers", "processes"),
    [
        (64, 64, 200.0, False, False), (10, 64, 200.0, False, False), (8, 64, 200.0, True, False), (4, 64, 200.0, True, True),
        (2, 2, 11.3, False, False), (16, 16, 5.0, False, True),
    ],
)  # fmt: skip
def test_workers_and_processes_beyond_what_is_granted(
    cpus: int, machine: int, memory: float, workers: bool, processes: bool
) -> None:
    """Some more workers than processors harm nobody; a small machine of one's own is slow, but carries its processes."""
    facts = known(
        resources__cpus=cpus, resources__cpus_machine=machine, resources__memory_available_gib=memory,
        nnunet__workers_variable=None, nnunet__processes_variable=None, training__num_gpus=1,
    )  # fmt: skip

    assert facts["resources.over_workers"] is workers
    assert facts["resources.over_processes"] is processes


@pytest.mark.parametrize(
    ("python", "release", "requirement"),
    [
        ("3.9.18", None, "torch>=2.1.2,<2.7,!=2.9.*"),
        ("3.12.1", None, "torch>=2.1.2,!=2.9.*"),
        ("3.12.1", "2.5.2", "torch>=2.1.2,<2.7,!=2.9.*"),
        (Unknown("the interpreter did not answer"), None, "torch>=2.1.2,!=2.9.*"),
    ],
)
def test_torch_that_is_asked_for(python: str | Unknown, release: str | None, requirement: str) -> None:
    """It fits the installed nnU-Net, or else the one that pip would choose for this Python."""
    facts = known(python__version=python, nnunet__version=release)

    assert facts["nnunet.torch_requirement"] == requirement


@pytest.mark.parametrize(
    ("nnunet", "required", "requirement", "index"),
    [
        ("2.6.3", "<2.9.0,>=2.1.2", "torch>=2.3,!=2.9.*,<2.9.0,>=2.1.2", "cu126"),
        ("2.8.1", "!=2.9.*,>=2.1.2", "torch>=2.1.2,!=2.9.*", "cu130"),
        ("2.5.2", ">=2.1.2", "torch>=2.1.2,<2.7,!=2.9.*", "cu126"),
        (None, None, "torch>=2.1.2,!=2.9.*", "cu130"),
    ],
)
def test_torch_that_pip_is_asked_for(nnunet: str | None, required: str | None, requirement: str, index: str) -> None:
    """What nnU-Net trains with by its code and by its metadata, from an index that has such a release."""
    facts = known(
        nnunet__version=nnunet, nnunet__requires_torch=required, gpu__driver="580.95.05", gpu__capabilities=("8.6",),
        platform__os="linux", platform__wsl=None, platform__glibc="2.35", platform__arch="x86_64", python__version="3.11.7",
    )  # fmt: skip

    assert facts["nnunet.torch_requirement"] == requirement
    assert facts["torch.wanted_index"] == index


@pytest.mark.parametrize(
    ("kind", "network", "release", "trainer", "fits"),
    [
        ("architecture", "a.PlainConvUNet", "2.8.1", "nnUNetTrainer", True),
        ("architecture", "a.PlainConvUNet", "2.3.1", "nnUNetTrainer", True),
        ("architecture", "a.PlainConvUNet", "2.2.1", "nnUNetTrainer_5epochs", False),
        ("flat", "PlainConvUNet", "2.2.1", "nnUNetTrainer", True),
        ("flat", "PlainConvUNet", "2.8.1", "nnUNetTrainer", True),
        ("flat", "ResidualEncoderUNet", "2.2.1", "nnUNetTrainer", True),
        ("flat", "ResidualEncoderUNet", "2.4.2", "nnUNetTrainer", False),
        ("flat", "ResidualEncoderUNet", "2.5.1", "nnUNetTrainer", True),
        ("flat", "UMambaBot", "2.8.1", "nnUNetTrainer", False),
        ("architecture", "a.PlainConvUNet", "2.2.1", "nnUNetTrainerUMambaBot", None),
        ("architecture", "a.PlainConvUNet", None, "nnUNetTrainer", None),
        (None, None, "2.8.1", "nnUNetTrainer", None),
    ],
)
def test_plans_of_other_releases(
    kind: str | None, network: str | None, release: str | None, trainer: str, fits: bool | None
) -> None:
    """2.3 changed the plans: older releases read only their own kind, newer ones both but for some networks."""
    facts = known(
        preprocessed__plans_kind=kind, preprocessed__network=network, nnunet__version=release, training__trainer=trainer
    )

    assert facts["preprocessed.plans_fit"] is fits


def test_functions_that_came_later() -> None:
    """A name that the plans hold and that the installed release does not have is told with the one that brought it."""
    names = ("SimpleITKIOWithReorient", "resample_torch_fornnunet", "resample_data_or_seg_to_shape")
    old, new = (known(preprocessed__names=names, nnunet__version=release) for release in ("2.5.2", "2.6.3"))

    assert old["preprocessed.names_too_new"] == (Detail("SimpleITKIOWithReorient", "2.6.3"),)
    assert new["preprocessed.names_too_new"] == ()


@pytest.mark.parametrize(
    ("patch", "divisors", "trainer", "unfit"),
    [
        ((64, 128, 128), (8, 32, 32), "nnUNetTrainer", ()),
        ((50, 128, 100), (8, 32, 32), "nnUNetTrainer", (Detail("patch_size[0]", "50 / 8"), Detail("patch_size[2]", "100 / 32"))),
        ((50, 128, 100), (8, 32, 32), "MyTrainer", None),
        ((50, 128), (8, 32, 32), "nnUNetTrainer", None),
        ((50, 128, 100), None, "nnUNetTrainer", None),
    ],
)  # fmt: skip
def test_patches_that_cannot_be_halved(
    patch: tuple[int, ...], divisors: tuple[int, ...] | None, trainer: str, unfit: object
) -> None:
    """Each axis has to be a multiple of the product of its strides, for networks whose halves are joined as nnU-Net's."""
    facts = known(preprocessed__patch_size=patch, preprocessed__downsampling=divisors, training__trainer=trainer)

    assert facts["training.patch_unfit"] == unfit


PRESETS = {
    "nnUNetPlans": (560_000_000, 8.0),
    "M": (680_000_000, 9.1),
    "L": (2_100_000_000, 22.5),
    "XL": (3_600_000_000, 36.6),
}


@pytest.mark.parametrize(("maps", "gib"), PRESETS.values(), ids=PRESETS)
def test_memory_of_a_gpu_is_what_is_measured_for_the_presets(maps: int, gib: float) -> None:
    """The plans' own targets lead to what nnU-Net's authors report: 7.7, 9.1, 22.7 and 36.6 GB."""
    facts = known(**GPU_TRAINING, preprocessed__feature_maps=maps)

    assert facts["training.gpu_memory_needed_gib"] == pytest.approx(gib, abs=0.15)


GPU_TRAINING: dict[str, object] = {
    "training__device_request": "cuda",
    "training__configuration": "3d_fullres",
    "training__validates": False,
    "training__trainer": "nnUNetTrainer",
    "training__num_gpus": 1,
    "preprocessed__patch_size": (128, 128, 128),
    "preprocessed__batch_size": 2,
    "gpu__count": 1,
    "gpu__names": ("Made-up GPU",),
    "gpu__capabilities": ("8.6",),
    "gpu__visible": None,
    "gpu__order": None,
    "gpu__mig_modes": None,
    "torch__cuda_available": True,
    "torch__device_names": ("Made-up GPU",),
    "torch__device_capabilities": ("8.6",),
}


@pytest.mark.parametrize(
    ("preset", "card", "over"),
    [
        ("nnUNetPlans", 7.6, False),
        ("nnUNetPlans", 5.8, True),
        ("M", 7.6, False),
        ("M", 11.0, False),
        ("L", 23.5, False),
        ("L", 19.6, False),
        ("L", 15.7, True),
        ("L", 11.8, True),
        ("XL", 39.4, False),
        ("XL", 31.8, False),
        ("XL", 23.5, True),
    ],
)
def test_a_gpu_that_is_too_small_for_the_plans(preset: str, card: float, over: bool) -> None:
    """Default plans are silent on a card with 8 GB, and presets on the cards that they are made for."""
    facts = known(
        **GPU_TRAINING, preprocessed__feature_maps=PRESETS[preset][0], gpu__memory_gib=(card,), gpu__free_gib=(card,)
    )

    assert facts["training.over_gpu_memory"] is over


NODE: dict[str, object] = {
    "platform__os": "linux",
    "training__device_request": "cuda",
    "nnunet__version": "2.8.1",
    "nnunet__workers_variable": None,
    "nnunet__processes_variable": None,
    "resources__cpus": 16,
    "resources__cpus_machine": 16,
    "resources__cpus_limited_by": None,
    "resources__memory_available_gib": 100.0,
    "resources__shm_free_gib": 50.0,
    "resources__commit_free_gib": None,
    "resources__processes_limit": None,
    "resources__pids_limit": 512,
    "resources__pids_used": 0,
    "resources__blas_threads": None,
    "preprocessed__patch_size": (128, 128, 128),
    "preprocessed__batch_size": 2,
    "preprocessed__channels": 1,
    "preprocessed__image_size": (200, 512, 512),
    "preprocessed__labels": 3,
}


def test_every_gpu_has_workers_and_processes_of_its_own() -> None:
    """With two GPUs there are twice the processes and their memory; batches, and files for each process, stay as many."""
    one, two = (known(**NODE, training__num_gpus=gpus) for gpus in (1, 2))

    assert (one["training.all_workers"], two["training.all_workers"]) == (12, 24)
    assert (one["training.worker_processes"], two["training.worker_processes"]) == (18, 36)
    assert (one["training.all_processes"], two["training.all_processes"]) == (8, 16)
    assert two["training.memory_needed_gib"] == pytest.approx(one["training.memory_needed_gib"] + 3.5 + 18 * 0.5)
    assert two["training.shm_needed_gib"] == one["training.shm_needed_gib"]
    assert two["training.shm_validation_gib"] == pytest.approx(2 * one["training.shm_validation_gib"], abs=0.001)
    assert two["resources.open_files_needed"] == one["resources.open_files_needed"]
    assert two["resources.threads_needed"] > 2 * one["resources.threads_needed"]


@pytest.mark.parametrize(("cpus", "gpus", "workers"), [(16, 1, 12), (16, 2, 8), (16, 4, 4), (3, 4, 0)])
def test_processors_are_shared_out_among_gpus(cpus: int, gpus: int, workers: int) -> None:
    """nnUNet_n_proc_DA counts for each GPU, so that two of them leave half of the processors to each."""
    facts = known(**NODE | {"resources__cpus": cpus}, training__num_gpus=gpus)

    assert facts["training.safe_workers"] == workers


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({"resources__memory_available_gib": 14.0}, {"training.over_memory", "resources.over_processes"}),
        ({"resources__commit_free_gib": 20.0}, {"resources.over_commit"}),
        ({"resources__cpus": 12}, {"resources.over_workers"}),
        ({"resources__pids_limit": 400}, {"resources.over_threads"}),
    ],
)
def test_limits_that_hold_for_one_gpu_and_not_for_two(changes: dict[str, object], limits: set[str]) -> None:
    """What one GPU is fine with is too little for two, and the settings that are proposed then fit."""
    one, two = (known(**NODE | changes, training__num_gpus=gpus) for gpus in (1, 2))
    workers = two["resources.commit_workers"]
    processes = min(two["training.safe_processes"], two["resources.thread_processes"])
    mended = derive(
        two.with_values(
            {
                "nnunet.workers_variable": str(two["training.safe_workers"] if workers is None else workers),
                "nnunet.processes_variable": str(processes),
            }
        )
    )

    assert {name for name in limits if one[name]} == set()
    assert {name for name in limits if two[name]} == limits
    assert {name for name in limits if mended[name]} == set()


def test_a_workstation_with_two_gpus_is_no_matter() -> None:
    """24 workers on 16 processors that are all granted take turns, and train as fast."""
    facts = known(**NODE, training__num_gpus=2)

    assert facts["resources.over_workers"] is False


def test_a_batch_is_divided_among_gpus() -> None:
    """With two GPUs each holds half of the batch."""
    one, two = (
        known(**{**GPU_TRAINING, "training__num_gpus": gpus, "preprocessed__feature_maps": 560_000_000})
        for gpus in (1, 2)
    )

    assert one["training.gpu_memory_needed_gib"] == 8.0
    assert two["training.gpu_memory_needed_gib"] == 5.3


UNPACKED: dict[str, object] = {
    "training__configuration": "3d_fullres",
    "training__validates": False,
    "preprocessed__all_voxels": 100 * 1024**3,
    "preprocessed__fingerprint_cases": 100,
    "preprocessed__channels": 1,
    "paths__preprocessed_free_gib": 300.0,
}


@pytest.mark.parametrize(
    ("changes", "needed", "over"),
    [
        ({"preprocessed__packed": 100}, 500.0, True),
        ({"preprocessed__packed": 50}, 250.0, False),
        ({"preprocessed__packed": 0}, None, False),
        ({"preprocessed__packed": None}, None, False),
        ({"preprocessed__packed": 100, "training__validates": True}, None, False),
        ({"preprocessed__packed": 100, "preprocessed__all_voxels": None}, None, False),
    ],
)
def test_space_for_unpacking(changes: dict[str, object], needed: float | None, over: bool) -> None:
    """Four bytes for each voxel and channel and one for the label, of the cases that are still packed."""
    facts = known(**{**UNPACKED, **changes})

    assert (facts["training.unpacking_needs_gib"], facts["training.over_unpacking_space"]) == (needed, over)


TO_PREPROCESS: dict[str, object] = {
    "training__configuration": "3d_fullres",
    "preprocessed__configurations": ("3d_fullres",),
    "preprocessed__data_format": "missing",
    "preprocessed__largest_voxels": 512 * 512 * 800,
    "preprocessed__all_voxels": 512 * 512 * 400 * 100,
    "preprocessed__fingerprint_cases": 100,
    "preprocessed__channels": 1,
    "resources__cpus": 16,
}


@pytest.mark.parametrize(
    ("memory", "processes", "over"), [(64.0, 4, False), (9.0, 2, True), (6.0, 1, True), (1.0, 1, True)]
)
def test_memory_for_preprocessing(memory: float, processes: int, over: bool) -> None:
    """One process holds the largest case and the others average ones; as many are advised as fit, and one at least."""
    facts = known(**TO_PREPROCESS, resources__memory_available_gib=memory)

    assert (facts["training.preprocessing_processes"], facts["training.over_preprocessing_memory"]) == (processes, over)


def test_nothing_to_preprocess() -> None:
    """Where the cases are there, preprocessing is estimated no more."""
    facts = known(**{**TO_PREPROCESS, "preprocessed__data_format": "b2nd"}, resources__memory_available_gib=1.0)

    assert facts["training.preprocessing_memory_gib"] is None
    assert facts["training.over_preprocessing_memory"] is False


@pytest.mark.parametrize(
    ("name", "near", "misspelt"),
    [
        ("nnUNet_preprocesed", "nnUNet_preprocessed", True),
        ("nnunet_compile", "nnUNet_compile", True),
        ("nnUNetv2_raw", "nnUNet_raw", True),
        ("nnUNet_raw_data", "nnUNet_raw", False),
        ("nnUNet_shm_used", "", False),
        ("nnunet_use_progress_bar", "nnUNet_preprocessed", False),
    ],
)
def test_slips_of_the_pen_and_names_of_others(name: str, near: str, misspelt: bool) -> None:
    """A name that is nearly a real one is misspelt; any other belongs to somebody else."""
    facts = known(nnunet__unknown_variables=(Detail(name, near),))

    assert facts["nnunet.misspelt_variables"] == ((Detail(name, near),) if misspelt else ())
    assert facts["nnunet.foreign_variables"] == (() if misspelt else (Detail(name),))
