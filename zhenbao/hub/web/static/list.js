// The worklist by keyboard: j and k choose a case, Enter opens it, c claims, r lets go, / searches, ? helps. Everything is
// also a button. Single keys can be switched off (WCAG 2.1.4).
"use strict";

(() => {
  const KEY = "zhenbao-keys";

  function rows() {
    return [...document.querySelectorAll(".cases > .case")];
  }

  function current() {
    return document.activeElement?.closest?.(".case") ?? null;
  }

  function choose(step) {
    const all = rows();
    if (all.length === 0) return;
    const at = all.indexOf(current());
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))];
    const target = next.querySelector("a.name") ?? next;
    target.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function press(selector) {
    current()?.querySelector(selector)?.click();
  }

  function typing(element) {
    return element?.closest?.("input, textarea, select, [contenteditable]") != null;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const help = document.getElementById("keys");
    const on = document.getElementById("keys-on");
    on.checked = localStorage.getItem(KEY) !== "off";
    on.addEventListener("change", () => localStorage.setItem(KEY, on.checked ? "on" : "off"));
    document.getElementById("keys-button").addEventListener("click", () => help.showModal());
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || help.open) return;
      if (typing(event.target)) {
        if (event.key === "Escape") event.target.blur();
        return;
      }
      if (!on.checked) return;
      const acts = {
        j: () => choose(1),
        k: () => choose(-1),
        c: () => press(".take"),
        r: () => press(".release"),
        "/": () => document.getElementById("search").focus(),
        "?": () => help.showModal(),
      };
      const act = acts[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  });
})();
