"""What the demo tells: a page in words for a health director, and one JSON object for programs (docs/demo.md)."""

from __future__ import annotations

from typing import Any

from zhenbao import rules
from zhenbao.agent.protocols import protocol
from zhenbao.demo.story import Story
from zhenbao.model.finding import Urgency
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import local_text
from zhenbao.words import Words

JSON_VERSION = 1


def as_text(story: Story, words: Words) -> str:
    """The summary in words."""
    lines = [
        "",
        words("demo.summary.title"),
        words(
            "demo.summary.setup",
            wait=story.wait_factor,
            recording=story.recording_speed,
            ecg=story.ecg_source or words("demo.summary.ecg_synthetic"),
        ),
        "",
        words("demo.summary.identity"),
        words("demo.summary.readings"),
    ]
    for observation in story.observations:
        lines.append(_reading(observation, story, words))
        lines += [_finding(finding, words) for finding in observation["findings"] if finding["status"] == "present"]
    lines += [_alarm(alarm["alarm"], words) for alarm in story.alarms] or [words("demo.summary.no_alarm")]
    lines.append(
        words(
            "demo.summary.survive",
            kills=story.kills,
            blows=story.blows_resumed,
            waiting=story.waiting_offline,
            brokers=story.broker_restarts,
        )
    )
    lines.append(words("demo.summary.counts", **story.counts))
    lines += [
        words(
            "demo.summary.routing",
            urgency=words(f"urgency.{case['urgency']}"),
            mark=Urgency(case["urgency"]).mark,
            specialty=case["specialty_name"],
            finding=case["finding_name"],
        )
        for case in story.cases
        if case["specialty"]
    ]
    lines += [
        words("demo.summary.joint", names=words("agent.list_separator").join(case["joint_names"]))
        for case in story.cases
        if case["joint_names"]
    ]
    lines += [words("demo.summary.archived") for case in story.cases if not case["specialty"]]
    lines.append(words("demo.summary.states"))
    lines += [words("demo.summary.state", what=_what(s["code"], words), states=_states(s, words)) for s in story.states]
    lines.append(
        words(
            "demo.summary.report",
            practitioner=story.report["practitioner"],
            conclusion=story.report["conclusion"],
            advice=story.report["advice"],
            read=local_text(story.report["village_read_ms"], seconds=True),
        )
    )
    lines += ["", words("demo.summary.promise"), words("demo.summary.seconds", seconds=story.seconds)]
    return "\n".join(lines)


def as_json(story: Story) -> dict[str, Any]:
    """The documented object: ``docs/demo.md``."""
    return {
        "version": JSON_VERSION,
        "time": {
            "wait_factor": story.wait_factor,
            "recording_speed": story.recording_speed,
            "seconds": round(story.seconds, 1),
        },
        "ecg_source": story.ecg_source or "synthetic",
        "refused_number": story.refused_number,
        "observations": story.observations,
        "glucose_fetches": story.glucose,
        "alarms": [alarm["alarm"] for alarm in story.alarms],
        "killed": {
            "processes": story.kills,
            "blows_before": story.blows_before_kill,
            "blows_resumed": story.blows_resumed,
        },
        "waiting_offline": story.waiting_offline,
        "broker": {"restarts": story.broker_restarts, "accepted_before": story.accepted_before_broker_restart},
        "counts": story.counts,
        "cases": story.cases,
        "states": story.states,
        "report": story.report,
    }


def _reading(observation: dict[str, Any], story: Story, words: Words) -> str:
    values = {key: quantity["value"] for key, quantity in observation["values"].items()}
    match observation["code"]:
        case "bp":
            key = "demo.summary.bp_third" if observation["readings"] > protocol("bp")["readings"] else "demo.summary.bp"
            return words(
                key,
                systolic=values["bp_systolic"],
                diastolic=values["bp_diastolic"],
                count=observation["readings"],
            )
        case "glucose":
            first, again = story.glucose[0], story.glucose[-1]
            quantity = next(iter(observation["values"].values()))
            return words(
                "demo.summary.glucose",
                value=quantity["value"],
                unit=quantity["unit"],
                other=first["other_visit"],
                control=first["set_aside"].get("control-solution", 0),
                again=again["fetched"],
            )
        case "spirometry":
            blows = [e for e in story.events if e["event"] == "blow"]
            return words(
                "demo.summary.spirometry",
                fev1=values["fev1"],
                fvc=values["fvc"],
                ratio=values["fev1_fvc"],
                blows=len(blows),
                bad=sum(not blow["acceptable"] for blow in blows),
            )
        case code:
            if "heart_rate_ecg" not in values:
                return words("demo.summary.ecg_none")
            key = "demo.summary.ecg" if code == "ecg" else "demo.summary.rhythm"
            return words(key, rate=values["heart_rate_ecg"])


def _finding(finding: dict[str, Any], words: Words) -> str:
    urgency = Urgency(finding["urgency"])
    return words(
        "demo.summary.finding",
        mark=urgency.mark,
        urgency=words(f"urgency.{urgency}"),
        label=rules.rule(finding["rule_id"]).label(words.language),
        rule=finding["rule_id"],
        source=_short(finding["source"]),
    )


def _short(source: str) -> str:
    """The name of a rule's first source, without its address: enough for a summary."""
    return source.split(";")[0].split(" http")[0].strip()


def _alarm(alarm: dict[str, Any], words: Words) -> str:
    labels = words("agent.list_separator").join(rules.rule(i).label(words.language) for i in alarm["rule_ids"])
    return words("demo.summary.alarm", label=labels, latency=alarm["latency_s"])


def _what(code: str, words: Words) -> str:
    return words(f"observation.{code}")


def _states(row: dict[str, Any], words: Words) -> str:
    return "  ".join(
        f"{words(f'state.{state}')} {local_text(row['states'][state], seconds=True)[11:]}"
        for state in DeliveryState
        if state in row["states"]
    )
