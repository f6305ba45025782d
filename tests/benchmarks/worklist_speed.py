"""How fast the hub's worklist is with thousands of open cases: server time of a whole answer, page and all.

``.venv/bin/python tests/benchmarks/worklist_speed.py [CASES]``. Each figure is the median of ten answers in one
process, beside the part of it that the database and the values take.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.hub.conftest import PASSWORD, ROSTER, HandClock, KitVoice, change_to
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore
from zhenbao.hub.store.listing import Filters
from zhenbao.hub.web.app import create_app
from zhenbao.hub.worklist import Worklist
from zhenbao.model.finding import Finding, Urgency

WANTED_MS = 200
BATCH = 50
SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜单曾仇查"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英雄信国建文玉兰"
RULES = (("EC19", Urgency.RED, "ecg"), ("BP02", Urgency.ORANGE, "bp"), ("EC34", Urgency.YELLOW, "ecg"))
RULES += (("BP04", Urgency.YELLOW, "bp"), ("BP05", Urgency.BLUE, "bp"))


def fill(store: HubStore, clock: HandClock, cases: int, chance: random.Random) -> float:
    """Take visits of one reading in, in batches; returns how many a second."""
    kit = KitVoice(store, clock)
    envelopes = []
    began = time.perf_counter()
    for number in range(cases):
        name = chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=chance.choice((1, 2))))
        rule, urgency, code = chance.choices(RULES, weights=(1, 4, 15, 40, 40))[0]
        patient = kit.patient(name=name, number=None)
        encounter = kit.encounter(patient)
        reading = kit.observation(encounter, Finding(rule, urgency, source="x"), code=code)
        envelopes += [kit.envelope(value) for value in (patient, encounter, reading)]
        if len(envelopes) >= 3 * BATCH or number == cases - 1:
            store.accept(envelopes, clock.now_ms())
            envelopes.clear()
        clock.pass_minutes(0.1)
    return cases / (time.perf_counter() - began)


def median_ms(act: Callable[[], Any], times: int = 10) -> float:
    act()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    clock = HandClock()
    with tempfile.TemporaryDirectory() as folder:
        store = HubStore(f"sqlite:///{folder}/hub.db", clock, ROSTER)
        people = {
            "desk": add_practitioner(
                store, "desk", name="调度", role="operator", specialty=None, phone="", password=PASSWORD
            ),
            "heart": add_practitioner(
                store, "heart", name="医师", role="specialist", specialty="cardiology", phone="", password=PASSWORD
            ),
        }
        rate = fill(store, clock, cases, random.Random(1))
        worklist = Worklist(store)
        print(f"{sum(worklist.overview().counts.values())} open cases, taken in at {rate:.0f} visits/s\n")
        print("| who | what | answer ms | of it database and values ms |\n|---|---|---|---|")
        worst = 0.0
        client = TestClient(
            create_app(store), base_url="http://127.0.0.1", headers={"accept-language": "zh-CN"}, follow_redirects=False
        )
        for login, person in people.items():
            csrf = change_to(client, login)
            asks: list[tuple[str, dict[str, Any], int]] = [
                ("first page", {}, 1),
                ("page 40", {}, 40),
                ("critical", {"urgency": "RED"}, 1),
                ("one specialty", {"specialty": "cardiology"}, 1),
                ("unclaimed", {"held": "unclaimed"}, 1),
                ("overdue", {"answered": "overdue"}, 1),
                ("with an ECG", {"kind": "ecg"}, 1),
                ("initials zw", {"q": "zw"}, 1),
                ("pinyin zhang", {"q": "zhang"}, 1),
                ("nobody found", {"q": "zzzz"}, 1),
            ]
            for name, fields, page in asks:
                data = {"csrf": csrf, "page": str(page), **fields}
                whole = median_ms(lambda data=data: client.post("/rows", data=data).raise_for_status())
                chosen = {**fields, "text": fields.get("q", "")}
                chosen.pop("q", None)
                if "urgency" in chosen:
                    chosen["urgency"] = Urgency(chosen["urgency"])
                filters = Filters(**chosen)
                values = median_ms(lambda f=filters, p=person, n=page: worklist.overview(p, f, page=n))
                worst = max(worst, whole)
                print(f"| {login} | {name} | {whole:.0f} | {values:.0f} |")
        store.close()
    print(f"\nworst {worst:.0f} ms, wanted below {WANTED_MS} ms")
    return int(worst >= WANTED_MS)


if __name__ == "__main__":
    sys.exit(main())
