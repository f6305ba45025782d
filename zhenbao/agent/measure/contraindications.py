"""Asked before anybody blows: what forbids a forced expiration (rule SP28), and a pressure measured in this visit."""

from __future__ import annotations

from zhenbao.agent.kit import Kit
from zhenbao.agent.protocols import protocol
from zhenbao.agent.visit import ANSWERS, Visit
from zhenbao.model.errors import InputError

_PRESSURES = (("bp_systolic", "most_systolic_mmhg"), ("bp_diastolic", "most_diastolic_mmhg"))


def ask_contraindications(kit: Kit, visit: Visit, answer: str | None) -> str:
    """Show the list and take the answer: ``no`` or ``unknown``, where the patient cannot say.

    Args:
        answer: of a script or a screen; None asks the doctor.

    Raises:
        InputError: ``spirometry-contraindicated`` for ``yes`` or too high a pressure in this visit; ``answer``;
            ``contraindications-not-asked`` where nobody could be asked.
    """
    words = kit.screen.words
    too_high = _pressure(kit, visit)
    if too_high:
        raise InputError("spirometry-contraindicated", found=too_high)
    if answer is None:
        kit.screen.say("contraindication.ask")
        for item in protocol("spirometry")["contraindications"]:
            kit.screen.say("contraindication.item", text=words(f"contraindication.{item}"))
        try:
            typed = input(words("contraindication.prompt") + " ").strip().lower()
        except EOFError:
            raise InputError("contraindications-not-asked") from None
        answer = {"": "no", "n": "no", "?": "unknown", "？": "unknown"}.get(typed, "yes")
    if answer not in ANSWERS:
        raise InputError("answer", question="contraindications", answer=answer[:20])
    if answer == "yes":
        raise InputError("spirometry-contraindicated", found=words("contraindication.said"))
    kit.screen.event("contraindications", answer=answer)
    return answer


def _pressure(kit: Kit, visit: Visit) -> str:
    """The last pressure of this visit in words, where it forbids the test; empty otherwise."""
    rules = protocol("spirometry")
    taken = [o for o in kit.store.observations(visit.encounter.id) if o.code == "bp" and o.status == "preliminary"]
    if not taken:
        return ""
    values = taken[-1].values
    if not any(name in values and values[name].value > rules[limit] for name, limit in _PRESSURES):
        return ""
    told = "/".join(f"{values[name].value:.0f}" for name, _ in _PRESSURES if name in values)
    return kit.screen.words("contraindication.pressure", pressure=told)
