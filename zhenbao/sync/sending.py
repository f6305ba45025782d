"""What goes out: the most urgent first, few bytes at a time, again after a while.

Small items go many in a packet; what is large is sealed once, kept, and goes in parts, between any two of which
something more urgent may go.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

from zhenbao.model.errors import LinkDown, Rejected
from zhenbao.model.report import Receipt
from zhenbao.model.time import Clock
from zhenbao.sync.envelope import Envelope, Lane, Waiting
from zhenbao.sync.events import Counts, Event
from zhenbao.sync.link import Link
from zhenbao.sync.mailbox import MailboxStore
from zhenbao.sync.messages import MOST_ITEMS, Ask, Hello, Message, Refusal
from zhenbao.sync.names import HUB
from zhenbao.sync.packet import Kind
from zhenbao.sync.parts import PART_BYTES, Part, count_of, encode_part, transfer_of
from zhenbao.sync.peers import Peer, pair_for
from zhenbao.sync.sealing import Sealer
from zhenbao.sync.standing import LAST_PROBE_S, LAST_RETRY_S, Handed, Sending, Standing, longest_s, retry_s

_log = logging.getLogger(__name__)
_ANY_TIME = (1 << 62) - 1
_DEEP_LOOK = 2000
_DEEP_LOOK_S = 5.0
"""The hub looks past what waits for kits that are away, but not all the time."""
_MOST_UNANSWERED = 10
"""How many windows may lie with a recipient that never answers."""
_TRIED_IN_SILENCE = 10
"""Items that are tried again in one packet while nobody answers; the others follow the first answer."""
_SMALL_BYTES = 4096
"""A body up to here goes with others."""
_BATCH_BYTES = 96 << 10
"""Of bodies in one packet, which come out at a tenth of it or less."""
_TOGETHER_BYTES = 4096
"""A packet of several items above is halved: what is under way cannot be overtaken, and this is half a second."""
_DIRECT_BYTES = 8192
"""A packet of one item above goes in parts."""
_SQUEEZED = 8
"""About how much smaller bodies become, for the look at the road before anything is sealed."""
_PARTS_UNDER_WAY = {Lane.CRITICAL: 3}
_PARTS_UNDER_WAY_ELSE = 2
"""Parts without an answer: a critical item waits behind no more."""
_MOST_BEGUN = 2
"""Transfers that are half sent to one recipient, of a lane and those more urgent: one ends before another begins, and
the second one uses the time while the first waits for an answer."""
_COMES_SEALED = "emergency"
"""It cannot be sealed anew, nor packed with others."""
_SHUT_OUT = frozenset({"packet-signer", "packet-revoked"})
_NOT_YET = frozenset({"packet-version", "packet-version-full", "transfer-quota"})
_SEAL_ANEW = frozenset({"packet-key", "transfer-damaged", "transfer-parts"})


class Dispatcher:
    """Hands to the link what is due.

    Args:
        batch: how many small items without a receipt may be under way to one recipient, counting those of the same
            lane and more urgent ones: nothing waits for a lower lane.
        window_bytes: how much may lie in the link's hands before items other than critical ones wait.
        may_go: whether an item may go over the road that there is now; what may not stays as it is, untried and in
            order. A lower lane never may where a higher one may not.
        speaks: False: nothing is signed here (a locked kit's key signs emergencies alone). What came sealed goes in
            parts; instead of asking what is there, a part is sent again, which is answered by the same.
    """

    def __init__(
        self,
        store: MailboxStore,
        link: Link,
        sealer: Sealer,
        clock: Clock,
        standings: defaultdict[str, Standing],
        counts: Counts,
        tell: Callable[[Event], None],
        rng: random.Random,
        *,
        batch: int,
        window_bytes: int,
        may_go: Callable[[Waiting], bool] = lambda item: True,
        speaks: bool = True,
    ) -> None:
        self._store = store
        self._link = link
        self._sealer = sealer
        self._clock = clock
        self._standings = standings
        self._counts = counts
        self._tell = tell
        self._rng = rng
        self._batch = batch
        self._window_bytes = window_bytes
        self._policy = may_go
        self._speaks = speaks
        self._deep_s = float("-inf")
        self._changed_keys: dict[str, int] = {}
        """Up to which packet of this start another key of ours was used, by peer."""

    def look_deep(self) -> None:
        """Somebody is back: look at everything that waits."""
        self._deep_s = float("-inf")

    def hello(self, name: str) -> None:
        """Tell the hub that we are on the line."""
        if self._speaks and (peer := self._sealer.keyring.peer(name)) is not None:
            self._send_quietly(peer, [Hello()])

    def answer(self) -> bool:
        """Send receipts and whatever else is to be said. They need not arrive: the other side asks again."""
        said = False
        if not self._speaks:
            for standing in self._standings.values():
                standing.answers.clear()
            return said
        for name, standing in list(self._standings.items()):
            if not standing.receipts and not standing.answers:
                continue
            peer = self._sealer.keyring.peer(name)
            while peer is not None and (standing.receipts or standing.answers):
                messages, standing.answers = standing.answers, []
                if some := standing.receipts[:MOST_ITEMS]:
                    messages = [self._sealer.receipts(peer, some), *messages]
                    del standing.receipts[:MOST_ITEMS]
                self._send_quietly(peer, messages)
                said = True
            standing.receipts.clear()
            standing.answers.clear()
        return said

    def send(self) -> bool:
        """Hand over what may go now. True if anything went.

        Raises:
            StorageError: the store.
        """
        limit = self._batch + sum(len(standing.handed) for standing in self._standings.values())
        items = self._store.due(_ANY_TIME, limit)
        if len(items) < limit:
            # That is all there is: what is not among it was settled by another engine on the same store.
            waiting = {item.id for item in items}
            for standing in self._standings.values():
                for gone in standing.handed.keys() - waiting:
                    del standing.handed[gone]
                    standing.sending.pop(gone, None)
        worked = self._ship([item for item in items if self._policy(item)])
        now_s = self._clock.monotonic_s()
        if worked or len(items) < limit or self._store.name != HUB or now_s < self._deep_s:
            return worked
        # Nothing of the first may go: they are for kits that are away. Others may stand behind them.
        self._deep_s = now_s + _DEEP_LOOK_S
        return self._ship(self._store.due(_ANY_TIME, limit + _DEEP_LOOK))

    def refused(self, name: str, refusal: Refusal) -> None:
        """The other side has not taken a packet of ours."""
        standing, now_s = self._standings[name], self._clock.monotonic_s()
        _log.warning("a packet was refused by %s: %s", name, refusal.code)
        self._tell(Event("packet-refused", reason=refusal.code))
        if refusal.code in _SHUT_OUT:
            if refusal.boot not in (b"", self._sealer.boot) and not refusal.transfer:
                return  # of a packet that somebody else sent in our name, or of a start before this
            if refusal.code == "packet-signer" and self._other_key(name, refusal):
                for each in standing.handed.values():
                    each.due_s = now_s
                return
            standing.shut_until_s = now_s + LAST_RETRY_S * self._rng.uniform(0.8, 1.2)
            return
        ids: Sequence[UUID] = ()
        if refusal.transfer:
            ids = [id_ for id_, sending in standing.sending.items() if sending.transfer == refusal.transfer]
        elif refusal.boot == self._sealer.boot:
            ids = standing.packets.pop(refusal.sequence, ())
        if refusal.code == "packet-dictionary":
            standing.dictionary = 0
        for id_ in ids:
            handed = standing.handed.get(id_)
            if handed is None:
                continue
            if refusal.code in _NOT_YET:
                handed.due_s = now_s + longest_s(handed.lane) * self._rng.uniform(0.8, 1.2)
            elif refusal.code == "packet-dictionary" or (refusal.code in _SEAL_ANEW and handed.tries < 3):
                self._store.drop_sealed(id_)
                standing.sending.pop(id_, None)
                handed.due_s, handed.in_parts = now_s, False
            elif refusal.code == "packet-key" and handed.kind != _COMES_SEALED:
                # No fault of the item's: the other side has other keys by now, and a new card is on its way.
                self._store.drop_sealed(id_)
                standing.sending.pop(id_, None)
                handed.due_s, handed.in_parts = now_s + longest_s(handed.lane) * self._rng.uniform(0.8, 1.2), False
            elif len(ids) > 1:
                # One of them, or all: each goes alone and is answered for itself.
                standing.alone.add(id_)
                handed.due_s = now_s
            else:
                self._set_aside(id_, refusal.code)

    def _other_key(self, name: str, refusal: Refusal) -> bool:
        """Whether there is another key to sign with: the one before the newest may have ended at the other side, which
        was given the newest without a word of it to us (a kit that lay in a drawer since it was registered).
        """
        keyring = self._sealer.keyring
        peer = keyring.peer(name)
        if refusal.boot == self._sealer.boot and refusal.sequence <= self._changed_keys.get(name, 0):
            return True  # signed before that was known
        if peer is None or not pair_for(keyring.own, peer)[1]:
            return False
        keyring.known(name, keyring.own.newest.public.sign_id)
        self._changed_keys[name] = self._sealer.sequence
        return True

    # Which, and in what order

    def _ship(self, items: Sequence[Waiting]) -> bool:
        """Walk through what is due, by lane; small ones of a recipient go together."""
        batches: dict[tuple[str, bool], list[Waiting]] = {}
        busy: set[str] = set()
        worked = False
        try:
            for item in items:
                alone = item.kind == _COMES_SEALED or item.id in self._standings[item.recipient].alone
                if alone or item.size_bytes > _SMALL_BYTES:
                    worked |= self._ship_batches(batches)
                    worked |= self._ship_large(item, items, busy)
                    continue
                batch = batches.setdefault((item.recipient, item.lane is Lane.CRITICAL), [])
                if self._may_go(item, batch):
                    batch.append(item)
                if len(batch) == MOST_ITEMS or sum(each.size_bytes for each in batch) > _BATCH_BYTES:
                    worked |= self._ship_batches(batches)
            worked |= self._ship_batches(batches)
        except LinkDown:
            pass
        return worked

    def _ship_batches(self, batches: dict[tuple[str, bool], list[Waiting]]) -> bool:
        made = [batch for batch in batches.values() if batch]
        batches.clear()
        worked = [self._ship_batch(batch) for batch in made]
        return any(worked)

    def _ship_batch(self, batch: Sequence[Waiting]) -> bool:
        peer = self._sealer.keyring.peer(batch[0].recipient)
        loaded = [envelope for item in batch if (envelope := self._store.load(item.id)) is not None]
        if peer is None or not loaded:
            return False
        standing = self._standings[peer.name]
        try:
            packet, number = self._sealer.seal(peer, loaded, dictionary=standing.dictionary)
            if len(loaded) == 1 and len(packet) > _DIRECT_BYTES:
                return self._in_parts(batch[0], peer, packet)
            if len(loaded) > 1 and len(packet) > _TOGETHER_BYTES:
                half = len(batch) // 2
                return self._ship_batch(batch[:half]) | self._ship_batch(batch[half:])
            self._link.send(peer.name, packet, urgent=batch[0].lane is Lane.CRITICAL)
        except Rejected as error:
            # Ours to refuse: set it aside by the same verb as if the other side had.
            if len(loaded) == 1:
                self._set_aside(loaded[0].id, error.code)
            else:
                standing.alone.update(envelope.id for envelope in loaded)
            return True
        standing.remember(number, tuple(envelope.id for envelope in loaded))
        self._counts.packets += 1
        self._handed(standing, loaded, len(packet))
        return True

    def _may_go(self, item: Waiting, with_it: Sequence[Waiting] = ()) -> bool:
        now_s = self._clock.monotonic_s()
        standing = self._standings[item.recipient]
        peer = self._sealer.keyring.peer(item.recipient)
        if peer is None or peer.revoked or now_s < standing.shut_until_s:
            return False
        known = standing.handed.get(item.id)
        if known is not None and now_s < known.due_s:
            return False
        # Where nobody answers, it is the road or the other side, and the whole window would be in vain.
        silent = known is not None and standing.answered_s < known.at_s
        if silent and (now_s < standing.quiet_until_s or len(with_it) >= _TRIED_IN_SILENCE):
            return False
        backlog = self._link.backlog_bytes
        size = (item.size_bytes + sum(each.size_bytes for each in with_it)) // _SQUEEZED
        if backlog and backlog + size >= self._window_bytes and (known or item.lane is not Lane.CRITICAL):
            return False
        under_way = len(with_it) + sum(
            1
            for id_, other in standing.handed.items()
            # What is overdue no longer counts, if others have been answered since: that item is bad, not the road.
            if id_ != item.id
            and not other.in_parts
            and other.lane <= item.lane
            and not other.answered
            and (now_s < other.due_s or standing.answered_s < other.at_s)
        )
        if under_way < self._batch:
            return True
        # Nobody answers: the next item goes alone, now and then, lest those under way are all bad ones.
        waited = now_s - standing.newest_s >= standing.probe_wait_s
        if with_it or known is not None or not waited or under_way >= _MOST_UNANSWERED * self._batch:
            return False
        standing.probe_wait_s = min(2 * standing.probe_wait_s, LAST_PROBE_S)
        return True

    # Large ones

    def _ship_large(self, item: Waiting, items: Sequence[Waiting], busy: set[str]) -> bool:
        """The next step of an item that may need parts. Each recipient has one of them at a time."""
        standing = self._standings[item.recipient]
        sending = standing.sending.get(item.id)
        if sending is None:
            if item.recipient in busy or self._waits_for_others(item, items) or self._others_begun(item):
                return False
            if not self._may_go(item):
                return False
            size = self._store.sealed_bytes(item.id)
            if size is None:
                # It stands in the way of less urgent ones only while it is there; sealed, it goes or is kept.
                return self._ship_batch([item])
            peer = self._sealer.keyring.peer(item.recipient)
            return peer is not None and self._begin(item, peer, size, must_ask=True)
        if item.recipient in busy or sending.all_there or self._waits_for_others(item, items):
            return self._ask_again(item, standing, sending)
        handed = standing.handed[item.id]
        now_s = self._clock.monotonic_s()
        if now_s >= handed.due_s:
            return self._ask_again(item, standing, sending)
        if sending.must_ask and standing.answered_s > handed.at_s:
            return False
        busy.add(item.recipient)
        return not sending.must_ask and self._some_parts(item, standing, sending)

    def _waits_for_others(self, item: Waiting, items: Sequence[Waiting]) -> bool:
        """Whether something more urgent for the same recipient is still under way, and not merely stuck."""
        standing, now_s = self._standings[item.recipient], self._clock.monotonic_s()
        for other in items:
            if other.lane >= item.lane:
                return False
            handed = standing.handed.get(other.id)
            if other.recipient == item.recipient and handed is not None and now_s < handed.due_s and handed.tries == 1:
                return True
        return False

    def _others_begun(self, item: Waiting) -> bool:
        """Whether enough transfers as urgent as this one, or more, are half sent: each takes room at the other end."""
        standing = self._standings[item.recipient]
        begun = sum(
            1
            for id_, sending in standing.sending.items()
            if not sending.all_there and (handed := standing.handed.get(id_)) is not None and handed.lane <= item.lane
        )
        return begun >= _MOST_BEGUN

    def _in_parts(self, item: Waiting, peer: Peer, packet: bytes) -> bool:
        self._store.keep_sealed(item.id, packet)
        # Another engine on the same store may have been faster: what is kept is what goes.
        size = self._store.sealed_bytes(item.id)
        return size is not None and self._begin(item, peer, size, must_ask=size != len(packet))

    def _begin(self, item: Waiting, peer: Peer, size: int, *, must_ask: bool) -> bool:
        standing = self._standings[peer.name]
        # The name of the transfer is the digest of what is kept; read once, in slices.
        name = transfer_of(self._store.sealed_slice(item.id, 0, size))
        must_ask &= self._speaks
        standing.sending[item.id] = Sending(name, count_of(size), size, must_ask=must_ask)
        known = standing.handed.get(item.id)
        now_s, tries = self._clock.monotonic_s(), known.tries + 1 if known else 1
        wait_s = retry_s(item.lane, tries, PART_BYTES, self._rng)
        standing.handed[item.id] = Handed(
            item.kind, item.lane, item.subject_id, now_s, now_s + wait_s, tries, in_parts=True
        )
        self._counts.sent += 1
        self._store.tried([item.id], self._clock.now_ms() + round(1000 * wait_s))
        if must_ask:
            self._send_quietly(peer, [Ask(name)])
            return True
        return self._some_parts(item, standing, standing.sending[item.id])

    def _some_parts(self, item: Waiting, standing: Standing, sending: Sending) -> bool:
        most = _PARTS_UNDER_WAY.get(item.lane, _PARTS_UNDER_WAY_ELSE)
        sent = False
        for number in range(sending.count):
            if len(sending.under_way) >= most:
                break
            if number in sending.have or number in sending.under_way:
                continue
            backlog = self._link.backlog_bytes
            if backlog and backlog + PART_BYTES > self._window_bytes and item.lane is not Lane.CRITICAL:
                break
            data = self._store.sealed_slice(item.id, number * PART_BYTES, PART_BYTES)
            if not data:
                standing.sending.pop(item.id, None)
                break
            try:
                part = encode_part(Part(sending.transfer, number, sending.count, data, item.lane))
                self._link.send(item.recipient, part, urgent=item.lane is Lane.CRITICAL)
            except Rejected as error:
                self._set_aside(item.id, error.code)
                return True
            sending.under_way.add(number)
            self._counts.parts += 1
            handed, now_s = standing.handed[item.id], self._clock.monotonic_s()
            handed.at_s = now_s
            handed.due_s = now_s + retry_s(item.lane, handed.tries, PART_BYTES * len(sending.under_way), self._rng)
            sent = True
        return sent

    def _ask_again(self, item: Waiting, standing: Standing, sending: Sending) -> bool:
        """No answer for too long: ask what is there."""
        handed, now_s = standing.handed.get(item.id), self._clock.monotonic_s()
        peer = self._sealer.keyring.peer(item.recipient)
        if handed is None or peer is None or now_s < handed.due_s or now_s < standing.shut_until_s:
            return False
        if (silent := standing.answered_s < handed.at_s) and now_s < standing.quiet_until_s:
            return False
        handed.tries += 1
        handed.at_s = now_s
        handed.due_s = now_s + retry_s(item.lane, handed.tries, PART_BYTES, self._rng)
        if silent:
            standing.quiet_until_s = handed.due_s
        sending.under_way.clear()
        sending.must_ask = self._speaks
        if not self._speaks and sending.all_there:
            sending.have.discard(0)
        self._counts.sent += 1
        self._store.tried([item.id], self._clock.now_ms() + round(1000 * (handed.due_s - now_s)))
        if not self._speaks:
            return self._some_parts(item, standing, sending)
        self._send_quietly(peer, [Ask(sending.transfer)])
        return True

    # Handing over

    def _handed(self, standing: Standing, envelopes: Sequence[Envelope], size: int) -> None:
        now_s = self._clock.monotonic_s()
        known = {e.id: standing.handed[e.id] for e in envelopes if e.id in standing.handed}
        most_urgent = min(envelope.lane for envelope in envelopes)
        # One wait for the whole packet: its items stay together.
        wait_s = retry_s(most_urgent, 1 + max((k.tries for k in known.values()), default=0), size, self._rng)
        if any(standing.answered_s < before.at_s for before in known.values()):
            standing.quiet_until_s = now_s + wait_s
        for envelope in envelopes:
            tries = known[envelope.id].tries + 1 if envelope.id in known else 1
            if tries == 1:
                standing.newest_s = now_s
            standing.handed[envelope.id] = Handed(
                envelope.kind, envelope.lane, envelope.subject_id, now_s, now_s + wait_s, tries
            )
        self._counts.sent += len(envelopes)
        self._store.tried([e.id for e in envelopes], self._clock.now_ms() + round(1000 * wait_s))

    def _set_aside(self, id_: UUID, code: str) -> None:
        envelope = self._store.load(id_)
        if envelope is None:
            return
        own = Receipt(id_, envelope.body_sha256, self._store.epoch, self._clock.now_ms(), refused=code)
        self._store.receipted([own])
        standing = self._standings[envelope.recipient]
        for held in (standing.handed, standing.sending):
            held.pop(id_, None)
        standing.alone.discard(id_)
        self._counts.refused += 1
        self._tell(Event("refused", envelope.kind, envelope.subject_id, code))

    def _send_quietly(self, peer: Peer, messages: Sequence[Message]) -> None:
        """What need not arrive: the other side asks again."""
        try:
            packet, _ = self._sealer.seal(
                peer, messages, Kind.ANSWERS, dictionary=self._standings[peer.name].dictionary
            )
            self._link.send(peer.name, packet, urgent=True)
        except (LinkDown, Rejected) as error:
            _log.debug("an answer could not be sent: %s", error.code)
