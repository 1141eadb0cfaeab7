// The queue: the lanes renew themselves, time runs on, twelve seconds are played, a call is noted.
"use strict";

const queue = document.getElementById("queue");
const post = (url, csrf, fields) =>
  fetch(url, {
    method: "POST",
    body: new URLSearchParams({ csrf, ...fields }),
    keepalive: true,
    redirect: "manual",
  });

// --- time

const english = document.documentElement.lang === "en";
const elapsed = (seconds) => {
  const minutes = Math.max(0, Math.floor(seconds / 60));
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) return english ? `${days} d ${hours % 24} h` : `${days}日${hours % 24}時間`;
  if (hours > 0) return english ? `${hours} h ${minutes % 60} min` : `${hours}時間${minutes % 60}分`;
  return english ? `${minutes} min` : `${minutes}分`;
};

const tick = () => {
  for (const time of document.querySelectorAll("time[data-since]")) {
    const seconds = (Date.now() - Number(time.dataset.since)) / 1000;
    // A desk whose clock is wrong must not show less than the server did.
    if (seconds < 0) continue;
    time.textContent = elapsed(seconds);
    const late = time.dataset.target && seconds >= Number(time.dataset.target);
    if (late) {
      const timer = time.parentElement;
      timer.classList.add("late");
      timer.querySelector(".target").hidden = true;
      timer.querySelector(".overdue").hidden = false;
    }
  }
};
setInterval(tick, 15_000);

// --- twelve seconds

let audio = null;
let playing = null;

const stop = () => {
  if (!audio) return;
  audio.pause();
  const { link, begun } = playing;
  link.removeAttribute("aria-pressed");
  if (audio.currentTime - begun > 0.2) {
    post(link.dataset.heard, link.dataset.csrf, {
      from: Math.round(begun * 1000),
      to: Math.round(audio.currentTime * 1000),
    });
  }
  audio = null;
  playing = null;
};

const play = async (link) => {
  const from = Number(link.dataset.from) / 1000;
  const until = from + Number(link.dataset.length) / 1000;
  audio = new Audio(link.dataset.play);
  playing = { link, begun: from };
  audio.currentTime = from;
  audio.addEventListener("timeupdate", () => {
    if (audio && audio.currentTime >= until) stop();
  });
  audio.addEventListener("ended", stop);
  // Without the right, or without a reason yet, the page of the call says what is missing.
  audio.addEventListener("error", () => {
    audio = null;
    location.href = link.href;
  });
  link.setAttribute("aria-pressed", "true");
  try {
    await audio.play();
  } catch {
    location.href = link.href;
  }
};

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-play]");
  if (link) {
    event.preventDefault();
    const again = playing?.link === link;
    stop();
    if (!again) play(link);
    return;
  }
  const tel = event.target.closest("[data-called]");
  // The telephone is taken up by the link itself; that it was is written down beside it.
  if (tel) post(tel.dataset.called, tel.dataset.csrf, {});
});
window.addEventListener("pagehide", stop);

// --- the cue for new urgent cases: on by a gesture, muted for a time only

const cue = document.getElementById("cue");
let sound = null;
let mutedUntil = 0;

const beep = () => {
  if (!sound || Date.now() < mutedUntil) return;
  for (const [start, pitch] of [[0, 880], [0.25, 660], [0.5, 880]]) {
    const tone = sound.createOscillator();
    const level = sound.createGain();
    tone.frequency.value = pitch;
    level.gain.value = 0.2;
    tone.connect(level).connect(sound.destination);
    tone.start(sound.currentTime + start);
    tone.stop(sound.currentTime + start + 0.18);
  }
};

const showCue = () => {
  const left = Math.ceil((mutedUntil - Date.now()) / 60_000);
  document.getElementById("cue-switch").setAttribute("aria-pressed", String(Boolean(sound)));
  document.getElementById("cue-state").textContent = sound ? cue.dataset.on : cue.dataset.off;
  document.getElementById("cue-note").textContent =
    sound && left > 0 ? cue.dataset.muted.replace("{n}", left) : "";
  document.getElementById("cue-mute").disabled = !sound;
};

if (cue) {
  cue.hidden = false;
  document.getElementById("cue-switch").addEventListener("click", () => {
    if (sound) {
      sound.close();
      sound = null;
    } else {
      sound = new AudioContext();
      mutedUntil = 0;
      beep();
    }
    showCue();
  });
  document.getElementById("cue-mute").addEventListener("click", () => {
    mutedUntil = Date.now() + 600_000;
    showCue();
  });
  setInterval(showCue, 15_000);
  showCue();
}

// --- the lanes renew themselves

let etag = null;
const urgent = () =>
  new Set([...queue.querySelectorAll("[data-lane=urgent]")].map((card) => card.dataset.case));

const renew = async () => {
  // What is being filled in or heard stays where it is.
  if (document.hidden || playing) return;
  const headers = etag ? { "If-None-Match": etag } : {};
  const response = await fetch(queue.dataset.list, { headers, redirect: "manual" });
  if (response.type === "opaqueredirect") {
    location.reload();
    return;
  }
  if (response.status !== 200) return;
  etag = response.headers.get("ETag");
  const before = urgent();
  const focus = document.activeElement?.closest?.("[data-case]")?.dataset.case;
  queue.innerHTML = await response.text();
  if (focus) queue.querySelector(`[data-case="${focus}"] a`)?.focus({ preventScroll: true });
  const fresh = [...urgent()].filter((id) => !before.has(id)).length;
  if (fresh > 0) {
    document.getElementById("queue-news").textContent = queue.dataset.news.replace("{n}", fresh);
    beep();
  }
  tick();
};

if (queue) {
  setInterval(() => renew().catch(() => {}), Number(queue.dataset.every));
  document.addEventListener("visibilitychange", () => renew().catch(() => {}));
}
