// node predict.mjs MODEL.onnx SAMPLES.f32 BATCH: the logits of a batch of waveforms, as JSON, by WebAssembly on one thread
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const [model, samples, batch] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ["wasm"] });
const bytes = readFileSync(samples);
const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const waveforms = new ort.Tensor("float32", values, [Number(batch), values.length / Number(batch)]);
const begin = performance.now();
const { logits } = await session.run({ input_values: waveforms });
console.log(JSON.stringify({ dims: logits.dims, logits: Array.from(logits.data), ms: performance.now() - begin }));
