// Zoom and calipers of an ECG. Without this file the drawing, its scale and its filter still work.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const FINE_MM = 0.1;
  const COARSE_MM = 1;
  const HANDLE_MM = 2.4;
  const TOUCH_MM = 6.5;
  const COLOURS = ["#0b5cad", "#7a1f5c"];

  function viewOf(element) {
    return element.closest(".ecg-view");
  }

  function drawingOf(view) {
    return view.querySelector(".paper svg");
  }

  function element(name, attributes, parent) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  }

  // Millimetres of the drawing under a point of the screen.
  function inDrawing(svg, event) {
    const matrix = svg.getScreenCTM();
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  }

  function size(svg) {
    const box = svg.viewBox.baseVal;
    return { width: box.width, height: box.height };
  }

  function place(view, caliper, x, y) {
    const page = size(drawingOf(view));
    const at = { x: Math.min(Math.max(x, 10), page.width - 10), y: Math.min(Math.max(y, 2), page.height - 2) };
    caliper.dataset.x = at.x;
    caliper.dataset.y = at.y;
    caliper.setAttribute("transform", `translate(${at.x.toFixed(2)} ${at.y.toFixed(2)})`);
    measure(view);
  }

  function measure(view) {
    const marks = view.querySelectorAll(".caliper");
    const line = view.querySelector(".ecg-measure");
    if (marks.length < 2) return;
    const [one, two] = marks;
    const ms = (Math.abs(two.dataset.x - one.dataset.x) / Number(view.dataset.speed)) * 1000;
    // Down is positive on a page; up is positive on an ECG.
    const mv = (one.dataset.y - two.dataset.y) / Number(view.dataset.gain);
    const text = line.dataset.text
      .replace("%ms%", Math.round(ms))
      .replace("%bpm%", ms >= 20 ? Math.round(60000 / ms) : "–")
      .replace("%mv%", (mv >= 0 ? "+" : "−") + Math.abs(mv).toFixed(2));
    line.textContent = text;
    for (const mark of marks) mark.setAttribute("aria-valuetext", text);
  }

  function show(view) {
    const svg = drawingOf(view);
    const page = size(svg);
    const box = svg.getBoundingClientRect();
    const frame = svg.parentElement.getBoundingClientRect();
    // Where the reader looks now, not where the paper begins.
    const left = ((Math.max(frame.left, 0) - box.left) / box.width) * page.width;
    const seen = (Math.min(frame.width, window.innerWidth) / box.width) * page.width;
    const line = view.querySelector(".ecg-measure");
    COLOURS.forEach((colour, n) => {
      const mark = element("g", { class: "caliper", tabindex: "0", role: "slider", "aria-valuenow": "0" }, svg);
      mark.setAttribute("aria-label", line.dataset.mark.replace("%name%", n + 1));
      const far = 2 * Math.max(page.width, page.height);
      const stroke = { stroke: colour, "stroke-width": 0.25, "stroke-dasharray": n ? "2 1" : "none" };
      element("path", { d: `M0 ${-far}V${far}`, fill: "none", ...stroke }, mark);
      element("path", { d: "M-12 0H12", fill: "none", ...stroke }, mark);
      element("circle", { r: TOUCH_MM, fill: "transparent" }, mark);
      element("circle", { class: "caliper-dot", r: HANDLE_MM, fill: "#fff", "fill-opacity": 0.6, stroke: colour, "stroke-width": 0.6 }, mark);
      const name = element("text", { y: 1.1, "font-size": 3.2, "text-anchor": "middle", fill: colour }, mark);
      name.textContent = n + 1;
      place(view, mark, left + seen * (n ? 0.6 : 0.4), page.height * 0.3);
    });
    line.hidden = false;
    view.querySelector(".ecg-help").hidden = false;
    measure(view);
  }

  function hide(view) {
    for (const mark of view.querySelectorAll(".caliper")) mark.remove();
    view.querySelector(".ecg-measure").hidden = true;
    view.querySelector(".ecg-help").hidden = true;
  }

  function zoom(view, factor) {
    const svg = drawingOf(view);
    const frame = svg.parentElement;
    const before = svg.getBoundingClientRect().width;
    const middle = (frame.scrollLeft + frame.clientWidth / 2) / before;
    const width = factor ? Math.min(Math.max(before * factor, frame.clientWidth * 0.5), 9000) : frame.clientWidth;
    svg.style.maxWidth = "none";
    svg.style.width = `${Math.round(width)}px`;
    svg.style.height = "auto";
    frame.scrollLeft = middle * width - frame.clientWidth / 2;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-ecg]");
    if (!button) return;
    const view = viewOf(button);
    const what = button.dataset.ecg;
    if (what === "larger") zoom(view, 1.4);
    else if (what === "smaller") zoom(view, 1 / 1.4);
    else if (what === "whole") zoom(view, 0);
    else if (what === "calipers") {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      if (on) show(view);
      else hide(view);
    }
  });

  let held = null;
  document.addEventListener("pointerdown", (event) => {
    const mark = event.target.closest?.(".caliper");
    if (!mark) return;
    const at = inDrawing(mark.ownerSVGElement, event);
    held = { mark, view: viewOf(mark), dx: mark.dataset.x - at.x, dy: mark.dataset.y - at.y };
    mark.setPointerCapture(event.pointerId);
    mark.focus({ preventScroll: true });
    event.preventDefault();
  });
  document.addEventListener("pointermove", (event) => {
    if (!held) return;
    const at = inDrawing(held.mark.ownerSVGElement, event);
    place(held.view, held.mark, at.x + held.dx, at.y + held.dy);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => {
      held = null;
    });
  }

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    const mark = event.target.closest?.(".caliper");
    const step = STEPS[event.key];
    if (!mark || !step) return;
    const far = event.shiftKey ? COARSE_MM : FINE_MM;
    place(viewOf(mark), mark, Number(mark.dataset.x) + step[0] * far, Number(mark.dataset.y) + step[1] * far);
    event.preventDefault();
  });
})();
