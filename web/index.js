// Arousal, dominance and valence from speech, in browsers, Node and Deno: the network as WebAssembly, nothing else.
import { resample } from "./resample.js";

export { resample };
export const SAMPLING_RATE = 16000;

const ERRORS = {
  [-3]: "a sample is NaN or infinite: pass PCM samples between -1 and 1",
  [-4]: "too few samples: pass at least 0.025 s for a stream and 0.1 s for a clip",
};
const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);
const LEAST_SAMPLES = 1600;

/** One instance of the module: its memory, a clip, and a stream. */
class Network {
  constructor(module) {
    this.exports = new WebAssembly.Instance(module).exports;
  }

  /** Lay samples behind the static data of the module, which grows as needed; returns their address. */
  place(samples) {
    const { memory, __heap_base } = this.exports;
    const start = (__heap_base.value + 15) & ~15, end = start + samples.byteLength;
    if (end > memory.buffer.byteLength) memory.grow(Math.ceil((end - memory.buffer.byteLength) / 65536));
    new Float32Array(memory.buffer, start, samples.length).set(samples);
    return start;
  }

  call(name, samples) {
    const status = samples ? this.exports[name](this.place(samples), samples.length) : this.exports[name]();
    if (status) throw new RangeError(ERRORS[status] ?? `wav2small: code ${status}`);
  }

  outputs() {
    const { memory, outputs, output_count } = this.exports;
    const [arousal, dominance, valence, speech] = new Float32Array(memory.buffer, outputs(), output_count());
    return speech === undefined ? { arousal, dominance, valence } : { arousal, dominance, valence, speech };
  }
}

/** Samples at a rate -> Float32Array at 16 kHz; refuses what is neither. */
function heard(samples, rate) {
  if (!(rate >= 4000 && rate <= 384000)) {
    throw new RangeError(`rate=${rate}: pass the sampling rate in Hz, 4000 to 384000, as in audioBuffer.sampleRate`);
  }
  if (!ArrayBuffer.isView(samples) && !Array.isArray(samples)) {
    throw new TypeError("samples: pass a Float32Array of PCM between -1 and 1, as of audioBuffer.getChannelData(0)");
  }
  const floats = samples instanceof Int16Array ? Float32Array.from(samples, (each) => each / 32768) : Float32Array.from(samples);
  return rate === SAMPLING_RATE ? floats : resample(floats, rate, SAMPLING_RATE);
}

/** What happens in a stream since its start, with the level of the last 5 seconds. */
export class Stream {
  constructor(module) {
    this.network = new Network(module);
    this.reset();
  }

  push(samples, rate) {
    this.network.call("push", heard(samples, rate));
  }

  predict() {
    this.network.call("predict");
    return this.network.outputs();
  }

  reset() {
    this.network.call("reset");
  }
}

/** The model; `load` makes one. */
export class Model {
  constructor(module) {
    this.module = module; // can be posted to a worker or an AudioWorklet
    this.network = new Network(module);
  }

  predict(samples, rate) {
    const clip = heard(samples, rate);
    if (clip.length < LEAST_SAMPLES) throw new RangeError(ERRORS[-4]);
    this.network.call("clip", clip);
    return this.network.outputs();
  }

  stream() {
    return new Stream(this.module);
  }
}

/** Load the model: from its file beside this one, from a URL, or from bytes. */
export async function load(source) {
  return new Model(await WebAssembly.compile(source instanceof Uint8Array || source instanceof ArrayBuffer ? source : await read(source ?? bundled())));
}

function bundled() {
  return new URL(WebAssembly.validate(SIMD) ? "./wav2small-simd.wasm" : "./wav2small.wasm", import.meta.url);
}

async function read(url) {
  if (globalThis.process?.versions?.node && `${url}`.startsWith("file:")) {
    const { readFile } = await import("node:fs/promises");
    return readFile(url);
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be loaded (${response.status}): serve the .wasm file beside index.js`);
  return response.arrayBuffer();
}
