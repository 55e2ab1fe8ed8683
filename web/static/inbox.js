// The inbox by keys: J and K go from group to group, the others press a button of the group that is marked. The first one is
// marked from the beginning, but not focused: the link past the menu comes first.
"use strict";

const groups = [...document.querySelectorAll("[data-group]")];
let place = -1;

function mark(to) {
  groups[place]?.removeAttribute("aria-current");
  place = Math.min(Math.max(to, 0), groups.length - 1);
  groups[place]?.setAttribute("aria-current", "true");
}

function go(to) {
  mark(to);
  groups[place]?.focus({ preventScroll: true });
  groups[place]?.scrollIntoView({ block: "nearest" });
}

for (const [number, group] of groups.entries()) group.addEventListener("focusin", () => mark(number));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select")) return;
  const key = event.key.toLowerCase();
  if (key === "j") return go(place + 1);
  if (key === "k") return go(place - 1);
  groups[place]?.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
});

// One click is one decision: a second one would hit the group that moved into its place.
for (const form of document.querySelectorAll("[data-group] form")) {
  form.addEventListener("submit", (event) => {
    if (document.body.dataset.sent) event.preventDefault();
    document.body.dataset.sent = "yes";
  });
}

for (const name of ["pageshow", "unsent"]) addEventListener(name, () => { delete document.body.dataset.sent; });

// By hand no group is marked: a phone would draw a frame around something that nobody has chosen.
if (matchMedia("(pointer: fine)").matches) mark(0);
