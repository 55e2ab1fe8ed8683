// How far jobs are: the part of the page is loaded again while something in it is at work. What is over is left as it is, and
// so is a form on its way (session.js). What has the focus keeps it.
"use strict";

const EVERY = 2000; // milliseconds

for (const box of document.querySelectorAll("[data-refresh]")) {
  const isOpen = () => Boolean(box.querySelector("[data-open]"));
  const goOn = () => { if (isOpen()) setTimeout(look, EVERY); };
  const look = async () => {
    try {
      const headers = { "X-Requested-With": "fetch", "X-Page": location.pathname + location.search };
      const reply = document.hidden ? null : await fetch(box.dataset.refresh, { headers });
      if (reply && (reply.redirected || [401, 404].includes(reply.status))) return location.reload();
      const part = reply?.ok ? await reply.text() : "";
      if (part && !box.querySelector("[data-going]")) {
        const focused = box.contains(document.activeElement) ? document.activeElement.id : "";
        box.innerHTML = part; // our own template, escaped by the server
        showTimes(box);
        if (focused) document.getElementById(focused)?.focus();
        if (!isOpen() && "reload" in box.dataset) return location.reload();
      }
    } catch { /* the server is being restarted: look again */ }
    goOn();
  };
  goOn();
}
