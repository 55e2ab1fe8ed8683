// Uploads an import in pieces, so that it may be large and goes on after a lost connection; and shows how far one is.
// Without this script the form is sent as any other, and the page of an import loads itself again.
"use strict";

const PIECE = 16 * 1024 * 1024; // bytes of one request, at most, unless a photo is larger
const FILES = 50; // files of one request, at most
const TRIES = 5;

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// Requests' worth of pieces: [{path, offset, blob}, ...] each.
function* batches(files) {
  let batch = [], size = 0;
  for (const file of files) {
    const path = file.webkitRelativePath || file.name;
    for (let offset = 0; offset === 0 || offset < file.size; offset += PIECE) {
      const blob = file.slice(offset, offset + PIECE);
      if (batch.length && (size + blob.size > PIECE || batch.length >= FILES)) {
        yield batch;
        batch = [];
        size = 0;
      }
      batch.push({ path, offset, blob });
      size += blob.size;
    }
  }
  if (batch.length) yield batch;
}

for (const form of document.querySelectorAll("form[data-import]")) {
  const [problem, sent, bar, button, stop] = ["problem", "sent", "bar", "submit", "stop"].map((part) => form.querySelector(`[data-${part}]`));
  const inputs = [...form.querySelectorAll("[data-choose]")];
  let leaving = null;

  const fail = (message) => {
    problem.textContent = message;
    problem.hidden = false;
    problem.scrollIntoView({ block: "nearest" });
  };

  async function post(address, body, signal) {
    for (let attempt = 1; ; attempt++) {
      let wait = attempt;
      try {
        const reply = await fetch(address, { method: "POST", body, signal, headers: { "X-Requested-With": "fetch" } });
        const answer = await reply.json().catch(() => ({ detail: "Sign in again, then repeat." }));
        if (reply.ok && !reply.redirected) return answer;
        if (["not_signed_in", "csrf"].includes(answer.code) && !await sessionAgain(await presentSession())) {
          body.set("csrf_token", form.elements.csrf_token.value);
          continue;
        }
        if (reply.status !== 503 || answer.code === "storage_error" || attempt >= TRIES) throw new TypeError(answer.detail, { cause: "told" });
        wait = Number(reply.headers.get("Retry-After")) || attempt;
      } catch (error) {
        if (error.name === "AbortError" || error.cause === "told") throw error;
        if (attempt >= TRIES) throw new Error("The server can't be reached. Try again.");
      }
      await pause(wait);
    }
  }

  const fields = (extra = {}) => {
    const data = new FormData();
    data.append("csrf_token", form.elements.csrf_token.value);
    for (const [name, value] of Object.entries(extra)) data.append(name, value);
    return data;
  };

  async function upload(files, name, signal) {
    const total = files.reduce((sum, file) => sum + file.size, 0);
    if (files.length > Number(form.dataset.files)) throw new Error(`These are ${files.length} files; at most ${form.dataset.files} are possible.`);
    if (total > Math.min(form.dataset.free, form.dataset.most)) throw new Error("These files are larger than what the server has room for.");
    const { job } = await post(form.action, fields({ name }), signal);
    let done = 0;
    try {
      for (const batch of batches(files)) {
        const data = fields();
        for (const { path, offset, blob } of batch) {
          data.append("path", path);
          data.append("offset", offset);
          data.append("files", blob, "piece");
        }
        await post(`${job}/files`, data, signal);
        done += batch.reduce((sum, piece) => sum + piece.blob.size, 0);
        bar.value = total ? done / total : 1;
        sent.textContent = `${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
      }
      return (await post(`${job}/complete`, fields(), signal)).job;
    } catch (error) {
      fetch(`${job}/cancel`, { method: "POST", body: fields() }).catch(() => {});
      throw error;
    }
  }

  stop.addEventListener("click", () => leaving?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const files = inputs.flatMap((input) => [...input.files]);
    problem.hidden = true;
    if (!files.length) return fail("Choose a list (CSV), a zip, or a folder of photos.");
    const main = files.find((file) => /\.(csv|zip)$/i.test(file.name)) || files[0];
    const first = (main.webkitRelativePath || main.name).split("/")[0];
    leaving = new AbortController();
    button.disabled = true;
    bar.hidden = stop.hidden = false;
    try {
      const job = await upload(files, files.length === 1 ? files[0].name : `${first} (${files.length} files)`, leaving.signal);
      form.dispatchEvent(new Event("sent"));
      location.assign(job);
    } catch (error) {
      if (error.name !== "AbortError") fail(error.message);
      button.disabled = false;
      bar.hidden = stop.hidden = true;
      sent.textContent = "";
    }
  });
}

for (const box of document.querySelectorAll("[data-progress]")) {
  const state = () => box.querySelector("[data-state]")?.dataset.state;
  const began = state();
  const look = async () => {
    try {
      const reply = await fetch(box.dataset.progress, { headers: { "X-Requested-With": "fetch" } });
      if (reply.ok && !reply.redirected) box.innerHTML = await reply.text();
      else if (reply.redirected || [401, 404].includes(reply.status)) return location.reload();
    } catch { /* the server is being restarted: look again */ }
    const phase = (name) => (name === "checking" ? "checking" : ["waiting", "running"].includes(name) ? "importing" : name);
    if (phase(state()) !== phase(began)) return location.reload();
    setTimeout(look, 1000);
  };
  setTimeout(look, 1000);
}
