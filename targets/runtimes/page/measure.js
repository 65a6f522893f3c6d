// The page's side of the browser target: loads a model on LiteRT.js, runs it, and clocks it where an app would.

const here = (name) => new URL(name, import.meta.url).href;

let model, shape, input, Tensor;

/** Fetch and compile the model; milliseconds of that without the fetch, and what runs it. */
async function load({ accelerator, threads, inputShape }) {
  self.Module = { printErr: (line) => console.debug(line) }; // the runtime's log, which is no error
  const content = await bytes("model.tflite");
  const began = performance.now();
  const litert = await import("@litertjs/core");
  await litert.loadLiteRt(here("modules/core/wasm/"), { threads: threads > 1 });
  model = await litert.loadAndCompile(content, { accelerator, cpuOptions: { numThreads: threads } });
  const initialization = performance.now() - began;
  [Tensor, shape] = [litert.Tensor, inputShape];
  set(new Float32Array(shape.reduce((a, b) => a * b)));
  return { initialization, accelerated: model.isFullyAccelerated, isolated: self.crossOriginIsolated, clock: clock() };
}

async function bytes(name) {
  const answer = await fetch(here(name), { cache: "no-store" });
  if (!answer.ok) throw new Error(`${name} is not there (${answer.status})`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The smallest step of the clock, in milliseconds. */
function clock() {
  let least = Infinity;
  for (let tries = 0; tries < 20; tries++) {
    const before = performance.now();
    let after = before;
    while (after === before) after = performance.now();
    least = Math.min(least, after - before);
  }
  return least;
}

function set(values) {
  input?.delete();
  input = new Tensor(values, shape);
}

/** One run, from the input in the page's memory to the scores in it. */
async function invoke() {
  const outputs = await model.run([input]);
  const scores = await outputs[0].data();
  for (const output of outputs) output.delete();
  return scores;
}

/** The milliseconds of one run. */
async function first() {
  const before = performance.now();
  await invoke();
  return performance.now() - before;
}

/** Scores of the images that the server holds, one row after the other, as base64 of float32. */
async function infer() {
  const images = new Float32Array((await bytes("batch")).buffer);
  const size = shape.reduce((a, b) => a * b);
  const rows = [];
  for (let at = 0; at < images.length; at += size) {
    set(images.slice(at, at + size));
    rows.push(Float32Array.from(await invoke()));
  }
  const found = new Uint8Array(await new Blob(rows).arrayBuffer());
  let text = "";
  for (const byte of found) text += String.fromCharCode(byte);
  return btoa(text);
}

/** The milliseconds of each of at least so many runs, for at least so many seconds. */
async function time({ runs, seconds }) {
  const times = [];
  const began = performance.now();
  for (let after = began; times.length < runs || after - began < 1000 * seconds; ) {
    const before = performance.now();
    await invoke();
    after = performance.now();
    times.push(after - before);
  }
  return times;
}

async function adapter() {
  const found = await navigator.gpu?.requestAdapter();
  return found ? [found.info.vendor, found.info.architecture, found.info.description].filter(Boolean).join(" ") : null;
}

self.measure = { load, first, infer, time, adapter };
