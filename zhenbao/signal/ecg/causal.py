"""Which candidates are beats, told while the recording runs: the rules of :mod:`path`, one candidate at a time.

Plain Python on a handful of numbers: for the few candidates of a second that is faster than arrays.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from zhenbao.signal.ecg.candidates import Bins, Candidates
from zhenbao.signal.ecg.choose import choose_beats
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.tuning import TUNING, Tuning


@dataclass(slots=True)
class _Node:
    """A candidate that is not decided yet, or the last beat."""

    at: int
    time_s: float
    height: float
    sharp: float
    gain: float
    best: float = 0.0
    before: int = -1


def quantile(ordered: list[float], q: float) -> float:
    """Of an ascending list, interpolated."""
    place = q * (len(ordered) - 1)
    low = int(place)
    high = low + 1 if low + 1 < len(ordered) else low
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def median(values: deque[float]) -> float:
    """Of a few values."""
    return quantile(sorted(values), 0.5)


class CausalChooser:
    """Takes the envelope as it comes; gives beats, ascending, as inner indices."""

    def __init__(self, rate_hz: float, tuning: Tuning = TUNING) -> None:
        self._rate_hz, self._tuning = rate_hz, tuning
        self._apart = max(1, round(tuning.apart_s * rate_hz))
        self._beside = max(1, round(tuning.sharp_reach_s * rate_hz))
        self._around = max(self._apart, self._beside)
        self.bin_length = max(1, round(tuning.bin_s * rate_hz))
        self._height = [0.0] * self._around
        self._sharp = [0.0] * self._around
        self._next = 0
        self._bin: list[float] = []
        self._highest: deque[float] = deque(maxlen=tuning.bins_far + 1)
        self._middle: deque[float] = deque(maxlen=tuning.bins_quiet + 1)
        self._bins_done = 0
        self._near = self._floor = self._between = 0.0
        self._recent: deque[tuple[int, float, float]] = deque()
        """Candidates of the last ``relearn_memory_s``, for when everything is to be judged anew."""
        self._nodes: list[_Node] = []
        """The last beat, if any, and what came after it."""
        self._anchored = False
        self._heights: deque[float] = deque(maxlen=tuning.near_beats)
        self._intervals: deque[float] = deque(maxlen=tuning.rhythm_beats)
        self._noises: deque[float] = deque(maxlen=tuning.rhythm_beats)
        self._contrasts: deque[float] = deque(maxlen=tuning.rhythm_beats)
        self._learned_at = -1

    @property
    def reach(self) -> int:
        """Values that must follow a maximum before it is judged."""
        return self._around

    def push(self, height: Floats, sharp: Floats) -> list[int]:
        """Add values of the envelope and the sharp band; return beats that are now certain."""
        heights = height.tolist()
        self._fill_bins(heights)
        self._height += [h if h == h else 0.0 for h in heights]
        self._sharp += sharp.tolist()
        self._search()
        return self._decide(final=False)

    def flush(self) -> list[int]:
        """The recording has ended: the beats that were still doubtful."""
        self._height += [0.0] * self._around
        self._sharp += [0.0] * self._around
        self._search()
        return self._decide(final=True)

    def _fill_bins(self, heights: list[float]) -> None:
        self._bin += heights
        length, tuning = self.bin_length, self._tuning
        while len(self._bin) >= length:
            known = sorted(h for h in self._bin[:length] if h == h)
            del self._bin[:length]
            lost = 2 * len(known) < length
            self._highest.append(math.nan if lost else known[-1])
            self._middle.append(math.nan if lost else known[(len(known) - 1) // 2])
            self._bins_done += 1
            highest, middle = list(self._highest), list(self._middle)
            pairs = [max(a, b) for a, b in itertools.pairwise(highest) if a == a and b == b] or [
                h for h in highest if h == h
            ]
            quiet = [min(a, b) for a, b in itertools.pairwise(middle) if a == a and b == b] or [
                m for m in middle if m == m
            ]
            if not pairs or not quiet:
                continue
            self._floor = tuning.far_floor * quantile(sorted(pairs), tuning.far_quantile)
            near = quantile(sorted(pairs[-tuning.bins_near :]), tuning.bin_quantile)
            self._near = max(near, self._floor)
            self._between = quantile(sorted(quiet), 0.5)

    def _search(self) -> None:
        """New local maxima become candidates."""
        heights, sharps, around, apart, beside = self._height, self._sharp, self._around, self._apart, self._beside
        for i in range(around, len(heights) - around):
            h = heights[i]
            if heights[i - 1] < h >= heights[i + 1] and h >= max(heights[i - apart : i + apart + 1]):
                self._recent.append((self._next + i - around, h, max(sharps[i - beside : i + beside + 1])))
                self._add(*self._recent[-1])
        new = len(heights) - 2 * around
        if new > 0:
            del heights[:new], sharps[:new]
            self._next += new
        oldest = self._next - round(self._tuning.relearn_memory_s * self._rate_hz)
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()

    def _level(self) -> float:
        if len(self._heights) < 3:
            return self._near
        return max(min(median(self._heights), self._tuning.near_ceiling * self._near), self._floor)

    def _interval(self) -> float:
        low, high = self._tuning.interval_range_s
        return min(max(median(self._intervals), low), high) if self._intervals else self._tuning.first_intervals_s[0]

    def _add(self, at: int, height: float, sharp: float) -> None:
        tuning, level = self._tuning, self._level()
        if not self._anchored or level <= 0 or height <= tuning.faintest * level:
            return
        noise = median(self._noises) / level if self._noises else 0.0
        noise = min(max(noise, tuning.noise_least), tuning.noise_most)
        even = noise + tuning.threshold * (1 - noise)
        gain = tuning.steepness * math.log(height / level / even)
        gain = min(max(gain, tuning.gain_least), tuning.gain_most)
        node = _Node(at, at / self._rate_hz, height, sharp, gain)
        self._link(len(self._nodes), node)
        self._nodes.append(node)

    def _link(self, position: int, node: _Node) -> None:
        """The best row that ends in this candidate."""
        tuning, interval = self._tuning, self._interval()
        value, previous = -math.inf, 0
        for j in range(position):
            earlier = self._nodes[j]
            apart_s = node.time_s - earlier.time_s
            if apart_s < tuning.shortest_s:
                break
            through = earlier.best - self._cost(apart_s / interval)
            if apart_s < tuning.t_wave_s and node.sharp < tuning.t_wave_ratio * earlier.sharp:
                through -= tuning.t_wave_cost
            if through > value:
                value, previous = through, j
        node.best, node.before = value + node.gain, previous

    def _cost(self, fraction: float) -> float:
        tuning = self._tuning
        if fraction < tuning.early_below:
            return tuning.early_cost * (tuning.early_below - fraction)
        return min(tuning.late_most, max(0.0, tuning.late_cost * (fraction - tuning.late_above)))

    def _decide(self, *, final: bool) -> list[int]:
        told: list[int] = []
        now_s = self._next / self._rate_hz
        tuning = self._tuning
        if self._wants_to_learn(now_s) or (final and not self._anchored):
            told += self._learn(now_s, final=final)
        while len(self._nodes) > 1 and (beat := self._certain(now_s, final=final)):
            node = self._nodes[beat]
            self._take(beat)
            if self._believable(node):
                told.append(node.at)
        if len(self._nodes) > 1 and not final:
            oldest = now_s - tuning.search_back_s
            while len(self._nodes) > 1 and self._nodes[1].time_s < oldest:
                del self._nodes[1]
                self._relink()
        return told

    def _certain(self, now_s: float, *, final: bool) -> int:
        """Position of the next beat, 0 where nothing is certain yet: the best row so far, as far as it is settled."""
        tuning, interval, nodes = self._tuning, self._interval(), self._nodes
        last, most = 0, -math.inf
        for i, node in enumerate(nodes):
            value = node.best - self._cost(max(1.0, (now_s - node.time_s) / interval))
            if value > most:
                last, most = i, value
        row = []
        while last > 0:
            row.append(last)
            last = nodes[last].before
        row.reverse()
        if not row:
            return 0
        if final:
            return row[0]
        for i in row:
            age = now_s - nodes[i].time_s
            if age >= tuning.late_wait_s or (nodes[i].gain >= tuning.clear_gain and age >= tuning.wait_s):
                return row[0]
        return 0

    def _take(self, position: int) -> None:
        """A candidate becomes the last beat; what lay between tells the noise."""
        tuning, last, node = self._tuning, self._nodes[0], self._nodes[position]
        between = [
            n.height
            for n in self._nodes[1:position]
            if n.time_s - last.time_s > tuning.quiet_s and node.time_s - n.time_s > tuning.quiet_s
        ]
        self._noises.append(max(between, default=0.0))
        self._intervals.append(node.time_s - last.time_s)
        self._heights.append(min(node.height, tuning.outlier * self._level()))
        self._nodes = [n for n in self._nodes[position:] if n is node or n.time_s - node.time_s >= tuning.shortest_s]
        self._relink()

    def _relink(self) -> None:
        self._nodes[0].best, self._nodes[0].before = 0.0, -1
        for i in range(1, len(self._nodes)):
            self._link(i, self._nodes[i])

    def _believable(self, node: _Node) -> bool:
        tuning = self._tuning
        self._contrasts.append(node.height / max(self._between, 1e-6 * node.height))
        contrast = median(self._contrasts)
        if contrast >= tuning.contrast_least:
            return True
        if contrast < tuning.contrast_regular or len(self._intervals) < 3:
            return False
        usual = median(self._intervals)
        return median(deque(abs(i - usual) for i in self._intervals)) <= tuning.unsteady_most * usual

    def _wants_to_learn(self, now_s: float) -> bool:
        """At the start, then often, later seldom, and when beats have stayed away so long that levels may be wrong."""
        tuning = self._tuning
        if self._learned_at < 0:
            return now_s >= tuning.warm_up_s and bool(self._bins_done)
        since = now_s - self._learned_at / self._rate_hz
        silent = not self._anchored or now_s - self._nodes[0].time_s > tuning.relearn_s
        seldom = now_s > tuning.relearn_memory_s and not silent
        return since > (tuning.relearn_seldom_s if seldom else tuning.relearn_s)

    def _learn(self, now_s: float, *, final: bool) -> list[int]:
        """Judge the last seconds as a whole recording would be; the beats after the last one told are new."""
        tuning, rate = self._tuning, self._rate_hz
        self._learned_at = self._next
        if not self._recent:
            return []
        at, height, sharp = (np.array(column) for column in zip(*self._recent, strict=True))
        highest, middle = np.array(self._highest), np.array(self._middle)
        if len(self._bin) or not len(highest):
            rest = [h for h in self._bin if h == h] or [0.0]
            highest = np.append(highest, max(rest))
            middle = np.append(middle, sorted(rest)[(len(rest) - 1) // 2])
        middle = np.concatenate([np.full(len(highest) - len(middle), np.nan), middle])
        found = Candidates(at, height, sharp)
        first = self._bins_done - len(self._highest)
        beats = choose_beats(found, Bins(highest, middle, first), rate, self.bin_length, tuning=tuning)
        last_told = self._nodes[0].at if self._anchored else -1
        horizon = self._next - (0 if final else round(tuning.wait_s * rate))
        settled = [int(b) for b in beats if b < horizon]
        if len(settled) < 2:
            return []
        position = {int(a): i for i, a in enumerate(at)}
        where = [position[b] for b in settled]
        self._heights = deque((float(height[i]) for i in where), maxlen=tuning.near_beats)
        self._intervals = deque((float(d) / rate for d in np.diff(settled)), maxlen=tuning.rhythm_beats)
        self._noises = deque(maxlen=tuning.rhythm_beats)
        quiet = tuning.quiet_s * rate
        for a, b in list(itertools.pairwise(settled))[-tuning.rhythm_beats :]:
            between = height[(at > a + quiet) & (at < b - quiet)]
            self._noises.append(float(between.max(initial=0.0)))
        new = [b for b in settled if b > last_told]
        if self._anchored:
            apart = last_told + tuning.shortest_s * rate
            new = [b for b in new if b > apart and now_s - b / rate < tuning.search_back_s]
        if not new:
            return []
        self._contrasts.extend(float(height[i]) / max(self._between, 1e-6 * float(height[i])) for i in where)
        last = where[-1]
        self._nodes = [_Node(settled[-1], settled[-1] / rate, float(height[last]), float(sharp[last]), 0.0)]
        self._anchored = True
        for i in range(last + 1, len(at)):
            if (at[i] - settled[-1]) / rate >= tuning.shortest_s:
                self._add(int(at[i]), float(height[i]), float(sharp[i]))
        return new
