// Merging: another choice shows at once what the product becomes; the button without a script does the same.
"use strict";

const choices = document.querySelector("[data-choices]");
const preview = document.querySelector("[data-preview]");
let latest = 0;

choices.addEventListener("change", async () => {
  const mine = ++latest;
  // What is not shown yet can't be merged.
  for (const button of preview.querySelectorAll("button")) button.disabled = true;
  const query = new URLSearchParams(new FormData(choices));
  const reply = await fetch(`${choices.action}?${query}`, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
  if (mine !== latest) return;
  if (!reply?.ok || reply.redirected) return choices.submit();
  preview.innerHTML = await reply.text();
});
