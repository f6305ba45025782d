"""``zhenbao due``, ``followup``, ``recent`` and ``plan``: chronic care without a network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.agent.files_cli import Opened
from zhenbao.model.errors import InputError
from zhenbao.words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from zhenbao.agent.care import Filled
    from zhenbao.agent.kit import Kit
    from zhenbao.agent.visit import Visit
    from zhenbao.model.chronic import FollowUp, RecentResult
    from zhenbao.model.patient import Patient
    from zhenbao.rules.followup import Judged
    from zhenbao.rules.recognition import Recognition

_words = Words(os.environ.get("ZHENBAO_LANG", ""))


def add_commands(app: typer.Typer, opened: Opened) -> None:
    """Add the commands.

    Args:
        opened: opens the kit.
    """

    @app.command("due", help=_words("cli.due"))
    def due(
        context: typer.Context,
        everything: Annotated[bool, typer.Option("--all", help=_words("cli.due_all"))] = False,
    ) -> None:
        with opened(context) as kit:
            _show_due(kit, everything=everything)

    @app.command("followup", help=_words("cli.followup"))
    def followup(
        context: typer.Context,
        disease: Annotated[str, typer.Argument(help=_words("cli.followup_disease"))],
        patient: Annotated[str, typer.Argument(help=_words("cli.visit_patient"))],
        answers: Annotated[list[str] | None, typer.Option("--set", help=_words("cli.followup_set"))] = None,
        outcome: Annotated[str, typer.Option("--outcome", help=_words("cli.followup_outcome"))] = "",
        next_on: Annotated[str, typer.Option("--next", help=_words("cli.followup_next"))] = "",
        because: Annotated[str, typer.Option("--why", help=_words("cli.followup_why"))] = "",
        only_try: Annotated[bool, typer.Option("--try", help=_words("cli.followup_try"))] = False,
    ) -> None:
        from zhenbao.agent import care
        from zhenbao.agent.visit import find_patient
        from zhenbao.rules.followup import DISEASES, Choice

        chosen = next((d for d in DISEASES if d == disease), None)
        if chosen is None:
            raise InputError("choice", value=disease[:32], choices=", ".join(DISEASES))
        with opened(context) as kit:
            found = find_patient(kit.store, patient)
            filled = care.fill(kit, found, chosen, _pairs(answers or []))
            _show_form(kit, found, filled)
            if filled.judged is None:
                raise InputError("form-problems", count=len(filled.problems))
            _show_judged(kit, filled.judged)
            made = care.follow_up(kit, found, chosen, filled, filled.judged, Choice(outcome, next_on, because))
            if care.register_of(kit, found.id, chosen) is None:
                kit.screen.say("care.not_entered", disease=_words(f"disease.{chosen}"))
            if not only_try:
                kit.store.save_follow_up(made)
            _show_follow_up(kit, made, kept=not only_try)

    @app.command("recent", help=_words("cli.recent"))
    def recent(
        context: typer.Context, patient: Annotated[str, typer.Argument(help=_words("cli.visit_patient"))]
    ) -> None:
        from zhenbao.agent import care
        from zhenbao.agent.visit import find_patient

        with opened(context) as kit:
            found = find_patient(kit.store, patient)
            results = care.recent(kit, found, {})
            for result, how in results:
                _say_result(kit, result, how)
            if not results:
                kit.screen.say("care.no_recent")

    @app.command("plan", help=_words("cli.plan"))
    def plan(context: typer.Context, patient: Annotated[str, typer.Argument(help=_words("cli.visit_patient"))]) -> None:
        from zhenbao.agent.visit import find_patient

        with opened(context) as kit:
            found = find_patient(kit.store, patient)
            _show_plans(kit, found.id)


def say_before(kit: Kit, visit: Visit, code: str) -> None:
    """Before a test is taken: what there is of it already, and whether it may stand. The doctor decides."""
    from zhenbao.agent import care

    complaints = {"chest_pain": visit.encounter.chest_pain}
    for result, how in care.recent(kit, visit.patient, complaints, besides=visit.encounter.id):
        if result.code == code:
            _say_result(kit, result, how)


def _show_due(kit: Kit, *, everything: bool) -> None:
    from zhenbao.agent import care
    from zhenbao.model.time import local_text

    day, words, screen = care.today(kit), kit.screen.words, kit.screen
    lines = [line for line in care.due_lines(kit) if everything or line.due.state(day) != "later"]
    overdue = sum(line.due.state(day) == "overdue" for line in lines)
    told = care.told_ms(kit)
    screen.say("care.due_title", day=day.isoformat(), count=len(lines), overdue=overdue)
    for line in lines:
        state, last = line.due.state(day), [p for p in line.register.past if p.tier == line.due.tier]
        screen.say(
            "care.due_line",
            mark={"overdue": "▲", "due": "◆", "later": " "}[state],
            state=_when(words, state, line.due.on, day),
            on=line.due.on.isoformat(),
            name=line.patient.name,
            tail=line.patient.tail or words("agent.temporary"),
            disease=words(f"disease.{line.due.disease}"),
            what=words(f"tier.{line.due.tier}"),
            why=words(f"due_why.{line.due.why}"),
            last=words(f"outcome.{last[-1].outcome}") if last else words("care.no_last"),
        )
        for member in line.register.team:
            screen.say("care.member", part=words(f"care_part.{member.part}"), name=member.name, phone=member.phone)
        screen.event(
            "due",
            patient_id=line.patient.id,
            disease=line.due.disease,
            tier=line.due.tier,
            on=line.due.on.isoformat(),
            why=line.due.why,
            state=state,
        )
    _show_plan_days(kit, day)
    if told is None:
        screen.say("care.never_told")
    else:
        screen.say("care.told", time=local_text(told))


def _show_plan_days(kit: Kit, day: date) -> None:
    from zhenbao.agent import care

    words = kit.screen.words
    for line in care.plan_lines(kit):
        kit.screen.say(
            "care.plan_line",
            on=line.on.isoformat(),
            name=line.patient.name,
            tail=line.patient.tail or words("agent.temporary"),
            what=words(f"plan_kind.{line.kind}"),
            past=words("care.plan_past") if line.on < day else "",
        )
        kit.screen.event("plan-day", patient_id=line.patient.id, kind=line.kind, on=line.on.isoformat())
    unread = [kept for kept in kit.store.plans() if kept.read_ms is None]
    for kept in unread:
        patient = kit.store.patient(kept.plan.patient_id)
        if patient is not None:
            kit.screen.say("care.plan_new", name=patient.name, unit=kept.plan.unit)
    kit.screen.event("plans", unread=len(unread))


def _when(words: Words, state: str, on: date, day: date) -> str:
    if state == "overdue":
        return words("care.overdue", days=(day - on).days)
    return words("care.today") if on == day else words("care.in_days", days=(on - day).days)


def _show_form(kit: Kit, patient: Patient, filled: Filled) -> None:
    screen, words = kit.screen, kit.screen.words
    screen.say("care.form_title", form=words(f"form_name.{filled.form.key}"), name=patient.name)
    for field in filled.form.fields:
        value = filled.answers.get(field.key, "")
        codes = words("agent.list_separator").join(
            f"{code}={words(f'form_choice.{field.key}.{code}')}" for code in field.codes
        )
        shown = words("agent.list_separator").join(
            words(f"form_choice.{field.key}.{code}") for code in value.split(",") if code in field.codes
        )
        screen.say(
            "care.field",
            key=field.key,
            label=words(f"form.{field.key}"),
            value=(shown or value) or words("care.empty"),
            unit=words(f"form_unit.{field.unit}") if field.unit and value else "",
            mark="◇" if field.key in filled.from_visit else "",
            codes=codes if codes and not value else "",
            required=words("care.required") if field.required and not value else "",
        )
    known = {field.key: field for field in filled.form.fields}
    for problem in filled.problems:
        field_words = words(f"form.{problem.field}") if problem.field in known else problem.field[:40]
        low, high = (known[problem.field].low, known[problem.field].high) if problem.field in known else (0, 0)
        said = words(f"form_problem.{problem.code}", field=field_words, low=f"{low:g}", high=f"{high:g}")
        screen.say("care.problem", text=said)
        screen.event("form-problem", field=problem.field, code=problem.code)


def _show_judged(kit: Kit, judged: Judged) -> None:
    screen, words = kit.screen, kit.screen.words
    if judged.urgent:
        screen.say("care.urgent", fields=_names(words, judged.urgent))
    if judged.outcome is None:
        screen.say("care.unsaid", missing=_names(words, judged.missing))
    elif judged.target:
        limits = words("agent.list_separator").join(f"{words(f'form.{k}')} < {v:g}" for k, v in judged.target.items())
        screen.say("care.target", profile=words(f"target_profile.{judged.profile}"), limits=limits)


def _show_follow_up(kit: Kit, made: FollowUp, *, kept: bool) -> None:
    screen, words = kit.screen, kit.screen.words
    screen.say(
        "care.kept" if kept else "care.tried", outcome=words(f"outcome.{made.outcome}"), next=made.next_on.isoformat()
    )
    if made.refer:
        screen.say("care.refer")
    screen.event(
        "follow-up",
        follow_up_id=made.id,
        outcome=made.outcome,
        next_on=made.next_on.isoformat(),
        refer=made.refer,
        rule_outcome=made.rule_outcome,
        kept=kept,
    )


def _show_plans(kit: Kit, patient_id: UUID) -> None:
    from zhenbao.model.time import local_text

    screen, words = kit.screen, kit.screen.words
    kept = kit.store.plans(patient_id)
    if not kept:
        screen.say("care.no_plan")
    for each in kept:
        plan = each.plan
        screen.say("care.plan_head", unit=plan.unit, by=plan.by, phone=plan.phone, time=local_text(plan.made_ms))
        for name in ("diagnosis", "next_plan", "nursing_plan", "medication", "warning_signs"):
            if text := getattr(plan, name):
                screen.say("care.plan_field", label=words(f"hub.plan.{name}"), text=text)
        for day in plan.dates:
            screen.say("care.plan_day", what=words(f"plan_kind.{day.kind}"), on=day.on.isoformat())
        kit.store.read_plan(plan.id)
        screen.event("plan", plan_id=plan.id, dates=[(d.kind, d.on.isoformat()) for d in plan.dates])


def _say_result(kit: Kit, result: RecentResult, how: Recognition) -> None:
    from zhenbao import rules
    from zhenbao.model.time import local_text

    words = kit.screen.words

    def named(key: str) -> str:
        if f"quantity.{key}" in words:
            return words(f"quantity.{key}")
        try:
            return rules.codes(key).name(words.language)
        except KeyError:
            return key

    shown = list(result.values.items())[:3]
    values = words("agent.list_separator").join(
        f"{named(k)} {q.comparator or ''}{round(q.value, 2):g} {_unit(words, q.unit)}" for k, q in shown
    )
    quality = (
        words(f"result_quality.{result.quality}")
        if f"result_quality.{result.quality}" in words
        else words("result_quality.grade", grade=result.quality)
    )
    age = "age_future" if how.age_days < 0 else "age_today" if how.age_days == 0 else "age_days"
    device = f"{result.device.maker} {result.device.model}".strip() or result.device.driver
    kit.screen.say(
        "care.recent_line",
        what=words(f"observation.{result.code}"),
        values=values,
        time=local_text(result.effective_ms),
        age=words(f"recognition.{age}", days=how.age_days) if age == "age_days" else words(f"recognition.{age}"),
        origin=result.origin,
        device=words("recognition.why.typed") if result.typed else device,
        quality=quality,
        reviewed=words("result_reviewed.yes" if result.reviewed else "result_reviewed.no"),
    )
    if how.verdict == "stands":
        kit.screen.say("care.stands", days=how.days_left)
    else:
        reasons = words("agent.list_separator").join(words(f"recognition.why.{r}") for r in how.reasons)
        kit.screen.say("care.compare", reasons=reasons)
    kit.screen.event(
        "recent",
        code=result.code,
        verdict=how.verdict,
        reasons=how.reasons,
        age_days=how.age_days,
        origin=result.origin,
        quality=result.quality,
    )


def _unit(words: Words, ucum: str) -> str:
    """A unit as doctors write it."""
    plain = ucum.replace("mm[Hg]", "mmHg")
    return words(f"form_unit.{plain}") if f"form_unit.{plain}" in words else plain


def _names(words: Words, fields: Sequence[str]) -> str:
    return words("agent.list_separator").join(words(f"form.{field}") for field in fields)


def _pairs(answers: Sequence[str]) -> dict[str, str]:
    """``field=value`` as typed.

    Raises:
        InputError: ``form-pair``.
    """
    found = {}
    for text in answers:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise InputError("form-pair", text=text[:20])
        found[key.strip()] = value
    return found
