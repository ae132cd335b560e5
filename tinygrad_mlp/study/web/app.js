"use strict";
// The page: the state after a number of steps, the graph, this step, and the chosen tensor.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const arrays = DATA.arrays.map(decode);
const { nodes, tensors, events } = DATA;
const keys = Object.keys(tensors);
const keyOf = Object.fromEntries(keys.map((key) => [tensors[key].name, key]));
const arrived = {}; // the complete gradient of each result
const finals = {}; // the gradient of each leaf
for (const e of events) {
  if (e.kind === "arrive" || e.kind === "hook") arrived[e.key] = arrays[e.value];
  if (e.kind === "leaf") finals[e.key] = arrays[e.value];
}
let step = 0, chosen = { key: null, index: [] }, timer = null, exercise = false, solved = new Set();

// --- formulas ---

const link = (f) => { // constants of a formula become arrays
  if (f && f.a !== undefined && typeof f.a === "number") f.a = arrays[f.a];
  (f?.x ?? []).forEach(link);
  return f;
};
for (const node of nodes) {
  link(node.forward);
  Object.values(node.rules).forEach((rule) => { link(rule.raw); link(rule.full); });
}
const environment = (node) => (name) => {
  if (name in node.known) return arrays[node.known[name]];
  if (name.endsWith("'")) return arrived[keyOf[name.slice(0, -1)]];
  const value = tensors[keyOf[name]]?.value;
  return value === undefined || value === null ? undefined : arrays[value];
};
const ruleOf = (e, which) => nodes[e.node]?.rules[e.input]?.[which];
function withNumbers(e, which, index) {
  try {
    return written(ruleOf(e, which), index, environment(nodes[e.node]), new Map())[0];
  } catch (error) {
    if (error instanceof Unsupported || !ruleOf(e, which)) return null;
    throw error;
  }
}

// The largest difference of a rule's formula, computed here, from what the engine computed.
function verify() {
  let worst = 0, checked = 0;
  for (const e of events) {
    if (e.kind !== "rule" || e.value === null || !ruleOf(e, "raw")) continue;
    try {
      const mine = evaluate(ruleOf(e, "raw"), environment(nodes[e.node])), theirs = arrays[e.value];
      const size = Math.max(1, ...theirs.data.map(Math.abs));
      theirs.data.forEach((v, i) => {
        worst = Math.max(worst, Math.abs(v - at(mine, unravel(i, theirs.shape))) / size);
      });
      checked++;
    } catch (error) { if (!(error instanceof Unsupported)) throw error; }
  }
  return { worst, checked };
}

// --- the state after a step ---

function stateAt(last) {
  const state = Object.fromEntries(keys.map((key) => [key,
    { value: null, reported: 0, consumers: tensors[key].consumers, complete: false, final: false }]));
  for (const e of events.slice(0, last + 1)) {
    const s = state[e.key];
    if (e.kind === "seed") s.value = arrays[e.value];
    if (e.kind === "accumulate") { s.value = arrays[e.total]; s.reported = e.reported; }
    if (e.kind === "rule" && e.value === null) s.reported++;
    if (e.kind === "hook") s.value = arrays[e.value];
    if (e.kind === "arrive") s.complete = true;
    if (e.kind === "leaf") { s.value = arrays[e.value]; s.complete = s.final = true; }
  }
  return state;
}
function inWords(key, s) {
  if (tensors[key].kind === "constant") return "no gradient: none is wanted";
  if (!s.value && (s.reported >= s.consumers || step === events.length - 1)) return "none";
  if (!s.value) return s.consumers ? `not yet (0 of ${s.consumers} reported)` : "not yet";
  const zero = s.value.data.every((v) => v === 0) ? "zero, " : "";
  if (s.complete) return `${zero}complete`;
  return `${zero}${s.reported} of ${s.consumers} reported`;
}

// --- the graph ---

const WIDTH = 178, HEIGHT = 124;
const place = {};
function layOut() {
  const depth = {}, consumersOf = {};
  nodes.forEach((node, i) => {
    for (const key of node.inputs) (consumersOf[key] ??= []).push(i);
    const before = node.inputs.map((key) => depth[key] ?? 0);
    node.outputs.forEach((key) => { depth[key] = 1 + Math.max(0, ...before); });
  });
  for (const key of keys)
    if (tensors[key].kind !== "result")
      depth[key] = Math.min(...(consumersOf[key] ?? [0]).map((i) => depth[nodes[i]?.outputs[0]] ?? 1)) - 1;
  const rows = {};
  const order = [...keys].sort((a, b) => (tensors[a].kind === "result" ? 0 : 1) - (tensors[b].kind === "result" ? 0 : 1));
  for (const key of order) {
    const row = rows[depth[key]] = (rows[depth[key]] ?? -1) + 1;
    place[key] = { x: 16 + depth[key] * WIDTH, y: 26 + row * HEIGHT };
  }
}
function drawGraph() {
  layOut();
  const graph = $("graph"), width = Math.max(...keys.map((k) => place[k].x)) + WIDTH;
  const height = Math.max(...keys.map((k) => place[k].y)) + HEIGHT;
  const frames = {};
  nodes.forEach((node) => node.outputs.forEach((key) => {
    if (node.module) (frames[node.module] ??= []).push(place[key]);
  }));
  let html = "";
  for (const [name, places] of Object.entries(frames)) {
    const x = Math.min(...places.map((p) => p.x)) - 8, y = Math.min(...places.map((p) => p.y)) - 20;
    const w = Math.max(...places.map((p) => p.x)) + 156 - x, h = Math.max(...places.map((p) => p.y)) + HEIGHT - 12 - y;
    html += `<div class="module" style="left:${x}px;top:${y}px;width:${w}px;height:${h}px">module ${escape(name)}</div>`;
  }
  html += `<svg width="${width}" height="${height}" aria-hidden="true">`;
  nodes.forEach((node, i) => node.inputs.forEach((key, k) => {
    const a = place[key], b = place[node.outputs[0]];
    const x1 = a.x + 148, y1 = a.y + 40, x2 = b.x, y2 = b.y + 30 + 8 * k;
    const over = a.y - 11; // an edge past other boxes runs above them
    const way = x2 - x1 < WIDTH ? `C${x1 + 22} ${y1} ${x2 - 22} ${y2} ${x2} ${y2}`
      : `C${x1 + 16} ${y1} ${x1 + 8} ${over} ${x1 + 30} ${over} L${x2 - 30} ${over} C${x2 - 8} ${over} ${x2 - 16} ${y2} ${x2} ${y2}`;
    html += `<path class="edge" data-edge="${i}:${k}" d="M${x1} ${y1} ${way}"/>`;
  }));
  html += "</svg>";
  for (const key of keys) {
    const t = tensors[key], node = nodes[t.node];
    html += `<button class="box ${t.kind}" data-key="${key}" style="left:${place[key].x}px;top:${place[key].y}px">
      <span class="name">${escape(t.name)}${node ? ` ${escape(node.op)}` : ""}</span>
      <span class="shape">${t.dtype} (${t.shape.join(", ")})</span>
      <canvas class="value" width="64" height="44"></canvas><canvas class="gradient" width="64" height="44"></canvas>
      <span class="state"></span></button>`;
  }
  graph.innerHTML = html;
  graph.style.height = `${Math.min(height + 14, window.innerHeight * 0.56)}px`;
  graph.querySelectorAll(".box").forEach((box) => {
    box.onclick = () => choose(box.dataset.key, box.dataset.key === chosen.key ? chosen.index : tensors[box.dataset.key].shape.map(() => 0));
  });
}
const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function colour(v, scale) {
  if (!Number.isFinite(v)) return "rgb(200, 0, 120)";
  const style = getComputedStyle(document.documentElement);
  const mix = (name) => style.getPropertyValue(name).split(",").map(Number);
  const mid = mix("--mid"), end = mix(v < 0 ? "--low" : "--high");
  const t = scale ? Math.min(1, Math.abs(v) / scale) : 0;
  return `rgb(${mid.map((m, k) => Math.round(m + (end[k] - m) * t)).join(", ")})`;
}
const scaleOf = (array) => array.data.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0);
// The axes of a heat map: rows and columns; what is large is shown by the largest element of a block.
function heat(canvas, array) {
  const pen = canvas.getContext("2d"), { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  const columns = array.shape.length ? array.shape.at(-1) : 1;
  const rows = columns ? array.data.length / columns : 0;
  const across = Math.min(columns, 32), down = Math.min(rows, 22), scale = scaleOf(array);
  for (let i = 0; i < down; i++)
    for (let j = 0; j < across; j++) {
      let v = 0;
      for (let r = Math.floor(i * rows / down); r < Math.floor((i + 1) * rows / down); r++)
        for (let c = Math.floor(j * columns / across); c < Math.floor((j + 1) * columns / across); c++) {
          const x = array.data[r * columns + c];
          if (!(Math.abs(x) <= Math.abs(v))) v = x;
        }
      pen.fillStyle = colour(v, scale);
      const x = Math.round(j * width / across), y = Math.round(i * height / down);
      pen.fillRect(x, y, Math.round((j + 1) * width / across) - x, Math.round((i + 1) * height / down) - y);
    }
  if (!scale && array.data.length) { // zero: crossed
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--quiet");
    pen.beginPath();
    pen.moveTo(0, 0); pen.lineTo(width, height); pen.moveTo(width, 0); pen.lineTo(0, height);
    pen.stroke();
  }
}
function hatch(canvas) {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--line");
  pen.beginPath();
  for (let x = -44; x < 64; x += 7) { pen.moveTo(x, 44); pen.lineTo(x + 44, 0); }
  pen.stroke();
}
function paintGraph(state, event) {
  for (const box of document.querySelectorAll(".box")) {
    const key = box.dataset.key, t = tensors[key], s = state[key], words = inWords(key, s);
    const [value, gradient] = box.querySelectorAll("canvas");
    if (t.value === null) hatch(value); else heat(value, arrays[t.value]);
    if (s.value) heat(gradient, s.value);
    else if (words.startsWith("not yet")) hatch(gradient);
    else gradient.getContext("2d").clearRect(0, 0, 64, 44);
    box.querySelector(".state").textContent = t.kind === "constant" ? "no gradient" : words.replace(" reported)", ")");
    box.classList.toggle("chosen", key === chosen.key);
    box.classList.toggle("now", key === event.key);
    box.setAttribute("aria-label", `${t.name} ${nodes[t.node]?.op ?? t.kind}, shape (${t.shape.join(", ")}); gradient: ${words}`);
  }
  for (const path of document.querySelectorAll(".edge"))
    path.classList.toggle("now", path.dataset.edge === `${event.node}:${event.input}` && event.node !== null);
  const box = document.querySelector(".box.now"), graph = $("graph");
  if (box && (box.offsetLeft < graph.scrollLeft || box.offsetLeft + 150 > graph.scrollLeft + graph.clientWidth))
    graph.scrollLeft = box.offsetLeft - graph.clientWidth / 2;
  if (box && (box.offsetTop < graph.scrollTop || box.offsetTop + 120 > graph.scrollTop + graph.clientHeight))
    graph.scrollTop = box.offsetTop - graph.clientHeight / 2;
}

// --- tables of numbers ---

const ROWS = 12, COLUMNS = 10;
// A table of the two last axes around an element, which the other axes are fixed at.
function table(array, index, caption, key) {
  const shape = array.shape.length > 1 ? array.shape : [1, array.shape[0] ?? 1];
  const [rows, columns] = shape.slice(-2);
  index = array.shape.length > 1 ? index : [0, index[0] ?? 0];
  const lead = index.slice(0, -2), top = window1(index.at(-2), rows, ROWS), left = window1(index.at(-1), columns, COLUMNS);
  const scale = scaleOf(array);
  const more = rows > ROWS || columns > COLUMNS || lead.length
    ? `, rows ${top[0]} to ${top[1] - 1}, columns ${left[0]} to ${left[1] - 1}${lead.length ? `, at [${lead}]` : ""}` : "";
  let html = `<div class="scroll"><table><caption>${escape(caption)} (${array.shape.join(", ")})${more}</caption>`;
  for (let i = top[0]; i < top[1]; i++) {
    html += "<tr>";
    for (let j = left[0]; j < left[1]; j++) {
      const place = [...lead, i, j], v = array.data[ravel(place, shape)];
      const own = array.shape.length > 1 ? place : array.shape.length ? [j] : [];
      const here = i === index.at(-2) && j === index.at(-1);
      html += `<td class="${here ? "chosen" : ""}" style="background:${colour(v, scale * 2)}">` +
        `<button data-at="${key}:${own.join(",")}" title="[${own}] = ${v}">${show(v)}</button></td>`;
    }
    html += "</tr>";
  }
  return `${html}</table></div>`;
}
function window1(centre, n, most) {
  const start = Math.max(0, Math.min(centre - (most >> 1), n - most));
  return [start, Math.min(n, start + most)];
}
const clip = (index, shape) => shape.map((n, k) => Math.min(Math.max(0, index[k] ?? 0), Math.max(0, n - 1)));
function listen(root) {
  root.querySelectorAll("[data-at]").forEach((cell) => {
    const [key, index] = cell.dataset.at.split(":");
    cell.onclick = () => choose(key, index ? index.split(",").map(Number) : []);
  });
}

// --- this step ---

const TITLES = {
  seed: "Backward starts here", arrive: "The gradient of this result is complete",
  hook: "A hook replaced the gradient", rule: "The op's gradient rule",
  unbroadcast: "Into the shape of the input", accumulate: "Add it to what arrived before",
  leaf: "The gradient of this leaf is complete",
};
function paintEvent(e) {
  const hidden = exercise && e.kind === "rule" && e.value !== null && !solved.has(step);
  $("line").textContent = hidden ? `rule         dL/d${e.name} = ${e.text} = ?` : e.line;
  const value = e.value === null ? null : arrays[e.value];
  const own = chosen.key === e.key ? chosen.index : [];
  const index = clip(own, value?.shape ?? []), node = nodes[e.node];
  let html = `<h2>${TITLES[e.kind]}</h2>`;
  if (node) html += `<p class="formula">${escape(node.name)} = ${escape(node.call)}${where(node)}</p>`;
  if (e.kind === "rule" && value) {
    html += `<p class="formula">dL/d${escape(e.name)} = ${escape(e.text)}</p>`;
    const out = node.outputs[0];
    if (arrived[out]) html += table(arrived[out], clip(index, arrived[out].shape), `arrived: ${tensors[out].name}'`, out);
    if (hidden) html += question(e, index);
    else html += numbersOf(e, "raw", index) + table(value, index, "the rule's result", e.key);
  } else if (e.kind === "rule") {
    html += `<p>The rule gives no gradient for ${escape(e.name)}: <b>none</b>, which is not zero.</p>`;
  } else if (e.kind === "unbroadcast") {
    html += `<p>${escape(e.text)}</p>` + numbersOf(e, "full", index) + table(value, index, "the result", e.key);
  } else if (e.kind === "accumulate") {
    const of = `${e.reported} of ${e.consumers} consumers of ${escape(e.name)} reported.`;
    if (e.before === null) html += `<p>Nothing had arrived before: this is the first gradient. ${of}</p>`;
    else {
      const [before, now] = [at(arrays[e.before], index), at(arrays[e.total], index)];
      html += `<p>It is <b>added</b>, for ${escape(e.name)} is used more than once. ${of} If it overwrote what
        was there, [${index}] would be ${show(at(value, index))} instead of ${show(now)}.</p>
        <p class="formula">[${index}]: ${show(before)} + ${show(at(value, index))} = ${show(now)}</p>`;
    }
    html += table(arrays[e.total], index, "the sum so far", e.key);
  } else {
    if (e.kind === "leaf") html += `<p>${escape(e.name)}.grad gets this, added to what it holds.</p>`;
    if (e.kind === "seed") html += "<p>The derivative of a number by itself is 1.</p>";
    html += table(value, index, e.kind === "leaf" ? `${e.name}.grad` : `${e.name}'`, e.key);
  }
  $("event").innerHTML = html;
  listen($("event"));
  const form = $("event").querySelector("form");
  if (form) form.onsubmit = (event) => { event.preventDefault(); judge(e, index, form); };
}
const where = (node) => (node.line ? `<br><span title="${escape(node.line)}">${escape(node.line)}: ${escape(node.source)}</span>` : "");
function numbersOf(e, which, index) {
  const text = withNumbers(e, which, index);
  if (text === null) return "<p>This rule has no formula for one element.</p>";
  return `<h3>with the numbers of element [${index}]</h3><p class="formula" id="numbers">${escape(text)} = ${show(at(arrays[e.value], index))}</p>`;
}

// --- exercise ---

const LIMIT = 24;
function question(e, index) {
  const value = arrays[e.value], whole = value.data.length <= LIMIT;
  const what = whole ? `all ${value.data.length} elements in row-major order` : `element [${index}]`;
  return `<form><label>Your gradient: ${what}<input type="text" id="answer" autocomplete="off"
    placeholder="-4.15, 2.075, 0"></label> <p><button>check</button></p><p id="judgement" role="status"></p></form>`;
}
function judge(e, index, form) {
  const value = arrays[e.value];
  const wanted = value.data.length <= LIMIT ? [...value.data] : [at(value, index)];
  const given = form.querySelector("input").value.replace(/[[\](){}]/g, " ").split(/[\s,;]+/).filter(Boolean).map(Number);
  const out = form.querySelector("#judgement");
  if (given.length !== wanted.length || given.some(Number.isNaN)) {
    out.textContent = `${given.length} numbers were given, ${wanted.length} are wanted`;
    return;
  }
  const size = Math.max(...wanted.map(Math.abs), 1e-30);
  const off = Math.max(...wanted.map((w, i) => Math.abs(w - given[i]))) / size;
  const bad = wanted.findIndex((w, i) => Math.abs(w - given[i]) > 1e-2 * size);
  const word = off < 1e-6 ? "exact" : off < 1e-2 ? "approximate" : "wrong";
  out.innerHTML = `<span class="${word === "wrong" ? "bad" : "good"}">${word}</span>, largest difference ${show(off * size)}` +
    (word === "wrong" ? ` (first at number ${bad + 1})` : "");
  if (word !== "wrong") {
    solved.add(step);
    setTimeout(paint, 1200);
  }
}

// --- the chosen tensor ---

function paintTensor(state) {
  const { key, index } = chosen, t = tensors[key];
  if (!t) { $("tensor").innerHTML = "<h2>No tensor is chosen</h2><p>Choose a box of the graph.</p>"; return; }
  const node = nodes[t.node], s = state[key];
  let html = `<h2>${escape(t.name)}</h2><p>${t.kind}, ${t.dtype} (${t.shape.join(", ")}). Gradient: ${inWords(key, s)}.</p>`;
  if (node) html += `<p class="formula">${escape(node.name)} = ${escape(node.call)}${where(node)}</p>`;
  if (t.value !== null) html += table(arrays[t.value], index, "value", key);
  else html += "<p>The value was not recorded: compute inside <code>with tg.study.watch():</code></p>";
  if (s.value) html += table(s.value, index, "gradient", key);
  html += paths(key, index);
  if (node?.saved.length) html += `<h3>saved for backward</h3><ul>${node.saved.map((x) =>
    `<li><code>${escape(x.name)}</code>, ${x.bytes} bytes, version ${x.version}</li>`).join("")}</ul>`;
  if (t.value !== null && t.dtype.startsWith("float"))
    html += `<p><button id="difference">central difference of [${index}]</button></p><div id="curve"></div>`;
  $("tensor").innerHTML = html;
  listen($("tensor"));
  const button = $("difference");
  if (button) button.onclick = () => { $("curve").innerHTML = curve(key, index); };
}
// What each consumer sends to one element, with numbers, and the sum; only what has happened.
function paths(key, index) {
  const sent = events.slice(0, step + 1).filter((e) => e.key === key && e.kind === "accumulate");
  if (!sent.length || (exercise && !solved.has(step))) return "";
  const items = sent.map((e) => {
    const text = withNumbers(e, "full", index);
    return `<li><code>${escape(nodes[e.node].name)}</code> ${escape(nodes[e.node].op)}: <span class="formula">` +
      `${text === null ? "" : `${escape(text)} = `}${show(at(arrays[e.value], index))}</span></li>`;
  });
  const sum = show(at(arrays[sent.at(-1).total], index));
  return `<h3>chain rule: dL/d${escape(tensors[key].name)}[${index}] is the sum over its consumers</h3><ul>${items.join("")}</ul>` +
    (sent.length > 1 ? `<p class="formula">${sent.map((e) => show(at(arrays[e.value], index))).join(" + ")} = ${sum}</p>` : "");
}

// --- central differences, computed here in double precision ---

function lossWith(key, index, change) {
  const values = {};
  const env = (node) => (name) => {
    const k = keyOf[name];
    return values[k] ?? environment(node)(name);
  };
  const shifted = (k, array) => {
    if (k !== key) return array;
    const moved = { shape: array.shape, data: Float64Array.from(array.data) };
    moved.data[ravel(index, array.shape)] += change;
    return moved;
  };
  if (tensors[key].kind !== "result") values[key] = shifted(key, arrays[tensors[key].value]);
  for (const node of nodes) {
    if (!node.forward) throw new Unsupported(`${node.op} has no formula`);
    const out = node.outputs[0];
    values[out] = shifted(out, evaluate(node.forward, (name) => {
      const input = node.names.indexOf(name);
      return input >= 0 && values[node.inputs[input]] ? values[node.inputs[input]] : env(node)(name);
    }));
  }
  const seed = arrays[events[0].value];
  return values[DATA.output].data.reduce((sum, v, i) => sum + v * seed.data[i], 0);
}
function differences(key, index) {
  return Array.from({ length: 9 }, (_, k) => 10 ** -(k + 1)).map((h) =>
    [h, (lossWith(key, index, h) - lossWith(key, index, -h)) / (2 * h)]);
}
function curve(key, index) {
  const gradient = finals[key] ?? arrived[key];
  let points;
  try { points = differences(key, index); } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    return `<p>Not available: ${escape(error.message)}. tg.study.check_gradients computes it in Python.</p>`;
  }
  const g = gradient ? at(gradient, index) : 0;
  const errors = points.map(([h, q]) => [h, q, Math.max(Math.abs(q - g), 1e-16)]);
  const x = (h) => 40 - (Math.log10(h) + 1) * 48, y = (v) => 12 + (2 - Math.log10(v)) * 9.5;
  const path = errors.map(([h, , v], k) => `${k ? "L" : "M"}${x(h)} ${y(v)}`).join("");
  const rows = errors.map(([h, q, v]) => `<tr><td>${h.toExponential(0)}</td><td>${show(q)}</td><td>${v.toExponential(2)}</td></tr>`);
  return `<svg class="curve" viewBox="0 0 460 205" role="img" aria-label="difference from the gradient over step size">
    <line x1="40" y1="12" x2="40" y2="184"/><line x1="40" y1="184" x2="440" y2="184"/>
    ${[0, -4, -8, -12].map((k) => `<text x="4" y="${y(10 ** k) + 4}">1e${k}</text>`).join("")}
    ${errors.filter((_, k) => k % 2 === 0).map(([h]) => `<text x="${x(h) - 12}" y="199">${h.toExponential(0)}</text>`).join("")}
    <path d="${path}"/>${errors.map(([h, , v]) => `<circle cx="${x(h)}" cy="${y(v)}" r="3"/>`).join("")}</svg>
    <p>Gradient ${show(g)}. A right gradient falls with the square of the step, until rounding takes over
    (that of a float32 gradient: about 1e-7 of its size).</p>
    <table class="quotients"><caption>step, (f(x + h) − f(x − h)) / 2h, difference from the gradient</caption>${rows.join("")}</table>`;
}

// --- control ---

function paint() {
  const state = stateAt(step), event = events[step];
  paintGraph(state, event);
  paintEvent(event);
  paintTensor(state);
  $("slider").value = step;
  $("counter").textContent = `${step + 1} of ${events.length}`;
  $("first").disabled = $("back").disabled = step === 0;
  $("next").disabled = $("last").disabled = step === events.length - 1;
  $("events").querySelectorAll("li").forEach((item, k) => item.classList.toggle("now", k === step));
  const at = chosen.key ? `&at=${chosen.key}:${chosen.index.join(",")}` : "";
  history.replaceState(null, "", `#step=${step + 1}${at}`);
}
function go(to) {
  step = Math.max(0, Math.min(events.length - 1, to));
  const e = events[step];
  if (e.key !== chosen.key) chosen = { key: e.key, index: clip(chosen.index, tensors[e.key].shape) };
  paint();
}
function choose(key, index) {
  chosen = { key, index: clip(index, tensors[key].shape) };
  paint();
}
function play() {
  const running = timer !== null;
  clearInterval(timer);
  timer = running ? null : setInterval(() => (step < events.length - 1 ? go(step + 1) : play()), 900);
  $("play").setAttribute("aria-pressed", String(!running));
}
function toggleExercise() {
  exercise = !exercise;
  $("exercise").setAttribute("aria-pressed", String(exercise));
  $("events").closest("details").hidden = exercise; // it has the answers
  paint();
}
function toggleTheme() {
  document.documentElement.classList.toggle("dark");
  paint();
}
function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const [key, index] = (wanted.get("at") ?? "").split(":");
  step = Math.max(0, Math.min(events.length - 1, (Number.parseInt(wanted.get("step"), 10) || 1) - 1));
  const e = events[step];
  chosen = tensors[key] ? { key, index: clip((index ?? "").split(",").map(Number), tensors[key].shape) }
    : { key: e.key, index: tensors[e.key].shape.map(() => 0) };
  paint();
}
$("first").onclick = () => go(0);
$("back").onclick = () => go(step - 1);
$("next").onclick = () => go(step + 1);
$("last").onclick = () => go(events.length - 1);
$("play").onclick = play;
$("exercise").onclick = toggleExercise;
$("theme").onclick = toggleTheme;
$("slider").max = events.length - 1;
$("slider").oninput = () => go(Number($("slider").value));
const KEYS = {
  ArrowRight: () => go(step + 1), ArrowLeft: () => go(step - 1), Home: () => go(0),
  End: () => go(events.length - 1), " ": play, e: toggleExercise, t: toggleTheme,
};
document.onkeydown = (event) => {
  const typing = event.target.matches("input[type=text]");
  const pressing = event.key === " " && event.target.matches("button, summary");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
};
window.onhashchange = follow;
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.classList.add("dark");
$("events").innerHTML = events.map((e, k) => `<li><button data-step="${k}">${escape(e.line)}</button></li>`).join("");
$("events").querySelectorAll("button").forEach((b) => { b.onclick = () => go(Number(b.dataset.step)); });
drawGraph();
follow();
