"""What this person's earlier spirometry on this kit says beside the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.model.time import local_time

if TYPE_CHECKING:
    from uuid import UUID

    from zhenbao.agent.kit import Kit
    from zhenbao.model.observation import Observation
    from zhenbao.signal.spirometry import PastTest
    from zhenbao.signal.spirometry.change import Change


def earlier_tests(kit: Kit, patient_id: UUID) -> list[PastTest]:
    """The patient's whole sessions that this kit keeps, in order of saving."""
    from zhenbao.signal.spirometry import past_test

    return [
        past_test(kept.spirometry, local_time(kept.effective_ms).date())
        for kept in kit.store.observations(patient_id=patient_id)
        if kept.code == "spirometry" and kept.spirometry is not None and kept.status == "preliminary"
    ]


def say_trend(kit: Kit, observation: Observation) -> None:
    """The course of FEV1, where there is anything to compare. Call before the observation is saved."""
    from zhenbao.signal.spirometry import past_test, trend

    if observation.spirometry is None:
        return
    today = local_time(observation.effective_ms).date()
    # What a wrong clock dated after today is no earlier test.
    earlier = [test for test in earlier_tests(kit, observation.patient_id) if test.taken_on <= today]
    if not earlier:
        return
    found = trend([*earlier, past_test(observation.spirometry, today)])
    words = kit.screen.words
    if found.ml_per_year is not None:
        line = found.ml_per_year
        kit.screen.say(
            "spirometry_change.slope_ml",
            parameter="FEV1",
            per_year=line.per_year,
            low=line.low,
            high=line.high,
            tests=line.tests,
        )
    if found.z_per_year is not None:
        line = found.z_per_year
        kit.screen.say(
            "spirometry_change.slope_z",
            parameter="FEV1",
            per_year=line.per_year,
            low=line.low,
            high=line.high,
            tests=line.tests,
            equation=words(f"equation.{found.equation}"),
        )
    for change in (found.since_last, found.since_first):
        if change is not None:
            _say_change(kit, change)
    for left in found.left_out:
        kit.screen.say(
            "spirometry_change.left_out",
            date=left.taken_on.isoformat(),
            reason=words(f"spirometry_trend.{left.reason}"),
        )
    for reason in found.reasons:
        kit.screen.say("agent.limit", text=words(f"spirometry_trend.{reason}"))


def _say_change(kit: Kit, change: Change) -> None:
    words = kit.screen.words
    kit.screen.say(
        "spirometry_change.since",
        parameter="FEV1",
        since=change.since.isoformat(),
        change=change.change_l,
        percent=change.percent,
        verdict=words(f"spirometry_change.{change.significant}"),
        rule=words(f"spirometry_rule.{change.rule}"),
    )
