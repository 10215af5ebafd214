"use strict";
// Pictures of the page can be zoomed and moved: by buttons, by dragging, by a double
// click, and by the wheel with Ctrl or ⌘ held. The values of the point nearest to the
// pointer are shown beside it; with the keyboard, arrows go from point to point. Without
// this script pictures stand still, and a point says its values as its title.
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

  // Points say their values: circles without colour, the values in their titles.
  const marks = Array.from(svg.querySelectorAll("circle"), (circle) => {
    const title = circle.querySelector("title");
    if (title === null) return null;
    const text = title.textContent;
    title.remove(); // shown here, not a second time by the browser
    return { circle, text, x: circle.cx.baseVal.value, y: circle.cy.baseVal.value };
  }).filter((m) => m !== null);
  if (marks.length === 0) continue;
  const near = 24; // pixels of the screen
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  figure.append(tip);
  let shown = -1;
  const place = (m) => { // pixels from the figure's corner
    const r = svg.getBoundingClientRect(), f = figure.getBoundingClientRect();
    return [r.left - f.left + (m.x - box[0]) / box[2] * r.width, r.top - f.top + (m.y - box[1]) / box[3] * r.height, f.width];
  };
  const show = (i) => {
    if (marks[shown]) marks[shown].circle.removeAttribute("class");
    shown = i;
    tip.hidden = i === -1;
    if (i === -1) return;
    const m = marks[i];
    m.circle.setAttribute("class", "at");
    tip.textContent = m.text;
    const [x, y, width] = place(m);
    tip.style.left = Math.max(Math.min(x - tip.offsetWidth / 2, width - tip.offsetWidth), 0) + "px";
    tip.style.top = (y - tip.offsetHeight - 10 >= 0 ? y - tip.offsetHeight - 10 : y + 12) + "px";
  };
  svg.addEventListener("pointermove", (e) => {
    if (from !== null) return show(-1);
    const r = svg.getBoundingClientRect();
    const x = (e.clientX - r.left) / r.width * box[2] + box[0], y = (e.clientY - r.top) / r.height * box[3] + box[1];
    let best = -1, least = near / r.width * box[2];
    marks.forEach((m, i) => {
      const d = Math.hypot(m.x - x, m.y - y);
      if (least >= d) { best = i; least = d; }
    });
    show(best);
  });
  svg.addEventListener("pointerleave", () => show(-1));
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("blur", () => show(-1));
  svg.addEventListener("keydown", (e) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    if (e.key === "Escape") show(-1);
    else if (e.key === "Home") show(0);
    else if (e.key === "End") show(marks.length - 1);
    else if (step) show(((shown === -1 ? (step > 0 ? 0 : -1) : shown + step) + marks.length) % marks.length);
    else return;
    e.preventDefault();
    if (shown === -1) return;
    const m = marks[shown]; // a picture that is zoomed follows
    if (box[0] > m.x || m.x > box[0] + box[2] || box[1] > m.y || m.y > box[1] + box[3]) {
      set([m.x - box[2] / 2, m.y - box[3] / 2, box[2], box[3]]);
      show(shown);
    }
  });
}
