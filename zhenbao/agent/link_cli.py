"""``zhenbao link``, and the lines of the queue that say what waits and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.model.errors import DeviceError
from zhenbao.sync.uplink.choice import Road
from zhenbao.sync.uplink.look import UNKNOWN
from zhenbao.sync.uplink.picture import Picture, load_picture
from zhenbao.sync.uplink.policy import BYTES_OF_MB, decide, is_metered, policy, strength
from zhenbao.sync.uplink.state import Kind, Registration, Sim, Uplink

if TYPE_CHECKING:
    from zhenbao.agent.kit import Kit
    from zhenbao.words import Words


def show_link(kit: Kit, picture: Picture, *, can_ask: bool) -> None:
    """Every road, whether the hub answers, what the month has cost, and what waits."""
    screen = kit.screen
    if not picture.roads:
        screen.say("uplink.none")
    for road in picture.roads:
        screen.say("uplink.road", **_road_words(screen.words, road, in_use=road.name == picture.choice.name))
    for code in picture.trouble:
        # Without a bus the modem's own port or a probe may still tell enough: it is said only where nothing did.
        if code.startswith("modem-") or all(road.uplink == UNKNOWN for road in picture.roads):
            screen.trouble(DeviceError(code, port=kit.settings.modem_port))
    if not can_ask:
        screen.say("uplink.no_probe_url")
    elif picture.answered is not None:
        screen.say("uplink.online" if picture.answered else "uplink.offline")
    screen.say(
        "uplink.used",
        used=f"{picture.used_bytes / BYTES_OF_MB:.1f}",
        most=policy().monthly_bytes // BYTES_OF_MB,
    )
    screen.event(
        "link", roads=picture.roads, chosen=picture.choice.name, answered=picture.answered,
        used_bytes=picture.used_bytes, trouble=picture.trouble,
    )  # fmt: skip
    if kit.store.queue().total:
        screen.say("uplink.queue_head")
        _show_lanes(kit, picture, also_going=True)


def show_waiting(kit: Kit) -> None:
    """The lanes that wait for another road, as the service last saw it; nothing where no service watches."""
    picture = load_picture(kit.home, kit.clock.now_ms())
    if picture is not None:
        _show_lanes(kit, picture, also_going=False)


def _show_lanes(kit: Kit, picture: Picture, *, also_going: bool) -> None:
    now = picture.situation(kit.clock.now_ms())
    for lane, count in sorted(kit.store.queue().waiting.items()):
        if not count:
            continue
        decision = decide(lane, now)
        what = kit.screen.words(f"uplink.lane.{lane.name.lower()}")
        if not decision.allowed:
            text = kit.screen.words(f"uplink.waits.{decision.reason}", what=what, count=count)
            kit.screen.say("uplink.queue_waits", text=text)
        elif also_going:
            kit.screen.say("uplink.queue_goes", what=what, count=count)
        kit.screen.event(
            "waiting", lane=lane.name.lower(), count=count, allowed=decision.allowed, reason=decision.reason
        )


def _road_words(words: Words, road: Road, *, in_use: bool) -> dict[str, str]:
    uplink = road.uplink
    details = [*_cellular(words, uplink)] if uplink.kind is Kind.CELLULAR else []
    if uplink.up is False:
        details.append(words("uplink.down"))
    else:
        details += [_cost(words, uplink), _answer(words, road)]
    return {
        "mark": words("uplink.in_use" if in_use else "uplink.other"),
        "kind": words(f"uplink.kind.{uplink.kind}"),
        "interface": words("uplink.interface", name=uplink.interface) if uplink.interface else "",
        "details": words("uplink.separator").join(details),
    }


def _cellular(words: Words, uplink: Uplink) -> list[str]:
    told = []
    if uplink.sim not in (None, Sim.READY):
        told.append(words(f"uplink.sim.{uplink.sim}"))
    if uplink.radio is not None:
        told.append(words(f"uplink.radio.{uplink.radio}") + (f" {uplink.band}" if uplink.band else ""))
    if uplink.plmn:
        key = f"uplink.operator.{uplink.plmn}"
        told.append(words(key) if key in words else uplink.plmn)
    if uplink.registration not in (None, Registration.HOME):
        told.append(words(f"uplink.registration.{uplink.registration}"))
    if uplink.registration is not None and not uplink.registration.carries_data:
        return told
    signals = (("uplink.signal", uplink.signal), ("uplink.nr_signal", uplink.nr_signal))
    for key, signal in signals:
        if signal is not None and (word := strength(signal)) is not None:
            told.append(words(key, word=words(f"uplink.strength.{word}"), rsrp=f"{signal.rsrp_dbm:.0f}"))
    if strength(uplink.signal) is None:
        told.append(words("uplink.signal_unknown"))
    return told


def _cost(words: Words, uplink: Uplink) -> str:
    known = "" if uplink.metered is not None else "_unknown"
    return words(f"uplink.{'metered' if is_metered(uplink) else 'free'}{known}")


def _answer(words: Words, road: Road) -> str:
    if road.answered and road.round_trip_s is not None:
        return words("uplink.answered", seconds=f"{road.round_trip_s:.2f}")
    return words(f"uplink.miss.{road.miss}") if road.miss is not None else words("uplink.not_asked")
