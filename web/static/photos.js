// Choosing, dropping and taking photos, with previews; then one request, and its reply shown in place.
// Everything works without this script, too: the form is then sent as any other.
"use strict";

const LONGEST = 2048; // pixels; a phone's photo is made smaller before it is sent, which is what takes the time

// A photo of a phone, smaller and upright. What this browser can't read is sent as it is: the server says what is wrong.
async function shrink(file) {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = LONGEST / Math.max(picture.width, picture.height);
    if (scale >= 1) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    return blob ? new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" }) : file;
  } catch {
    return file;
  }
}

function photoInput(box, changed) {
  const multiple = box.dataset.multiple === "yes";
  const list = box.querySelector("[data-previews]");
  let files = [];

  function show() {
    list.replaceChildren(...files.map((file) => {
      const item = document.createElement("li");
      const picture = document.createElement("img");
      picture.src = URL.createObjectURL(file);
      picture.alt = file.name;
      picture.onload = () => URL.revokeObjectURL(picture.src);
      picture.onerror = () => item.classList.add("broken");
      const name = document.createElement("small");
      name.textContent = file.name;
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "remove";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Remove ${file.name}`);
      remove.onclick = () => { files = files.filter((other) => other !== file); show(); changed(false); };
      item.append(picture, remove, name);
      return item;
    }));
  }

  function add(chosen) {
    const fresh = [...chosen];
    if (!fresh.length) return;
    files = multiple ? [...files, ...fresh] : fresh.slice(-1);
    show();
    changed(true);
  }

  for (const input of box.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => { add(input.files); input.value = ""; });
  }
  for (const name of ["dragenter", "dragover"]) {
    box.addEventListener(name, (event) => { event.preventDefault(); box.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) box.addEventListener(name, () => box.classList.remove("over"));
  box.addEventListener("drop", (event) => { event.preventDefault(); add(event.dataTransfer.files); });
  return { files: () => files, clear: () => { files = []; show(); } };
}

for (const form of document.querySelectorAll("form[data-send]")) {
  const box = form.querySelector("[data-photos]");
  const field = box.querySelector("[data-choose]").name;
  const button = form.querySelector("[data-submit]");
  const problem = form.querySelector("[data-problem]");
  const questions = form.querySelector("[data-questions]"); // what speaks against a photo, before it is kept
  const label = button.textContent;
  const photos = photoInput(box, (more) => { problem.hidden = true; questions?.replaceChildren(); if (more && "auto" in form.dataset) form.requestSubmit(); });

  const fail = (message) => {
    problem.textContent = message;
    problem.hidden = false;
    problem.scrollIntoView({ block: "center" });
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!photos.files().length && !form.querySelector("[name=inbox]:checked")) return fail("Choose a photo first.");
    button.disabled = true;
    button.textContent = form.dataset.busy;
    problem.hidden = true;
    const anyway = event.submitter && "anyway" in event.submitter.dataset;
    questions?.replaceChildren();
    try {
      const data = new FormData(form);
      if (anyway) data.append("anyway", "1");
      data.delete(field);
      for (const file of await Promise.all(photos.files().map(shrink))) data.append(field, file, file.name);
      const headers = { "X-Requested-With": "fetch" };
      const reply = await fetch(form.action, { method: "POST", body: data, headers });
      if ("follow" in form.dataset && reply.redirected) return location.assign(reply.url);
      const text = await reply.text();
      if (questions && reply.status === 422 && reply.headers.get("Content-Type").startsWith("text/html")) {
        questions.innerHTML = text; // our own template, escaped by the server
        return questions.scrollIntoView({ block: "nearest" });
      }
      if (!reply.ok) {
        let detail = `The server answered ${reply.status}.`;
        try { detail = JSON.parse(text).detail || detail; } catch { /* a proxy's page: the status says enough */ }
        return fail(detail);
      }
      const result = document.querySelector(form.dataset.result);
      result.innerHTML = text; // our own template, escaped by the server
      if (!("auto" in form.dataset)) { form.hidden = true; photos.clear(); }
      result.scrollIntoView({ block: "nearest" });
    } catch {
      fail("The server can't be reached. Nothing is lost: send it again.");
    } finally {
      button.disabled = false;
      button.textContent = label;
    }
  });
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
}
