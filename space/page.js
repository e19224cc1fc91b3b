// A recording is played from the memory of the browser: the server deletes its copy once it has answered.
const wav2small = {
  kept: {}, // name -> object URL

  // runs before the server is asked: take a copy of the recording, and pass the value on
  async keep(name, file) {
    if (file && file.url) {
      const answer = await fetch(file.url);
      if (answer.ok) {
        if (this.kept[name]) URL.revokeObjectURL(this.kept[name]);
        this.kept[name] = URL.createObjectURL(await answer.blob());
      }
    }
    return file;
  },

  async keepExample(path) {
    await this.keep("listen", { url: window.gradio_config.root + "/gradio_api/file=" + path });
    return [];
  },
};

// answers arrive as HTML: give their players the kept recording
new MutationObserver(() => {
  for (const audio of document.querySelectorAll("audio[data-kept]:not([src])")) {
    const source = wav2small.kept[audio.dataset.kept];
    if (!source) continue;
    audio.src = source;
    audio.addEventListener("timeupdate", () => {
      const head = audio.closest(".answer")?.querySelector(".head");
      if (head) head.style.left = (100 * audio.currentTime) / audio.duration + "%";
    });
  }
  // Gradio measures its tabs in a hidden copy, which the keyboard must not reach
  for (const copy of document.querySelectorAll(".tab-container.visually-hidden:not([inert])")) copy.inert = true;
  for (const place of document.querySelectorAll(".answers:not([aria-live])")) place.setAttribute("aria-live", "polite");
}).observe(document.documentElement, { childList: true, subtree: true });

document.addEventListener("click", (event) => {
  const strip = event.target.closest("[data-seek]");
  const audio = strip?.closest(".answer")?.querySelector("audio");
  if (!audio || !audio.duration) return;
  const box = strip.getBoundingClientRect();
  audio.currentTime = (audio.duration * (event.clientX - box.left)) / box.width;
  audio.play();
});
