// What transformers.js makes of a regression: after `npm install @huggingface/transformers@4.3.2` and
// `python regression.py regression`, run `node softmax.mjs`.
import { AutoModelForAudioClassification, env, pipeline, Tensor } from "@huggingface/transformers";

env.allowRemoteModels = false;
env.localModelPath = ".";
const audio = new Float32Array(16000);
const model = await AutoModelForAudioClassification.from_pretrained("regression", { dtype: "fp32" });
const { logits } = await model({ input_values: new Tensor("float32", audio, [1, audio.length]) });
console.log(model.config.problem_type, logits.tolist()[0]);
const pipe = await pipeline("audio-classification", "regression", { dtype: "fp32" });
console.log(await pipe(audio));
