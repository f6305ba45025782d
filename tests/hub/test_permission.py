"""The permission matrix: every role, every action, every standing, against a table written down a second time."""

from itertools import product
from typing import get_args

import pytest

from zhenbao.hub.permission import Action, Place, Role, Standing, denial

# role: the standings that are allowed, by action. Letters: o own, b below, x outside; + assigned; g with a grant.
ALLOWED = {
    "village-doctor": {
        "list": "o o+ *g",
        "open": "o o+ *g",
        "discuss": "o",
        "search-name": "o",
        "search-number": "o",
        "refer": "o",
        "share-ask": "o",
        "share-decide": "o",
        "consent": "o",
        "chronic": "o",
    },
    "township-doctor": {
        "list": "o o+ b b+ *g",
        "open": "o o+ b b+ *g",
        "report": "o+ b+",
        "claim": "o+ b+",
        "handover": "o+ b+",
        "search-name": "o b",
        "search-number": "o b",
        "second-read": "o b",
        "consult": "o+ b+",
        "discuss": "o b",
        "loop": "o b",
        "chest-pain": "o o+ b b+ *g",
        "merge": "o b",
        "refer": "o b",
        "chronic": "o b",
        "statistics": "o b",
        "break-glass": "*",
        "share-ask": "o b",
        "share-decide": "o b",
        "consent": "o b",
    },
    "operator": {
        "list": "o o+ b b+ *g",
        "assign": "o b",
        "handover": "o b",
        "search-name": "o b",
        "loop": "o b",
        "chest-pain": "o o+ b b+ *g",
        "channel": "o b",
        "statistics": "o b",
        "fleet": "o b",
    },
    "specialist": {
        "list": "o+ b+ *g",
        "open": "o+ b+ *g",
        "report": "o+ b+",
        "second-read": "o b",
        "consult": "o+ b+",
        "discuss": "o+ b+",
        "assign": "o+ b+",
        "claim": "o+ b+",
        "handover": "o+ b+",
        "search-name": "o+ b+",
        "search-number": "o+ b+",
        "loop": "o+ b+",
        "chest-pain": "o+ b+ *g",
        "channel": "o+ b+",
        "merge": "o+ b+",
        "refer": "o+ b+",
        "chronic": "o+ b+",
        "break-glass": "*",
        "share-ask": "o+ b+",
        "consent": "o+ b+",
    },
    "provincial-expert": {"opine": "*g"},
    "health-manager": {"chronic": "o+ b+"},
    "quality": {"score": "o b", "statistics": "o b", "rules": "o b"},
    "director": {"statistics": "o b", "share-decide": "o b", "privacy-approve": "o b", "rules": "o b"},
    "technician": {"fleet": "o b"},
    "admin": {"accounts": "*", "organisations": "*"},
    "auditor": {"audit": "*"},
    "privacy-officer": {"privacy": "o b"},
}
_LETTER = {"own": "o", "below": "b", "outside": "x"}


def expected(role: str, action: str, standing: Standing) -> bool:
    letter, plus = _LETTER[standing.place], "+" if standing.assigned else ""
    # Only an emergency look opens what is kept for the law alone, and only to look.
    looks = action == "open" and standing.granted and standing.emergency
    if standing.restricted and action != "break-glass" and not looks:
        return False
    for sign in ALLOWED[role].get(action, "").split():
        if sign == "*" or (sign == "*g" and standing.granted):
            return True
        # What an unassigned person may do, an assigned one may too.
        if sign in (letter, letter + plus):
            return True
    return False


@pytest.mark.parametrize("role", get_args(Role))
def test_every_action_and_standing(role: Role) -> None:
    for action, place, *flags in product(get_args(Action), get_args(Place), *[(False, True)] * 4):
        standing = Standing(place, *flags)
        assert (denial(role, action, standing) is None) == expected(role, action, standing), (role, action, standing)


def test_the_technician_and_the_administrator_never_see_a_patient() -> None:
    for role, action in product(("technician", "admin", "auditor", "director"), ("list", "open", "report")):
        assert denial(role, action, Standing("own", True, True)) == "denied-role"


def test_a_denial_says_which_wall_it_met() -> None:
    assert denial("specialist", "open", Standing("outside", True)) == "denied-outside"
    assert denial("specialist", "open", Standing("below")) == "denied-unassigned"
    assert denial("village-doctor", "open", Standing("below")) == "denied-outside"
    assert denial("provincial-expert", "opine", Standing("own", True)) == "denied-grant"
    for action in ("list", "open"):
        assert denial("provincial-expert", action, Standing("outside", granted=True)) == "denied-role"
