// Who leaves a page on which something was typed or chosen and not sent is asked first. Not where nothing is lost: what comes
// back as a draft (drafts.js), and forms that only look something up or tick what another page is about (`data-unasked`).
"use strict";

const KEPT_FORMS = "form[method=post]:not([data-leaves], [data-draft], [data-auto], [data-unasked])";
const touched = new Set(); // what a browser fills in by itself, nobody typed
const released = new Set(); // sent, or given up

function isChanged(field) {
  if (!field.name || ["hidden", "password", "submit", "button"].includes(field.type)) return false;
  if (field.type === "file") return field.files.length > 0;
  if (field.localName === "select") return !([...field.options].find((option) => option.defaultSelected) ?? field.options[0])?.selected;
  if (["checkbox", "radio"].includes(field.type)) return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}

function isUnsaved(form) {
  if (released.has(form) || !form.matches(KEPT_FORMS)) return false;
  if ("unsaved" in form.dataset) return true; // refused: what was typed is what the page brought
  return form.photoInput?.all().length > 0 || (touched.has(form) && [...form.elements].some(isChanged));
}

const unsaved = () => [...document.forms].filter(isUnsaved);

function ask(event) {
  if (!unsaved().length) return;
  event.preventDefault();
  event.returnValue = true; // for browsers that look at this alone
}

// A page that listens for being left comes back more slowly: only while there is something to ask about.
function watch() {
  removeEventListener("beforeunload", ask);
  if (unsaved().length) addEventListener("beforeunload", ask);
}

// Whether to send this form although something else on the page is not saved, which is then lost.
function mayLeave(form) {
  const others = unsaved().filter((other) => other !== form);
  if (others.length && !confirm("Something else that you changed on this page is not saved. Go on without it?")) return false;
  for (const other of others) released.add(other);
  return true;
}

for (const name of ["input", "change"]) {
  document.addEventListener(name, (event) => {
    if (!event.target.form) return;
    touched.add(event.target.form);
    released.delete(event.target.form);
    watch();
  });
}
document.addEventListener("photos", watch, true);
document.addEventListener("sent", (event) => { released.add(event.target); watch(); }, true);
document.addEventListener("unsent", () => { released.clear(); watch(); }, true);
addEventListener("pageshow", () => { released.clear(); watch(); });
