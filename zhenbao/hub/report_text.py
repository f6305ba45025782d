"""A report as one text: what the village reads on the kit, and what a list or a page of paper shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao import rules
from zhenbao.words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.hub.store.report_forms import Form


def choice_name(key: str, words: Words) -> str:
    """What a choice is called: its own word, else its name in the code table."""
    if f"report_choice.{key}" in words:
        return words(f"report_choice.{key}")
    try:
        return rules.codes(key).name(words.language)
    except KeyError:
        return key


def choices_line(choices: Sequence[str], words: Words) -> str:
    """All choices in one line; empty where there are none."""
    return words("hub.report.separator").join(choice_name(key, words) for key in choices)


def told(form: Form, conclusion: str, words: Words | None = None) -> str:
    """The conclusion with what stands before it: what stage it is, why it corrects another, and what was ticked.

    It travels as text, so that a kit which knows nothing of stages still says that a report corrects another.
    """
    words = words or Words()
    lines = []
    if form.stage != "final":
        lines.append(words(f"hub.report.told.{form.stage}", reason=form.reason))
    if form.choices:
        lines.append(choices_line(form.choices, words))
    if conclusion:
        lines.append(conclusion)
    return "\n".join(lines)
