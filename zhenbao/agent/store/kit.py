"""The kit's store: everything the village doctor has, and the kit's end of the mailbox."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

from zhenbao.agent.store import (
    attachments,
    captures,
    care,
    chest_pain,
    epochs,
    hub_time,
    inbox,
    outbox,
    queue_look,
    records,
    retention,
    syringe,
    transfers,
)
from zhenbao.agent.store.chest_pain import KeptNews
from zhenbao.agent.store.database import Database
from zhenbao.agent.store.moment import boot_id, moment
from zhenbao.agent.store.outbox import Sender
from zhenbao.agent.store.retention import Tidied
from zhenbao.agent.store.space import DEFAULT_BYTES, Level, Room
from zhenbao.agent.store.values import Account, Capture, InboxReport, KeptFile, Pruned, Quarantined, QueueStatus
from zhenbao.agent.vault.unlocked import unlocked_key
from zhenbao.model.attachment import Attachment
from zhenbao.model.chest_pain import CaseTime
from zhenbao.model.chronic import CareBrief, FollowUp
from zhenbao.model.errors import StorageError
from zhenbao.model.fleet import KitStatus
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import DeliveryState, Receipt
from zhenbao.model.syringe import SyringeRecord
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope, Lane, Waiting
from zhenbao.sync.mailbox import Transfer
from zhenbao.sync.parts import Part


class KitStore:
    """Implements ``sync.mailbox.MailboxStore``. Several processes may have it open; any thread may call.

    Every method may raise ``StorageError``; then nothing of what it was given was kept.
    """

    def __init__(self, database: Database, clock: Clock, kit_id: str, boot: str) -> None:
        """Use ``KitStore.open``."""
        self._database = database
        self._clock = clock
        self._kit_id = kit_id
        self._epoch = self._own_epoch(kit_id)
        # A database made anew in the same boot counts from 1 again: its epoch keeps the two apart.
        self._sender = Sender(kit_id, f"{boot}-{self._epoch[:8]}")
        if database.set_aside is not None:
            self._notify("store-set-aside", file=database.set_aside)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        kit_id: str,
        clock: Clock,
        key: bytes | None = None,
        ballast_bytes: int = DEFAULT_BYTES,
    ) -> KitStore:
        """Open the store in ``directory``; make, migrate, encrypt or, where it is damaged, replace it.

        Args:
            directory: the kit's folder; made with mode 0700 if it is not there.
            kit_id: whose store it is.
            key: the store's key; None: the one that the folder's vault holds since it was unlocked.
            ballast_bytes: disk space held back for critical readings.

        Raises:
            StorageError: ``store-full``, ``store-read-only``, ``store-permission``, ``store-io``, ``store-newer``,
                ``store-in-use``, ``store-busy``, ``store-other-kit`` or ``store-key``; ``vault-locked`` or
                ``vault-missing`` where no key is given.
        """
        boot = boot_id()
        database = Database(directory, key or unlocked_key(directory), clock, boot, ballast_bytes)
        try:
            return cls(database, clock, kit_id, boot)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the store; harmless when closed."""
        self._database.close()

    def __enter__(self) -> KitStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def notices(self) -> tuple[StorageError, ...]:
        """What a person must know of the store: a damaged database was put aside; the disk is nearly full."""
        kept = self._database.read("select code, facts from notices order by id")
        told = [StorageError(code, **json.loads(facts)) for code, facts in kept]
        room = self._database.room()
        if room.level is Level.RED or room.ecgs == 0 or not self._database.ballast.held:
            told.append(StorageError("store-low", free_mb=room.free_bytes >> 20))
        elif room.level is Level.YELLOW:
            told.append(StorageError("store-filling", ecgs=room.ecgs, free_mb=room.free_bytes >> 20))
        return tuple(told)

    def dismiss_notices(self) -> None:
        """A technician has seen to what the notices say."""
        self._database.write(lambda c: c.execute("delete from notices"))

    # Records

    def save_patient(self, patient: Patient) -> None:
        """Keep a patient and queue it; an unchanged one is not queued again.

        Raises:
            InputError: ``patient-known``, another patient has this resident number.
        """
        records.save_patient(self._database, self._sender, patient, self._clock.now_ms())

    def save_encounter(self, encounter: Encounter) -> None:
        """Keep an encounter and queue it; an unchanged one is not queued again. Its patient comes first."""
        records.save_encounter(self._database, self._sender, encounter, self._clock.now_ms())

    def save_observation(
        self,
        observation: Observation,
        recordings: Sequence[Recording] = (),
        *,
        lane: Lane = Lane.RESULTS,
        closes_capture: UUID | None = None,
    ) -> bool:
        """Keep a reading with its samples, queue them, and end its crash journal: all of it, or nothing.

        Args:
            lane: ``CRITICAL`` takes the recordings, the patient and the encounter along; otherwise recordings go
                in ``WAVEFORMS``.

        Returns:
            False where this very reading, or another of the same ``device_key`` from the same device (driver and
            serial number), had been kept before. The journal is ended all the same.

        Raises:
            StorageError: ``store-id-known``, the id is another reading's; ``store-order``, no such encounter.
        """
        return records.save_observation(
            self._database,
            self._sender,
            observation,
            recordings,
            lane=lane,
            closes_capture=closes_capture,
            now_ms=self._clock.now_ms(),
        )

    def patients(self, query: str = "", *, limit: int = 100) -> list[Patient]:
        """Patients by a part of the name or the end of the number, the newest first."""
        return records.patients(self._database, query, limit)

    def patient(self, patient_id: UUID) -> Patient | None:
        return self._one(Patient, "where id = ?", str(patient_id))

    def patient_by_number(self, number: str) -> Patient | None:
        return self._one(Patient, "where resident_number = ?", number)

    def encounter(self, encounter_id: UUID) -> Encounter | None:
        return self._one(Encounter, "where id = ?", str(encounter_id))

    def last_encounter(self) -> Encounter | None:
        """The encounter that was begun last, by order of saving and not by any clock."""
        return self._one(Encounter, "order by rowid desc limit 1")

    def observations(
        self, encounter_id: UUID | None = None, *, patient_id: UUID | None = None, limit: int | None = None
    ) -> list[Observation]:
        """Readings in order of saving; ``limit`` keeps the last ones."""
        found = records.find(
            self._database,
            Observation,
            "where (?1 is null or encounter_id = ?1) and (?2 is null or patient_id = ?2) order by rowid desc limit ?3",
            None if encounter_id is None else str(encounter_id),
            None if patient_id is None else str(patient_id),
            -1 if limit is None else limit,
        )
        return found[::-1]

    def observation(self, observation_id: UUID) -> Observation | None:
        return self._one(Observation, "where id = ?", str(observation_id))

    def recording(self, recording_id: UUID) -> Recording | None:
        return self._one(Recording, "where id = ?", str(recording_id))

    def recordings_of(self, observation_id: UUID) -> list[Recording]:
        return records.find(self._database, Recording, "where observation_id = ? order by rowid", str(observation_id))

    def pruned_of(self, observation_id: UUID) -> list[Pruned]:
        """Waveforms and files of a reading that the hub has and this kit has let go."""
        return retention.pruned_of(self._database, observation_id)

    def save_attachments(self, observation: Observation, files: Sequence[Attachment]) -> None:
        """Keep an examination with its files and queue them, the files in ``BULK``: all of it, or nothing.

        Raises:
            StorageError: ``store-id-known``, one of them is here already; ``store-order``, no such encounter.
        """
        attachments.save(self._database, self._sender, observation, files, self._clock.now_ms())

    def attachments(self, encounter_id: UUID) -> list[KeptFile]:
        """The files of a visit, in order of saving, without their content."""
        return attachments.of_encounter(self._database, encounter_id)

    def attachment(self, attachment_id: UUID) -> Attachment | None:
        """One file; None where there is none such, or it was pruned."""
        return attachments.find(self._database, attachment_id)

    # Room

    def room(self) -> Room:
        """What can still be kept."""
        return self._database.room()

    def tidy(self, *, stopped: Callable[[], bool] = lambda: False) -> Tidied:
        """Prune what the rules of retention let go; ``stopped`` is asked between small transactions."""
        return retention.tidy(self._database, self._clock.now_ms(), stopped=stopped)

    # Delivery

    def delivery(self, subject_id: UUID) -> dict[DeliveryState, int]:
        """The states a value has reached, each with the kit's time (Unix ms)."""
        rows = self._database.read("select state, at_ms from states where subject_id = ?", (str(subject_id),))
        times = {DeliveryState(state): at_ms for state, at_ms in rows}
        return {state: times[state] for state in DeliveryState if state in times}

    def peer_times(self, subject_id: UUID) -> dict[DeliveryState, int]:
        """The hub's own time for each state it told: received, opened, signed (Unix ms)."""
        rows = self._database.read(
            "select state, peer_ms from states where subject_id = ? and peer_ms is not null", (str(subject_id),)
        )
        return {DeliveryState(state): peer_ms for state, peer_ms in rows}

    def queue(self) -> QueueStatus:
        """What is not yet at the hub."""
        return outbox.status(self._database)

    def lanes(self) -> list[queue_look.LaneLook]:
        """What waits, lane by lane, with its size."""
        return queue_look.lanes(self._database)

    def account(self) -> Account:
        """What was posted in all, and what the hub has receipted."""
        return outbox.account(self._database)

    def quarantined(self) -> list[Quarantined]:
        """What one side refused, the newest first."""
        return inbox.quarantined(self._database)

    def release(self, envelope_id: UUID) -> bool:
        """Send a refused item again, after its cause was removed. False where no such item was refused."""
        return outbox.release(self._database, envelope_id)

    def post_sealed(self, packet: bytes, subject_id: UUID) -> UUID:
        """Queue an emergency that ``sync.sealing.seal_to`` sealed while this store was closed; the same one goes once.

        Args:
            subject_id: of the emergency: its delivery states are kept by it.

        Raises:
            Rejected: ``message`` or ``packet-size``.
        """
        return outbox.post_sealed(self._database, self._sender, packet, subject_id, self._clock.now_ms())

    def proofs(self, subject_id: UUID) -> list[bytes]:
        """What the hub signed when it took in a value's versions, in order: read with ``messages.read_receipts``."""
        return outbox.proofs(self._database, subject_id)

    # Reports

    def inbox(self, *, limit: int | None = None) -> list[InboxReport]:
        """Reports, the last that arrived first."""
        return inbox.reports(self._database, limit)

    def read_report(self, report_id: UUID, now_ms: int) -> bool:
        """The village doctor opened it: note that and tell the hub, once.

        Returns:
            False where it was read before, or is not here.
        """
        return inbox.read_report(self._database, self._sender, report_id, now_ms)

    # The chest-pain channel

    def note_time(
        self, encounter_id: UUID, milestone: str, *, at_ms: int | None = None, told: bool = False
    ) -> CaseTime:
        """Keep an instant of a chest-pain visit and queue it as critical.

        Args:
            at_ms: when it was, by the kit's clock; None: now.
            told: somebody said so; the kit has not seen it itself.

        Raises:
            StorageError: ``store-order``, no such visit.
        """
        now = moment(self._clock)
        return chest_pain.note(self._database, self._sender, encounter_id, milestone, now, at_ms=at_ms, told=told)

    def times(self, encounter_id: UUID) -> list[CaseTime]:
        """The instants of a visit in the order of their noting; the last of a milestone counts."""
        return chest_pain.times(self._database, encounter_id)

    def channel_news(self, encounter_id: UUID | None = None) -> list[KeptNews]:
        """What the hub told of a visit's channel (or of all), the newest first."""
        return chest_pain.all_news(self._database, encounter_id)

    def read_news(self, encounter_id: UUID) -> bool:
        """The village doctor sees the news of a visit: note that and tell the hub. False where nothing was new."""
        return chest_pain.read_news(self._database, self._sender, encounter_id, moment(self._clock))

    # Chronic care, and the kit's account of itself

    def care_briefs(self, patient_id: UUID | None = None) -> list[CareBrief]:
        """What the hub told last, of one patient or of all."""
        return care.briefs(self._database, patient_id)

    def plans(self, patient_id: UUID | None = None) -> list[care.KeptPlan]:
        """Discharge plans, the last that arrived first."""
        return care.plans(self._database, patient_id)

    def read_plan(self, plan_id: UUID) -> None:
        """The village doctor opened it."""
        care.read_plan(self._database, plan_id, self._clock.now_ms())

    def save_follow_up(self, value: FollowUp) -> None:
        """Keep a follow-up and queue it."""
        care.save_follow_up(self._database, self._sender, value, self._clock.now_ms())

    def follow_ups(self, patient_id: UUID | None = None) -> list[FollowUp]:
        """What was written here, in order of saving."""
        return care.follow_ups(self._database, patient_id)

    def post_status(self, make: Callable[[], KitStatus]) -> bool:
        """Queue the kit's account of itself, at most hourly; False where it is too soon."""
        return care.post_status(self._database, self._sender, make, self._clock.now_ms())

    def last_visit_ms(self, patient_id: UUID) -> int | None:
        """When a patient was last here, by the kit's clock."""
        ((found,),) = self._database.read(
            "select max(started_ms) from encounters where patient_id = ?", (str(patient_id),)
        )
        return None if found is None else int(found)

    # The crash journal

    def begin_capture(self, encounter_id: UUID, code: str, detail: dict[str, Any]) -> UUID:
        """Begin a journal. ``detail`` must be JSON."""
        return captures.begin(self._database, encounter_id, code, detail, self._clock.now_ms())

    def add_part(self, capture_id: UUID, kind: str, body: bytes) -> None:
        """Keep a part; it is on the disk when this returns.

        Raises:
            StorageError: ``store-order``, the journal was ended.
        """
        captures.add_part(self._database, capture_id, kind, body)

    def parts(self, capture_id: UUID) -> list[tuple[str, bytes]]:
        """Kind and body of each part, in order."""
        return captures.parts(self._database, capture_id)

    def open_captures(self, encounter_id: UUID | None = None) -> list[Capture]:
        """Journals that no observation has ended, the oldest first."""
        return captures.opened(self._database, encounter_id)

    def drop_capture(self, capture_id: UUID) -> bool:
        """Forget a journal and its parts. False where there is none such."""
        return captures.drop(self._database, capture_id)

    # Small things

    def device_sequence(self, device_serial: str) -> int | None:
        """Sequence number of the last record fetched from a device."""
        rows = self._database.read("select sequence from device_sequences where serial = ?", (device_serial,))
        return int(rows[0][0]) if rows else None

    def set_device_sequence(self, device_serial: str, sequence: int) -> None:
        self._database.write(
            lambda c: c.execute(
                "insert into device_sequences values (?, ?)"
                " on conflict(serial) do update set sequence = excluded.sequence",
                (device_serial, sequence),
            )
        )

    def add_syringe_check(self, record: SyringeRecord) -> None:
        """Keep a verification of a flow sensor."""
        syringe.add(self._database, record)

    def syringe_checks(self, sensor: str | None = None, *, limit: int = 50) -> list[SyringeRecord]:
        """The last verifications, in order of saving."""
        return syringe.find(self._database, sensor, limit)

    def set_aside(self, device_key: str, code: str, reason: str, body: bytes) -> bool:
        """Keep a device's result that belongs to no chart. False where it was kept before."""
        row = (device_key, code, reason, self._clock.now_ms(), body)
        return self._database.write(
            lambda c: (
                c.execute("insert into set_aside values (?, ?, ?, ?, ?) on conflict do nothing", row).rowcount == 1
            )
        )

    def setting(self, key: str) -> str | None:
        rows = self._database.read("select value from settings where key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_setting(self, key: str, value: str) -> None:
        self._database.write(
            lambda c: c.execute(
                "insert into settings values (?, ?) on conflict(key) do update set value = excluded.value", (key, value)
            )
        )

    # MailboxStore

    @property
    def name(self) -> str:
        return self._kit_id

    @property
    def epoch(self) -> str:
        return self._epoch

    def due(self, now_ms: int, limit: int) -> list[Waiting]:
        return outbox.due(self._database, now_ms, limit)

    def load(self, envelope_id: UUID) -> Envelope | None:
        return outbox.load(self._database, self._sender, envelope_id, self._clock.now_ms())

    def tried(self, envelope_ids: Sequence[UUID], not_before_ms: int) -> None:
        outbox.tried(self._database, envelope_ids, not_before_ms)

    def tries(self, envelope_id: UUID) -> int:
        return outbox.tries(self._database, envelope_id)

    def receipted(self, receipts: Sequence[Receipt], proof: bytes = b"") -> list[bool]:
        now_ms = self._clock.now_ms()

        def answered(connection: sqlite3.Connection, receipt: Receipt) -> None:
            hub_time.note(connection, receipt, now_ms)
            epochs.notice(connection, self._sender, receipt.store_epoch, now_ms)

        return outbox.receipted(self._database, receipts, proof, now_ms, answered)

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        now = replace(moment(self._clock), now_ms=now_ms)
        return inbox.accept(self._database, self._sender, self._epoch, envelopes, now)

    def sealed_bytes(self, envelope_id: UUID) -> int | None:
        return transfers.sealed_bytes(self._database, envelope_id)

    def keep_sealed(self, envelope_id: UUID, packet: bytes) -> None:
        transfers.keep_sealed(self._database, envelope_id, packet)

    def sealed_slice(self, envelope_id: UUID, start: int, size: int) -> bytes:
        return transfers.sealed_slice(self._database, envelope_id, start, size)

    def drop_sealed(self, envelope_id: UUID) -> None:
        transfers.drop_sealed(self._database, envelope_id)

    def keep_parts(self, peer: str, parts: Sequence[Part], now_ms: int) -> None:
        transfers.keep_parts(self._database, peer, parts, now_ms)

    def transfer(self, peer: str, transfer: bytes) -> Transfer | None:
        return transfers.transfer(self._database, peer, transfer)

    def whole(self, peer: str, transfer: bytes) -> bytes:
        return transfers.whole(self._database, peer, transfer)

    def end_transfer(self, peer: str, transfer: bytes, done: Sequence[Receipt], now_ms: int) -> None:
        transfers.end_transfer(self._database, peer, transfer, done, now_ms)

    def keep_future(self, peer: str, packet: bytes, now_ms: int) -> bool:
        return transfers.keep_future(self._database, peer, packet, hashlib.sha256(packet).digest(), now_ms)

    # Inside

    def _one(self, type_: type[records.V], where: str, *parameters: object) -> records.V | None:
        found = records.find(self._database, type_, where, *parameters)
        return found[0] if found else None

    def _own_epoch(self, kit_id: str) -> str:
        """Check whose database this is, and read its name; a new one gets both."""

        def read_or_make(connection: sqlite3.Connection) -> dict[str, str]:
            for key, value in (("kit_id", kit_id), ("epoch", secrets.token_hex(16))):
                connection.execute("insert into meta values (?, ?) on conflict do nothing", (key, value))
            return dict(connection.execute("select key, value from meta").fetchall())

        meta = dict(self._database.read("select key, value from meta"))
        if "epoch" not in meta:
            meta = self._database.write(read_or_make, urgent=True)
        if meta["kit_id"] != kit_id:
            raise StorageError("store-other-kit", found=meta["kit_id"], wanted=kit_id)
        return str(meta["epoch"])

    def _notify(self, code: str, **facts: object) -> None:
        row = (code, json.dumps(facts, default=os.fspath), self._clock.now_ms())
        self._database.write(
            lambda c: c.execute("insert into notices (code, facts, at_ms) values (?, ?, ?)", row), urgent=True
        )
