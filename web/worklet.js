// An AudioWorklet in which the model runs itself: samples never leave the audio thread, predictions come as messages.
//   await context.audioWorklet.addModule(new URL("wav2small/worklet.js", import.meta.url));
//   const node = new AudioWorkletNode(context, "wav2small", { processorOptions: { module: model.module, every: 0.5 } });
//   node.port.onmessage = ({ data }) => console.log(data.arousal);
import { Stream } from "./index.js";

const SECONDS = 5; // that a prediction is of, at most

class Wav2SmallProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { module, every = 0.5 } }) {
    super();
    this.streams = Array.from({ length: SECONDS }, () => new Stream(module)); // each starts one second after the one before
    this.every = every;
    this.restart();
    this.port.onmessage = ({ data }) => data === "reset" && this.restart();
  }

  restart() {
    this.streams.forEach((stream) => stream.reset());
    this.heard = [];
    this.waited = this.seconds = 0;
    this.running = 1;
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
        this.port.postMessage(this.streams[0].predict());
      } catch (error) {
        if (!(error instanceof RangeError)) throw error; // too little so far
      }
    }
    return true;
  }

  flush() {
    const samples = Float32Array.from(this.heard);
    this.heard = [];
    for (const stream of this.streams.slice(0, this.running)) stream.push(samples, sampleRate);
    this.seconds += samples.length / sampleRate;
    if (this.seconds < 1) return;
    this.seconds = 0;
    if (this.running < SECONDS) return void this.running++;
    this.streams.push(this.streams.shift()); // the oldest begins again
    this.streams.at(-1).reset();
  }
}

registerProcessor("wav2small", Wav2SmallProcessor);
