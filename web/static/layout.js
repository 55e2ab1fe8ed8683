// What every page has: the menu, and times in the reader's zone. Without this script the menu opens and closes by its own
// button, and times are in UTC.
"use strict";

const menu = document.querySelector("[data-menu]");
document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// Who signs out leaves nothing that they began for the next person at this browser (drafts.js).
menu.querySelector("form").addEventListener("submit", () => {
  indexedDB.deleteDatabase("catalog-drafts");
  sessionStorage.clear();
});

// Also for what a page's script puts in place later.
function showTimes(part) {
  for (const time of part.querySelectorAll("time[datetime*=T]")) {
    time.title = time.textContent;
    time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}
showTimes(document);
