"""Consent as people give and withdraw it, and the one message that may go to a family: "call the village doctor"."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub import sharing
from zhenbao.hub.access import viewer
from zhenbao.hub.case_code import case_code
from zhenbao.hub.store import HubStore, audit, consents, identities, records, work
from zhenbao.hub.store.consents import Consent, FamilyContact, How, Kind, Relation
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.time import age_years

KINDS: tuple[Kind, ...] = get_args(Kind)
HOWS: tuple[How, ...] = get_args(How)
RELATIONS: tuple[Relation, ...] = get_args(Relation)
LANGUAGES = ("zh", "ug", "kk", "bo", "mn", "other")
"""In which it was explained; ISO 639-1."""
LONGEST_NAME, LONGEST_FORM = 40, 40
GUARDIAN_BELOW_YEARS = 14
"""Personal Information Protection Law, article 31: below this age a guardian consents."""
_FURTHEST_BACK_MS = 31 * 86_400_000
"""A paper from a village is written down within the month."""
_PHONE = re.compile(r"\+?[0-9][0-9 -]{4,18}[0-9]")


def note(
    store: HubStore,
    case_id: UUID,
    by: Practitioner,
    *,
    kind: str,
    given: bool,
    by_name: str,
    relation: str,
    how: str,
    form_number: str = "",
    witness: str = "",
    language: str = "zh",
    days_ago: int = 0,
) -> Consent:
    """Write down that a case's patient agrees to a purpose, or does not any more; a withdrawal acts at once.

    Args:
        by_name: who said so: the patient, or who speaks for them.
        how: ``signature`` needs the paper's number; ``thumbprint`` and ``spoken`` need a witness.
        days_ago: of a paper that comes later.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``consent-fields``, ``consent-name``,
            ``consent-form``, ``consent-witness``, ``consent-guardian``.
    """
    kinds, relations, hows = ({v: v for v in values} for values in (KINDS, RELATIONS, HOWS))
    if kind not in kinds or relation not in relations or how not in hows or language not in LANGUAGES:
        raise InputError("consent-fields")
    if not 0 <= days_ago * 86_400_000 <= _FURTHEST_BACK_MS:
        raise InputError("consent-fields")
    who, form, seen = (" ".join(text.split()) for text in (by_name, form_number, witness))
    if not 1 <= len(who) <= LONGEST_NAME or len(seen) > LONGEST_NAME:
        raise InputError("consent-name", longest=LONGEST_NAME)
    if len(form) > LONGEST_FORM or (how == "signature" and not form):
        raise InputError("consent-form", longest=LONGEST_FORM)
    if how != "signature" and not seen:
        raise InputError("consent-witness")
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = _allowed(connection, case_id, by, now_ms)
        patient = records.patient(connection, item.patient_id)
        born = patient.birth_date if patient is not None else None
        if given and relation == "self" and born and age_years(born, now_ms) < GUARDIAN_BELOW_YEARS:
            raise InputError("consent-guardian", years=GUARDIAN_BELOW_YEARS)
        consent = Consent(
            consents.new_id(now_ms),
            item.patient_id,
            kinds[kind],  # type: ignore[arg-type]  # checked above
            given,
            who,
            relations[relation],  # type: ignore[arg-type]
            hows[how],  # type: ignore[arg-type]
            form,
            seen,
            language,
            consents.TEXT_VERSION,
            now_ms - days_ago * 86_400_000,
            now_ms,
            by.login,
        )
        consents.add(connection, consent)
        action = "consent-given" if given else "consent-withdrawn"
        audit.append(connection, now_ms, by.login, action, f"case:{case_id}", kind=kind, consent=str(consent.id))
        if not given:
            _withdrawn(connection, item, kinds[kind], by.login, now_ms)
    return consent


def set_contact(store: HubStore, case_id: UUID, by: Practitioner, *, name: str, relation: str, phone: str) -> None:
    """Note whom the patient wants told; needs their consent.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``consent-fields``, ``consent-name``,
            ``family-phone``, ``family-consent``.
    """
    who, number = " ".join(name.split()), phone.strip()
    if relation not in RELATIONS or relation == "self":
        raise InputError("consent-fields")
    if not 1 <= len(who) <= LONGEST_NAME:
        raise InputError("consent-name", longest=LONGEST_NAME)
    if not _PHONE.fullmatch(number):
        raise InputError("family-phone")
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = _allowed(connection, case_id, by, now_ms)
        if consents.state(connection, item.patient_id, "family-notice") is not True:
            raise InputError("family-consent")
        chosen: dict[str, Relation] = {v: v for v in RELATIONS}
        consents.set_contact(
            connection, FamilyContact(item.patient_id, who, chosen[relation], number), by.login, now_ms
        )
        audit.append(connection, now_ms, by.login, "family-noted", f"case:{case_id}")


def tell_family(store: HubStore, case_id: UUID, by: Practitioner, send: Callable[[str, str], None] | None) -> None:
    """Send the family one plain sentence: no name, no number, no finding.

    Args:
        send: takes the case's code and the telephone number; None: this hub has no way.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``family-consent``, ``family-nobody``,
            ``family-off``.
    """
    if send is None:
        raise InputError("family-off")
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = _allowed(connection, case_id, by, now_ms)
        if consents.state(connection, item.patient_id, "family-notice") is not True:
            raise InputError("family-consent")
        contact = consents.contact(connection, identities.same_person(connection, item.patient_id))
        if contact is None:
            raise InputError("family-nobody")
        audit.append(connection, now_ms, by.login, "family-told", f"case:{case_id}")
    # After the transaction: a message that was sent cannot be rolled back.
    send(case_code(case_id), contact.phone)


def may_use_for_research(connection: Connection, patient_id: UUID) -> bool:
    """Whether an export for teaching or research may hold this person: only if they said yes, and still do."""
    return consents.state(connection, patient_id, "research") is True


def _withdrawn(connection: Connection, item: WorkItem, kind: str, login: str, now_ms: int) -> None:
    person = identities.same_person(connection, item.patient_id)
    if kind == "county-sharing":
        sharing.end_all(connection, person, login, now_ms)
    elif kind == "family-notice":
        consents.drop_contacts(connection, person)


def _allowed(connection: Connection, case_id: UUID, by: Practitioner, now_ms: int) -> WorkItem:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    if (denied := viewer(connection, by, now_ms).denial("consent", item)) is not None:
        raise InputError(denied)
    return item
