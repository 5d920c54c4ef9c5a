// One dialog asks for every deed of a row.
"use strict";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-sure]");
  if (!button) return;
  const dialog = document.getElementById("sure");
  const deed = document.getElementById("sure-deed");
  dialog.querySelector("form").action = button.dataset.sure;
  document.getElementById("sure-title").textContent = button.dataset.title;
  document.getElementById("sure-text").textContent = button.dataset.text;
  deed.textContent = button.dataset.deed;
  deed.className = "grave" in button.dataset ? "danger" : "first";
  dialog.showModal();
});
