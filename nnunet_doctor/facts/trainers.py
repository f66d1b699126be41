"""Trainers of nnU-Net, by their names; apart from rules, which threads of probes must not load by halves."""

from __future__ import annotations

import re

_PLAIN = re.compile(
    r"nnUNetTrainer(_\d+epochs?(_NoMirroring)?|NoMirroring|_onlyMirror01\w*|DA5\w*|NoDA|_DASegOrd0\w*|Adam\w*|Adan\w*"
    r"|VanillaAdam\w*|CosAnneal|DiceLoss|CELoss\w*|[Tt]opk10Loss\w*|DiceTopK10Loss|DiceCELoss_noSmooth|_noDummy2DDA"
    r"|_probabilisticOversampling\w*|_warmup|Benchmark_5epochs\w*|NoDeepSupervision)?"
)


def is_plain(trainer: str) -> bool:
    """Say whether a trainer is one of nnU-Net's that take network and sizes as the plans describe them.

    Those of all releases that do not override build_network_architecture (nnunetv2/training/nnUNetTrainer/variants).
    """
    return _PLAIN.fullmatch(trainer) is not None
