// node one_runtime.mjs PACKAGE MODEL.wasm WINDOWS.f32 SAMPLES: what `one_runtime.py` prints, for WebAssembly under Node.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, file, windows, samples] = process.argv.slice(2);
const { load } = await import(pathToFileURL(`${folder}/index.js`));
const model = await load(readFileSync(file));
const bytes = readFileSync(windows), size = Number(samples);
const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const clips = Array.from({ length: values.length / size }, (_, i) => values.subarray(i * size, (i + 1) * size));
const times = [];
for (let i = 0; i < 33; i++) {
  const before = process.cpuUsage();
  model.predict(clips[0], 16000);
  const { user, system } = process.cpuUsage(before);
  times.push((user + system) / 1000);
}
const { memory, outputs } = model.network.exports;
const logits = clips.map((clip) => {
  model.network.call("clip", clip); // the numbers also where nobody speaks
  return Array.from(new Float32Array(memory.buffer, outputs(), 3));
});
const mb = memory.buffer.byteLength / 2 ** 20;
console.log(JSON.stringify({ ms: Math.min(...times.slice(3)), mb, logits }));
