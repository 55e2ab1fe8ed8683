// Choosing, dropping and taking photos, with previews; then the form, which names them (uploads.js) or brings them, and its reply shown in place. What was typed and
// chosen stays until it is kept: errors stand beside what they are about, and a session that ended is begun again (session.js).
// Everything works without this script, too: the form is then sent as any other.
"use strict";

const LONGEST = 2048; // pixels; a phone's photo is made smaller before it is sent, which is what takes the time
const MB = 1024 * 1024;
const READ = ["image/jpeg", "image/png", "image/webp", "image/avif", "image/gif", "image/bmp", "image/tiff"]; // by the server

// A photo of a phone, smaller and upright. What the browser reads and the server does not (HEIC, in Safari) becomes JPEG.
// What the browser can't read is sent as it is: the server says what is wrong.
async function shrink(file) {
  let picture;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
    if (scale === 1 && READ.includes(file.type)) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    canvas.width = canvas.height = 0; // its memory is free at once, not when the browser finds the time
    return blob ? new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" }) : file;
  } catch {
    return file;
  } finally {
    picture?.close();
  }
}

// The photos of a form. Each is made smaller as soon as it is chosen, one at a time: twenty at once would take gigabytes.
function photoInput(box, changed) {
  const multiple = box.dataset.multiple === "yes";
  const list = box.querySelector("[data-previews]");
  let photos = []; // { name, file, item }
  let turn = Promise.resolve();
  let locked = false; // while they are sent

  // Two photos of one name, as phones call them all, could not be told apart in an answer.
  function nameOf(photo, wanted) {
    const [, stem, suffix] = wanted.match(/^(.*?)(\.\w+)?$/s);
    for (let number = 1; ; number++) {
      const name = number === 1 ? wanted : `${stem} (${number})${suffix || ""}`;
      if (!photos.some((other) => other !== photo && other.name === name)) return name;
    }
  }

  function preview(photo) {
    const picture = element("img", { src: URL.createObjectURL(photo.file), alt: photo.name });
    picture.onload = picture.onerror = (event) => {
      URL.revokeObjectURL(picture.src);
      photo.item.classList.toggle("broken", event.type === "error");
    };
    photo.item.prepend(picture);
    photo.item.querySelector("small").textContent = photo.name;
    photo.item.querySelector("button").setAttribute("aria-label", `Remove ${photo.name}`);
  }

  async function make(photo) {
    if (!photos.includes(photo)) return;
    photo.file = await shrink(photo.file);
    if (photo.file.name !== photo.chosen) photo.name = nameOf(photo, photo.file.name);
    preview(photo);
    if (photos.includes(photo)) changed(photo);
  }

  function remove(gone) {
    photos = photos.filter((photo) => !gone.includes(photo));
    for (const photo of gone) { photo.item.remove(); photo.sending?.abort(); }
    changed(null);
  }

  function add(chosen) {
    const fresh = [...chosen];
    if (!fresh.length || locked) return;
    if (!multiple) remove(photos);
    for (const file of multiple ? fresh : fresh.slice(-1)) {
      const photo = { chosen: file.name, name: "", file, item: element("li") };
      photo.name = nameOf(photo, file.name);
      const button = element("button", { type: "button", className: "remove", textContent: "×", onclick: () => remove([photo]) });
      photo.item.append(button, element("small", { textContent: photo.name }));
      list.append(photo.item);
      photos.push(photo);
      turn = turn.then(() => make(photo));
    }
  }

  for (const input of box.querySelectorAll("input[type=file]")) {
    const take = () => { add(input.files); input.value = ""; };
    input.addEventListener("change", take);
    take(); // what was chosen before this script had come, or is still there after the page was loaded again
  }
  for (const name of ["dragenter", "dragover"]) {
    box.addEventListener(name, (event) => { event.preventDefault(); box.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) box.addEventListener(name, () => box.classList.remove("over"));
  box.addEventListener("drop", (event) => { event.preventDefault(); add(event.dataTransfer.files); });

  return {
    add,
    remove,
    clear: () => remove(photos),
    all: () => photos,
    lock(on) {
      locked = on;
      for (const control of box.querySelectorAll("input[type=file], button")) control.disabled = on;
    },
    ready: async () => { for (let last; last !== turn;) { last = turn; await last; } },
    // What is over a limit, before anything is sent; "" if nothing is.
    over() {
      const { most, bytes, total } = box.dataset;
      if (photos.length > most) return `${photos.length} photos are chosen; at most ${most} can be sent at once.`;
      const large = photos.filter((photo) => photo.file.size > bytes);
      if (large.length) return `${large.map((photo) => photo.name).join(", ")}: more than ${bytes / MB} MB.`;
      const sum = photos.reduce((bytes, photo) => bytes + photo.file.size, 0);
      return sum > total ? `The photos have ${Math.ceil(sum / MB)} MB; at most ${Math.floor(total / MB)} MB can be sent at once.` : "";
    },
  };
}

// One request -> { status, type, text, location }. `progress` is told the share that is sent. Rejects when the server can't be
// reached; `signal` gives up.
function post(url, data, progress, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // fetch can't tell how much is sent
    request.open("POST", url);
    request.setRequestHeader("X-Requested-With", "fetch");
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => done({
      status: request.status, text: request.responseText, location: request.getResponseHeader("Location"),
      type: request.getResponseHeader("Content-Type") || "",
    });
    request.onerror = failed;
    request.onabort = () => failed(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    if (signal.aborted) request.onabort(); else request.send(data);
  });
}

// Whether an answer says that there is no session, or none that this page belongs to.
function ended(reply) {
  return reply.type.startsWith("application/problem+json") && ["not_signed_in", "csrf"].includes(JSON.parse(reply.text).code);
}

// An error beside its field. Without a message it is taken away.
function say(field, message) {
  const id = `${field.id}-problem`;
  document.getElementById(id)?.remove();
  field.classList.toggle("is-invalid", Boolean(message));
  if (!message) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
    return;
  }
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", id);
  field.after(element("div", { className: "invalid-feedback", id, textContent: message }));
}

for (const form of document.querySelectorAll("form[data-send]")) {
  const box = form.querySelector("[data-photos]");
  const field = box.querySelector("[data-choose]").name;
  const button = form.querySelector("[data-submit]");
  const problem = form.querySelector("[data-problem]");
  const questions = form.querySelector("[data-questions]"); // what speaks against a photo, before it is kept
  const label = button.textContent;
  const cancel = element("button", { type: "button", className: "btn btn-outline-secondary", textContent: "Cancel", hidden: true });
  button.after(" ", cancel);
  const asks = "auto" in form.dataset; // a question, asked as soon as a photo is chosen; it changes nothing
  let sending = null, again = false;
  const photos = photoInput(box, (made) => {
    problem.hidden = true;
    questions?.replaceChildren();
    form.dispatchEvent(new Event("photos"));
    if (made && uploads && !photos.over()) uploads.add(made);
    if (!made || !asks) return;
    again = Boolean(sending); // another photo before the first one was answered
    if (again) sending.abort(); else form.requestSubmit();
  });
  const uploads = form.dataset.uploads && earlyUploads(form, photos);
  form.photoInput = photos;

  // While it is sent nothing is chosen, taken away or begun anew: the answer is about what was sent.
  function lock(on) {
    photos.lock(on);
    form.dispatchEvent(new CustomEvent("sending", { detail: on }));
  }

  const fail = (message, ...more) => {
    problem.replaceChildren(message, ...more);
    problem.hidden = false;
    problem.scrollIntoView({ block: "center" });
    form.dispatchEvent(new Event("unsent"));
  };

  // Whether photos that were sent before the form are no longer there: then it brings them.
  function lost(reply) {
    return reply.status === 422 && reply.type.startsWith("application/problem+json") && JSON.parse(reply.text).field === "sent";
  }

  // Everything that is wrong, each where it is: photos with a way to take them away, fields, or the form as a whole.
  function explain(reply) {
    let told = {};
    try { told = JSON.parse(reply.text); } catch { /* a proxy's page: the status says enough */ }
    tell(told, reply.status);
  }

  function tell(told, status) {
    const wrong = photos.all().filter((photo) => told.photos?.some((said) => said.filename === photo.name));
    if (wrong.length) {
      const list = element("ul", {}, ...told.photos.map((said) => element("li", { textContent: `${said.filename}: ${said.detail}` })));
      for (const photo of wrong) photo.item.classList.add("broken");
      const away = element("button", { type: "button", className: "btn btn-sm btn-outline-danger", onclick: () => photos.remove(wrong) });
      away.textContent = wrong.length === 1 ? "Take it away" : `Take these ${wrong.length} away`;
      return fail(wrong.length === 1 ? "This photo can't be used:" : "These photos can't be used:", list, away);
    }
    const at = told.field && form.elements.namedItem(told.field);
    if (at?.id) {
      say(at, told.detail);
      return at.focus();
    }
    fail(told.detail || `The server answered ${status}.`);
  }

  for (const input of form.querySelectorAll("input[id]")) input.addEventListener("input", () => say(input, ""));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    if (!photos.all().length && !form.querySelector("[name=inbox]:checked")) return fail("Choose a photo first.");
    if ("follow" in form.dataset && !mayLeave(form)) return;
    const anyway = event.submitter && "anyway" in event.submitter.dataset;
    let why = "", formSent = false, direct = !uploads; // whether the form brings the photos itself
    sending = new AbortController();
    cancel.onclick = () => sending.abort();
    button.disabled = true;
    button.textContent = form.dataset.busy;
    problem.hidden = true;
    cancel.hidden = false;
    questions?.replaceChildren();
    try {
      await photos.ready();
      const over = photos.over();
      if (over) return fail(over);
      if (!asks) lock(true);
      let reply;
      do {
        if (!direct) {
          const place = (number) => { button.textContent = `Sending photo ${number} of ${photos.all().length}`; };
          while (!await uploads.finish(place, sending.signal)) {
            if (why = await sessionAgain(await presentSession())) return fail(why);
          }
          const refused = photos.all().filter((photo) => photo.refused);
          if (refused.length) return tell({ photos: refused.map((photo) => ({ filename: photo.name, detail: photo.refused })) });
        }
        const data = new FormData(form);
        if (anyway) data.append("anyway", "1");
        data.delete(field);
        for (const photo of photos.all()) direct ? data.append(field, photo.file, photo.name) : data.append("sent", photo.id);
        const progress = (share) => { button.textContent = share < 1 ? `Sending, ${Math.floor(100 * share)} %` : form.dataset.busy; };
        formSent = true;
        reply = await post(form.action, data, progress, sending.signal);
      } while (ended(reply) ? !(why = await sessionAgain(await presentSession())) : !direct && (direct = lost(reply)));
      if (why) return fail(why);
      if (again) return;
      if ("follow" in form.dataset && reply.location) {
        form.dispatchEvent(new Event("sent"));
        return location.assign(reply.location);
      }
      if (questions && reply.status === 422 && reply.type.startsWith("text/html")) {
        questions.innerHTML = reply.text; // our own template, escaped by the server
        return questions.scrollIntoView({ block: "nearest" });
      }
      if (reply.status >= 400) return explain(reply);
      const result = document.querySelector(form.dataset.result);
      result.innerHTML = reply.text; // our own template, escaped by the server
      form.dispatchEvent(new Event("sent"));
      if (!asks) { form.hidden = true; photos.clear(); }
      result.scrollIntoView({ block: "nearest" });
    } catch (error) {
      const cancelled = asks ? "Cancelled." : formSent ? "Cancelled. Look whether it was kept before you send it again." : "Cancelled. Nothing was added.";
      const told = error instanceof Error && error.name === "Error" && error.message; // by the server, of a photo
      if (!again) fail(error.name === "AbortError" ? cancelled : told ? `${told} Nothing is lost: send it again.` : UNREACHABLE);
    } finally {
      lock(false);
      button.disabled = false;
      button.textContent = label;
      cancel.hidden = true;
      sending = null;
      if (again) { again = false; form.requestSubmit(); }
    }
  });
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
}
