"""Which GPUs a training uses, and what follows from what is known of them."""

from __future__ import annotations

import pytest

from nnunet_doctor.facts import Detail, Facts, Unknown
from nnunet_doctor.facts.derive import derive

RTX4090, RTX3090, GTX1050 = "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090", "NVIDIA GeForce GTX 1050"
NOT_ASKED = Unknown("--quick starts no torch")

MACHINE = {
    "platform.os": "linux",
    "platform.scheduler": None,
    "gpu.driver": "580.95.05",
    "gpu.count": 2,
    "gpu.names": (RTX4090, RTX4090),
    "gpu.memory_gib": (24.0, 24.0),
    "gpu.free_gib": (23.2, 23.2),
    "gpu.uuids": ("GPU-1f0a", "GPU-1f2b"),
    "gpu.processes": (0, 0),
    "gpu.compute_modes": ("default", "default"),
    "gpu.mig_modes": ("off", "off"),
    "gpu.mig_slices": (0, 0),
    "gpu.memory_errors": (0, 0),
    "gpu.memory_repairs": ("none", "none"),
    "gpu.slowdowns": ("", ""),
    "gpu.driver_models": None,
    "gpu.peers": False,
    "gpu.visible": None,
    "gpu.order": None,
    "gpu.allocator": None,
    "gpu.allocator_new": None,
    "gpu.nccl_peers": None,
    "gpu.mps_fallback": None,
    "gpu.shared_service": False,
    "gpu.pci": ("nvidia:nvidia", "nvidia:nvidia"),
    "torch.installed": True,
    "torch.version": "2.13.0+cu130",
    "torch.build": "cuda",
    "torch.cuda_available": True,
    "torch.cuda_devices": 2,
    "torch.cuda_message": None,
    "torch.device_names": (RTX4090, RTX4090),
    "torch.mps_available": False,
    "training.configuration": "3d_fullres",
    "training.device_request": "auto",
    "training.num_gpus": 1,
    "training.validates": False,
    "training.plans": "nnUNetPlans",
    "preprocessed.patch_size": (128, 128, 128),
    "preprocessed.batch_size": 2,
}
"""A workstation with two free RTX 4090."""


def follows(name: str, **changes: object) -> object:
    """Return a derived fact of the workstation with some facts changed, written as area__noun."""
    values = MACHINE | {key.replace("__", ".", 1): value for key, value in changes.items()}
    return derive(Facts().with_values(values))[name]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [
        (None, (0, 1)),
        ("0", (0,)),
        ("1,0", (1, 0)),
        (" 1 , 0", (1, 0)),
        ("1gpu", (1,)),
        ("0,7,1", (0,)),
        ("0,-1,1", (0,)),
        ("0,,1", (0,)),
        ("GPU-1f2b,GPU-1f0a", (1, 0)),
        ("GPU-1f0", (0,)),
    ],
)
def test_visible_gpus(visible: str | None, numbers: tuple[int, ...]) -> None:
    """CUDA_VISIBLE_DEVICES is read as CUDA does: up to the first entry that names no GPU, in its order."""
    assert follows("gpu.chosen", gpu__visible=visible, training__num_gpus=2) == numbers
    assert follows("gpu.chosen", gpu__visible=visible) == numbers[:1]
    assert follows("gpu.all_hidden", gpu__visible=visible) is False


@pytest.mark.parametrize("visible", ["", "-1", "2", "none", "NoDevFiles", "0,0", "1,0,1", "GPU-ffff", "GPU-1f", "7,0"])
def test_hidden_gpus(visible: str) -> None:
    """A list that begins with no GPU, or repeats one, hides every GPU; so does a name that is not of one GPU alone."""
    assert follows("gpu.all_hidden", gpu__visible=visible) is True
    assert follows("gpu.chosen", gpu__visible=visible) == ()


@pytest.mark.parametrize("changes", [{"gpu__visible": "MIG-8f1c"}, {"gpu__visible": "GPU-1f0a", "gpu__uuids": None}])
def test_names_that_tell_no_number(changes: dict[str, object]) -> None:
    """Slices have no number, and identifiers that the driver does not tell are believed: nothing is hidden then."""
    assert follows("gpu.all_hidden", **changes) is False
    assert follows("gpu.chosen", **changes) == ()


def test_nothing_is_hidden_where_there_is_nothing() -> None:
    """Without GPUs the variable hides none."""
    assert follows("gpu.all_hidden", gpu__count=0, gpu__names=(), gpu__visible="") is False


MIXED = {"gpu__names": (GTX1050, RTX4090), "torch__device_names": (RTX4090, GTX1050)}


@pytest.mark.parametrize(
    ("changes", "chosen", "misnumbered"),
    [
        ({}, (1,), False),
        ({"gpu__visible": "0", "torch__device_names": (RTX4090,)}, (1,), True),
        ({"gpu__visible": "1", "torch__device_names": (GTX1050,)}, (0,), True),
        ({"gpu__visible": "0", "gpu__order": "PCI_BUS_ID", "torch__device_names": (GTX1050,)}, (0,), False),
        ({"gpu__visible": "GPU-1f2b", "torch__device_names": (RTX4090,)}, (1,), False),
        ({"torch__device_names": NOT_ASKED}, (), False),
        ({"gpu__visible": "0", "torch__device_names": NOT_ASKED}, (), NOT_ASKED),
    ],
)
def test_gpus_of_different_models(changes: dict[str, object], chosen: tuple[int, ...], misnumbered: object) -> None:
    """CUDA counts the fastest GPU first: the name that torch sees tells which one is meant, or nobody knows."""
    assert follows("gpu.chosen", **MIXED | changes) == chosen
    assert follows("gpu.misnumbered", **MIXED | changes) == misnumbered


def test_two_of_three_are_alike() -> None:
    """Which of two GPUs of one model is taken cannot be told beside a third; so nothing is said of either."""
    three = {
        "gpu__count": 3,
        "gpu__names": (RTX3090, RTX4090, RTX4090),
        "gpu__mig_modes": ("off",) * 3,
        "torch__device_names": (RTX4090, RTX4090, RTX3090),
    }

    assert follows("gpu.chosen", **three) == ()
    assert follows("gpu.chosen", **three, training__num_gpus=3) == (0,)
    assert follows("gpu.models_differ", **three, training__num_gpus=3) is True
    assert follows("gpu.models_differ", **three, training__num_gpus=2) is False
    assert follows("gpu.models_differ", **three) is False


def test_compute_modes() -> None:
    """Only GPUs that the training would use count, and exclusive ones only while another process is on them."""
    assert follows("gpu.prohibited", gpu__compute_modes=("prohibited", "default")) == (f"GPU 0 ({RTX4090})",)
    assert follows("gpu.prohibited", gpu__compute_modes=("default", "prohibited")) == ()
    assert follows("gpu.prohibited", gpu__compute_modes=None) == ()


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, (f"GPU 0 ({RTX4090})",)),
        ({"gpu__processes": (0, 1)}, ()),
        ({"gpu__compute_modes": ("default", "exclusive")}, ()),
        ({"gpu__shared_service": True}, ()),
        ({"gpu__shared_service": None}, (f"GPU 0 ({RTX4090})",)),
        ({"gpu__processes": None}, ()),
        ({"gpu__compute_modes": None}, ()),
    ],
)
def test_gpu_that_another_process_has(changes: dict[str, object], taken: tuple[str, ...]) -> None:
    """A GPU in exclusive mode with a process on it is taken, unless processes share it by NVIDIA's service."""
    given = {"gpu__compute_modes": ("exclusive", "exclusive"), "gpu__processes": (1, 0)}

    assert follows("gpu.taken", **given | changes) == taken


def test_memory_that_has_failed() -> None:
    """Errors and repairs that wait or failed are told of the GPUs that would be used; what is not told is no fault."""
    label = f"GPU 0 ({RTX4090})"

    assert follows("gpu.faulty") == ()
    assert follows("gpu.faulty", gpu__memory_errors=None, gpu__memory_repairs=None) == ()
    assert follows("gpu.faulty", gpu__memory_errors=(0, 9)) == ()
    assert follows("gpu.faulty", gpu__memory_errors=(2, 0), gpu__memory_repairs=("pending", "none")) == (
        Detail(label, "errors: 2; repair: pending"),
    )
    assert follows("gpu.faulty", gpu__memory_errors=None, gpu__memory_repairs=("failed", "none")) == (
        Detail(label, "repair: failed"),
    )


def test_gpu_that_is_held_back() -> None:
    """Only GPUs that would be used count."""
    assert follows("gpu.held_back", gpu__slowdowns=("heat", "")) == (Detail(f"GPU 0 ({RTX4090})", "heat"),)
    assert follows("gpu.held_back", gpu__slowdowns=("", "heat")) == ()
    assert follows("gpu.held_back", gpu__slowdowns=None) == ()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, 5.8),
        ({"training__num_gpus": 2}, 3.3),
        ({"preprocessed__batch_size": 3, "training__num_gpus": 2}, 5.8),
        ({"preprocessed__patch_size": (512, 512), "preprocessed__batch_size": 12}, 4.6),
        ({"preprocessed__patch_size": None}, None),
        (
            {"preprocessed__batch_size": Unknown("the plans cannot be read")},
            Unknown("the plans cannot be read"),
        ),
        ({"training__validates": True}, None),
        ({"training__device_request": "cpu"}, None),
    ],
)
def test_memory_of_a_plan(changes: dict[str, object], wanted: object) -> None:
    """The least that a training takes grows with its voxels, of which each GPU gets its share."""
    assert follows("gpu.memory_wanted_gib", **changes) == wanted


@pytest.mark.parametrize(
    ("memory", "free", "small", "occupied", "freest"),
    [
        ((24.0, 24.0), (23.2, 23.2), False, False, None),
        ((24.0, 24.0), (1.5, 23.2), False, True, 1),
        ((24.0, 24.0), (1.5, 2.9), False, True, None),
        ((6.0, 6.0), (5.5, 5.5), False, False, None),
        ((6.0, 6.0), (5.3, 5.3), False, True, None),
        ((4.0, 24.0), (3.8, 23.2), True, False, 1),
        ((4.0, 4.0), (3.8, 3.9), True, False, None),
        ((6.0, 6.0), (5.9, 5.9), False, False, None),
    ],
)
def test_memory_of_gpus(
    memory: tuple[float, ...], free: tuple[float, ...], small: bool, occupied: bool, freest: int | None
) -> None:
    """A GPU is too small, or occupied, or neither; another one with twice as much free memory is worth a word."""
    changes = {"gpu__memory_gib": memory, "gpu__free_gib": free}

    assert follows("gpu.too_small", **changes) is small
    assert follows("gpu.occupied", **changes) is occupied
    assert follows("gpu.freest", **changes) == freest


@pytest.mark.parametrize(
    "changes",
    [
        {"platform__scheduler": "slurm"},
        {"training__num_gpus": 2},
        {"gpu__compute_modes": ("default", "prohibited")},
        {"gpu__mig_modes": ("off", "on")},
        {"gpu__visible": "MIG-8f1c"},
    ],
)
def test_gpu_that_must_not_be_taken(changes: dict[str, object]) -> None:
    """Inside a job, for several GPUs, and where the other GPU is not for everybody, none is recommended."""
    assert follows("gpu.freest", gpu__free_gib=(1.5, 23.2), **changes) is None


@pytest.mark.parametrize("free", [Unknown("the driver does not tell the memory of a GPU"), ()])
def test_memory_that_is_not_told(free: object) -> None:
    """A GPU that shares the memory of the machine is neither occupied nor too small."""
    changes = {"gpu__memory_gib": free, "gpu__free_gib": free}

    assert follows("gpu.chosen_free_gib", **changes) is None
    assert (follows("gpu.occupied", **changes), follows("gpu.too_small", **changes)) == (False, False)


@pytest.mark.parametrize(
    ("changes", "spills"),
    [
        ({}, None),
        ({"platform__os": "windows", "gpu__driver_models": ("wddm", "wddm"), "gpu__driver": "536.40"}, True),
        ({"platform__os": "windows", "gpu__driver_models": ("wddm", "wddm"), "gpu__driver": "531.14"}, False),
        ({"platform__os": "windows", "gpu__driver_models": ("tcc", "wddm"), "gpu__driver": "581.42"}, False),
        ({"platform__os": "windows", "gpu__driver_models": ("mcdm", "mcdm"), "gpu__driver": "581.42"}, False),
        ({"platform__os": "windows", "gpu__driver_models": None, "gpu__driver": "581.42"}, False),
        ({"platform__os": "windows", "gpu__driver_models": ("wddm",), "gpu__driver": NOT_ASKED}, False),
    ],
)
def test_memory_that_spills(changes: dict[str, object], spills: bool | None) -> None:
    """Windows goes on in main memory since driver 536.40, for GPUs that it runs as displays."""
    assert follows("gpu.spills", **changes) is spills


@pytest.mark.parametrize(
    ("modes", "slices", "divided", "without"),
    [
        (("off", "off"), (0, 0), False, False),
        (("on", "off"), (0, 0), False, False),
        (("on", "on"), (0, 0), True, True),
        (("on", "on"), (0, 3), True, False),
        (("on", "on"), None, True, False),
        (None, None, False, False),
        ((), (), False, False),
    ],
)
def test_slices(modes: object, slices: object, divided: bool, without: bool) -> None:
    """Only where every GPU is divided, and none of them has a slice, is there nothing to compute on."""
    assert follows("gpu.divided", gpu__mig_modes=modes, gpu__mig_slices=slices) is divided
    assert follows("gpu.without_slices", gpu__mig_modes=modes, gpu__mig_slices=slices) is without


def test_divided_gpus_are_not_chosen() -> None:
    """What the driver tells of a whole GPU is not true of its slices."""
    assert follows("gpu.chosen", gpu__mig_modes=("on", "off")) == ()
    assert follows("gpu.chosen", gpu__mig_modes=("on", "off"), training__num_gpus=2) == (1,)


@pytest.mark.parametrize(
    ("driver", "pci", "driverless"),
    [
        ("580.95.05", ("nvidia:nvidia",), ()),
        (None, ("nvidia:nouveau", "intel:i915"), ("nouveau",)),
        (None, ("nvidia:", "amd:amdgpu"), ("none",)),
        (None, ("nvidia:vfio-pci", "nvidia:pci-stub"), ()),
        (None, ("intel:i915",), ()),
        (None, None, None),
    ],
)
def test_gpus_without_a_driver(driver: str | None, pci: object, driverless: object) -> None:
    """An NVIDIA GPU on the bus wants a driver, unless it is kept for virtual machines."""
    assert follows("gpu.driverless", gpu__driver=driver, gpu__pci=pci, torch__cuda_available=False) == driverless


def test_gpu_that_works_needs_no_other_driver() -> None:
    """Beside an AMD GPU on which torch computes, and as long as nobody knows, an idle NVIDIA GPU is no trouble."""
    changes = {"gpu__driver": None, "gpu__pci": ("nvidia:nouveau", "amd:amdgpu")}

    assert follows("gpu.driverless", **changes, torch__build="rocm") == ()
    assert follows("gpu.driverless", **changes, torch__cuda_available=NOT_ASKED) == NOT_ASKED


@pytest.mark.parametrize(
    ("changes", "present"),
    [
        ({}, True),
        ({"gpu__count": 0, "gpu__pci": ("nvidia:nouveau",)}, True),
        ({"gpu__count": 0, "gpu__pci": ("nvidia:vfio-pci", "intel:i915")}, False),
        ({"gpu__count": 0, "gpu__pci": (), "platform__wsl_driver": True}, True),
        ({"gpu__count": 0, "gpu__pci": (), "platform__wsl_driver": False}, False),
        ({"gpu__count": 0, "gpu__pci": None}, False),
        ({"gpu__count": 0, "gpu__pci": NOT_ASKED}, False),
        ({"gpu__count": NOT_ASKED, "gpu__pci": ("nvidia:nvidia",)}, True),
        ({"gpu__count": NOT_ASKED, "gpu__pci": ()}, NOT_ASKED),
    ],
)
def test_gpu_of_the_machine(changes: dict[str, object], present: object) -> None:
    """A GPU that driver, container or job keeps from us is there all the same."""
    assert follows("gpu.present", **{"platform__wsl_driver": None, **changes}) == present


def test_the_cpu_is_not_chosen_beside_a_gpu() -> None:
    """A training that names no device stops before a GPU without a driver, and may take the CPU where there is none."""
    unserved = {"gpu__driver": None, "gpu__count": 0, "torch__cuda_available": False, "platform__wsl_driver": None}

    assert follows("training.gpu_out_of_reach", **unserved, gpu__pci=("nvidia:nouveau",)) is True
    assert follows("training.device_left_to_default", **unserved, gpu__pci=("nvidia:nouveau",)) is False
    assert follows("training.device_left_to_default", **unserved, gpu__pci=("intel:i915",)) is True


@pytest.mark.parametrize(
    ("message", "number"),
    [
        (None, None),
        (NOT_ASKED, NOT_ASKED),
        ("CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized", 802),
        ("CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up environment, e.g.", 999),
        ("CUDA initialization: The NVIDIA driver on your system is too old (found version 12020).", None),
        ("NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch", None),
    ],
)
def test_error_of_cuda(message: object, number: object) -> None:
    """The number of CUDA's error is read from what torch warns of."""
    assert follows("gpu.cuda_error", torch__cuda_message=message) == number


def test_error_of_cuda_of_another_build() -> None:
    """A torch without CUDA meets no error of CUDA, whether it can be imported or not."""
    assert follows("gpu.cuda_error", torch__cuda_message=NOT_ASKED, torch__build="cpu") is None


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "expandable_segments:True",
        " expandable_segments : True , max_split_size_mb:512",
        "garbage_collection_threshold:0.8,max_split_size_mb:20",
        "roundup_power2_divisions:[256:1,512:2,1024:4,>:8]",
        "backend:cudaMallocAsync",
        "pinned_use_hip_host_register:True",
        "some_setting_of_tomorrow:7",
    ],
)
def test_settings_that_torch_takes(setting: str) -> None:
    """Settings in torch's own form are taken, unknown keys included, which may be those of a newer torch."""
    assert follows("gpu.allocator_faults", gpu__allocator=setting) == ()


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("expandable_segments:true", "expandable_segments:true"),
        ("max_split_size_mb=128", "max_split_size_mb=128"),
        ("max_split_size_mb", "max_split_size_mb"),
        ("max_split_size_mb:", "max_split_size_mb:"),
        ("max_split_size_mb:8", "max_split_size_mb:8"),
        ("max_split_size_mb:512MB", "max_split_size_mb:512MB"),
        ("max_split_size:512", "max_split_size:512"),
        ("expandable_segment:True", "expandable_segment:True"),
        ("garbage_collection_threshold:1.5,max_split_size_mb:512", "garbage_collection_threshold:1.5"),
        ("garbage_collection_threshold:0", "garbage_collection_threshold:0"),
    ],
)
def test_settings_that_torch_refuses(setting: str, fault: str) -> None:
    """What torch 2.14 and older ones refuse, tried out on torch, is named entry by entry."""
    assert follows("gpu.allocator_faults", gpu__allocator=setting) == (Detail("PYTORCH_CUDA_ALLOC_CONF", fault),)


def test_settings_by_release() -> None:
    """torch 2.0 has no expandable segments; from 2.9 on the variable with the new name goes first."""
    old, new = {"gpu__allocator": "expandable_segments:True"}, {"gpu__allocator_new": "expandable_segments:yes"}

    assert follows("gpu.allocator_faults", **old, torch__version="2.0.1") == (
        Detail("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"),
    )
    assert follows("gpu.allocator_faults", **old, **new, torch__version="2.8.0") == ()
    assert follows("gpu.allocator_faults", **old, **new, torch__version="2.9.0") == (
        Detail("PYTORCH_ALLOC_CONF", "expandable_segments:yes"),
    )
    assert follows("gpu.allocator_faults", **old, torch__version=None) == ()
    assert follows("gpu.allocator_faults", torch__version=NOT_ASKED) == ()
    assert follows("gpu.allocator_faults", **old, torch__version=NOT_ASKED) == NOT_ASKED


@pytest.mark.parametrize(
    ("changes", "suspect"),
    [
        ({}, True),
        ({"training__num_gpus": 1}, False),
        ({"gpu__driver": "550.40.07"}, False),
        ({"gpu__peers": False}, False),
        ({"gpu__peers": None}, False),
        ({"gpu__nccl_peers": "1"}, False),
        ({"gpu__nccl_peers": "0"}, True),
        ({"gpu__names": (RTX3090, RTX3090)}, False),
    ],
)
def test_peers_that_are_none(changes: dict[str, object], suspect: bool) -> None:
    """RTX 40xx under an old driver that calls them peers are suspect, unless NCCL is told not to try."""
    given = {"gpu__driver": "525.60.13", "gpu__peers": True, "training__num_gpus": 2}

    assert follows("gpu.peers_suspect", **given | changes) is suspect


@pytest.mark.parametrize(
    ("changes", "means"),
    [
        ({}, True),
        ({"training__device_request": "cuda", "torch__cuda_available": False}, True),
        ({"training__device_request": "cpu"}, False),
        ({"training__device_request": "mps"}, False),
        ({"torch__cuda_available": False}, True),
        ({"torch__cuda_available": False, "training__configuration": None}, False),
        ({"torch__cuda_available": False, "gpu__count": 0, "gpu__names": (), "gpu__pci": ("intel:i915",)}, False),
        ({"torch__cuda_available": NOT_ASKED}, NOT_ASKED),
    ],
)
def test_cuda_is_meant(changes: dict[str, object], means: object) -> None:
    """CUDA is meant where it is asked for, where it works, and where a planned training has a GPU and names no device."""
    assert follows("training.means_cuda", **changes) == means


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, True),
        ({"training__plans": "nnUNetPlans"}, False),
        ({"torch__version": "2.9.0"}, False),
        ({"gpu__mps_fallback": "1"}, False),
        ({"preprocessed__patch_size": (512, 512)}, False),
        ({"training__device_request": "cpu"}, False),
    ],
)
def test_operator_that_a_mac_lacks(changes: dict[str, object], missing: bool) -> None:
    """3D ResEnc networks average-pool, which torch can do on a Mac's GPU since 2.9, and the processor can do instead."""
    mac = {
        "platform__os": "macos",
        "training__device_request": "mps",
        "training__plans": "nnUNetResEncUNetMPlans",
        "torch__version": "2.8.0",
        "torch__mps_available": True,
    }

    assert follows("training.mps_operator_missing", **mac | changes) is missing


def test_description_without_memory() -> None:
    """A GPU that does not tell its memory is described by its name."""
    unknown = Unknown("the driver does not tell the memory of a GPU")

    assert follows("gpu.description", gpu__names=("NVIDIA GB10",), gpu__memory_gib=unknown) == "NVIDIA GB10"
    assert follows("gpu.description", gpu__names=(), gpu__memory_gib=()) == "no NVIDIA GPU"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gpu__count": Unknown("the probe timed out")}, "the probe timed out"),
        ({"torch__cuda_available": NOT_ASKED, "gpu__memory_gib": (4.0, 4.0)}, NOT_ASKED.reason),
        ({"preprocessed__patch_size": Unknown("the plans cannot be read")}, "the plans cannot be read"),
    ],
)
def test_memory_that_nobody_could_compare(changes: dict[str, object], reason: str) -> None:
    """Where the GPUs or the plan are unknown, so is whether they fit, and nothing is said against them."""
    assert follows("gpu.too_small", **changes) == Unknown(reason)


def test_memory_that_is_enough_on_every_device() -> None:
    """Before torch is asked for its device, a GPU with enough memory is known to be no trouble, a full one is not."""
    changes = {"torch__cuda_available": NOT_ASKED}

    assert (follows("gpu.too_small", **changes), follows("gpu.occupied", **changes)) == (False, False)
    assert follows("gpu.occupied", gpu__free_gib=(1.5, 1.5), **changes) == NOT_ASKED


@pytest.mark.parametrize(
    ("memory", "target"),
    [((4.0, 4.0), 3), ((11.9, 11.9), 11), ((23.6, 8.0), 23), ((2.0, 2.0), None), ((), None)],
)
def test_memory_to_plan_for(memory: tuple[float, ...], target: int | None) -> None:
    """Plans aim at the GPU that is taken, with some memory left for driver and desktop."""
    assert follows("gpu.planning_target_gb", gpu__memory_gib=memory) == target


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"torch__device_names": (RTX4090, "GTX 1060"), "torch__device_capabilities": ("8.9", "6.1")}, ("8.9",)),
        ({"torch__device_names": NOT_ASKED}, NOT_ASKED),
        ({"torch__device_names": NOT_ASKED, "gpu__order": "PCI_BUS_ID"}, ("6.1",)),
        ({"torch__device_names": NOT_ASKED, "gpu__visible": "1"}, ("8.9",)),
        ({"torch__device_names": NOT_ASKED, "training__num_gpus": 2}, ("6.1", "8.9")),
        ({"torch__device_names": NOT_ASKED, "gpu__names": (RTX4090, RTX4090)}, ("6.1",)),
        ({"torch__device_names": (), "torch__device_capabilities": ()}, ("6.1", "8.9")),
    ],
)
def test_gpus_that_a_training_sees(changes: dict[str, object], seen: object) -> None:
    """Which of several models is the first for CUDA is known from torch, or where only one is left."""
    machine = {
        "gpu__names": ("GTX 1060", RTX4090),
        "gpu__capabilities": ("6.1", "8.9"),
        "torch__device_capabilities": NOT_ASKED,
    }
    found = follows("gpu.seen", **{**machine, **changes})

    assert (found if isinstance(found, Unknown) else tuple(gpu.split("(")[1][:-1] for gpu in found)) == seen


@pytest.mark.parametrize(
    ("driver", "driver_cuda", "fits"),
    [("570.172.08", "13.1", True), ("570.172.08", "12.8", False), ("580.95.05", "13.0", True), (None, None, None)],
)
def test_driver_fits_the_build(driver: str | None, driver_cuda: str | None, fits: bool | None) -> None:
    """An old driver with the newer libcuda of a container serves a newer CUDA."""
    changes = {"gpu__driver": driver, "gpu__driver_cuda": driver_cuda, "torch__cuda_build": "13.1"}

    assert follows("torch.driver_fits", **changes, platform__wsl=None) is fits
