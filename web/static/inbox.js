// The inbox by keys: J and K go from group to group, the others press a button of the group that has the focus. Without it
// no key does anything: a letter that is typed or spoken beside the groups must decide nothing (WCAG 2.1.4).
"use strict";

const groups = [...document.querySelectorAll("[data-group]")];
const focused = () => groups.indexOf(document.activeElement?.closest("[data-group]"));

function go(to) {
  const group = groups[Math.min(Math.max(to, 0), groups.length - 1)];
  group?.focus({ preventScroll: true, focusVisible: true });
  group?.scrollIntoView({ block: "nearest" });
}

const begin = document.querySelector("[data-begin]");
if (begin) {
  begin.hidden = false;
  begin.addEventListener("click", () => go(0));
}

let byKey = false;
addEventListener("pointerdown", () => { byKey = false; }, true);
addEventListener("keydown", () => { byKey = true; }, true);

document.addEventListener("keydown", (event) => {
  const place = focused();
  if (place < 0 || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select")) return;
  const key = event.key.toLowerCase();
  if (key === "j") return go(place + 1);
  if (key === "k") return go(place - 1);
  if (key === "u") return document.querySelector(".undo button")?.click();
  groups[place].querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
});

// Who decides by keys goes on with the group that has moved into the place of the one that went.
const PLACE = "inbox-place";
for (const form of document.querySelectorAll("[data-group] form, form.undo")) {
  form.addEventListener("submit", (event) => {
    // One click is one decision: a second one would hit the group that moved into its place.
    if (document.body.dataset.sent) return event.preventDefault();
    document.body.dataset.sent = "yes";
    if (byKey) sessionStorage.setItem(PLACE, focused());
  });
}
const kept = sessionStorage.getItem(PLACE);
sessionStorage.removeItem(PLACE);
if (kept >= 0 && kept !== null) go(Number(kept));

for (const name of ["pageshow", "unsent"]) addEventListener(name, () => { delete document.body.dataset.sent; });
