// News as they come: the hub tells this page over one line what has changed, and the parts that show it ask again. What
// is shown is only called live while the line is; without a line the parts ask now and then, and their age is shown.
"use strict";

(() => {
  const THROTTLE_MS = 3000; // a part asks no more often than this, however much comes
  const ASK_MS = 5000; // without a line
  const MOVED_MS = 15000; // where a newer page of this browser has the line
  const INSURE_MS = 30000; // with a line, against whatever nobody has thought of
  const OLD_MS = 12000; // without a line
  const KEEP_TOLD = 5;

  let box, line;
  let source = null;
  let lateMs = OLD_MS;
  let moved = false;
  let ended = false;
  let confirmed = performance.now(); // when what is shown was last known to be as it is at the hub
  let askedAll = performance.now();
  const asked = new Map(); // part -> when
  const waiting = new Set(); // parts with news that were not asked for yet, or not answered
  const rung = new Set();
  let first = true;

  function parts(topic) {
    return [...document.querySelectorAll("[data-news]")].filter((part) => !topic || part.dataset.news === topic);
  }

  function ask(part) {
    waiting.add(part);
    const since = performance.now() - (asked.get(part) ?? -Infinity);
    if (since < THROTTLE_MS) {
      if (!part.dataset.later) {
        part.dataset.later = "1";
        setTimeout(() => {
          delete part.dataset.later;
          if (part.isConnected) ask(part);
        }, THROTTLE_MS - since);
      }
      return;
    }
    asked.set(part, performance.now());
    htmx.trigger(part, "news");
  }

  function askAll() {
    askedAll = performance.now();
    for (const part of parts()) ask(part);
  }

  function answered(part) {
    waiting.delete(part);
    if (waiting.size === 0) confirmed = performance.now();
  }

  function open() {
    return source !== null && source.readyState === EventSource.OPEN;
  }

  function connect() {
    if (source) source.close();
    moved = false;
    source = new EventSource(box.dataset.events);
    const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
    on("hello", (data) => {
      lateMs = data.late_s * 1000;
      if (parts().length === 0) confirmed = performance.now();
      askAll(); // what happened while there was no line
      show();
    });
    on("beat", () => {
      if (waiting.size === 0) confirmed = performance.now();
    });
    on("news", (data) => {
      if (waiting.size === 0) confirmed = performance.now();
      for (const topic of data.topics) parts(topic).forEach(ask);
    });
    on("red", (data) => {
      if (!rung.has(data.id)) bell.ring();
      rung.add(data.id);
      tell("red", data);
      for (const part of parts("list")) {
        asked.delete(part); // at once
        ask(part);
      }
    });
    on("lost", (data) => tell("lost", data));
    on("moved", () => {
      source.close();
      moved = true;
      show();
    });
    on("over", () => {
      source.close();
      ended = true;
      document.getElementById("over").hidden = false;
      show();
    });
    source.addEventListener("error", show);
  }

  // What the hub says becomes text, never markup.
  function tell(kind, data) {
    const list = document.getElementById("told");
    const entry = document.createElement("li");
    entry.className = kind;
    const link = document.createElement("a");
    link.href = data.url;
    link.textContent = data.text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "plain";
    close.textContent = box.dataset.close;
    close.addEventListener("click", () => entry.remove());
    entry.append(link, close);
    list.prepend(entry);
    while (list.children.length > KEEP_TOLD) list.lastChild.remove();
  }

  // A critical case that is new on the list rings too: the page may have had no line when it came.
  function listen() {
    const rows = document.querySelectorAll('.case[data-urgency="RED"]');
    let ring = false;
    for (const row of rows) {
      if (!rung.has(row.id)) ring = true;
      rung.add(row.id);
    }
    if (ring && !first) bell.ring();
    first = false;
  }

  function ageText(ms) {
    const seconds = Math.round(ms / 1000);
    return box.dataset.age.replace("{minutes}", Math.floor(seconds / 60)).replace("{seconds}", seconds % 60);
  }

  function show() {
    const age = performance.now() - confirmed;
    const old = ended || age > (open() ? lateMs : moved ? MOVED_MS + OLD_MS : OLD_MS);
    const stale = document.getElementById("stale");
    stale.hidden = !old || ended;
    document.getElementById("stale-age").textContent = ageText(age);
    box.classList.toggle("broken", old);
    line.textContent = old ? ageText(age) : open() ? box.dataset.on : moved ? box.dataset.moved : box.dataset.asking;
    line.dataset.state = old ? "old" : open() ? "live" : moved ? "moved" : "asking";
  }

  function tick() {
    const quiet = performance.now() - askedAll;
    if (!ended && quiet > (open() ? INSURE_MS : moved ? MOVED_MS : ASK_MS)) askAll();
    // A browser that was refused (too many pages, the hub away) does not come back by itself.
    if (!ended && !moved && source.readyState === EventSource.CLOSED && quiet < ASK_MS / 4) connect();
    show();
  }

  document.addEventListener("DOMContentLoaded", () => {
    box = document.getElementById("live");
    line = document.getElementById("line");
    if (!box) return;
    listen();
    connect();
    setInterval(tick, 1000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && moved && !ended) connect();
    });
    document.addEventListener("htmx:after:swap", listen);
    document.addEventListener("htmx:after:request", (event) => {
      const { ctx } = event.detail ?? {};
      if (!ctx?.response || ctx.response.status >= 400) return;
      const part = ctx.sourceElement?.closest?.("[data-news]");
      // "Nothing new" is an answer too; and after somebody did something here, all parts may show it.
      if (part && part === ctx.sourceElement) answered(part);
      else if (ctx.request?.method === "POST" && !ctx.sourceElement?.closest?.("#report-form")) askAll();
    });
    window.addEventListener("pagehide", () => source.close());
  });
})();
