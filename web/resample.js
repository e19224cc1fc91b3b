// Samples at one rate -> samples at another: a sinc under a Kaiser window of 32 zero crossings.
const CROSSINGS = 32, BETA = 9;

function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / 2 / k) ** 2;
  return sum;
}

const STEPS = 512; // of the table, between two zero crossings
const TABLE = Float64Array.from({ length: CROSSINGS * STEPS + 2 }, (_, i) => {
  const t = i / STEPS;
  if (t >= CROSSINGS) return 0;
  const sinc = t ? Math.sin(Math.PI * t) / (Math.PI * t) : 1;
  return (sinc * bessel(BETA * Math.sqrt(1 - (t / CROSSINGS) ** 2))) / bessel(BETA);
});

/** Samples (Float32Array) at rate `from`, in Hz -> the same sound at rate `to`. */
export function resample(samples, from, to) {
  const cutoff = Math.min(1, to / from) * 0.95; // of the band of the input
  const out = new Float32Array(Math.round((samples.length * to) / from));
  const half = CROSSINGS / cutoff;
  for (let n = 0; n < out.length; n++) {
    const at = (n * from) / to;
    let sum = 0;
    const last = Math.min(samples.length - 1, Math.floor(at + half));
    for (let i = Math.max(0, Math.ceil(at - half)); i <= last; i++) {
      const place = Math.abs(i - at) * cutoff * STEPS, whole = Math.floor(place);
      sum += samples[i] * (TABLE[whole] + (place - whole) * (TABLE[whole + 1] - TABLE[whole]));
    }
    out[n] = sum * cutoff;
  }
  return out;
}
