// The menu closes by Escape and by a click elsewhere. Without this script it opens and closes by its own button.
"use strict";

const menu = document.querySelector("[data-menu]");
document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// Who signs out leaves nothing that they began for the next person at this browser (drafts.js).
menu.querySelector("form").addEventListener("submit", () => indexedDB.deleteDatabase("catalog-drafts"));
