// The player of a call: from a mark, faster or slower, louder; what was heard is told to the server.
"use strict";

const player = document.getElementById("player");
const sound = document.getElementById("audio");

if (player && sound) {
  const length = Number(player.dataset.length) / 1000;
  const rows = [...document.querySelectorAll("#answers tr[data-from]")];
  const head = document.getElementById("playhead");
  const noteAt = document.getElementById("note-at");

  document.getElementById("player-buttons").hidden = false;
  for (const button of document.querySelectorAll("[data-seek]")) button.hidden = false;

  const mark = () => {
    const asked = Number(player.dataset.from);
    if (asked > 0) return asked / 1000;
    const row = rows.find((row) => row.hasAttribute("data-mark")) ?? rows[0];
    return row ? Number(row.dataset.from) / 1000 : 0;
  };

  const seek = (seconds) => {
    sound.currentTime = Math.min(Math.max(0, seconds), Math.max(0, length - 0.05));
    show();
  };
  const playFrom = (seconds) => {
    // Nothing is loaded before somebody wants to hear it.
    if (sound.readyState === 0) {
      sound.addEventListener("loadedmetadata", () => seek(seconds), { once: true });
      sound.load();
    } else {
      seek(seconds);
    }
    sound.play();
  };

  // --- what was heard

  let begun = null;
  let last = 0;
  const heard = () => {
    if (begun === null) return;
    const [from, to] = [begun, last];
    begun = null;
    if (to - from < 0.2) return;
    fetch(player.dataset.heard, {
      method: "POST",
      keepalive: true,
      body: new URLSearchParams({
        csrf: player.dataset.csrf,
        from: Math.round(from * 1000),
        to: Math.round(to * 1000),
      }),
    });
  };
  sound.addEventListener("playing", () => {
    if (begun === null) begun = last = sound.currentTime;
  });
  sound.addEventListener("timeupdate", () => {
    const at = sound.currentTime;
    if (begun !== null) {
      // A leap is no listening.
      if (Math.abs(at - last) > 1.5) {
        heard();
        if (!sound.paused) begun = at;
      }
      last = at;
    }
    show();
  });
  for (const name of ["pause", "ended", "seeking"]) sound.addEventListener(name, heard);
  sound.addEventListener("seeked", () => {
    if (!sound.paused) begun = last = sound.currentTime;
  });
  window.addEventListener("pagehide", heard);

  // --- where it is

  const show = () => {
    const at = sound.currentTime;
    head?.setAttribute("transform", `translate(${(at / Math.max(length, 0.001)) * 1200} 0)`);
    for (const row of rows) {
      const now = at * 1000 >= Number(row.dataset.from) && at * 1000 <= Number(row.dataset.to);
      row.classList.toggle("now", now);
    }
    if (noteAt && document.activeElement !== noteAt) noteAt.value = at.toFixed(1);
  };

  // --- louder: telephones are quiet, and so are the old

  let gain = null;
  document.getElementById("player-boost").addEventListener("change", (event) => {
    if (!gain) {
      const context = new AudioContext();
      gain = context.createGain();
      context.createMediaElementSource(sound).connect(gain).connect(context.destination);
    }
    gain.gain.value = Number(event.target.value);
  });
  document.getElementById("player-speed").addEventListener("change", (event) => {
    sound.playbackRate = Number(event.target.value);
  });

  const deeds = {
    mark: () => playFrom(mark()),
    back: () => seek(sound.currentTime - 5),
    forward: () => seek(sound.currentTime + 5),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) deeds[button.dataset.do]();
    const from = event.target.closest("[data-seek]");
    if (from) playFrom(Number(from.dataset.seek) / 1000);
  });
  document.getElementById("waveform")?.addEventListener("click", (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    playFrom(((event.clientX - box.left) / box.width) * length);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const key = event.key.toLowerCase();
    if (key === "j") deeds.back();
    else if (key === "l") deeds.forward();
    else if (key === "k") sound.paused ? playFrom(sound.currentTime || mark()) : sound.pause();
    else return;
    event.preventDefault();
  });
}
