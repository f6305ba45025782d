"""A hub's mailbox as small as it can be, a road with faults, and values to send."""

from __future__ import annotations

import functools
import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from store_key import KEY

from zhenbao.agent.store import KitStore
from zhenbao.model.errors import LinkDown, Rejected
from zhenbao.model.identity import Sex
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.report import Receipt, Report
from zhenbao.sync.envelope import Envelope, Lane, Waiting, kind_of, pack, unpack
from zhenbao.sync.keys import Card, EmergencyKey, KeyPair, OwnKeys, card_of, read_card
from zhenbao.sync.mailbox import Transfer
from zhenbao.sync.messages import Message, decode, signed_receipts
from zhenbao.sync.packet import MOST_SEALED_BYTES, read_packet
from zhenbao.sync.parts import Part, is_part, make_room
from zhenbao.sync.peers import Peer, Signer, signer_on
from zhenbao.sync.sealing import Sealer


class HandClock:
    """Time that moves when it is told to."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.wall_ms = now_ms
        self.mono_s = 1000.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def sleep(self, seconds: float) -> None:
        self.pass_s(seconds)

    def pass_s(self, seconds: float) -> None:
        self.wall_ms += round(1000 * seconds)
        self.mono_s += seconds


@dataclass
class PlainMailbox:
    """``MailboxStore`` in a few dictionaries: what the engine is tried with, beside the real stores."""

    name: str
    peer: str
    epoch: str = "plain-epoch"
    outbox: dict[UUID, Envelope] = field(default_factory=dict)
    not_before: dict[UUID, int] = field(default_factory=dict)
    times_tried: dict[UUID, int] = field(default_factory=dict)
    taken: dict[UUID, tuple[Envelope, int]] = field(default_factory=dict)
    refused_in: dict[tuple[UUID, bytes], tuple[int, str]] = field(default_factory=dict)
    refused_out: dict[UUID, str] = field(default_factory=dict)
    silent_about: set[UUID] = field(default_factory=set)
    """Subjects at which this side stumbles: no receipt at all."""
    sealed: dict[UUID, bytes] = field(default_factory=dict)
    transfers: dict[tuple[str, bytes], tuple[int, dict[int, bytes], tuple[Receipt, ...]]] = field(default_factory=dict)
    future: list[tuple[str, bytes]] = field(default_factory=list)
    _sequence: int = 0

    def post(
        self, value: object, subject_id: UUID, *, lane: Lane = Lane.REPORTS, recipient: str | None = None
    ) -> Envelope:
        self._sequence += 1
        envelope = Envelope(
            uuid4(),
            self.name,
            recipient or self.peer,
            "boot",
            self._sequence,
            kind_of(value),  # type: ignore[arg-type]
            lane,
            subject_id,
            1,
            pack(value),  # type: ignore[arg-type]
        )
        self.outbox[envelope.id] = envelope
        return envelope

    def due(self, now_ms: int, limit: int) -> list[Waiting]:
        waiting = [e for e in self.outbox.values() if self.not_before.get(e.id, 0) <= now_ms]
        return [
            Waiting(
                e.id,
                e.recipient,
                e.boot,
                e.sequence,
                e.kind,
                e.lane,
                e.subject_id,
                e.created_ms,
                len(e.body),
                e.body_sha256,
            )
            for e in sorted(waiting, key=lambda e: (e.lane, e.sequence))[:limit]
        ]

    def load(self, envelope_id: UUID) -> Envelope | None:
        return self.outbox.get(envelope_id)

    def tried(self, envelope_ids: Sequence[UUID], not_before_ms: int) -> None:
        for envelope_id in envelope_ids:
            self.times_tried[envelope_id] = self.tries(envelope_id) + 1
            self.not_before[envelope_id] = not_before_ms

    def tries(self, envelope_id: UUID) -> int:
        return self.times_tried.get(envelope_id, 0)

    def receipted(self, receipts: Sequence[Receipt], proof: bytes = b"") -> list[bool]:
        return [self._receipted(receipt) for receipt in receipts]

    def _receipted(self, receipt: Receipt) -> bool:
        item = self.outbox.get(receipt.envelope_id)
        if item is None or item.body_sha256 != receipt.body_sha256:
            return False
        del self.outbox[receipt.envelope_id]
        self.sealed.pop(receipt.envelope_id, None)
        if receipt.refused:
            self.refused_out[receipt.envelope_id] = receipt.refused
        return True

    def accept(self, envelopes: Sequence[Envelope], now_ms: int) -> list[Receipt]:
        if any(envelope.subject_id in self.silent_about for envelope in envelopes):
            raise ValueError("a mistake in what follows from this item")
        return [self._accept(envelope, now_ms) for envelope in envelopes]

    def _accept(self, envelope: Envelope, now_ms: int) -> Receipt:
        receipt = Receipt(envelope.id, envelope.body_sha256, self.epoch, now_ms)
        if envelope.id in self.taken:
            first, at_ms = self.taken[envelope.id]
            if first.body == envelope.body:
                return replace(receipt, received_ms=at_ms, duplicate=True)
        key = (envelope.id, envelope.body_sha256)
        if key in self.refused_in:
            at_ms, reason = self.refused_in[key]
            return replace(receipt, received_ms=at_ms, duplicate=True, refused=reason)
        try:
            if envelope.id in self.taken:
                raise Rejected("other-body")
            unpack(envelope.kind, envelope.body)
        except Rejected as error:
            self.refused_in[key] = (now_ms, error.code)
            return replace(receipt, refused=error.code)
        self.taken[envelope.id] = (envelope, now_ms)
        return receipt

    def sealed_bytes(self, envelope_id: UUID) -> int | None:
        return len(self.sealed[envelope_id]) if envelope_id in self.sealed else None

    def keep_sealed(self, envelope_id: UUID, packet: bytes) -> None:
        self.sealed.setdefault(envelope_id, packet)

    def sealed_slice(self, envelope_id: UUID, start: int, size: int) -> bytes:
        return self.sealed.get(envelope_id, b"")[start : start + size]

    def drop_sealed(self, envelope_id: UUID) -> None:
        self.sealed.pop(envelope_id, None)

    def keep_parts(self, peer: str, parts: Sequence[Part], now_ms: int) -> None:
        for part in parts:
            mine = {key[1]: count for key, (count, _, done) in self.transfers.items() if key[0] == peer and not done}
            if (peer, part.transfer) not in self.transfers:
                for gone in make_room(list(mine.items()), part):
                    del self.transfers[peer, gone]
            count, kept, _ = self.transfers.setdefault((peer, part.transfer), (part.count, {}, ()))
            if count != part.count:
                raise Rejected("transfer-parts")
            kept.setdefault(part.number, part.data)

    def transfer(self, peer: str, transfer: bytes) -> Transfer | None:
        if (peer, transfer) not in self.transfers:
            return None
        count, kept, done = self.transfers[peer, transfer]
        return Transfer(count, frozenset(kept), done)

    def whole(self, peer: str, transfer: bytes) -> bytes:
        _, kept, _ = self.transfers[peer, transfer]
        return b"".join(kept[n] for n in sorted(kept))

    def end_transfer(self, peer: str, transfer: bytes, done: Sequence[Receipt], now_ms: int) -> None:
        count, _, _ = self.transfers.pop((peer, transfer), (0, {}, ()))
        if done:
            self.transfers[peer, transfer] = (count, {}, tuple(done))

    def keep_future(self, peer: str, packet: bytes, now_ms: int) -> bool:
        self.future.append((peer, packet))
        return True


class PlainKeyring:
    """``Keyring`` in a dictionary.

    Args:
        own: this side's keys.
        others: the cards of the others.
    """

    def __init__(self, own: OwnKeys, *others: OwnKeys) -> None:
        self.own = own
        self.peers = {keys.name: Peer(read_card(card_of(keys).data)) for keys in others}

    def peer(self, name: str) -> Peer | None:
        return self.peers.get(name)

    def signer(self, key_id: bytes) -> Signer | None:
        found = (signer_on(peer, key_id) for peer in self.peers.values())
        return next((signer for signer in found if signer is not None), None)

    def pin(self, card: Card) -> bool:
        if card.newest.number <= self.peers[card.name].card.newest.number:
            return False
        self.peers[card.name] = replace(self.peers[card.name], card=card)
        return True

    def known(self, name: str, sign_id: bytes) -> None:
        self.peers[name] = replace(self.peers[name], knows=sign_id)


@functools.cache
def keys_of(name: str) -> OwnKeys:
    """The keys of a side, the same in every test."""

    def secret(use: str) -> bytes:
        return hashlib.sha256(f"{use} of {name} in tests".encode()).digest()

    return OwnKeys(name, (KeyPair(1, secret("sign"), secret("seal"), 1),), EmergencyKey(name, secret("emergency")))


KITS = ("kit-1", "kit-2", "kit-3", "kit-away", "kit-near")


def keyring_of(name: str) -> PlainKeyring:
    """Fresh, of the hub with some kits registered, or of a kit with the hub pinned."""
    return PlainKeyring(keys_of(name), *(keys_of(other) for other in (KITS if name == "hub" else ("hub",))))


def opened(data: bytes) -> list[Message]:
    """The messages in a packet between the sides of these tests; of a part, none."""
    if is_part(data):
        return []
    packet = read_packet(data, MOST_SEALED_BYTES)
    header = packet.header
    pair = keys_of(header.recipient).sealed_for(header.seal_id)
    assert pair is not None
    signer = next(k for k in card_of(keys_of(header.sender)).keys if k.sign_id == packet.signed.key_id)
    packet.verify(signer.sign)
    return decode(packet.open(pair.seal_key), header.sender, header.recipient, signer)


def sealed_by(name: str, recipient: str, *messages: Message, **changes: object) -> bytes:
    """A packet of one side of these tests for another."""
    keyring = PlainKeyring(keys_of(name), keys_of(recipient))
    sealer = Sealer(str(changes.get("claims", name)), keyring)
    return sealer.seal(keyring.peers[recipient], messages)[0]


class FaultyRoad:
    """Two ends of a road that may lose, repeat, reorder and damage what it carries."""

    def __init__(self, *, loss: float = 0.0, repeat: float = 0.0, damage: float = 0.0, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.loss, self.repeat, self.damage = loss, repeat, damage
        self.ends: dict[str, RoadEnd] = {}
        self.carried: list[tuple[str, bytes]] = []
        self.urgent: list[bool] = []
        """Of each that was carried, what its sender said."""
        self._on_the_way: list[tuple[str, str, bytes]] = []

    keyring_of = staticmethod(keyring_of)
    sealed_by = staticmethod(sealed_by)
    opened = staticmethod(opened)

    @staticmethod
    def receipts_by(name: str, recipient: str, *receipts: Receipt) -> bytes:
        """A packet with receipts that one side gives another."""
        return sealed_by(name, recipient, signed_receipts(receipts, recipient, keys_of(name).newest))

    def messages_to(self, recipient: str) -> list[Message]:
        """What was carried to somebody, opened, in order."""
        return [message for to, data in self.carried if to == recipient for message in opened(data)]

    def end(self, name: str, **limits: int) -> RoadEnd:
        self.ends[name] = RoadEnd(self, name, **limits)
        return self.ends[name]

    def put(self, sender: str, recipient: str, data: bytes) -> None:
        self.carried.append((recipient, data))
        for _ in range(1 + (self.rng.random() < self.repeat)):
            if self.rng.random() >= self.loss:
                if self.rng.random() < self.damage:
                    at = self.rng.randrange(len(data))
                    data = data[:at] + bytes([data[at] ^ (1 << self.rng.randrange(8))]) + data[at + 1 :]
                self._on_the_way.append((sender, recipient, data))

    def deliver(self) -> None:
        """Hand over what is on the way, in any order where messages are repeated."""
        moving, self._on_the_way = self._on_the_way, []
        if self.repeat:
            self.rng.shuffle(moving)
        for sender, recipient, data in moving:
            if (end := self.ends.get(recipient)) is not None and end.connected:
                end.on_message(sender, data)


class RoadEnd:
    """A ``Link``."""

    def __init__(self, road: FaultyRoad, name: str, most_bytes: int = 1 << 30, backlog_bytes: int = 0) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.connected = False
        self.backlog_bytes = backlog_bytes
        self._road, self._name, self._most_bytes = road, name, most_bytes

    def start(self) -> None:
        self.connected = True
        self.on_up()

    def stop(self) -> None:
        self.connected = False
        self.on_down()

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        if len(data) > self._most_bytes:
            raise Rejected("link-too-large", size=len(data), most=self._most_bytes)
        if not self.connected:
            raise LinkDown("link-down")
        self._road.urgent.append(urgent)
        self._road.put(self._name, recipient, data)


class Ward:
    """A patient in a visit on a kit, and readings of it."""

    def __init__(self, kit_id: str = "kit-1") -> None:
        self.kit_id = kit_id
        self.patient = Patient(uuid4(), "演示患者甲", Sex.FEMALE, None, "999999196001010020")
        self.encounter = Encounter(uuid4(), self.patient.id, kit_id, 1_800_000_000_000)

    def admit(self, store: KitStore) -> None:
        store.save_patient(self.patient)
        store.save_encounter(self.encounter)

    def reading(self, code: str = "bp", **changes: object) -> Observation:
        reading = Observation(
            uuid4(),
            self.patient.id,
            self.encounter.id,
            self.kit_id,
            code,
            "preliminary",
            1_800_000_000_000,
            Device("typed"),
            {"bp_systolic": Quantity(128.0, "mm[Hg]")},
        )
        return replace(reading, **changes)  # type: ignore[arg-type]

    @staticmethod
    def recording(observation: Observation, size: int = 24_000) -> Recording:
        return Recording(
            uuid4(),
            observation.id,
            "flow",
            500.0,
            ("I", "II", "III"),
            "mV",
            0.001,
            1_800_000_000_000,
            random.Random(size).randbytes(size),
        )

    def report(self, *observations: Observation) -> Report:
        ids = tuple(o.id for o in observations)
        return Report(
            uuid4(),
            self.encounter.id,
            self.patient.id,
            ids,
            "演示医师",
            "心内科",
            "血压正常范围",
            "三个月后复测",
            "GREEN",
            1_800_000_100_000,
            "00" * 32,
        )


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ward() -> Ward:
    return Ward()


@pytest.fixture
def kit(tmp_path: Path, clock: HandClock) -> Iterator[KitStore]:
    with KitStore.open(tmp_path / "kit", kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 20) as store:
        yield store


@pytest.fixture
def hub() -> PlainMailbox:
    return PlainMailbox("hub", "kit-1")


@pytest.fixture
def plain_mailbox() -> type[PlainMailbox]:
    return PlainMailbox


@pytest.fixture
def faulty_road() -> type[FaultyRoad]:
    return FaultyRoad


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait until a condition holds; fail after a deadline."""

    def wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
        pause = threading.Event()
        for _ in range(round(seconds / 0.02)):
            if condition():
                return
            pause.wait(0.02)
        pytest.fail(f"not within {seconds} s")

    return wait
