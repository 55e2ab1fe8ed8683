// Sends the photos of a form one by one, as soon as each is there, while the rest is still typed; the form then names them.
// Each shows how much of it is sent. One that fails is tried again, by itself and by its button.
"use strict";

const PAUSES = [1, 3, 0]; // seconds after a try that failed

function pause(seconds, signal) {
  return new Promise((done) => { setTimeout(done, 1000 * seconds); signal.addEventListener("abort", done); });
}

function refusal(reply) {
  try {
    const told = JSON.parse(reply.text);
    return told.photos?.[0].detail || told.detail;
  } catch {
    return `The server answered ${reply.status}.`; // a proxy's page
  }
}

function earlyUploads(form, photos) {
  let turn = Promise.resolve();
  let halted = false; // the session has ended, or the user cancelled: sending the form goes on

  // One try. The photo then has an `id`, or `refused` says why it can't be used; else it is to be sent again.
  async function request(photo, bar) {
    const data = new FormData();
    data.append("csrf_token", form.elements.namedItem("csrf_token").value);
    data.append("photo", photo.file, photo.name);
    const reply = await post(form.dataset.uploads, data, (share) => { bar.value = share; }, photo.sending.signal);
    if (reply.status === 201) photo.id = JSON.parse(reply.text).id;
    else if ([413, 415, 422].includes(reply.status)) photo.refused = refusal(reply);
    else if (ended(reply)) halted = true;
  }

  async function send(photo, pauses = PAUSES) {
    const over = () => photo.id || photo.refused || halted || !photos.all().includes(photo);
    if (over()) return;
    const bar = element("progress", { max: 1, value: 0 });
    bar.setAttribute("aria-label", `Sending ${photo.name}`);
    photo.again?.remove();
    photo.item.append(bar);
    photo.sending = new AbortController();
    for (const seconds of pauses) {
      await request(photo, bar).catch(() => {});
      if (over()) break;
      await pause(seconds, photo.sending.signal);
    }
    bar.remove();
    photo.sending = null;
    photo.item.classList.toggle("sent", Boolean(photo.id));
    photo.item.classList.toggle("broken", Boolean(photo.refused));
    photo.item.querySelector("small").textContent = photo.refused || photo.name;
    if (!over()) offer(photo);
  }

  function offer(photo) {
    photo.again = element("button", { type: "button", className: "btn btn-sm btn-outline-primary", textContent: "Send again" });
    photo.again.setAttribute("aria-label", `Send ${photo.name} again`);
    photo.again.onclick = () => add(photo);
    photo.item.append(photo.again);
  }

  function add(photo) {
    halted = false;
    turn = turn.then(() => send(photo));
  }

  return {
    add,
    // Sends what is not sent yet; `told` is called with each photo's place. Rejects when `signal` gives up.
    async finish(told, signal) {
      const halt = () => { halted = true; for (const photo of photos.all()) photo.sending?.abort(); };
      signal.addEventListener("abort", halt);
      try {
        const first = photos.all().findIndex((photo) => !photo.id && !photo.refused);
        if (first >= 0) told(first + 1);
        await turn;
        halted = signal.aborted;
        for (const [place, photo] of photos.all().entries()) {
          if (!photo.id) told(place + 1);
          await send(photo, [0]);
          if (!photo.id && !photo.refused && !halted) throw new Error(`${photo.name} could not be sent`);
        }
      } finally {
        signal.removeEventListener("abort", halt);
      }
      if (signal.aborted) throw new DOMException("", "AbortError");
    },
    // The server no longer has them: they are sent again.
    forget() { for (const photo of photos.all()) photo.id = null; },
  };
}
