// The log of one job: it follows its end, repeats nothing after a break, and stays small.
"use strict";

const LOG_MAX = 1000000; // characters on the page; the whole log has its own address

function logElement() { return document.getElementById("log"); }

function follow() {
  const log = logElement();
  if (log && document.getElementById("follow").checked) log.scrollTop = log.scrollHeight;
}

// After a break the stream begins where this page began: what it sends again takes the place of what is there.
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  if (event.detail.type !== "log") return;
  const piece = document.createElement("template");
  piece.innerHTML = event.detail.data;
  const first = piece.content.querySelector("[data-start]");
  for (const element of logElement().querySelectorAll("[data-start]")) {
    if (Number(element.dataset.start) >= Number(first.dataset.start)) element.remove();
  }
});

document.addEventListener("htmx:sseMessage", (event) => {
  if (event.detail.type !== "log") return;
  const log = logElement();
  while (log.textContent.length > LOG_MAX && log.childNodes.length > 1) log.firstChild.remove();
  follow();
});

document.addEventListener("DOMContentLoaded", () => {
  follow();
  document.getElementById("follow").addEventListener("change", follow);
  logElement().addEventListener("wheel", (event) => {
    if (event.deltaY < 0) document.getElementById("follow").checked = false;
  }, { passive: true });
});
