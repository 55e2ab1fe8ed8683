// What was typed and chosen comes back after a closed tab: fields and photos of a form, in this browser alone, for the user
// who typed them. Gone when the form was sent, and when the user signs out (layout.js).
"use strict";

const DRAFTS = "catalog-drafts";

function opened() {
  return new Promise((done, failed) => {
    const request = indexedDB.open(DRAFTS, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("drafts");
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

async function stored(mode, call) {
  const database = await opened();
  try {
    return await new Promise((done, failed) => {
      const request = call(database.transaction("drafts", mode).objectStore("drafts"));
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
  } finally {
    database.close();
  }
}

for (const form of document.querySelectorAll("form[data-draft]")) {
  const key = `${document.querySelector("[data-user]").textContent} ${location.pathname}`;
  const fields = [...form.querySelectorAll("input[id]")];
  let waiting, sent = false;

  // Nothing but what the server put there: an error's page, or photos of the inbox.
  const empty = () => fields.every((field) => field.value === field.defaultValue) && !form.photoInput.all().length;
  // `data-kept` says whether the draft of this moment is kept. A browser that keeps nothing (private windows, a full disk)
  // loses the draft, and nothing else.
  async function forget() {
    clearTimeout(waiting);
    await stored("readwrite", (drafts) => drafts.delete(key)).catch(() => {});
    delete form.dataset.kept;
  }

  async function keep() {
    clearTimeout(waiting);
    if (sent || empty()) return forget();
    const draft = { fields: Object.fromEntries(fields.map((field) => [field.name, field.value])), photos: form.photoInput.all().map((photo) => photo.file) };
    const kept = form.dataset.kept = String(Math.random());
    await stored("readwrite", (drafts) => drafts.put(draft, key)).catch(() => {});
    if (form.dataset.kept === kept) form.dataset.kept = "yes";
  }

  const keepSoon = () => { delete form.dataset.kept; clearTimeout(waiting); waiting = setTimeout(keep, 300); };

  async function restore() {
    const draft = await stored("readonly", (drafts) => drafts.get(key)).catch(() => null);
    if (!draft || !empty() || location.search || fields.some((field) => field.value)) return;
    for (const field of fields) field.value = draft.fields[field.name] || "";
    form.photoInput.add(draft.photos);
    const note = element("p", { className: "draft hint", textContent: "What you began is still here. " });
    note.setAttribute("role", "status");
    const discard = element("button", { type: "button", className: "btn btn-sm btn-outline-secondary", textContent: "Begin anew" });
    discard.onclick = () => { form.reset(); form.photoInput.clear(); note.remove(); forget(); };
    note.append(discard);
    form.prepend(note);
    form.addEventListener("sent", () => note.remove());
    form.addEventListener("sending", (event) => { discard.disabled = event.detail; });
  }

  form.addEventListener("input", keepSoon);
  form.addEventListener("photos", keepSoon);
  document.addEventListener("visibilitychange", () => { if (document.hidden && waiting) keep(); }); // the tab is left, or closed
  form.addEventListener("sent", () => { sent = true; forget(); });
  if (empty()) restore(); else keepSoon(); // begun before this script had come
}
