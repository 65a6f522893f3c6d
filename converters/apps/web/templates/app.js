// The page: a picture or the camera in, the five best classes out. Labels are only ever set as text.

import { classify, decoded, load, pixelsOf, shares } from "./classifier.js";
import { check } from "./golden.js";

const BEST = 5;
const at = (id) => document.getElementById(id);
const say = (text, wrong = false) => {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
};

function row(label, share) {
  const item = document.createElement("li");
  const [name, amount, bar, fill] = ["bdi", "span", "div", "div"].map((tag) => document.createElement(tag));
  name.className = "label";
  name.textContent = label;
  amount.className = "share";
  amount.textContent = `${(share * 100).toFixed(1)} %`;
  bar.className = "bar";
  fill.style.width = `${Math.max(0, Math.min(100, share * 100))}%`;
  bar.append(fill);
  item.append(name, amount, bar);
  return item;
}

async function show(image) {
  const { app } = await load();
  const found = await classify(image);
  const share = shares(found.scores, app);
  const order = [...share.keys()].sort((a, b) => share[b] - share[a]).slice(0, BEST);
  at("classes").replaceChildren(...order.map((place) => row(app.labels[place], share[place])));
  at("latency").textContent = `model ${found.model.toFixed(1)} ms, preparing ${found.preparing.toFixed(1)} ms`;
  return app.labels[order[0]];
}

function draw({ width, height, data }) {
  const canvas = at("shown");
  Object.assign(canvas, { width, height, hidden: false });
  canvas.classList.toggle("small", width < 128);
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    rgba.set([data[from], data[from + 1], data[from + 2], 255], to);
  }
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

async function take(blob) {
  stop();
  say("Looking…");
  try {
    const image = await decoded(blob);
    draw(image);
    at("hint").hidden = true;
    await show(image);
    say("Best classes");
  } catch (problem) {
    at("classes").replaceChildren();
    at("latency").textContent = "";
    say(problem.name === "InvalidStateError" ? "This browser cannot read that file as a picture." : problem.message, true);
  }
}

let stream = null;

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("video").hidden = true;
  at("camera").textContent = "Use the camera";
}

async function watch() {
  if (!navigator.mediaDevices) {
    say("The camera needs HTTPS, or localhost.", true);
    return;
  }
  const video = at("video");
  let own;
  try {
    own = stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (problem) {
    say(`The camera cannot be used: ${problem.message}`, true);
    return;
  }
  video.srcObject = own;
  await video.play();
  video.hidden = false;
  at("shown").hidden = at("hint").hidden = true;
  at("camera").textContent = "Stop the camera";
  say("Best classes");
  while (stream === own) {
    await show(pixelsOf(video, video.videoWidth, video.videoHeight));
    await new Promise(requestAnimationFrame);
  }
}

const short = (x) => (x === 0 ? "0" : x < 0.001 ? x.toExponential(1) : x.toPrecision(2));

async function showCheck() {
  const found = await check();
  at("check").hidden = false;
  at("check").querySelector("tbody").replaceChildren(
    ...found.map(({ inputOff, outputOff, accepted, ok }, place) => {
      const line = document.createElement("tr");
      const cells = [place + 1, ...[inputOff, outputOff, accepted].map(short), ok ? "ok" : "WRONG"];
      line.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      line.lastChild.classList.toggle("wrong", !ok);
      return line;
    }),
  );
  const right = found.length > 0 && found.every(({ ok }) => ok);
  say(right ? "This browser gives the golden outputs." : "This browser gives other outputs.", !right);
  document.documentElement.dataset.check = right ? "ok" : "wrong";
}

/** Keeps all that the page has loaded, so that it works without a network. */
async function keep() {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("sw.js");
  const own = performance.getEntriesByType("resource").map(({ name }) => name.split("#")[0]);
  const cache = await caches.open("app");
  const urls = [...new Set([location.pathname, new URL("golden.bin", location).href, ...own])];
  await Promise.all(
    urls.filter((url) => new URL(url, location).origin === location.origin).map((url) => cache.add(url)),
  );
  document.documentElement.dataset.kept = "yes";
}

function listen() {
  at("file").addEventListener("change", ({ target }) => target.files[0] && take(target.files[0]));
  at("camera").addEventListener("click", () => (stream === null ? watch() : stop()));
  addEventListener("paste", ({ clipboardData }) => clipboardData.files[0] && take(clipboardData.files[0]));
  addEventListener("dragover", (event) => event.preventDefault());
  for (const [name, over] of [["dragenter", true], ["dragleave", false], ["drop", false]]) {
    at("drop").addEventListener(name, () => at("drop").classList.toggle("over", over));
  }
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
  at("file").disabled = at("camera").disabled = false;
}

try {
  const { app, threads } = await load();
  document.title = at("name").textContent = app.name;
  at("about").textContent = `${app.labels.length} classes, ${threads ? "several threads" : "one thread"}`;
  listen();
  say("Ready.");
  if (new URLSearchParams(location.search).has("check")) await showCheck();
  document.documentElement.dataset.ready = "yes";
  keep().catch((problem) => console.warn(`The page is not kept for later: ${problem.message}`));
} catch (problem) {
  say(`The model cannot be loaded: ${problem.message}`, true);
}
