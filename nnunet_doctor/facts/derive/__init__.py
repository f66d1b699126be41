"""Facts that follow from other facts: pure functions, each registered under the name of its fact.

A rule names the facts it reads; when one of them is unknown, so is the result, with the same reason. A rule marked
``tolerant`` is handed the unknowns and decides for itself. One module for each area.
"""

from nnunet_doctor.facts.derive import (
    gpu,
    nnunet,
    outcome,
    paths,
    platform,
    python,
    resources,
    torch,
    training,
    triton,
    workers,
)
from nnunet_doctor.facts.derive.rules import RULES, derive, inputs_of, with_inputs

__all__ = [
    "RULES",
    "derive",
    "gpu",
    "inputs_of",
    "nnunet",
    "outcome",
    "paths",
    "platform",
    "python",
    "resources",
    "torch",
    "training",
    "triton",
    "with_inputs",
    "workers",
]
