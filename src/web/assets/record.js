// Records a prompt with the microphone, and puts it into the form as a WAV file that any server can read.
"use strict";

const recorder = document.querySelector("[data-recorder]");
// Browsers give the microphone to https and localhost only.
if (recorder && navigator.mediaDevices?.getUserMedia && window.MediaRecorder) {
  recorder.hidden = false;
  const form = recorder.closest("form");
  const button = recorder.querySelector("button");
  const label = button.querySelector("span");
  const status = recorder.querySelector("[role=status]");
  const player = recorder.querySelector("audio");
  let running = null;

  const wav = (sound) => {
    const samples = sound.getChannelData(0);
    const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
    const text = (at, letters) => [...letters].forEach((c, n) => view.setUint8(at + n, c.charCodeAt(0)));
    text(0, "RIFF");
    view.setUint32(4, 36 + samples.length * 2, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true);
    view.setUint16(22, 1, true);
    view.setUint32(24, sound.sampleRate, true);
    view.setUint32(28, sound.sampleRate * 2, true);
    view.setUint16(32, 2, true);
    view.setUint16(34, 16, true);
    text(36, "data");
    view.setUint32(40, samples.length * 2, true);
    samples.forEach((sample, n) =>
      view.setInt16(44 + n * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
    return new Blob([view], { type: "audio/wav" });
  };

  const keep = async (chunks) => {
    const context = new AudioContext();
    const sound = await context.decodeAudioData(await new Blob(chunks).arrayBuffer());
    await context.close();
    const file = new File([wav(sound)], "microphone.wav", { type: "audio/wav" });
    const files = new DataTransfer();
    files.items.add(file);
    form.elements.file.files = files.files;
    form.elements.source.value = "microphone";
    player.src = URL.createObjectURL(file);
    player.hidden = false;
    status.textContent = `${sound.duration.toFixed(1)} s`;
  };

  form.elements.file.addEventListener("change", () => (form.elements.source.value = "upload"));
  button.addEventListener("click", async () => {
    if (running) {
      running.stop();
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
      const chunks = [];
      running = new MediaRecorder(stream);
      running.addEventListener("dataavailable", (event) => chunks.push(event.data));
      running.addEventListener("stop", async () => {
        stream.getTracks().forEach((track) => track.stop());
        running = null;
        label.textContent = recorder.dataset.start;
        await keep(chunks);
      });
      running.start();
      label.textContent = recorder.dataset.stop;
      status.textContent = "●";
    } catch {
      status.textContent = recorder.dataset.denied;
    }
  });
}
