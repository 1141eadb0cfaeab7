// What every page shares: a form is sent once, and a question is asked before what cannot be undone.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  // A page that comes back from the browser's history may be sent again.
  window.addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
});
