// Fetches a part of the page again while it says so: <… data-refresh="/address" data-every="seconds">.
"use strict";

const again = (part) => {
  const seconds = Number(part.dataset.every) || 2;
  setTimeout(async () => {
    try {
      const answer = await fetch(part.dataset.refresh, { headers: { accept: "text/html" } });
      if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body
        .firstElementChild;
      part.replaceChildren(...fresh.childNodes);
      if (fresh.dataset.refresh) {
        again(part);
      } else {
        // What may be done next is elsewhere on the page.
        location.reload();
      }
    } catch {
      again(part);
    }
  }, seconds * 1000);
};

for (const part of document.querySelectorAll("[data-refresh]")) again(part);
