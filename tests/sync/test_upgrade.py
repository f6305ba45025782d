"""What the version before had queued goes out after the upgrade, as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest
from store_key import KEY, raw

from zhenbao.agent.store import KitStore, schema
from zhenbao.sync.engine import Engine


def test_items_queued_by_the_version_before_go_out(
    tmp_path: Path, clock: Any, ward: Any, hub: Any, faulty_road: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "kit"
    reading = ward.reading()
    recording = ward.recording(reading, 20_000)
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:4])
        before.setattr(schema, "LATEST", 4)
        with KitStore.open(home, kit_id="kit-1", clock=clock, ballast_bytes=1 << 20, key=KEY) as old:
            ward.admit(old)
            old.save_observation(reading, [recording])
    # Ids and bodies as that version made them: a random id, a map with names.
    values = {str(v.id): v for v in (ward.patient, ward.encounter, reading, recording)}
    bodies = {id_: cbor2.dumps(msgspec.to_builtins(v, builtin_types=(bytes,))) for id_, v in values.items()}
    with raw(home) as file:
        for n, (id_, body) in enumerate(bodies.items()):
            digest = hashlib.sha256(body).digest()
            own = f"0198c0de-0000-7000-8000-{n:012x}"
            file.execute("update outbox set id = ?, sha256 = ? where subject_id = ?", (own, digest, id_))
            file.execute("update outbox set body = ? where subject_id = ? and body is not null", (body, id_))
            for table in ("patients", "encounters", "observations", "recordings"):
                file.execute(f"update {table} set body = ? where id = ?", (body, id_))  # noqa: S608
        assert file.execute("pragma user_version").fetchone() == (4,)
    road = faulty_road()
    ends = road.end("kit-1"), road.end("hub")
    with KitStore.open(home, kit_id="kit-1", clock=clock, ballast_bytes=1 << 20, key=KEY) as kit:
        assert kit.observation(reading.id) == reading
        assert kit.recording(recording.id) == recording
        kit.save_patient(ward.patient)
        assert kit.queue().total == 4, (
            "an unchanged patient is not queued again because its bytes are written otherwise"
        )
        engines = (
            Engine(kit, ends[0], clock, road.keyring_of("kit-1")),
            Engine(hub, ends[1], clock, road.keyring_of("hub")),
        )
        for end in ends:
            end.start()
        for _ in range(20):
            for engine in engines:
                engine.step()
            road.deliver()
            clock.pass_s(0.5)
        assert kit.queue().total == 0
    assert {str(e.subject_id): e.body for e, _ in hub.taken.values()} == bodies
    assert {str(e.id)[:23] for e, _ in hub.taken.values()} == {"0198c0de-0000-7000-8000"}
