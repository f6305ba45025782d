"""What comes in: verified, opened, committed, and only then answered."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby

from zhenbao.model.errors import Rejected, StorageError
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope, Lane
from zhenbao.sync.events import Counts, Event
from zhenbao.sync.keys import card_of, read_card
from zhenbao.sync.mailbox import MailboxStore
from zhenbao.sync.messages import Ask, CardKnown, CardShown, ClockShown, Have, Hello, Message, Receipts, Refusal
from zhenbao.sync.packet import MOST_SEALED_BYTES, VERSION
from zhenbao.sync.parts import Part, decode_part, is_part
from zhenbao.sync.peers import Signer, pair_for
from zhenbao.sync.sealing import Refused, Sealer
from zhenbao.sync.standing import FIRST_RETRY_S, Standing

_log = logging.getLogger(__name__)
_OWN_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a mistake in a store's own consequences raises. One item must not end the engine for all others."""
_MOST_TOGETHER, _MOST_TOGETHER_BYTES = 4, 1 << 20
"""Packets, and bytes of their items, of one commit. Three quarters of the disk's syncs are saved; with more the working
set outgrows the processor's cache, and the first waits longer for its receipt."""
Arrival = tuple[str, bytes]
"""(who the road says it is from, what came)"""
_Item = tuple[str, Envelope]
"""(on whose road it came, what)"""


class Receiver:
    """Takes in what arrives.

    Args:
        standings: how things stand with each peer; answers are left there.
        on_refusal: the other side did not take a packet of ours.
        on_hello: somebody is back.
    """

    def __init__(
        self,
        store: MailboxStore,
        sealer: Sealer,
        clock: Clock,
        standings: defaultdict[str, Standing],
        counts: Counts,
        tell: Callable[[Event], None],
        *,
        on_refusal: Callable[[str, Refusal], None],
        on_hello: Callable[[str], None],
        on_store_error: Callable[[StorageError], None],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._standings = standings
        self._counts = counts
        self._tell = tell
        self._on_refusal = on_refusal
        self._on_hello = on_hello
        self._on_store_error = on_store_error

    def take(self, arrivals: Sequence[Arrival]) -> None:
        """Work through what came, in order; parts that stand together are committed together.

        Raises:
            StorageError: ``store-damaged``.
        """
        for in_parts, group in groupby(arrivals, key=lambda a: is_part(a[1])):
            if not in_parts:
                self._packets(group)
                continue
            for road, of_one in groupby(group, key=lambda a: a[0]):
                with self._guarded():
                    self._parts(road, [data for _, data in of_one])

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self._on_store_error(error)

    # Packets

    def _packets(self, arrivals: Iterable[Arrival]) -> None:
        """Packets in their order; items of several are committed together, with one sync of the disk for all."""
        waiting: list[list[_Item]] = []
        size_bytes = 0
        for road, data in arrivals:
            with self._guarded():
                if (opened := self._opened(road, data)) is None:
                    continue
                signer, messages = opened
                waiting.append(items := self._items(road, messages))
                size_bytes += sum(len(item.body) for _, item in items)
                # What is critical waits for nothing; what else a packet says may change how the next one is read.
                if (
                    len(waiting) >= _MOST_TOGETHER
                    or size_bytes >= _MOST_TOGETHER_BYTES
                    or any(item.lane is Lane.CRITICAL for _, item in items)
                    or any(not isinstance(message, Envelope | ClockShown) for message in messages)
                ):
                    together, waiting, size_bytes = waiting, [], 0
                    self._commit(together)
                    self._others(road, signer, messages)
        with self._guarded():
            self._commit(waiting)

    def _commit(self, packets: Sequence[Sequence[_Item]]) -> None:
        try:
            self._envelopes([item for items in packets for item in items])
        except StorageError:
            if len(packets) == 1:
                raise
            # If it is not the disk, it is one of them: what one kit sends keeps nothing of another's out.
            for items in packets:
                with self._guarded():
                    self._envelopes(items)

    def _opened(self, road: str, data: bytes) -> tuple[Signer, list[Message]] | None:
        try:
            packet, signer = self._sealer.read(data, road)
            messages = self._sealer.open(packet, signer)
        except Refused as refused:
            self._refuse(road, refused)
            return None
        except Rejected as error:
            self._damaged(road, len(data), error)
            return None
        for message in messages:
            # Of a packet in parts it would be the time of sealing, which may be days ago.
            if isinstance(message, ClockShown):
                self._standings[road].clock_ahead_ms = message.now_ms - self._clock.now_ms()
        return signer, messages

    def _items(self, road: str, messages: Sequence[Message]) -> list[_Item]:
        ahead_ms = self._standings[road].clock_ahead_ms
        return [
            (road, replace(message, clock_ahead_ms=ahead_ms)) for message in messages if isinstance(message, Envelope)
        ]

    def _others(self, peer: str, signer: Signer, messages: Sequence[Message]) -> None:
        """What follows from all that is no item.

        Args:
            peer: on whose road it came, which is the signer or, of an emergency, one side of it: that one is answered.
        """
        for message in messages:
            match message:
                case Receipts():
                    self._receipts(peer, message)
                case Refusal():
                    self._counts.packets_refused += 1
                    self._on_refusal(peer, message)
                case Have():
                    self._have(peer, message)
                case Ask():
                    self._asked(peer, signer, message.transfer)
                case CardShown():
                    self._card(signer, message)
                case CardKnown():
                    self._sealer.keyring.known(peer, message.sign_id)
                case Hello():
                    before = self._standings.pop(peer, Standing())
                    # Everything to it is due again; what is still to be said to it is said.
                    self._standings[peer].receipts += before.receipts
                    self._standings[peer].answers += before.answers
                    self._standings[peer].clock_ahead_ms = before.clock_ahead_ms
                    own = self._sealer.keyring.own
                    if pair_for(own, signer.peer)[1]:
                        # It may have nothing to send for long, and learns our new keys all the same.
                        self._standings[peer].answers.append(CardShown(card_of(own).data))
                    self._on_hello(peer)
                case Envelope() | ClockShown():
                    pass

    def _envelopes(self, items: Sequence[_Item]) -> list[Receipt]:
        """Commit items; their receipts are left for those on whose roads they came."""
        if not items:
            return []
        now_ms = self._clock.now_ms()
        try:
            receipts = self._store.accept([envelope for _, envelope in items], now_ms)
        except _OWN_FAULTS as error:
            if (half := len(items) // 2) > 0:
                # One of them: the others are taken without it.
                return [*self._envelopes(items[:half]), *self._envelopes(items[half:])]
            # No receipt: the sender keeps it and tries again, after a repair with success.
            ((_, bad),) = items
            self._counts.faults += 1
            _log.error("an item of kind %s could not be taken in: %s", bad.kind, type(error).__name__)
            self._tell(Event("fault", bad.kind, bad.subject_id, type(error).__name__))
            return []
        for (road, envelope), receipt in zip(items, receipts, strict=True):
            self._standings[road].receipts.append(receipt)
            if receipt.refused:
                self._counts.refused_in += 1
                self._tell(Event("refused-in", envelope.kind, envelope.subject_id, receipt.refused))
            elif receipt.duplicate:
                self._counts.duplicates += 1
            else:
                self._counts.accepted += 1
                self._tell(Event("accepted", envelope.kind, envelope.subject_id))
        return receipts

    def _receipts(self, peer: str, message: Receipts) -> None:
        standing = self._answered(peer)
        others = [s for name, s in self._standings.items() if name != peer]
        mine = [r for r in message.receipts if not any(r.envelope_id in other.handed for other in others)]
        # Somebody answers for what was sent to somebody else.
        self._counts.damaged += len(message.receipts) - len(mine)
        for receipt, ended in zip(mine, self._store.receipted(mine, message.proof), strict=True):
            if not ended:
                self._counts.stray += 1
                if (known := standing.handed.get(receipt.envelope_id)) is not None:
                    known.answered = True
                continue
            standing.sending.pop(receipt.envelope_id, None)
            standing.alone.discard(receipt.envelope_id)
            handed = standing.handed.pop(receipt.envelope_id, None)
            kind, subject_id = (handed.kind, handed.subject_id) if handed else ("", None)
            if receipt.refused:
                self._counts.refused += 1
                _log.warning("an item of kind %s was refused by %s: %s", kind, peer, receipt.refused)
                self._tell(Event("refused", kind, subject_id, receipt.refused))
            else:
                self._counts.delivered += 1
                self._tell(Event("delivered", kind, subject_id))

    def _answered(self, peer: str) -> Standing:
        standing = self._standings[peer]
        standing.answered_s = self._clock.monotonic_s()
        standing.probe_wait_s = FIRST_RETRY_S
        return standing

    def _card(self, signer: Signer, message: CardShown) -> None:
        """A new generation, shown in a packet that the one before signed (or the new one, if the answer was lost)."""
        try:
            card = read_card(message.card)
        except Rejected as error:
            self._damaged(signer.peer.name, len(message.card), error)
            return
        if card.name == signer.peer.name and any(key.sign == signer.public for key in card.keys):
            self._sealer.keyring.pin(card)
            self._standings[signer.peer.name].answers.append(CardKnown(card.newest.sign_id))

    # Parts

    def _parts(self, road: str, datas: Sequence[bytes]) -> None:
        peer = self._sealer.keyring.peer(road)
        if peer is None or peer.revoked:
            self._counts.packets_refused_in += len(datas)
            if peer is not None:
                self._standings[road].answers.append(Refusal(b"", 0, "packet-revoked"))
            return
        parts: defaultdict[bytes, list[Part]] = defaultdict(list)
        for data in datas:
            try:
                part = decode_part(data)
            except Rejected as error:
                self._damaged(road, len(data), error)
            else:
                parts[part.transfer].append(part)
        for transfer, of_one in parts.items():
            try:
                known = self._store.transfer(road, transfer)
                if known is None or not known.done:
                    self._store.keep_parts(road, of_one, self._clock.now_ms())
            except Rejected as error:
                self._counts.packets_refused_in += 1
                self._standings[road].answers.append(Refusal(b"", 0, error.code, transfer))
                continue
            self._progress(road, transfer)

    def _progress(self, road: str, transfer: bytes) -> None:
        """Say what is there; take the packet in once it is whole."""
        known = self._store.transfer(road, transfer)
        answers = self._standings[road].answers
        if known is None:
            answers.append(Have(transfer, 0, frozenset()))
        elif known.done:
            self._standings[road].receipts += known.done
        elif len(known.have) < known.count:
            # One answer says it all: what was said before is out of date.
            answers[:] = [a for a in answers if not (isinstance(a, Have) and a.transfer == transfer)]
            answers.append(Have(transfer, known.count, known.have))
        else:
            self._whole(road, transfer, Have(transfer, known.count, known.have))

    def _whole(self, road: str, transfer: bytes, have: Have) -> None:
        now_ms = self._clock.now_ms()
        data = self._store.whole(road, transfer)
        try:
            packet, signer = self._sealer.read(data, road, MOST_SEALED_BYTES)
            messages = self._sealer.open(packet, signer)
        except Refused as refused:
            self._store.end_transfer(road, transfer, (), now_ms)
            self._refuse(road, refused, transfer)
        except Rejected as error:
            # A part was wrong: all of them are suspect.
            self._store.end_transfer(road, transfer, (), now_ms)
            self._damaged(road, len(data), error)
            self._standings[road].answers.append(Refusal(b"", 0, "transfer-damaged", transfer))
        else:
            try:
                receipts = self._envelopes(self._items(road, messages))
                self._others(road, signer, messages)
            except StorageError:
                self._standings[road].answers.append(have)
                raise
            if receipts:
                self._store.end_transfer(road, transfer, receipts, now_ms)
            else:
                self._standings[road].answers.append(have)

    def _have(self, peer: str, message: Have) -> None:
        standing = self._answered(peer)
        now_s = self._clock.monotonic_s()
        for id_, sending in standing.sending.items():
            if sending.transfer != message.transfer:
                continue
            sending.must_ask = False
            sending.have = set(message.parts) if message.count == sending.count else set()
            # What is neither there nor lately sent is sent again; parts overtake no parts on one road.
            newest = max(sending.have, default=-1)
            sending.under_way = {n for n in sending.under_way if n > newest} if message.count else set()
            if (handed := standing.handed.get(id_)) is not None:
                handed.tries = 1
                handed.due_s = max(handed.due_s, now_s + FIRST_RETRY_S)

    def _asked(self, peer: str, signer: Signer, transfer: bytes) -> None:
        if not signer.emergency_only:
            self._progress(peer, transfer)

    # What is not taken

    def _refuse(self, road: str, refused: Refused, transfer: bytes = b"") -> None:
        """Count it and, where a key of whoever sent it is known, say so."""
        code, packet = refused.reason.code, refused.packet
        self._counts.packets_refused_in += 1
        if code == "packet-version" and packet.header.version > VERSION and refused.signer is not None:
            kept = self._store.keep_future(refused.signer.peer.name, packet.data, self._clock.now_ms())
            code = code if kept else "packet-version-full"
        _log.warning("a packet of %d bytes from %s was refused: %s", len(packet.data), road, code)
        self._tell(Event("packet-refused-in", reason=code))
        # To the one whose road it came on: who signed it may be somebody else, who has not sent it.
        if self._sealer.keyring.peer(road) is not None:
            header = packet.header
            self._standings[road].answers.append(Refusal(header.boot, header.sequence, code, transfer))

    def _damaged(self, road: str, size: int, error: Rejected) -> None:
        self._counts.damaged += 1
        _log.warning("a message of %d bytes was dropped: %s", size, error.code)
        self._tell(Event("damaged", reason=error.code))
        if error.code in ("packet-size", "packet-downgrade") and self._sealer.keyring.peer(road) is not None:
            self._standings[road].answers.append(Refusal(b"", 0, error.code))
