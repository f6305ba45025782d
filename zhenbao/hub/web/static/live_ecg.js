// A running ECG trace. It is drawn as it comes and forgotten when it leaves the screen; a gap stays a gap; the words
// that it is live, not stored and delayed stand above it and across it all the time.
"use strict";

(() => {
  const box = document.getElementById("running");
  if (!box) return;
  const words = box.dataset;
  const mark = document.getElementById("live-mark");
  const canvas = document.getElementById("live-trace");
  const MM = 96 / 25.4;
  const PX_PER_S = 25 * MM;
  const PX_PER_MV = 10 * MM;
  // The page's own font, part by part as words need it: the canvas asks for none by itself.
  const font = getComputedStyle(box).fontFamily;
  let leads = [];
  let rate = 0;
  let stream = "";
  let pieces = [];
  let heard = 0;
  let over = false;

  function say(text, stopped) {
    mark.textContent = words.watermark + " · " + text;
    mark.classList.toggle("stopped", stopped);
  }

  function take(data) {
    if (data.stream !== stream) {
      stream = data.stream;
      pieces = [];
    }
    leads = data.leads;
    rate = data.rate_hz;
    pieces.push(data);
    const width = canvas.clientWidth / PX_PER_S;
    const newest = data.first + data.mv[0].length;
    pieces = pieces.filter((piece) => piece.first + piece.mv[0].length > newest - rate * (width + 1));
    heard = performance.now();
    mark.textContent = words.delay.replace("{s}", String(Math.max(1, Math.ceil(data.delay_s))));
    mark.classList.remove("stopped");
    draw();
  }

  function grid(pen, width, height) {
    pen.strokeStyle = "#f3d3d3";
    pen.lineWidth = 1;
    pen.beginPath();
    for (let x = 0; x < width; x += 5 * MM) pen.moveTo(x, 0), pen.lineTo(x, height);
    for (let y = 0; y < height; y += 5 * MM) pen.moveTo(0, y), pen.lineTo(width, y);
    pen.stroke();
  }

  function gap(pen, from, to, height) {
    pen.fillStyle = "#d9dfe1";
    pen.fillRect(from, 0, to - from, height);
    pen.fillStyle = "#33454d";
    pen.font = "14px " + font;
    if (to - from > 20) pen.fillText(words.gap, from + 4, 16);
  }

  function draw() {
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.clearRect(0, 0, width, height);
    grid(pen, width, height);
    if (!pieces.length) return;
    const last = pieces[pieces.length - 1];
    const newest = last.first + last.mv[0].length;
    const place = (sample) => width - ((newest - sample) / rate) * PX_PER_S;
    for (let n = 1; n < pieces.length; n += 1) {
      const end = pieces[n - 1].first + pieces[n - 1].mv[0].length;
      if (pieces[n].first > end) gap(pen, place(end), place(pieces[n].first), height);
    }
    const row = height / leads.length;
    leads.forEach((lead, index) => {
      const middle = row * (index + 0.5);
      pen.fillStyle = "#16242b";
      pen.font = "bold 14px " + font;
      pen.fillText(lead, 4, middle - row / 2 + 34);
      pen.strokeStyle = "#16242b";
      pen.lineWidth = 1.4;
      pen.beginPath();
      let expected = null;
      for (const piece of pieces) {
        if (piece.first !== expected) expected = null;
        piece.mv[index].forEach((value, n) => {
          if (value === null) {
            expected = null;
            return;
          }
          const x = place(piece.first + n);
          const y = middle - value * PX_PER_MV;
          if (expected === null) pen.moveTo(x, y);
          else pen.lineTo(x, y);
          expected = piece.first + n + 1;
        });
      }
      pen.stroke();
    });
    // Across the trace, so that no picture of it is ever taken for a recording.
    pen.save();
    pen.translate(width / 2, height / 2);
    pen.rotate(-0.18);
    pen.globalAlpha = 0.35;
    pen.fillStyle = "#b45309";
    pen.textAlign = "center";
    pen.font = "bold " + Math.max(20, Math.min(44, width / 12)) + "px " + font;
    pen.fillText(mark.classList.contains("stopped") ? words.watermark + " · " + words.stopped : mark.textContent, 0, 0, width * 0.95);
    pen.restore();
  }

  function stop(text) {
    over = true;
    source.close();
    say(words.stopped + " · " + text, true);
    draw();
  }

  const spoken = Object.values(words).join("");
  for (const weight of ["400", "700"]) document.fonts.load(weight + " 14px " + font, spoken).then(draw, () => {});

  const source = new EventSource(words.src);
  source.addEventListener("chunk", (event) => take(JSON.parse(event.data)));
  source.addEventListener("ended", () => {
    heard = 0;
    say(words.ended, true);
    draw();
  });
  source.addEventListener("limit", () => stop(words.limit));
  source.addEventListener("full", () => stop(words.full));
  source.addEventListener("lost", () => stop(words.lost));
  source.onerror = () => stop(words.lost);
  setInterval(() => {
    if (over || !heard) return;
    if (performance.now() - heard > Number(words.silent) * 1000) {
      heard = 0;
      say(words.lost, true);
      draw();
    }
  }, 500);
  window.addEventListener("resize", draw);
  draw();
})();
