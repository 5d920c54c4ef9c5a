// The fleet's last day. The chart library is fetched when somebody opens the plot, and not before.
"use strict";

function loaded(place) {
  return new Promise((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = place.dataset.style;
    const script = document.createElement("script");
    script.src = place.dataset.library;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(link, script);
  });
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5]; // there is no half a worker

function axis(more) {
  return { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, ...more };
}

function options(place, most) {
  return {
    width: place.clientWidth, height: 190, cursor: { points: { size: 6 } },
    scales: { y: { range: [0, Math.max(1, most)] }, jobs: { range: (_, low, high) => [0, Math.max(1, high)] } },
    axes: [
      axis({}),
      axis({ label: "workers up", size: 54, incrs: WHOLE }),
      axis({ scale: "jobs", side: 1, grid: { show: false }, label: "jobs", size: 54, incrs: WHOLE }),
    ],
    series: [
      {},
      { label: "workers up", stroke: colour("--bar-up"), fill: `${colour("--bar-up").trim()}33`, width: 2, paths: uPlot.paths.stepped({ align: 1 }) },
      { label: "jobs finished while cut off", scale: "jobs", stroke: colour("--bar-work"), fill: colour("--bar-work"), paths: uPlot.paths.bars({ size: [0.7, 12] }), points: { show: false } },
    ],
  };
}

async function draw(place) {
  const [answer] = await Promise.all([fetch(place.dataset.plot), loaded(place)]);
  const day = await answer.json();
  let plot;
  const again = () => {
    plot?.destroy();
    plot = new uPlot(options(place, Math.max(...day.up)), [day.at, day.up, day.done.map((jobs) => jobs || null)], place);
  };
  again();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("resize", () => plot.setSize({ width: place.clientWidth, height: 190 }));
}

document.querySelector("details.plot")?.addEventListener("toggle", (event) => {
  const place = event.target.querySelector("[data-plot]");
  if (!place.childElementCount) draw(place);
}, { once: true });
