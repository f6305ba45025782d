"""The permission matrix: every role, every action, every standing, against a table written down a second time."""

from itertools import product
from typing import get_args

import pytest

from zhenbao.hub.permission import Action, Place, Role, Standing, denial

# role: the standings that are allowed, by action. Letters: o own, b below, x outside; + assigned; g with a grant.
ALLOWED = {
    "village-doctor": {"list": "o o+ *g", "open": "o o+ *g", "refer": "o", "chronic": "o"},
    "township-doctor": {
        "list": "o o+ b b+ *g",
        "open": "o o+ b b+ *g",
        "report": "o+ b+",
        "loop": "o b",
        "merge": "o b",
        "refer": "o b",
        "chronic": "o b",
        "statistics": "o b",
        "break-glass": "*",
    },
    "operator": {"list": "o o+ b b+ *g", "assign": "o b", "loop": "o b", "statistics": "o b", "fleet": "o b"},
    "specialist": {
        "list": "o+ b+ *g",
        "open": "o+ b+ *g",
        "report": "o+ b+",
        "assign": "o+ b+",
        "loop": "o+ b+",
        "merge": "o+ b+",
        "refer": "o+ b+",
        "chronic": "o+ b+",
        "break-glass": "*",
    },
    "provincial-expert": {"list": "*g", "open": "*g"},
    "health-manager": {"chronic": "o+ b+"},
    "quality": {"statistics": "o b"},
    "director": {"statistics": "o b"},
    "technician": {"fleet": "o b"},
    "admin": {"accounts": "*", "organisations": "*"},
    "auditor": {"audit": "*"},
}
_LETTER = {"own": "o", "below": "b", "outside": "x"}


def expected(role: str, action: str, standing: Standing) -> bool:
    letter, plus = _LETTER[standing.place], "+" if standing.assigned else ""
    for sign in ALLOWED[role].get(action, "").split():
        if sign == "*" or (sign == "*g" and standing.granted):
            return True
        # What an unassigned person may do, an assigned one may too.
        if sign in (letter, letter + plus):
            return True
    return False


@pytest.mark.parametrize("role", get_args(Role))
def test_every_action_and_standing(role: Role) -> None:
    for action, place, assigned, granted in product(get_args(Action), get_args(Place), (False, True), (False, True)):
        standing = Standing(place, assigned, granted)
        assert (denial(role, action, standing) is None) == expected(role, action, standing), (role, action, standing)


def test_the_technician_and_the_administrator_never_see_a_patient() -> None:
    for role, action in product(("technician", "admin", "auditor", "director"), ("list", "open", "report")):
        assert denial(role, action, Standing("own", True, True)) == "denied-role"


def test_a_denial_says_which_wall_it_met() -> None:
    assert denial("specialist", "open", Standing("outside", True)) == "denied-outside"
    assert denial("specialist", "open", Standing("below")) == "denied-unassigned"
    assert denial("village-doctor", "open", Standing("below")) == "denied-outside"
    assert denial("provincial-expert", "open", Standing("own", True)) == "denied-grant"
