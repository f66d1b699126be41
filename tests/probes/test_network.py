"""The networks that plans describe, counted without building them."""

from __future__ import annotations

import copy

import pytest

from nnunet_doctor.probes import network


def planned(kind="PlainConvUNet", dimensions=3, **words):
    """Return a configuration as planning writes it, for six stages."""
    stages = 6
    given = {
        "n_stages": stages,
        "features_per_stage": [32, 64, 128, 256, 320, 320],
        "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
        "kernel_sizes": [[3] * dimensions] * stages,
        "strides": [[1] * dimensions] + [[2] * dimensions] * (stages - 1),
        "n_conv_per_stage_decoder": [2] * (stages - 1) if kind == "PlainConvUNet" else [1] * (stages - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    blocks = "n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage"
    given[blocks] = [2] * stages if kind == "PlainConvUNet" else [1, 3, 4, 6, 6, 6]
    name = f"dynamic_network_architectures.architectures.unet.{kind}"
    return {"architecture": {"network_class_name": name, "arch_kwargs": {**given, **words}}}


FLAT = {
    "UNet_class_name": "PlainConvUNet",
    "UNet_base_num_features": 32,
    "unet_max_num_features": 320,
    "n_conv_per_stage_encoder": [2] * 6,
    "n_conv_per_stage_decoder": [2] * 5,
    "pool_op_kernel_sizes": [[1, 1, 1]] + [[2, 2, 2]] * 5,
    "conv_kernel_sizes": [[3, 3, 3]] * 6,
}


def test_feature_maps_are_those_of_the_planner():
    """The number in residual_encoder_unet_planners.py comes out, less the segmentations of deep supervision."""
    net = network.read(planned("ResidualEncoderUNet"))
    of_supervision = 3 * sum((128 // 2**stage) ** 3 for stage in range(1, 5))

    assert network.feature_maps(net, (128, 128, 128), 3) + of_supervision == 558_319_104


def test_feature_maps_in_two_dimensions():
    """So does the number for two dimensions and seven stages in the same file."""
    stages = 7
    configuration = planned(
        "ResidualEncoderUNet",
        2,
        n_stages=stages,
        features_per_stage=[32, 64, 128, 256, 512, 512, 512],
        kernel_sizes=[[3, 3]] * stages,
        strides=[[1, 1]] + [[2, 2]] * 6,
        n_blocks_per_stage=[1, 3, 4, 6, 6, 6, 6],
        n_conv_per_stage_decoder=[1] * 6,
    )

    of_supervision = 3 * sum((512 // 2**stage) ** 2 for stage in range(1, 6))

    assert network.feature_maps(network.read(configuration), (512, 512), 3) + of_supervision == 129_793_792


@pytest.mark.parametrize(
    ("kind", "parameters", "maps"),
    [("PlainConvUNet", 31_198_068, 454_893_568), ("ResidualEncoderUNet", 102_352_244, 559_517_696)],
)
def test_weights_are_those_that_torch_counts(kind, parameters, maps):
    """Numbers of a network that was built with torch, for two channels and four classes."""
    net = network.read(planned(kind))

    assert (network.parameters(net, 2, 4), network.feature_maps(net, (128, 128, 128), 4)) == (parameters, maps)


def test_old_plans_describe_the_same_network():
    """Plans of before 2.3 lead to the network that newer releases build from them."""
    assert network.read(FLAT) == network.read(planned())


def test_names_of_tensors():
    """Kernels have the names and shapes that a checkpoint holds."""
    plain = dict(network.shapes(network.read(planned()), 2, 4))
    residual = dict(network.shapes(network.read(planned("ResidualEncoderUNet")), 2, 4))

    assert plain["encoder.stages.0.0.convs.0.conv.weight"] == (32, 2, 3, 3, 3)
    assert plain["decoder.stages.0.convs.0.conv.weight"] == (320, 640, 3, 3, 3)
    assert plain["decoder.transpconvs.1.weight"] == (320, 256, 2, 2, 2)
    assert plain["decoder.seg_layers.4.weight"] == (4, 32, 1, 1, 1)
    assert residual["encoder.stem.convs.0.conv.weight"] == (32, 2, 3, 3, 3)
    assert residual["encoder.stages.1.blocks.0.skip.1.conv.weight"] == (64, 32, 1, 1, 1)


def test_axes_that_are_halved_less_often():
    """What divides an axis is the product of its strides."""
    configuration = planned(strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2]])

    assert network.read(configuration).downsampling == (8, 32, 32)


@pytest.mark.parametrize(
    "words",
    [
        {"strides": 2},
        {"strides": [[1, 1, 1]] * 5},
        {"strides": [[0, 1, 1]] * 6},
        {"strides": [[1, 1, 1, 1]] * 6},
        {"features_per_stage": [10**9] * 6},
        {"features_per_stage": None},
        {"n_conv_per_stage": ["2"] * 6},
        {"kernel_sizes": "3"},
        {"stem_channels": 8},
        {"squeeze_excitation": True},
    ],
)
def test_what_is_not_understood_is_unknown(words):
    """A network with arguments of another kind, or that make no sense, is none of ours."""
    assert network.read(planned(**words)) is None


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"architecture": None},
        {"architecture": {"network_class_name": "umamba.UMambaBot", "arch_kwargs": {}}},
        {"architecture": {"network_class_name": 7, "arch_kwargs": {}}},
        {**FLAT, "UNet_class_name": "SwinUNETR"},
        {**FLAT, "UNet_base_num_features": "32"},
    ],
)
def test_other_networks_are_unknown(configuration):
    """Plans of forks, and broken ones, describe no network that can be counted."""
    assert network.read(copy.deepcopy(configuration)) is None
