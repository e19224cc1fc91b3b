// Samples at one rate -> samples at another: a sinc under a Kaiser window of 84 zero crossings, near that of soxr.
const CROSSINGS = 84, BETA = 9;
const STEPS = 512; // of the table, between two zero crossings
const MOST_TAPS = 2 ** 20; // kept for later

function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / 2 / k) ** 2;
  return sum;
}

const TABLE = Float64Array.from({ length: CROSSINGS * STEPS + 2 }, (_, i) => {
  const t = i / STEPS;
  if (t >= CROSSINGS) return 0;
  const sinc = t ? Math.sin(Math.PI * t) / (Math.PI * t) : 1;
  return (sinc * bessel(BETA * Math.sqrt(1 - (t / CROSSINGS) ** 2))) / bessel(BETA);
});

/** The samples of a stream at rate `from`, in Hz, at rate `to`; what it returns does not depend on the pieces. */
export class Resampler {
  constructor(from, to) {
    this.from = Math.round(from), this.to = to;
    this.cutoff = Math.min(1, to / this.from) * 0.957; // of the band of the input
    this.half = Math.ceil(CROSSINGS / this.cutoff);
    this.kept = new Float32Array(this.half); // the input from sample `start` on, after silence
    this.start = -this.half;
    this.next = 0; // sample of the output
    this.phases = new Map();
  }

  /** The weights of the inputs around an output that lies `phase / to` samples after one of them. */
  taps(phase) {
    let taps = this.phases.get(phase);
    if (!taps) {
      if (this.phases.size * 2 * this.half > MOST_TAPS) this.phases.clear();
      taps = Float64Array.from({ length: 2 * this.half }, (_, i) => {
        const place = Math.abs(i - this.half + 1 - phase / this.to) * this.cutoff * STEPS, whole = Math.min(Math.floor(place), TABLE.length - 2);
        return (TABLE[whole] + (place - whole) * (TABLE[whole + 1] - TABLE[whole])) * this.cutoff;
      });
      this.phases.set(phase, taps);
    }
    return taps;
  }

  /** Samples (Float32Array) -> those of the output that depend on no later ones. */
  push(samples) {
    const input = new Float32Array(this.kept.length + samples.length);
    input.set(this.kept);
    input.set(samples, this.kept.length);
    const end = this.start + input.length, out = [];
    for (; Math.floor((this.next * this.from) / this.to) + this.half < end; this.next++) {
      const whole = Math.floor((this.next * this.from) / this.to), taps = this.taps((this.next * this.from) % this.to);
      const first = whole - this.half + 1 - this.start;
      let sum = 0;
      for (let i = 0; i < taps.length; i++) sum += taps[i] * input[first + i];
      out.push(sum);
    }
    const used = Math.max(0, Math.floor((this.next * this.from) / this.to) - this.half + 1 - this.start);
    this.kept = input.slice(used);
    this.start += used;
    return Float32Array.from(out);
  }
}

/** Samples (Float32Array) at rate `from`, in Hz -> the same sound at rate `to`. */
export function resample(samples, from, to) {
  const resampler = new Resampler(from, to), length = Math.round((samples.length * to) / resampler.from);
  const padded = new Float32Array(samples.length + 2 * resampler.half);
  padded.set(samples);
  return resampler.push(padded).slice(0, length);
}
