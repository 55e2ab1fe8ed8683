// The product's page: Enter or a comma makes a label, more rows for attributes, buttons that need a chosen photo.
// Everything works without this script, too: labels are then separated by commas, and two rows are always free.
"use strict";

for (const box of document.querySelectorAll("[data-labels]")) {
  const list = box.querySelector(".chips");
  const field = box.querySelector("input[name=new_labels]");

  const take = () => {
    for (const name of field.value.split(",").map((text) => text.trim()).filter(Boolean)) {
      const there = [...list.querySelectorAll("input")].find((input) => input.value === name);
      if (there) { there.checked = true; continue; }
      const input = Object.assign(document.createElement("input"), { type: "checkbox", name: "label", value: name, checked: true, className: "form-check-input" });
      const label = document.createElement("label");
      label.append(input, ` ${name}`);
      const item = document.createElement("li");
      item.append(label);
      list.append(item);
    }
    field.value = "";
  };
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || (event.key !== "," && (event.key !== "Enter" || !field.value.trim()))) return;
    event.preventDefault();
    take();
  });
}

for (const box of document.querySelectorAll("[data-rows]")) {
  const list = box.querySelector("ul");
  const more = box.querySelector("[data-more]");
  more.hidden = false;
  more.addEventListener("click", () => {
    const row = list.lastElementChild.cloneNode(true);
    const number = list.children.length + 1;
    for (const input of row.querySelectorAll("input")) {
      input.value = "";
      input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+$/, number));
    }
    list.append(row);
    row.querySelector("input").focus();
  });
}

for (const form of document.querySelectorAll("[data-choose-photos]")) {
  const boxes = [...form.querySelectorAll("input[name=photo]")];
  ticking(boxes, () => {
    const chosen = boxes.filter((box) => box.checked).length;
    form.querySelector("[data-count]").textContent = chosen ? ` (${chosen})` : "";
    for (const button of form.querySelectorAll("[data-for-chosen]")) button.disabled = !chosen;
  });
}
