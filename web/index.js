// Arousal, dominance and valence from speech, in browsers, Node and Deno: the network as WebAssembly, nothing else.
import { resample, Resampler } from "./resample.js";

export { resample };
export const SAMPLING_RATE = 16000;

const ERRORS = {
  [-3]: "a sample is NaN or infinite: pass PCM samples between -1 and 1",
  [-4]: "too few samples: pass at least 0.025 s for a stream and 0.1 s for a clip",
};
const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);
const LEAST_SAMPLES = 1600;
const LOUDEST = 1e15; // as in wav2small.c
const SHORT = 16000, REPEATED = 32000; // samples: what is shorter than the first is repeated to the second, as in Python
const SILENCE_RANGE = 2 / 32768, SILENCE_POWER = 1e-7, CHUNK = 512; // -70 dB, in 32 ms

/** Share of the audio in which somebody speaks; with less there are no numbers. */
export const LEAST_SPEECH = 0.1;

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
    const [arousal, dominance, valence, speech = 1] = new Float32Array(memory.buffer, outputs(), output_count());
    return speech < LEAST_SPEECH ? noSpeech(speech) : { arousal, dominance, valence, speech };
  }
}

const noSpeech = (speech) => ({ arousal: NaN, dominance: NaN, valence: NaN, speech });

/** Whether nothing can be heard: all of it below -70 dB of full scale, or one step of 16 bits up and down. */
function isSilent(samples) {
  let low = Infinity, high = -Infinity, sum = 0;
  for (const each of samples) (low = Math.min(low, each)), (high = Math.max(high, each)), (sum += each);
  const mean = sum / samples.length;
  const chunks = Array.from({ length: Math.ceil(samples.length / CHUNK) }, (_, i) => samples.subarray(i * CHUNK, (i + 1) * CHUNK));
  const loudest = Math.max(...chunks.map((chunk) => chunk.reduce((squares, each) => squares + (each - mean) ** 2, 0) / CHUNK));
  return high - low <= SILENCE_RANGE || loudest < SILENCE_POWER;
}

function repeated(samples) {
  return samples.length < SHORT ? Float32Array.from({ length: REPEATED }, (_, i) => samples[i % samples.length]) : samples;
}

/** Samples -> Float32Array; refuses what is neither samples nor a rate. */
function checked(samples, rate) {
  if (!(rate >= 4000 && rate <= 384000)) {
    throw new RangeError(`rate=${rate}: pass the sampling rate in Hz, 4000 to 384000, as in audioBuffer.sampleRate`);
  }
  if (!ArrayBuffer.isView(samples) && !Array.isArray(samples)) {
    throw new TypeError("samples: pass a Float32Array of PCM between -1 and 1, as of audioBuffer.getChannelData(0)");
  }
  return samples instanceof Int16Array ? Float32Array.from(samples, (each) => each / 32768) : Float32Array.from(samples);
}

/** What happens in a stream since its start, with the level of the last 5 seconds. */
export class Stream {
  constructor(module) {
    this.network = new Network(module);
    this.reset();
  }

  push(samples, rate) {
    const floats = checked(samples, rate);
    if (!floats.every((each) => Math.abs(each) <= LOUDEST)) throw new RangeError(ERRORS[-3]); // before they are mixed with others
    if (rate !== this.rate) (this.rate = rate), (this.resampler = new Resampler(rate, SAMPLING_RATE));
    this.network.call("push", rate === SAMPLING_RATE ? floats : this.resampler.push(floats));
  }

  predict() {
    this.network.call("predict");
    return this.network.outputs();
  }

  reset() {
    this.network.call("reset");
    this.rate = null;
  }
}

/** The model; `load` makes one. */
export class Model {
  constructor(module) {
    this.module = module; // can be posted to a worker or an AudioWorklet
    this.network = new Network(module);
  }

  predict(samples, rate) {
    const floats = checked(samples, rate), clip = rate === SAMPLING_RATE ? floats : resample(floats, rate, SAMPLING_RATE);
    if (clip.length < LEAST_SAMPLES) throw new RangeError(ERRORS[-4]);
    this.network.call("clip", repeated(clip));
    return isSilent(clip) ? noSpeech(0) : this.network.outputs();
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
