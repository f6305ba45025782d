// The hub's pages without scripts: everything works, but the clocks stand still between refreshes, nothing sounds, and
// a broken connection is not shown.
"use strict";

(() => {
  // The hub's time, not this computer's: each answer carries it, and only the difference is counted here.
  let offset = 0;

  function two(n) {
    return String(n).padStart(2, "0");
  }

  function left(due, now) {
    const seconds = Math.floor(Math.abs(due - now) / 1000);
    const hours = Math.floor(seconds / 3600);
    const text = two(Math.floor(seconds / 60) % 60) + ":" + two(seconds % 60);
    return (due < now ? "-" : "") + (hours ? hours + ":" : "") + text;
  }

  function tick() {
    const now = Date.now() + offset;
    for (const clock of document.querySelectorAll("[data-due]")) {
      const due = Number(clock.dataset.due);
      if (Math.abs(due - now) < 100 * 3600 * 1000) clock.textContent = left(due, now);
      clock.classList.toggle("over", due < now);
    }
  }

  function readTime() {
    const strip = document.querySelector("[data-now]");
    if (strip) offset = Number(strip.dataset.now) - Date.now();
    tick();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.add("scripted");
    for (const control of document.querySelectorAll("[data-submit]")) {
      control.addEventListener("change", () => control.form.submit());
    }
    readTime();
    setInterval(tick, 1000);
  });
  document.addEventListener("htmx:after:swap", readTime);
})();
