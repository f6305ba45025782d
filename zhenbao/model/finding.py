"""What a rule says of a reading."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from zhenbao.model.quantity import Quantity

Confidence = Literal["likely", "possible", "uncertain"]


class Urgency(StrEnum):
    """RULES 2.5: how fast a person must answer."""

    RED = "RED"
    ORANGE = "ORANGE"
    YELLOW = "YELLOW"
    BLUE = "BLUE"
    GREEN = "GREEN"

    @property
    def rank(self) -> int:
        """0 is the most urgent."""
        return _RANKS[self.value]

    @property
    def mark(self) -> str:
        """A shape beside the colour, for those who cannot tell colours in sunlight."""
        return "●▲◆■✓"[self.rank]


_RANKS = {urgency.value: rank for rank, urgency in enumerate(Urgency)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that decided."""

    name: str
    """A key of the ``quantity`` words, for instance ``bp_systolic``."""
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds, or one that cannot be decided before the doctor answers a question.

    Its words are looked up by ``rule_id``; ``source`` is the citation of the rule's row.
    """

    rule_id: str
    urgency: Urgency
    evidence: tuple[Evidence, ...] = ()
    source: str = ""
    status: Literal["present", "undetermined"] = "present"
    needs: tuple[str, ...] = ()
    """Context that is unknown and would decide an undetermined finding, for instance ``known_diabetes``."""
    leads: tuple[str, ...] = ()
    """Of a tracing: the leads it rests on."""
    beats: tuple[int, ...] = ()
    """Of a tracing: sample indices of the beats it rests on."""
    confidence: str = ""
    """Key of the ``ecg_confidence`` words; empty where the numbers speak for themselves."""


def most_urgent(findings: tuple[Finding, ...]) -> Urgency:
    """The highest urgency among findings that are present; GREEN when there is none."""
    if not findings:
        return Urgency.GREEN
    return min((f.urgency for f in findings if f.status == "present"), key=lambda u: u.rank, default=Urgency.GREEN)
