// 健康状態一覧: keys to walk along the rows, and a word when the page is out of date.
"use strict";

(() => {
  const rows = () => [...document.querySelectorAll("[data-list] tbody tr")];
  const current = () => document.activeElement?.closest("[data-list] tbody tr");
  const step = (by) => {
    const all = rows();
    const place = all.indexOf(current());
    const next = all[Math.min(all.length - 1, Math.max(0, place < 0 ? 0 : place + by))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    switch (event.key) {
      case "j":
        step(1);
        break;
      case "k":
        step(-1);
        break;
      case "o":
        current()?.querySelector("th a")?.click();
        break;
      case "a":
        current()?.querySelector("[data-claim]")?.click();
        break;
      case "/":
        document.querySelector("#search")?.focus();
        break;
      default:
        return;
    }
    event.preventDefault();
  });

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }

  const news = document.querySelector("[data-version]");
  if (!news || !window.EventSource) return;
  const button = news.querySelector("[data-refresh]");
  let version = Number(news.dataset.version);
  let latest = version;

  // The rows are drawn again in their new order; the one under the cursor stays where it is seen.
  const refresh = async () => {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!response.ok || response.redirected) return location.reload();
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const held = current() ?? document.querySelector("[data-list] tbody tr:hover");
    const patient = held?.dataset.patient;
    const before = held?.getBoundingClientRect().top;
    for (const part of [".list", ".tabs", ".empty"]) {
      const old = document.querySelector(part);
      const next = fresh.querySelector(part);
      if (old && next) old.replaceWith(next);
      else if (Boolean(old) !== Boolean(next)) return location.reload();
    }
    version = Number(fresh.querySelector("[data-version]").dataset.version);
    button.hidden = latest <= version;
    const again = patient && rows().find((row) => row.dataset.patient === patient);
    if (again) {
      window.scrollBy(0, again.getBoundingClientRect().top - before);
      again.focus({ preventScroll: true });
    }
  };
  button.addEventListener("click", refresh);

  new EventSource(news.dataset.live).addEventListener("health", (event) => {
    latest = Number(event.data);
    const n = latest - version;
    button.hidden = n === 0;
    // Fewer under observation than before is news, too.
    button.textContent = button.dataset.word.replace("{n}", n > 0 ? n : "");
  });
})();
