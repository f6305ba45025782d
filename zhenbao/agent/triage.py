"""The local alarm: what a critical reading makes the kit do at once, with or without a network."""

from collections.abc import Sequence
from dataclasses import dataclass

from zhenbao import rules
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.visit import age_text
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.patient import Patient
from zhenbao.model.time import age_years, local_text


@dataclass(frozen=True, slots=True)
class Alarm:
    """A shown alarm."""

    rule_ids: tuple[str, ...]
    latency_s: float
    """Real seconds from the last sample to the alarm on the screen."""
    sms: str
    """Text to send by hand from any phone; names nobody."""


def raise_alarm(
    screen: Screen,
    settings: KitSettings,
    patient: Patient,
    findings: Sequence[Finding],
    *,
    now_ms: int,
    last_sample_s: float,
    now_s: float,
) -> Alarm | None:
    """Show and sound the alarm if anything is RED. Needs no network and no store, so nothing can hold it up.

    Args:
        now_ms: the kit's time, for the text message.
        last_sample_s: monotonic time of the last sample.
        now_s: monotonic time now.

    Returns:
        The alarm, or None where nothing is critical.
    """
    red = [f for f in findings if f.urgency is Urgency.RED and f.status == "present"]
    if not red:
        return None
    words = screen.words
    labels = [rules.rule(f.rule_id).label(words.language) for f in red]
    joined = words("agent.list_separator").join(labels)
    screen.bell()
    screen.say("agent.alarm", mark=Urgency.RED.mark, urgency=words(f"urgency.{Urgency.RED}"), label=joined)
    screen.say("agent.alarm_phones", emergency=settings.emergency_phone, hub=settings.hub_phone or "-")
    for finding in red:
        if (action := rules.rule(finding.rule_id).action(words.language)) not in ("", "-"):
            screen.say("agent.action", action=action)
    years = age_years(patient.birth_date, now_ms) if patient.birth_date else None
    sms = words(
        "agent.alarm_sms",
        kit=settings.kit_id,
        village=settings.village,
        sex=words(f"sex.{patient.sex}"),
        age=age_text(words, years),
        label=joined,
        time=local_text(now_ms),
    )
    screen.say("agent.alarm_sms_line", sms=sms)
    alarm = Alarm(tuple(f.rule_id for f in red), round(now_s - last_sample_s, 3), sms)
    screen.event("alarm", alarm=alarm)
    return alarm
