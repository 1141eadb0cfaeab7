// 今日: numbers and calls under way, as the server tells them.
"use strict";

(() => {
  const section = document.querySelector("#live");
  if (!section || !window.EventSource) return;
  const state = section.querySelector("[data-state]");
  const calls = section.querySelector("[data-calls]");
  const source = new EventSource(section.dataset.live);

  const say = (word) => {
    if (state.textContent !== word) state.textContent = word;
  };
  source.addEventListener("open", () => say(state.dataset.liveWord));
  source.addEventListener("error", () => {
    // A stream that ends is opened again by the browser; one that is refused is not.
    if (source.readyState === EventSource.CLOSED) say(state.dataset.lostWord);
  });
  source.addEventListener("counts", (event) => {
    const counts = JSON.parse(event.data);
    for (const element of document.querySelectorAll("[data-count]")) {
      const n = counts[element.dataset.count];
      if (n !== undefined && element.textContent !== String(n)) element.textContent = n;
    }
    for (const bar of document.querySelectorAll("[data-bar]")) {
      const n = counts[bar.dataset.bar];
      if (n !== undefined) bar.setAttribute("width", (100 * n) / Math.max(1, counts.planned));
    }
  });
  source.addEventListener("calls", (event) => {
    calls.innerHTML = event.data;
  });
  source.addEventListener("dialing", (event) => {
    if ((event.data === "running") !== (section.dataset.running === "true")) location.reload();
  });
})();
