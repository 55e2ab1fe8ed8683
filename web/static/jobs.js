// How far jobs are: the part of the page is loaded again while something is at work, and now and then when nothing is.
// What has the focus keeps it.
"use strict";

const WORKING = 2000, RESTING = 15000; // milliseconds

for (const box of document.querySelectorAll("[data-refresh]")) {
  const isOpen = () => Boolean(box.querySelector("[data-open]"));
  const look = async () => {
    try {
      const headers = { "X-Requested-With": "fetch", "X-Page": location.pathname + location.search };
      const reply = document.hidden ? null : await fetch(box.dataset.refresh, { headers });
      if (reply && (reply.redirected || [401, 404].includes(reply.status))) return location.reload();
      if (reply?.ok) {
        const focused = box.contains(document.activeElement) ? document.activeElement.id : "";
        const wasOpen = isOpen();
        box.innerHTML = await reply.text(); // our own template, escaped by the server
        showTimes(box);
        if (focused) document.getElementById(focused)?.focus();
        if (wasOpen && !isOpen() && "reload" in box.dataset) return location.reload();
      }
    } catch { /* the server is being restarted: look again */ }
    setTimeout(look, isOpen() ? WORKING : RESTING);
  };
  setTimeout(look, isOpen() ? WORKING : RESTING);
}
