// The page: files and the microphone go through the model; what it predicts is drawn. Nothing is sent anywhere.

const $ = (id) => document.getElementById(id);
const text = (...ids) => `data:text/javascript,${encodeURIComponent(ids.map((id) => $(id).textContent).join(""))}`; // from a disk, no other address is allowed
const { load, resample, SAMPLING_RATE } = await import(text("network")).catch(failed);

const NAMES = ["arousal", "dominance", "valence"];
const DASHES = { arousal: [], dominance: [8, 4], valence: [2, 3] };
const WINDOW = 5, HOP = 1, LIVE_EVERY = 0.25; // seconds
const LEAST_SECONDS = 0.1, CHUNK = 512;

const state = { model: null, words: null, results: [], shown: null, baseline: null, live: null };

// ---- predictions ------------------------------------------------------------------------------------------------

const spoken = ({ arousal }) => !Number.isNaN(arousal);

/** One recording -> the prediction of all of it and of its windows. */
async function predictFile(file) {
  const context = new OfflineAudioContext(1, 1, SAMPLING_RATE);
  let decoded;
  try {
    decoded = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is not a sound that this browser can read: try WAV, MP3 or FLAC`);
  }
  const mono = new Float32Array(decoded.length);
  for (let c = 0; c < decoded.numberOfChannels; c++) {
    decoded.getChannelData(c).forEach((each, i) => (mono[i] += each / decoded.numberOfChannels));
  }
  const samples = decoded.sampleRate === SAMPLING_RATE ? mono : resample(mono, decoded.sampleRate, SAMPLING_RATE);
  const seconds = samples.length / SAMPLING_RATE;
  if (seconds < LEAST_SECONDS) throw new Error(`${file.name} lasts ${seconds.toFixed(2)} s: it must last at least 0.1 s`);
  const course = [];
  for (let start = 0; start === 0 || start + HOP < seconds; start += HOP) {
    const from = Math.max(0, Math.min(start, seconds - WINDOW)), to = Math.min(seconds, from + WINDOW);
    const part = samples.subarray(from * SAMPLING_RATE, to * SAMPLING_RATE);
    if (part.length >= LEAST_SECONDS * SAMPLING_RATE) course.push({ start: from, end: to, ...predict(part) });
    if (to >= seconds) break;
    await new Promise(requestAnimationFrame); // the page stays alive during a long recording
  }
  return { name: file.name, url: URL.createObjectURL(file), seconds, course, ...predict(samples) };
}

function quantile(sorted, share) {
  const at = share * (sorted.length - 1), whole = Math.floor(at), next = Math.min(whole + 1, sorted.length - 1);
  return sorted[whole] + (at - whole) * (sorted[next] - sorted[whole]);
}

/** dB between the loud and the soft moments of samples: noise fills the soft ones. */
function levelRange(samples) {
  const levels = new Float64Array(Math.floor(samples.length / CHUNK)).map((_, i) => {
    const power = samples.subarray(i * CHUNK, (i + 1) * CHUNK).reduce((sum, each) => sum + each * each, 0) / CHUNK;
    return 10 * Math.log10(power + 1e-10);
  }).sort();
  return quantile(levels, 0.9) - quantile(levels, 0.1);
}

/** Samples at 16 kHz -> the prediction, with `intervals` that hold 8 of 10 ratings of such clips, if they were measured. */
function predict(samples) {
  const prediction = state.model.predict(samples, SAMPLING_RATE), known = state.words.intervals;
  if (!known || !spoken(prediction)) return prediction;
  const above = (value, limits) => limits.filter((limit) => value >= limit).length;
  const seconds = (prediction.speech * samples.length) / SAMPLING_RATE;
  const group = above(levelRange(samples), known.ranges) * (known.seconds.length + 1) + above(seconds, known.seconds);
  prediction.intervals = Object.fromEntries(NAMES.map((name, i) => [name, known.errors[group][i].map((error) => prediction[name] + error)]));
  return prediction;
}

/** 0, 1 or 2: low, middle, high; a value whose interval reaches across the middle is there. */
function level(value, [low, high], [bottom, top] = [value, value]) {
  const middle = (low + high) / 2;
  return value < low && top <= middle ? 0 : value > high && bottom >= middle ? 2 : 1;
}

/** The word for a place in the plane, from the checkpoint's thresholds. */
function word({ arousal, valence, intervals = {} }) {
  return state.words.grid[level(arousal, state.words.arousal, intervals.arousal)][level(valence, state.words.valence, intervals.valence)];
}

/** A prediction, relative to the speaker's baseline where one is set: its shift from there, on ordinary speech. */
function relative(prediction) {
  if (!state.baseline) return prediction;
  const shifted = { ...prediction };
  const shift = (name) => middle(name) - state.baseline[name];
  for (const name of NAMES) shifted[name] = prediction[name] + shift(name);
  if (prediction.intervals) {
    shifted.intervals = Object.fromEntries(NAMES.map((name) => [name, prediction.intervals[name].map((each) => each + shift(name))]));
  }
  return shifted;
}

const band = (name) => state.words[name];
const middle = (name) => (band(name) ? (band(name)[0] + band(name)[1]) / 2 : 0.5);

// ---- drawing ----------------------------------------------------------------------------------------------------

const percent = (value) => `${(100 * Math.min(1, Math.max(0, value))).toFixed(1)}%`;

function element(tag, attributes, text = "") {
  const made = document.createElementNS(tag === "circle" || tag === "rect" || tag === "text" || tag === "polyline" ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function drawGauges(prediction) {
  $("gauges").replaceChildren(...NAMES.map((name) => {
    const gauge = element("div", { class: "gauge" }), title = element("p", {}), track = element("div", { class: "track" });
    title.append(element("span", {}, name), element("b", {}, prediction[name].toFixed(2)));
    track.append(element("i", { class: `bar ${name}`, style: `width:${percent(prediction[name])}` }));
    if (band(name)) {
      const [low, high] = band(name);
      track.append(element("i", { class: "ordinary", style: `left:${percent(low)};width:${percent(high - low)}` }));
    }
    if (prediction.intervals) {
      const [low, high] = prediction.intervals[name].map(percent);
      track.append(element("i", { class: "interval", style: `left:${low};width:calc(${high} - ${low})` }));
    }
    gauge.append(title, track);
    return gauge;
  }));
}

function drawPlane(prediction, course) {
  const [low, high] = band("arousal"), [left, right] = band("valence");
  const x = (value) => 300 * Math.min(1, Math.max(0, value)), y = (value) => 300 - x(value);
  const parts = [element("rect", { class: "middle", x: x(left), y: y(high), width: x(right) - x(left), height: y(low) - y(high) })];
  const columns = [left / 2, (left + right) / 2, (right + 1) / 2], rows = [low / 2, (low + high) / 2, (high + 1) / 2];
  const trail = course.filter(spoken).map(relative);
  parts.push(element("polyline", { points: trail.map((each) => `${x(each.valence)},${y(each.arousal)}`).join(" ") }));
  parts.push(element("circle", { cx: x(prediction.valence), cy: y(prediction.arousal), r: 7 }));
  state.words.grid.forEach((line, i) => line.forEach((each, j) => parts.push(element("text", { x: x(columns[j]), y: y(rows[i]) + 4 }, each))));
  $("plane").replaceChildren(...parts); // words last: no dot covers one
}

function drawCurves(course) {
  const canvas = $("curves"), scale = devicePixelRatio || 1, style = getComputedStyle(document.documentElement);
  const width = (canvas.width = canvas.clientWidth * scale), height = (canvas.height = canvas.clientHeight * scale);
  const pen = canvas.getContext("2d"), heard = course.filter(spoken).map(relative);
  if (!heard.length) return;
  const values = heard.flatMap((each) => NAMES.map((name) => each[name]));
  const low = Math.min(...values) - 0.05, high = Math.max(...values) + 0.05; // what moves fills the picture
  const from = course[0].start, to = course.at(-1).end;
  pen.font = `${11 * scale}px system-ui`;
  pen.fillStyle = style.getPropertyValue("--soft");
  pen.fillText(high.toFixed(2), 4 * scale, 12 * scale);
  pen.fillText(low.toFixed(2), 4 * scale, height - 4 * scale);
  const [only] = heard, points = heard.length > 1 ? heard : [{ ...only, end: only.start }, { ...only, start: only.end }];
  const x = (each) => (((each.start + each.end) / 2 - from) / (to - from || 1)) * width, y = (value) => height - ((value - low) / (high - low)) * height;
  pen.globalAlpha = 0.06;
  for (const name of NAMES) { // the intervals, as far as they are in the picture
    pen.fillStyle = style.getPropertyValue(`--${name}`);
    pen.beginPath();
    for (const each of points) if (each.intervals) pen.lineTo(x(each), y(each.intervals[name][1]));
    for (const each of points.toReversed()) if (each.intervals) pen.lineTo(x(each), y(each.intervals[name][0]));
    pen.fill();
  }
  pen.globalAlpha = 1;
  pen.lineWidth = 2.5 * scale;
  for (const name of NAMES) {
    pen.strokeStyle = style.getPropertyValue(`--${name}`);
    pen.setLineDash(DASHES[name].map((each) => each * scale));
    pen.beginPath();
    for (const each of points) pen.lineTo(x(each), y(each[name]));
    pen.stroke();
  }
}

function show(result) {
  state.shown = result;
  $("result").hidden = $("course").hidden = false;
  $("name").textContent = result.name;
  $("result").classList.toggle("silent", !spoken(result));
  if (!spoken(result)) {
    $("word").textContent = "No speech";
    $("gauges").replaceChildren();
    $("plane").replaceChildren();
  } else {
    const prediction = relative(result);
    $("word").textContent = word(prediction);
    drawGauges(prediction);
    drawPlane(prediction, result.course);
    $("interval-note").hidden = !prediction.intervals;
  }
  $("player").hidden = !result.url;
  if (result.url && $("player").src !== result.url) $("player").src = result.url;
  drawCurves(result.course);
  $("compared").hidden = state.results.length < 2;
  $("rows").replaceChildren(...state.results.map((each) => {
    const row = element("tr", {});
    row.append(element("td", {}, each.name), ...(spoken(each)
      ? [...NAMES.map((name) => element("td", {}, relative(each)[name].toFixed(2))), element("td", {}, word(relative(each)))]
      : [element("td", { colspan: 4 }, "no speech")]));
    return row;
  }));
}

function say(error) {
  $("message").hidden = !error;
  $("message").textContent = error ? error.message : "";
}

// ---- what a visitor does ----------------------------------------------------------------------------------------

async function open(files) {
  say(null);
  await stop();
  for (const file of files.slice(0, 2)) {
    $("status").textContent = `Listening to ${file.name}`;
    try {
      const result = await predictFile(file);
      state.results = [...state.results, result].slice(-2);
      show(result);
    } catch (error) {
      say(error);
    }
  }
  $("status").textContent = "";
}

async function start() {
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch {
    throw new Error("The microphone cannot be used: allow it for this page, and make sure that one is connected");
  }
  const context = new AudioContext();
  await context.audioWorklet.addModule(text("network", "worklet"));
  const node = new AudioWorkletNode(context, "wav2small", { processorOptions: { module: state.model.module, every: LIVE_EVERY } });
  const result = { name: "Microphone", course: [], seconds: 0 };
  node.port.onmessage = ({ data }) => {
    const end = context.currentTime;
    result.course.push({ start: Math.max(0, end - LIVE_EVERY), end, ...data });
    result.course = result.course.slice(-240);
    Object.assign(result, data);
    requestAnimationFrame(() => state.live && show(result));
  };
  context.createMediaStreamSource(media).connect(node);
  state.live = { media, context };
  $("live").setAttribute("aria-pressed", "true");
  $("live").textContent = "Stop";
  $("status").textContent = "Listening to the microphone";
}

async function stop() {
  if (!state.live) return;
  const { media, context } = state.live;
  state.live = null;
  media.getTracks().forEach((track) => track.stop());
  await context.close();
  $("live").setAttribute("aria-pressed", "false");
  $("live").textContent = "Microphone";
  $("status").textContent = "";
}

function csv({ name, course }) {
  const heads = NAMES.concat(state.words.intervals ? NAMES.flatMap((key) => [`${key}_low`, `${key}_high`]) : []);
  const values = (each) => (spoken(each) ? [...NAMES.map((key) => each[key]), ...NAMES.flatMap((key) => each.intervals?.[key] ?? [])] : []);
  const lines = course.map((each) => {
    const cells = values(each).map((value) => value.toFixed(4));
    return [each.start.toFixed(2), each.end.toFixed(2), ...heads.map((_, i) => cells[i] ?? "")].join(",");
  });
  const link = element("a", { href: URL.createObjectURL(new Blob([`start,end,${heads.join(",")}\n${lines.join("\n")}\n`], { type: "text/csv" })), download: `${name}.csv` });
  link.click();
}

$("file").addEventListener("change", ({ target }) => open([...target.files]).then(() => (target.value = "")));
$("live").addEventListener("click", () => (state.live ? stop() : start()).then(() => say(null), say));
$("csv").addEventListener("click", () => csv(state.shown));
$("baseline").addEventListener("click", ({ target }) => {
  state.baseline = state.baseline || !spoken(state.shown) ? null : Object.fromEntries(NAMES.map((name) => [name, state.shown[name]]));
  target.setAttribute("aria-pressed", String(Boolean(state.baseline)));
  show(state.shown);
});
for (const button of document.querySelectorAll("#examples button")) {
  button.addEventListener("click", async () => {
    const blob = await (await fetch(button.dataset.src)).blob();
    open([new File([blob], button.dataset.src.split("/").at(-1))]);
  });
}
$("drop").addEventListener("dragover", (event) => (event.preventDefault(), $("drop").classList.add("over")));
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  open([...event.dataTransfer.files]);
});
addEventListener("resize", () => state.shown && drawCurves(state.shown.course));

function failed(error) {
  say(new Error(`The model cannot be loaded: take a browser of 2023 or later (${error.message})`));
  throw error;
}

try {
  state.words = JSON.parse($("words").textContent);
  const packed = Uint8Array.from(atob($("wasm").textContent), (each) => each.charCodeAt(0));
  state.model = await load(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  $("status").textContent = "";
} catch (error) {
  failed(error);
}
$("examples").hidden = location.protocol === "file:"; // from a disk, a page may read what a visitor chooses, and nothing else
await navigator.serviceWorker?.register("sw.js").catch(() => null); // not everywhere, and never from a disk
