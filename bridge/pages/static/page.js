// What all pages share: dialogs, copying, ages that go on, times in the reader's own zone. No page needs it to be read.
"use strict";

const STEPS = [[86400, "d"], [3600, "h"], [60, "min"]];

function age(seconds) { // as wording.age
  for (const [place, [step, name]] of STEPS.entries()) {
    if (seconds < step) continue;
    const count = Math.floor(seconds / step);
    const smaller = STEPS[place + 1];
    const more = smaller && count < 10 ? Math.floor((seconds % step) / smaller[0]) : 0;
    return more ? `${count} ${name} ${more} ${smaller[1]}` : `${count} ${name}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// <time data-age datetime=…>: how long ago. <time data-local datetime=…>: when, here.
function tick() {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[data-age]")) {
    write(element, age((now - Date.parse(element.dateTime)) / 1000));
  }
}

function shortly(when) { // today needs no date, this year no year
  const now = new Date();
  const time = { hour: "numeric", minute: "2-digit" };
  if (when.toDateString() === now.toDateString()) return time;
  const day = { month: "short", day: "numeric", ...time };
  return when.getFullYear() === now.getFullYear() ? day : { year: "numeric", ...day };
}

function localise(root) {
  tick();
  for (const element of root.querySelectorAll("time[data-local]")) {
    const when = new Date(element.dateTime);
    element.title = when.toISOString();
    write(element, when.toLocaleString([], shortly(when)));
  }
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch { // over plain HTTP a browser gives no clipboard: it is marked, so that Ctrl-C takes it
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    say("Marked: press Ctrl-C");
  }
}

let silence;
function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { place.textContent = ""; }, 4000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-open], [data-close], [data-copy]");
  if (!button) {
    if (event.target.matches("dialog")) event.target.close(); // beside it
    return;
  }
  const alone = button.closest("[data-alone]"); // a page by itself: to close it is to go back
  if ("close" in button.dataset && alone) location.href = alone.dataset.alone;
  if (button.dataset.open) document.getElementById(button.dataset.open).showModal();
  if ("close" in button.dataset && !alone) { // where a page lies beneath, it is not left
    event.preventDefault();
    button.closest("dialog").close();
  }
  if (button.dataset.copy) copy(button);
});

document.addEventListener("htmx:load", (event) => {
  localise(event.target);
  for (const dialog of event.target.querySelectorAll("dialog[data-shown]")) dialog.showModal();
  if (event.target.matches("dialog[data-shown]") && !event.target.open) event.target.showModal();
});

document.addEventListener("DOMContentLoaded", () => {
  localise(document);
  tick();
  setInterval(tick, 1000);
});
// A link that is gone is said, so that nobody trusts what stands still.
document.addEventListener("htmx:sseError", () => document.body.dataset.live = "lost");
document.addEventListener("htmx:sseOpen", () => document.body.dataset.live = "on");
