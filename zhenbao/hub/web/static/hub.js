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

  // Two characters that look the same are two empty boxes.
  function lacksChinese() {
    const drawn = ["国", "医"].map((character) => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 24;
      const paper = canvas.getContext("2d");
      paper.font = "20px sans-serif";
      paper.fillText(character, 2, 20);
      return canvas.toDataURL();
    });
    return drawn[0] === drawn[1];
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.add("scripted");
    // The fonts come after the page: nobody waits for them, and a phone with Chinese of its own never asks.
    const media = lacksChinese() ? "all" : "print, (min-width: 641px)";
    for (const link of document.querySelectorAll("[data-fonts]")) link.media = media;
    for (const control of document.querySelectorAll("[data-submit]")) {
      control.addEventListener("change", () => control.form.submit());
    }
    readTime();
    setInterval(tick, 1000);
  });
  document.addEventListener("htmx:after:swap", readTime);
})();
