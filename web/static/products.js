// The product list: short addresses, what is ticked on all of its pages. It works without this, too.
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

// What is ticked stays so on the list's other pages, in this tab, until it is changed or the list is another one.
const all = document.querySelector("[data-tick-all]");
if (all) {
  const boxes = [...document.querySelectorAll("[name=sku]")];
  const [said, none, elsewhere] = ["ticked", "tick-none", "elsewhere"].map((part) => document.querySelector(`[data-${part}]`));
  const address = new URL(location.href);
  const done = address.searchParams.has("done");
  for (const other of ["after", "before", "done", "sort", "view"]) address.searchParams.delete(other);
  address.searchParams.sort(); // a form and a link say the same in different orders
  const key = `ticked ${address.search}`;
  const ticked = new Set(done ? [] : JSON.parse(sessionStorage.getItem(key)));
  const show = () => {
    for (const box of boxes) box.checked ? ticked.add(box.value) : ticked.delete(box.value);
    sessionStorage.setItem(key, JSON.stringify([...ticked]));
    const others = [...ticked].filter((sku) => !boxes.some((box) => box.value === sku));
    elsewhere.replaceChildren(...others.map((sku) => element("input", { type: "hidden", name: "sku", value: sku })));
    said.textContent = ticked.size ? `${ticked.size} ticked${others.length ? `, ${others.length} on other pages` : ""}` : "";
    none.hidden = !ticked.size;
    all.textContent = boxes.every((box) => box.checked) ? "Untick these" : "Tick all";
  };
  const set = (on) => { for (const box of boxes) box.checked = on(box); show(); };
  all.hidden = false;
  all.addEventListener("click", () => { const on = !boxes.every((box) => box.checked); set(() => on); });
  none.addEventListener("click", () => { ticked.clear(); set(() => false); all.focus(); });
  addEventListener("pageshow", () => set((box) => ticked.has(box.value))); // a browser brings older ticks back
  for (const box of boxes) box.checked = ticked.has(box.value);
  ticking(boxes, show);
}
