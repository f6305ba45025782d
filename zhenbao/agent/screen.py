"""Where the doctor's commands speak: words for people, or one JSON object a line for programs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, TextIO
from uuid import UUID

from zhenbao import rules
from zhenbao.model.errors import ZhenbaoError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.words import Words


class Screen:
    """Says what happens, as it happens.

    Args:
        words: the catalogue of the doctor's language.
        json_lines: print events as JSON lines instead of words.
    """

    def __init__(self, words: Words, *, json_lines: bool = False, out: TextIO | None = None) -> None:
        self.words = words
        self.json_lines = json_lines
        self._out = out or sys.stdout
        self._live = 0
        """So many live lines stand on the screen."""

    def say(self, key: str, /, **values: object) -> None:
        """A line of the catalogue, for people."""
        if not self.json_lines:
            self._print(self.words(key, **values))

    def event(self, name: str, /, **data: Any) -> None:
        """A fact, for programs."""
        if self.json_lines:
            self._print(json.dumps({"event": name, **data}, ensure_ascii=False, default=_plain))

    def trouble(self, error: ZhenbaoError) -> None:
        """What happened and what to do; the command goes on or ends in order."""
        what, do = self.words.error(error)
        self.say("agent.trouble", what=what, do=do)
        self.event("trouble", code=error.code, what=what, do=do)

    def findings(self, findings: Sequence[Finding]) -> None:
        """Each finding with its mark, urgency, words, rule and what to do."""
        for finding in findings:
            rule = rules.rule(finding.rule_id)
            label, action = rule.label(self.words.language), rule.action(self.words.language)
            urgency = self.words(f"urgency.{finding.urgency}")
            if finding.status == "undetermined":
                asked = self.words("agent.list_separator").join(self.words(f"context.{n}") for n in finding.needs)
                self.say("agent.undetermined", label=label, urgency=urgency, rule=finding.rule_id, asked=asked)
            else:
                # GREEN is called normal, and a label may say that something is not (overweight, not urgent).
                key = "agent.finding_green" if finding.urgency is Urgency.GREEN else "agent.finding"
                self.say(key, mark=finding.urgency.mark, urgency=urgency, label=label, rule=finding.rule_id)
                if action and action != "-":
                    self.say("agent.action", action=action)

    def bell(self) -> None:
        """A sound, wherever the terminal can make one."""
        if not self.json_lines:
            self._out.write("\a")
            self._out.flush()

    @property
    def draws(self) -> bool:
        """Whether live lines are seen by anybody."""
        return not self.json_lines and self._out.isatty()

    def live(self, lines: Sequence[str], *, lasting: str = "") -> None:
        """Lines that the next call overwrites, on a terminal; elsewhere only what is to last."""
        if self.json_lines:
            return
        if self.draws:
            up = f"\x1b[{self._live - 1}A" if self._live > 1 else ""
            self._out.write(f"{up}\r\x1b[J" + "\n".join(lines))
            self._out.flush()
            self._live = len(lines)
        elif lasting:
            self._print(lasting)

    def _print(self, text: str) -> None:
        if self._live:
            self._out.write("\n")
            self._live = 0
        self._out.write(text + "\n")
        self._out.flush()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
