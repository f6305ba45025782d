"""What a report is besides its text: preliminary, final or amended, and its coded conclusion."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, select

from zhenbao.hub.store.report_tables import report_forms
from zhenbao.hub.store.tables import reports

Stage = Literal["preliminary", "final", "amended"]
STAGES: tuple[Stage, ...] = get_args(Stage)


def with_form(*more: ColumnElement[Any]) -> Select[Any]:
    """Reports with their forms and further columns, for ``form_of``."""
    form = (report_forms.c.stage, report_forms.c.amends_id, report_forms.c.reason, report_forms.c.choices)
    return (
        select(reports, *form, *more)
        .select_from(reports)
        .outerjoin(report_forms, report_forms.c.report_id == reports.c.id)
    )


WITH_FORM = with_form()


@dataclass(frozen=True, slots=True)
class Form:
    """How a report stands to the others of its case, and what was ticked in it."""

    stage: Stage = "final"
    choices: tuple[str, ...] = ()
    """Keys of ``rules.report_templates``, in the order of the template."""
    amends_id: UUID | None = None
    """The report that this one corrects."""
    reason: str = ""
    """Why it corrects it."""

    def signed_content(self) -> dict[str, object]:
        """What the signature covers besides the report; nothing for a plain final one, as before there were forms."""
        if self == PLAIN:
            return {}
        return {
            "stage": self.stage,
            "choices": list(self.choices),
            "amends": str(self.amends_id) if self.amends_id else None,
            "reason": self.reason,
        }


PLAIN = Form()
"""A final report without choices, as all were before there were forms."""


def keep(connection: Connection, report_id: UUID, form: Form) -> None:
    """Write the form of a draft; one that was there before is replaced."""
    connection.execute(delete(report_forms).where(report_forms.c.report_id == report_id))
    connection.execute(
        insert(report_forms).values(
            report_id=report_id,
            stage=form.stage,
            amends_id=form.amends_id,
            reason=form.reason,
            choices=json.dumps(form.choices),
        )
    )


def form_of(row: Row[tuple[object, ...]]) -> Form:
    """The form in a row of ``WITH_FORM``."""
    r = row._mapping
    if r["stage"] is None:
        return PLAIN
    return Form(r["stage"], tuple(json.loads(r["choices"])), r["amends_id"], r["reason"])


def amended(connection: Connection, report_id: UUID) -> bool:
    """Whether a signed report corrects this one."""
    found = (
        select(reports.c.id)
        .join(report_forms, report_forms.c.report_id == reports.c.id)
        .where(report_forms.c.amends_id == report_id, reports.c.status == "signed")
    )
    return connection.execute(found.limit(1)).first() is not None
