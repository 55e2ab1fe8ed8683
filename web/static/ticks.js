// Several things are ticked: a click with Shift ticks, or unticks, all between it and the one that was clicked before.
"use strict";

// `boxes` as they are shown; `changed` is called after each change, at the beginning, and when a browser brings ticks back.
function ticking(boxes, changed) {
  let last = null;
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      if (event.shiftKey && last) {
        const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((one, other) => one - other);
        for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
      }
      last = box;
      changed();
    });
  }
  addEventListener("pageshow", changed);
  changed();
}
