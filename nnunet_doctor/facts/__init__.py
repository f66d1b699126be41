"""What can be known: frozen, typed records, one module per area, and the facts that follow from them.

This package imports nothing else of ours. ``Facts`` is the contract between probes (which fill it), checks
(which ask it) and recorded machines (which replay it): its names are only ever added to.
"""

from __future__ import annotations

from nnunet_doctor.facts.base import NOT_LOOKED_AT, Detail, Observed, Unknown, Value
from nnunet_doctor.facts.record import AREAS, CATALOGUE, FactInfo, Facts

__all__ = ["AREAS", "CATALOGUE", "NOT_LOOKED_AT", "Detail", "FactInfo", "Facts", "Observed", "Unknown", "Value"]
