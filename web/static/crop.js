// The part of a photo that counts, drawn with a pointer; the four fields are the same by keyboard, and without this script.
"use strict";

const EDGES = ["left", "top", "right", "bottom"];
const LEAST = 2; // percent, as the server wants it
const REACH = 24; // pixels around a corner in which it is grasped

for (const box of document.querySelectorAll("[data-cropper]")) {
  const overlay = box.querySelector("[data-overlay]");
  const fields = EDGES.map((edge) => document.getElementById(edge));
  const [shade, frame] = [overlay.querySelector("path"), overlay.querySelector("rect")];
  let drag = null; // what a pointer does: the part as it was, where the pointer was, and which edges follow it

  const part = () => fields.map((field) => Number(field.value));
  const limit = (value) => Math.min(Math.max(value, 0), 100);

  function draw() {
    const [left, top, right, bottom] = part().map(limit);
    const [width, height] = [Math.max(right - left, 0), Math.max(bottom - top, 0)];
    shade.setAttribute("d", `M0 0H100V100H0Z M${left} ${top}h${width}v${height}h${-width}Z`);
    for (const [name, value] of Object.entries({ x: left, y: top, width, height })) frame.setAttribute(name, value);
  }

  function set(edges) {
    const [left, right] = [edges[0], edges[2]].map(limit).sort((a, b) => a - b);
    const [top, bottom] = [edges[1], edges[3]].map(limit).sort((a, b) => a - b);
    [left, top, right, bottom].forEach((value, place) => { fields[place].value = Math.round(value * 10) / 10; });
    draw();
  }

  function at(event) {
    const area = overlay.getBoundingClientRect();
    return [100 * (event.clientX - area.left) / area.width, 100 * (event.clientY - area.top) / area.height];
  }

  // The edges that follow a pointer which comes down here: two at a corner, all inside the part, else a new part.
  function grasp([x, y]) {
    const area = overlay.getBoundingClientRect();
    const [left, top, right, bottom] = part();
    const near = (edge, value, side) => Math.abs(edge - value) * side / 100 < REACH;
    const across = near(left, x, area.width) ? 0 : near(right, x, area.width) ? 2 : -1;
    const down = near(top, y, area.height) ? 1 : near(bottom, y, area.height) ? 3 : -1;
    const whole = left <= 0 && top <= 0 && right >= 100 && bottom >= 100;
    if (whole) return null;
    if (across >= 0 && down >= 0) return [across, down];
    return x > left && x < right && y > top && y < bottom ? [0, 1, 2, 3] : null;
  }

  overlay.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const start = at(event);
    const edges = grasp(start);
    drag = { start, edges: edges || [2, 3], was: edges ? part() : [...start, ...start], before: part() };
    overlay.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const now = at(event);
    let moved = [now[0] - drag.start[0], now[1] - drag.start[1]];
    if (drag.edges.length === 4) { // the part keeps its size at the border
      moved = moved.map((value, axis) => Math.min(Math.max(value, -drag.was[axis]), 100 - drag.was[axis + 2]));
    }
    set(drag.was.map((value, place) => drag.edges.includes(place) ? value + moved[place % 2] : value));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    overlay.addEventListener(end, () => {
      const [left, top, right, bottom] = part();
      if (drag && (right - left < LEAST || bottom - top < LEAST)) set(drag.before); // a click, not a part
      drag = null;
    });
  }
  for (const field of fields) field.addEventListener("input", draw);
  document.querySelector("[data-crop-hint]").hidden = false;
  box.classList.add("ready");
  draw();
}
