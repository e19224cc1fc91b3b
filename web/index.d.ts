/** About 0 to 1 each, not clipped; NaN where `speech` is below `LEAST_SPEECH`. */
export interface Prediction {
  arousal: number;
  dominance: number;
  valence: number;
  /** Share of the audio in which somebody speaks, 0 to 1, by the network itself. */
  speech: number;
}

export type Samples = Float32Array | Float64Array | Int16Array | number[];

export const SAMPLING_RATE: 16000;

/** Share of the audio in which somebody speaks; with less there are no numbers. */
export const LEAST_SPEECH: 0.1;

/** What happens in a stream since its start, with the level of the last 5 seconds. */
export class Stream {
  /** @throws RangeError if a sample is NaN or infinite, or the rate is not one. */
  push(samples: Samples, rate: number): void;
  /** @throws RangeError if too little was heard. */
  predict(): Prediction;
  reset(): void;
}

export class Model {
  /** Can be posted to a worker or an AudioWorklet. */
  readonly module: WebAssembly.Module;
  /** One clip of at least 0.1 s, any level, at any rate. @throws RangeError */
  predict(samples: Samples, rate: number): Prediction;
  stream(): Stream;
}

/** Load the model: from its file beside this one, from a URL, or from bytes. */
export function load(source?: string | URL | ArrayBuffer | Uint8Array): Promise<Model>;

/** Samples at one rate -> samples at another. */
export function resample(samples: Float32Array, from: number, to: number): Float32Array;
