// The bell for a new critical case: three tones made here, only after somebody has clicked for it. A browser may silence
// a page that nobody has touched since it was opened; the button then says so.
"use strict";

const bell = (() => {
  const KEY = "zhenbao-sound";
  let context = null;
  let button = null;

  function wanted() {
    return localStorage.getItem(KEY) === "on";
  }

  function show() {
    if (!button) return;
    const state = !wanted() ? "off" : context && context.state === "running" ? "on" : "blocked";
    button.textContent = button.dataset[state];
    button.setAttribute("aria-pressed", String(state === "on"));
    button.dataset.state = state;
  }

  async function wake() {
    if (!wanted() || !navigator.userActivation?.hasBeenActive) return show();
    if (!context) {
      context = new AudioContext();
      context.addEventListener("statechange", show);
    }
    if (context.state !== "running") await context.resume();
    show();
  }

  function ring() {
    if (!wanted() || !context || context.state !== "running") return;
    for (const start of [0, 0.35, 0.7, 2, 2.35, 2.7]) {
      const tone = context.createOscillator();
      const volume = context.createGain();
      tone.frequency.value = 880;
      volume.gain.value = 0.25;
      tone.connect(volume).connect(context.destination);
      tone.start(context.currentTime + start);
      tone.stop(context.currentTime + start + 0.2);
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    button = document.getElementById("sound");
    if (!button) return;
    button.addEventListener("click", async () => {
      if (button.dataset.state === "blocked") return wake();
      localStorage.setItem(KEY, wanted() ? "off" : "on");
      await wake();
      ring();
    });
    for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, wake, { passive: true });
    window.addEventListener("storage", show); // another page of this browser switched it
    wake();
  });
  return { ring };
})();
