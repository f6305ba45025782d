"""The chest-pain cases of a period from the store, and their figures as a table of text and as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable

from sqlalchemy import Connection, Select, select

from zhenbao.hub.chest_pain.chain import chain
from zhenbao.hub.chest_pain.figures import CaseChain, Figure, compute
from zhenbao.hub.store import chest_pain
from zhenbao.hub.store.period import Period
from zhenbao.hub.store.tables import encounters, work_items
from zhenbao.hub.store.work import as_item
from zhenbao.model.patient import Encounter
from zhenbao.sync.envelope import unpack
from zhenbao.words import Words

COLUMNS = ("name", "numerator", "denominator", "rate", "unknown", "median", "p90", "target")


def visits(period: Period, orgs: Collection[str]) -> Select[tuple[object, ...]]:
    """The cases whose visit began in a period, by the kit's clock."""
    return (
        select(work_items, encounters.c.body.label("encounter"))
        .join(encounters, encounters.c.id == work_items.c.encounter_id)
        .where(
            encounters.c.started_ms >= period.from_ms,
            encounters.c.started_ms < period.to_ms,
            work_items.c.org_id.in_(orgs),
        )
    )


def figures(connection: Connection, period: Period, orgs: Collection[str], now_ms: int) -> list[Figure]:
    """The figures of a period: of cases in which chest pain was said, or of which the channel knows something."""
    cases = []
    for row in connection.execute(visits(period, orgs)).all():
        value = unpack("encounter", row.encounter)
        item = as_item(row)
        said = isinstance(value, Encounter) and value.chest_pain == "yes"
        if not said and not chest_pain.known(connection, item.encounter_id):
            continue
        opened = any(step.state in ("open", "diverted") for step in chest_pain.steps(connection, item.encounter_id))
        cases.append(CaseChain(chain(chest_pain.facts(connection, item)), opened))
    return compute(cases, now_ms)


def cells(figure: Figure, words: Words) -> tuple[str, ...]:
    """One line, as ``COLUMNS``; what cannot be computed is empty."""
    name = words(f"hub.cp.target.{figure.key}" if figure.is_target else f"hub.cp.figure.{figure.key}")
    return (
        name,
        str(figure.numerator),
        "" if figure.denominator is None else str(figure.denominator),
        "" if figure.percent is None else f"{figure.percent:.1f}%",
        "" if figure.unknown is None else str(figure.unknown),
        "" if figure.median is None else f"{figure.median:.1f}",
        "" if figure.p90 is None else f"{figure.p90:.1f}",
        "" if figure.target_percent is None else f"≥{figure.target_percent:g}%",
    )


def head(words: Words) -> list[str]:
    """The names of the columns; those that the month's other indicators have too are called alike."""
    own = ("unknown", "median", "p90")
    return [words(f"hub.cp.figures.{name}" if name in own else f"hub.stats.{name}") for name in COLUMNS]


def as_csv(found: Iterable[Figure], words: Words) -> bytes:
    """The report as CSV in UTF-8 with a byte order mark, which Excel and WPS need."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head(words))
    writer.writerows(cells(figure, words) for figure in found)
    return text.getvalue().encode("utf-8-sig")
