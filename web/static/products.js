// The product list: short addresses, ticking all. It works without this, too.
"use strict";

const list = document.querySelector("form[data-list]");

// An address says only what was chosen.
list.addEventListener("submit", () => {
  for (const field of list.elements) if (field.name && !field.value) field.disabled = true;
});
window.addEventListener("pageshow", () => { for (const field of list.elements) field.disabled = false; });

// A photo that is dropped anywhere on the page is searched for.
const byPhoto = document.querySelector("form[data-auto]");
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    if (name === "dragover") return;
    byPhoto.closest("details").open = true;
    byPhoto.photoInput.add(event.dataTransfer.files);
  });
}

const all = document.querySelector("[data-tick-all]");
if (all) {
  const boxes = [...document.querySelectorAll("[name=sku]")];
  const name = () => { all.textContent = boxes.every((box) => box.checked) ? "Tick none" : "Tick all"; };
  all.hidden = false;
  all.addEventListener("click", () => {
    const on = !boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = on;
    name();
  });
  for (const box of boxes) box.addEventListener("change", name);
  name();
}
