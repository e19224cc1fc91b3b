// transformers.js puts a softmax over the outputs of a regression: `node softmax.mjs FOLDER`, a checkpoint with
// `problem_type: "regression"` and onnx/model.onnx, after `npm install @huggingface/transformers@4.3.2`.
import path from "node:path";
import { AutoModelForAudioClassification, AutoProcessor, env, pipeline } from "@huggingface/transformers";

const folder = path.resolve(process.argv[2]);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(folder);
const name = path.basename(folder);
const audio = Float32Array.from({ length: 32000 }, (_, i) => 0.1 * Math.sin(i / 20));
const model = await AutoModelForAudioClassification.from_pretrained(name, { dtype: "fp32" });
const processor = await AutoProcessor.from_pretrained(name);
const { logits } = await model(await processor(audio));
console.log("problem_type", model.config.problem_type, "logits", logits.tolist()[0]);
const pipe = await pipeline("audio-classification", name, { dtype: "fp32" });
console.log(await pipe(audio));
