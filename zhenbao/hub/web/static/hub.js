// The hub's pages without this file: everything works, but the clocks stand still between refreshes,
// nothing sounds, and a broken connection is not shown.
"use strict";

(() => {
  // The hub's time, not this computer's: the list carries it, and only the difference is counted here.
  let offset = 0;
  let heard = performance.now();
  const known = new Set();
  let first = true;

  function hubNow() {
    return Date.now() + offset;
  }

  function two(n) {
    return String(n).padStart(2, "0");
  }

  function left(due) {
    const now = hubNow();
    const seconds = Math.floor(Math.abs(due - now) / 1000);
    const hours = Math.floor(seconds / 3600);
    const text = two(Math.floor(seconds / 60) % 60) + ":" + two(seconds % 60);
    return (due < now ? "-" : "") + (hours ? hours + ":" : "") + text;
  }

  function tick() {
    for (const clock of document.querySelectorAll("[data-due]")) {
      const due = Number(clock.dataset.due);
      if (Math.abs(due - hubNow()) < 100 * 3600 * 1000) clock.textContent = left(due);
      clock.classList.toggle("over", due < hubNow());
    }
    const stale = document.getElementById("stale");
    if (stale) stale.hidden = performance.now() - heard < 12000;
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

  function beep() {
    const context = new AudioContext();
    for (const start of [0, 0.35, 0.7]) {
      const tone = context.createOscillator();
      const volume = context.createGain();
      tone.frequency.value = 880;
      volume.gain.value = 0.25;
      tone.connect(volume).connect(context.destination);
      tone.start(context.currentTime + start);
      tone.stop(context.currentTime + start + 0.2);
    }
  }

  function refreshed() {
    const strip = document.querySelector("[data-now]");
    if (!strip) return;
    heard = performance.now();
    offset = Number(strip.dataset.now) - Date.now();
    let ring = false;
    for (const row of document.querySelectorAll('.case[data-urgency="RED"]')) {
      if (!known.has(row.id)) ring = true;
      known.add(row.id);
    }
    const sound = document.getElementById("sound");
    if (ring && !first && sound && sound.checked) beep();
    first = false;
    tick();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.add("scripted");
    // The fonts come after the page: nobody waits for them, and a phone with Chinese of its own never asks.
    const media = lacksChinese() ? "all" : "print, (min-width: 641px)";
    for (const link of document.querySelectorAll("[data-fonts]")) link.media = media;
    const sound = document.getElementById("sound");
    if (sound) {
      sound.checked = localStorage.getItem("zhenbao-sound") === "on";
      sound.addEventListener("change", () => {
        localStorage.setItem("zhenbao-sound", sound.checked ? "on" : "off");
        if (sound.checked) beep();
      });
    }
    for (const control of document.querySelectorAll("[data-submit]")) {
      control.addEventListener("change", () => control.form.submit());
    }
    refreshed();
    setInterval(tick, 1000);
  });
  document.addEventListener("htmx:after:swap", refreshed);
  // "Nothing new" is an answer too.
  document.addEventListener("htmx:after:request", (event) => {
    const answer = event.detail?.ctx?.response;
    if (answer && answer.status < 300) heard = performance.now();
  });
})();
