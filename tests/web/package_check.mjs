// Reads {file, samples, rate, pieces} from stdin, prints what the package in web/ predicts, or what it throws.
import { readFileSync } from "node:fs";
import { load, resample } from "../../web/index.js";

const { samples, rate, pieces } = JSON.parse(readFileSync(0, "utf8"), (_, value) => (value === "NaN" ? NaN : value));
try {
  for (const file of ["wav2small.wasm", "wav2small-simd.wasm", "wav2small-q4.wasm"]) {
    const model = await load(new URL(`../../web/${file}`, import.meta.url));
    console.log(JSON.stringify(model.predict(samples, rate)));
    const stream = model.stream();
    const length = Math.ceil(samples.length / pieces);
    for (let i = 0; i < samples.length; i += length) stream.push(samples.slice(i, i + length), rate);
    console.log(JSON.stringify(stream.predict()));
  }
  console.log(JSON.stringify(resample(Float32Array.from(samples), rate, 8000).length));
} catch (error) {
  console.log(JSON.stringify({ error: error.name, message: error.message }));
}
