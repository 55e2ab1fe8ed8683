"use strict";

// Where this page is, for the example: the browser knows, while the Host header of a request may say anything.
for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;

// The secret is shown this once: a button copies it, where the browser lets a page do so.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// A second click does nothing; the server would not make a second one either.
for (const form of document.querySelectorAll("[data-once]")) {
  const button = form.querySelector("button");
  form.addEventListener("submit", () => setTimeout(() => { button.disabled = true; }));
  for (const name of ["pageshow", "unsent"]) addEventListener(name, () => { button.disabled = false; });
}
