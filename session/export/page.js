"use strict";
// Pictures of the page can be zoomed and moved: by buttons, by dragging, by a double
// click, and by the wheel with Ctrl or ⌘ held. Without this script they stand still.
for (const figure of document.querySelectorAll("figure")) {
  const svg = figure.querySelector("svg");
  if (!(svg ? svg.viewBox.baseVal.width > 0 : false)) continue;
  const whole = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  let box = whole.slice();
  const set = (next) => {
    const w = Math.min(Math.max(next[2], whole[2] / 64), whole[2]);
    const h = w / whole[2] * whole[3];
    box = [
      Math.min(Math.max(next[0], whole[0]), whole[0] + whole[2] - w),
      Math.min(Math.max(next[1], whole[1]), whole[1] + whole[3] - h), w, h,
    ];
    svg.setAttribute("viewBox", box.join(" "));
    figure.classList.toggle("zoomed", whole[2] > w);
  };
  // by zooms around a point of the picture, given as shares of what is shown.
  const by = (factor, x, y) => {
    const w = box[2] * factor, h = box[3] * factor;
    set([box[0] + (box[2] - w) * x, box[1] + (box[3] - h) * y, w, h]);
  };
  const share = (e) => {
    const r = svg.getBoundingClientRect();
    return [(e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height];
  };
  svg.addEventListener("wheel", (e) => {
    if (!(e.ctrlKey || e.metaKey)) return;
    e.preventDefault();
    by(e.deltaY > 0 ? 1.2 : 1 / 1.2, ...share(e));
  }, { passive: false });
  svg.addEventListener("dblclick", (e) => by(0.5, ...share(e)));
  let from = null;
  svg.addEventListener("pointerdown", (e) => {
    from = [e.clientX, e.clientY, ...box];
    svg.setPointerCapture(e.pointerId);
  });
  svg.addEventListener("pointermove", (e) => {
    if (from === null) return;
    const r = svg.getBoundingClientRect();
    set([from[2] - (e.clientX - from[0]) / r.width * box[2], from[3] - (e.clientY - from[1]) / r.height * box[3], box[2], box[3]]);
  });
  svg.addEventListener("pointerup", () => { from = null; });
  svg.addEventListener("pointercancel", () => { from = null; });
  const bar = document.createElement("div");
  bar.className = "zoom";
  for (const [text, label, act] of [
    ["+", "zoom in", () => by(1 / 1.5, 0.5, 0.5)], ["−", "zoom out", () => by(1.5, 0.5, 0.5)], ["⟲", "show all", () => set(whole)],
  ]) {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = text;
    b.title = label;
    b.setAttribute("aria-label", label);
    b.addEventListener("click", act);
    bar.append(b);
  }
  figure.append(bar);
}
