// A recording is played from the memory of the browser, because the server deletes its copy after the prediction.
const wav2small = {
  kept: {}, // name -> object URL

  // runs before the request to the server: keep a copy of the recording, and pass the value on
  async keep(name, file) {
    if (file && file.url) {
      const response = await fetch(file.url);
      if (response.ok) {
        if (this.kept[name]) URL.revokeObjectURL(this.kept[name]);
        this.kept[name] = URL.createObjectURL(await response.blob());
      }
    }
    return file;
  },

  page: Math.random().toString(36).slice(2), // one number for each open page

  async keepExample(path, model) {
    await this.keep("listen", { url: window.gradio_config.root + "/gradio_api/file=" + path });
    return model;
  },
};

// tell the server which page an upload comes from, and whether it is a block of the live microphone
const plainFetch = window.fetch;
window.fetch = (resource, ...rest) => {
  if (typeof resource === "string" && /\/upload(\?|$)/.test(resource)) {
    const live = document.querySelector("#live")?.offsetParent ? "&live=1" : "";
    resource += `${resource.includes("?") ? "&" : "?"}page=${wav2small.page}${live}`;
  }
  return plainFetch(resource, ...rest);
};

// results arrive as HTML: give their players the kept recording
new MutationObserver(() => {
  for (const audio of document.querySelectorAll("audio[data-kept]:not([src])")) {
    const source = wav2small.kept[audio.dataset.kept];
    if (!source) continue;
    audio.src = source;
    audio.addEventListener("timeupdate", () => {
      const playhead = audio.closest(".result")?.querySelector(".playhead");
      if (playhead) playhead.style.left = (100 * audio.currentTime) / audio.duration + "%";
    });
  }
  // Gradio measures its tabs with a hidden copy, which the keyboard must not reach
  for (const copy of document.querySelectorAll(".tab-container.visually-hidden:not([inert])")) copy.inert = true;
  for (const results of document.querySelectorAll(".results:not([aria-live])")) results.setAttribute("aria-live", "polite");
}).observe(document.documentElement, { childList: true, subtree: true });

// without a microphone, Gradio's recorder starts and waits forever: say what is missing
document.addEventListener(
  "click",
  async (event) => {
    const button = event.target.closest("button");
    const block = button?.closest(".block");
    if (!block?.querySelector(".mic-select") || !button.innerText.includes("Record")) return;
    block.parentElement.querySelector(".message.microphone")?.remove();
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const allowed = await navigator.permissions?.query({ name: "microphone" }).catch(() => null);
    if (devices.some((device) => device.kind === "audioinput") && allowed?.state !== "denied") return;
    const text = "No microphone was found: connect one, allow this page to use it, and reload the page.";
    block.insertAdjacentHTML("afterend", `<p class="message microphone" role="alert">${text}</p>`);
  },
  true, // before Gradio replaces the button
);

document.addEventListener("click", (event) => {
  const strip = event.target.closest("[data-seek]");
  const audio = strip?.closest(".result")?.querySelector("audio");
  if (!audio || !audio.duration) return;
  const box = strip.getBoundingClientRect();
  audio.currentTime = (audio.duration * (event.clientX - box.left)) / box.width;
  audio.play();
});
