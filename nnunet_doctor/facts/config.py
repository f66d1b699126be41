"""Facts about the doctor's own configuration: what it says, and nothing is there for."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, fact


class ConfigFacts:
    """What wants a look. Waivers are seen when findings are told from what is waived."""

    expired_waivers: tuple[Detail, ...] | None | Unknown = fact(
        "waivers whose last day is over: check and what they are limited to, and where they stand; None for none"
    )
    unused_waivers: tuple[Detail, ...] | None | Unknown = fact(
        "waivers that cover nothing although their check was decided: likewise; None for none"
    )
    unread_variables: tuple[Detail, ...] | None | Unknown = fact(
        "environment variables named like an option of the doctor that no option reads: each, and the nearest one"
    )
