"""The U-Nets that plans describe, by arithmetic alone: their weights, and the size of their feature maps.

What dynamic_network_architectures builds for PlainConvUNet and ResidualEncoderUNet (architectures/unet.py,
building_blocks/*.py). Any other network, and any argument that these two do not have in nnU-Net's plans, is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_STAGES = 20
MOST_BLOCKS = 200
MOST_FEATURES = 100_000

_PACKAGE = "dynamic_network_architectures."
_BLOCKS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
_KNOWN = {
    "n_stages",
    "features_per_stage",
    "conv_op",
    "kernel_sizes",
    "strides",
    "n_conv_per_stage_decoder",
    "conv_bias",
    "norm_op",
    "norm_op_kwargs",
    "dropout_op",
    "dropout_op_kwargs",
    "nonlin",
    "nonlin_kwargs",
    "deep_supervision",
    *_BLOCKS.values(),
}

Axes = tuple[int, ...]


@dataclass(frozen=True)
class UNet:
    """One of nnU-Net's two U-Nets.

    Attributes:
        is_residual: Whether its encoder is residual (ResidualEncoderUNet).
        features: Features of each stage, from the input down.
        kernels: Kernel size of each stage, by axis.
        strides: Stride of the first convolution of each stage, by axis.
        blocks: Convolutions, or residual blocks, of each stage of the encoder.
        decoder: Convolutions of each stage of the decoder, from the bottom up.
        has_bias: Whether its convolutions have a bias.
        norm_weights: Weights of a normalisation for each feature: 2 with affine parameters, else 0.
    """

    is_residual: bool
    features: Axes
    kernels: tuple[Axes, ...]
    strides: tuple[Axes, ...]
    blocks: Axes
    decoder: Axes
    has_bias: bool
    norm_weights: int

    @property
    def downsampling(self) -> Axes:
        """How many times smaller the deepest feature maps are, by axis."""
        return tuple(math.prod(stage[axis] for stage in self.strides) for axis in range(len(self.strides[0])))


def class_of(configuration: Mapping[str, Any]) -> str | None:
    """Return the class of the network in a configuration, of either format of plans; None when it names none."""
    architecture = configuration.get("architecture")
    name = architecture.get("network_class_name") if isinstance(architecture, dict) else None
    if "architecture" not in configuration:
        name = configuration.get("UNet_class_name")
    return name if isinstance(name, str) else None


def read(configuration: Mapping[str, Any]) -> UNet | None:
    """Return the U-Net that a configuration describes; None for another network, or one that makes no sense."""
    name = class_of(configuration)
    if name is None:
        return None
    if "architecture" in configuration:
        given = configuration["architecture"].get("arch_kwargs")
        known = name.startswith(_PACKAGE)
    else:
        given, known = _from_flat(configuration, name), True
    kind = name.rpartition(".")[2]
    if not known or kind not in _BLOCKS or not isinstance(given, dict) or not set(given) <= _KNOWN:
        return None
    return _unet(kind, given)


def _from_flat(configuration: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Translate a configuration of before 2.3 as newer releases do (plans_handler.ConfigurationManager.__init__)."""
    base, most = configuration.get("UNet_base_num_features"), configuration.get("unet_max_num_features")
    blocks = configuration.get("n_conv_per_stage_encoder")
    stages = len(blocks) if isinstance(blocks, list) else 0
    fits = type(base) is int and type(most) is int and 0 < base < MOST_FEATURES and stages <= MOST_STAGES
    return {
        "features_per_stage": [min(base * 2**stage, most) for stage in range(stages)] if fits else None,
        "kernel_sizes": configuration.get("conv_kernel_sizes"),
        "strides": configuration.get("pool_op_kernel_sizes"),
        _BLOCKS.get(kind, "n_conv_per_stage"): blocks,
        "n_conv_per_stage_decoder": configuration.get("n_conv_per_stage_decoder"),
        "conv_bias": True,
        "norm_op": "InstanceNorm",
        "norm_op_kwargs": {"affine": True},
    }


def _unet(kind: str, given: Mapping[str, Any]) -> UNet | None:
    strides = given.get("strides")
    stages = len(strides) if isinstance(strides, list) else 0
    if not 2 <= stages <= MOST_STAGES:
        return None
    dimensions = len(strides[0]) if isinstance(strides, list) and isinstance(strides[0], list) else 0
    features = _list(given.get("features_per_stage"), stages, MOST_FEATURES)
    blocks = _list(given.get(_BLOCKS[kind]), stages, MOST_BLOCKS)
    decoder = _list(given.get("n_conv_per_stage_decoder"), stages - 1, MOST_BLOCKS)
    kernels = _lists(given.get("kernel_sizes"), stages, dimensions)
    by_stage = _lists(strides, stages, dimensions)
    if dimensions not in (2, 3) or None in (features, blocks, decoder, kernels, by_stage):
        return None
    norm = given.get("norm_op_kwargs")
    affine = isinstance(norm, dict) and norm.get("affine") is True
    return UNet(
        kind == "ResidualEncoderUNet",
        features,  # type: ignore[arg-type]
        kernels,  # type: ignore[arg-type]
        by_stage,  # type: ignore[arg-type]
        blocks,  # type: ignore[arg-type]
        decoder,  # type: ignore[arg-type]
        given.get("conv_bias") is True,
        2 if given.get("norm_op") is not None and affine else 0,
    )


def _list(value: Any, count: int, most: int) -> Axes | None:
    """Return one whole number for each stage; a single one stands for all."""
    items = [value] * count if type(value) is int else value
    usable = isinstance(items, list) and len(items) == count
    return tuple(items) if usable and all(type(item) is int and 0 < item <= most for item in items) else None


def _lists(value: Any, count: int, dimensions: int) -> tuple[Axes, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    found = [_list(item, dimensions, 64) for item in value]
    return None if None in found else tuple(found)  # type: ignore[arg-type]


# --- the size of feature maps --------------------------------------------------------------------------------------


def feature_maps(net: UNet, patch: Sequence[int], classes: int) -> int:
    """Count the values in the feature maps of one sample, as nnU-Net's planner does.

    ExperimentPlanner.static_estimate_VRAM_usage, with the methods compute_conv_feature_map_size of the building blocks:
    without deep supervision, so that only the last segmentation counts.
    """
    size = tuple(patch)
    total = net.features[0] * math.prod(size) if net.is_residual else 0
    below, sizes = net.features[0], []
    for stage, strides in enumerate(net.strides):
        smaller = tuple(length // stride for length, stride in zip(size, strides, strict=True))
        one = net.features[stage] * math.prod(smaller)
        per_block = 2 if net.is_residual else 1
        total += net.blocks[stage] * per_block * one
        if net.is_residual and (below != net.features[stage] or smaller != size):
            total += one
        size, below = smaller, net.features[stage]
        sizes.append(size)
    for stage, convolutions in enumerate(net.decoder):
        level = len(sizes) - 2 - stage
        total += (convolutions + 1) * net.features[level] * math.prod(sizes[level])
    return total + classes * math.prod(sizes[0])


# --- weights -------------------------------------------------------------------------------------------------------


def shapes(net: UNet, channels: int, classes: int) -> Iterator[tuple[str, Axes]]:
    """Yield the names and shapes of the kernels, as a checkpoint of nnU-Net holds them (``network_weights``).

    Only kernels of convolutions: biases and normalisations follow from them.
    """
    below = channels
    if net.is_residual:
        yield "encoder.stem.convs.0.conv.weight", (net.features[0], channels, *net.kernels[0])
        below = net.features[0]
    for stage, features in enumerate(net.features):
        for block in range(net.blocks[stage]):
            kernel = net.kernels[stage]
            if net.is_residual:
                name = f"encoder.stages.{stage}.blocks.{block}"
                yield f"{name}.conv1.conv.weight", (features, below, *kernel)
                yield f"{name}.conv2.conv.weight", (features, features, *kernel)
                if below != features:
                    pools = block == 0 and any(stride != 1 for stride in net.strides[stage])
                    yield f"{name}.skip.{int(pools)}.conv.weight", (features, below, *(1 for _ in kernel))
            else:
                yield f"encoder.stages.{stage}.0.convs.{block}.conv.weight", (features, below, *kernel)
            below = features
    for stage, convolutions in enumerate(net.decoder):
        level = len(net.features) - 2 - stage
        features, kernel = net.features[level], net.kernels[level]
        yield f"decoder.transpconvs.{stage}.weight", (net.features[level + 1], features, *net.strides[level + 1])
        for index in range(convolutions):
            incoming = 2 * features if index == 0 else features
            yield f"decoder.stages.{stage}.convs.{index}.conv.weight", (features, incoming, *kernel)
        yield f"decoder.seg_layers.{stage}.weight", (classes, features, *(1 for _ in kernel))


def parameters(net: UNet, channels: int, classes: int) -> int:
    """Count the weights of the network, biases and normalisations included."""
    total = 0
    for name, shape in shapes(net, channels, classes):
        total += math.prod(shape)
        if ".seg_layers." in name:
            total += shape[0]
        elif ".transpconvs." in name:
            total += shape[1] if net.has_bias else 0
        else:
            total += shape[0] * net.norm_weights + (shape[0] if net.has_bias and ".skip." not in name else 0)
    return total
