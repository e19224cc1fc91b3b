// An AudioWorklet in which the model runs itself: samples never leave the audio thread, predictions come as messages.
//   await context.audioWorklet.addModule(new URL("wav2small/worklet.js", import.meta.url));
//   const node = new AudioWorkletNode(context, "wav2small", { processorOptions: { module: model.module, every: 0.5 } });
//   node.port.onmessage = ({ data }) => console.log(data.arousal);
import { Stream } from "./index.js";

class Wav2SmallProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { module, every = 0.5 } }) {
    super();
    this.stream = new Stream(module);
    this.every = every;
    this.heard = [];
    this.waited = 0;
    this.port.onmessage = ({ data }) => data === "reset" && this.stream.reset();
  }

  process([[channel]]) {
    if (!channel) return true;
    this.heard.push(...channel);
    this.waited += channel.length;
    if (this.heard.length >= 4096) this.flush();
    if (this.waited >= this.every * sampleRate) {
      this.waited = 0;
      this.flush();
      try {
        this.port.postMessage(this.stream.predict());
      } catch (error) {
        if (!(error instanceof RangeError)) throw error; // too little so far
      }
    }
    return true;
  }

  flush() {
    if (this.heard.length) this.stream.push(Float32Array.from(this.heard), sampleRate);
    this.heard = [];
  }
}

registerProcessor("wav2small", Wav2SmallProcessor);
