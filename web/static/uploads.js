// Sends the photos of a form one by one, as soon as each is there, while the rest is still typed; the form then names them.
// Each shows how much of it is sent. One that fails is tried again, by itself and by its button.
"use strict";

const PAUSES = [1, 3, 0]; // seconds after a try that failed

function pause(seconds, signal) {
  return new Promise((done) => { setTimeout(done, 1000 * seconds); signal.addEventListener("abort", done); });
}

function reason(reply) {
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
  let hurried = false; // the form is being sent: one try for each, and no pauses
  let signedOut = false;

  // One try. The photo then has an `id`, or `refused` says why it can't be used; else `fault` says why it is to be sent again.
  async function request(photo, bar) {
    const data = new FormData();
    data.append("csrf_token", form.elements.namedItem("csrf_token").value);
    data.append("photo", photo.file, photo.name);
    const reply = await post(form.dataset.uploads, data, (share) => { bar.value = share; }, photo.sending.signal);
    if (reply.status === 201) photo.id = JSON.parse(reply.text).id;
    else if ([413, 415, 422].includes(reply.status)) photo.refused = reason(reply);
    else if (ended(reply)) signedOut = halted = true;
    else photo.fault = reason(reply);
  }

  async function send(photo, told) {
    const over = () => photo.id || photo.refused || halted || !photos.all().includes(photo);
    if (over()) return;
    told?.(photo);
    const bar = element("progress", { max: 1, value: 0 });
    bar.setAttribute("aria-label", `Sending ${photo.name}`);
    photo.again?.remove();
    photo.item.append(bar);
    photo.sending = new AbortController();
    for (const seconds of PAUSES) {
      photo.fault = "";
      await request(photo, bar).catch(() => {});
      if (over() || hurried) break;
      await pause(seconds, photo.sending.signal);
      if (hurried) break;
    }
    bar.remove();
    photo.sending = null;
    photo.item.classList.toggle("sent", Boolean(photo.id));
    photo.item.classList.toggle("broken", Boolean(photo.refused));
    photo.item.querySelector("small").textContent = photo.refused || photo.name;
    if (!over()) offer(photo);
  }

  function offer(photo) {
    const button = element("button", { type: "button", className: "btn btn-sm btn-outline-primary", textContent: "Send again" });
    button.setAttribute("aria-label", `Send ${photo.name} again`);
    button.onclick = () => add(photo);
    photo.again = element("div", {}, button);
    if (photo.fault) photo.again.append(element("small", { textContent: photo.fault }));
    photo.item.append(photo.again);
  }

  function add(photo) {
    halted = hurried = false;
    turn = turn.then(() => send(photo));
  }

  return {
    add,
    // Sends what is not sent yet; `told` is called with each such photo's place. Resolves to whether there is a session;
    // rejects when `signal` gives up, or a photo can't be sent: by an Error that says why, where the server did.
    async finish(told, signal) {
      const halt = () => { halted = true; for (const photo of photos.all()) photo.sending?.abort(); };
      const place = (photo) => told(photos.all().indexOf(photo) + 1);
      signal.addEventListener("abort", halt);
      hurried = true;
      try {
        photos.all().filter((photo) => photo.sending).forEach(place);
        await turn;
        signedOut = false;
        halted = signal.aborted;
        for (const photo of photos.all()) {
          await send(photo, place);
          if (!photo.id && !photo.refused && !halted) throw new Error(photo.fault);
        }
      } finally {
        hurried = false;
        signal.removeEventListener("abort", halt);
      }
      if (signal.aborted) throw new DOMException("", "AbortError");
      return !signedOut;
    },
  };
}
