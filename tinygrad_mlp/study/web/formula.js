"use strict";
// Arrays, and the formulas of rules: computed as a whole, and written with the numbers of one element.
// An array is {shape, data} in row-major order. A formula is {in}, {c}, {op, x} or {call, x, p}.

const Unsupported = class extends Error {};
const sizeOf = (shape) => shape.reduce((n, k) => n * k, 1);
const make = (shape, fill) => {
  const data = new Float64Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = fill(i, unravel(i, shape));
  return { shape, data };
};
const unravel = (flat, shape) => {
  const index = new Array(shape.length);
  for (let k = shape.length - 1; k >= 0; k--) {
    index[k] = flat % shape[k];
    flat = Math.floor(flat / shape[k]);
  }
  return index;
};
// The index of an element in an array of another shape, which broadcasts to the first.
const fit = (index, shape) =>
  shape.map((n, k) => (n === 1 ? 0 : index[index.length - shape.length + k]));
const ravel = (index, shape) => shape.reduce((flat, n, k) => flat * n + index[k], 0);
const at = (array, index) => array.data[ravel(fit(index, array.shape), array.shape)];

function decode(entry) {
  const bytes = Uint8Array.from(atob(entry.b), (c) => c.charCodeAt(0));
  const Kind = entry.d === "float32" ? Float32Array : Float64Array;
  return { shape: entry.s, data: Float64Array.from(new Kind(bytes.buffer)) };
}

function broadcast(shapes) {
  const ndim = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: ndim }, (_, k) =>
    Math.max(...shapes.map((s) => s[s.length - ndim + k] ?? 1)) *
      (shapes.some((s) => s[s.length - ndim + k] === 0) ? 0 : 1));
}

function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  if (Math.abs(x) > 2.5) { // 1 - erfc by its continued fraction
    let f = 0;
    for (let k = 60; k > 0; k--) f = (k / 2) / (Math.abs(x) + f);
    return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (Math.abs(x) + f));
  }
  let term = x, sum = x;
  for (let n = 1; n < 80; n++) sum += (term *= -x * x / n) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const FUNCTIONS = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b,
  pow: (a, b) => a ** b, neg: (a) => -a, floordiv: (a, b) => Math.floor(a / b),
  mod: (a, b) => a - Math.floor(a / b) * b,
  eq: (a, b) => +(a === b), ne: (a, b) => +(a !== b), lt: (a, b) => +(a < b),
  le: (a, b) => +(a <= b), gt: (a, b) => +(a > b), ge: (a, b) => +(a >= b),
  and: (a, b) => +(a && b), or: (a, b) => +(a || b), not: (a) => +!a,
  where: (c, a, b) => (c ? a : b), rsqrt: (x) => 1 / Math.sqrt(x), absolute: Math.abs,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)), rint: Math.round, erf,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), exp2: (x) => 2 ** x,
  maximum: (a, b) => (Number.isNaN(a) ? a : a > b ? a : b),
  minimum: (a, b) => (Number.isNaN(a) ? a : a < b ? a : b),
};
for (const name of ("exp expm1 log log1p log2 log10 sqrt sin cos tan asin acos atan atan2 sinh " +
  "cosh tanh asinh acosh atanh floor ceil trunc").split(" ")) FUNCTIONS[name] = Math[name];

function fold(x, dims, keepdim, start, step) {
  dims = dims.map((d) => (d < 0 ? d + x.shape.length : d));
  const kept = x.shape.map((n, k) => (dims.includes(k) ? 1 : n));
  const data = new Float64Array(sizeOf(kept)).fill(start);
  x.data.forEach((v, i) => {
    const place = ravel(fit(unravel(i, x.shape), kept), kept);
    data[place] = step(data[place], v);
  });
  return { shape: keepdim ? kept : kept.filter((_, k) => !dims.includes(k)), data };
}
const total = (x, dims, keepdim) => fold(x, dims, keepdim, 0, (a, b) => a + b);
const largest = (x, dims, keepdim) => fold(x, dims, keepdim, -Infinity, Math.max);
const map2 = (f, ...xs) => {
  const shape = broadcast(xs.map((x) => x.shape));
  return make(shape, (_, index) => f(...xs.map((x) => at(x, index))));
};
const count = (x, dims) => dims.reduce((n, d) => n * x.shape.at(d), 1);
const exps = (x) => map2((a, m) => Math.exp(a - m), x, largest(x, [-1], true));

function matmul(a, b) {
  if (a.shape.length !== 2 || b.shape.length !== 2) throw new Unsupported("a batched product");
  const [m, n] = a.shape, p = b.shape[1];
  const data = new Float64Array(m * p);
  for (let i = 0; i < m; i++)
    for (let k = 0; k < n; k++)
      for (let j = 0; j < p; j++) data[i * p + j] += a.data[i * n + k] * b.data[k * p + j];
  return { shape: [m, p], data };
}

const CALLS = {
  mT: (p, x) => {
    if (x.shape.length !== 2) throw new Unsupported("a batched transpose");
    return make([x.shape[1], x.shape[0]], (_, [i, j]) => x.data[j * x.shape[1] + i]);
  },
  sum: (p, x) => total(x, p.dims, p.keepdim),
  mean: (p, x) => map2((a) => a / count(x, p.dims), total(x, p.dims, p.keepdim)),
  amax: (p, x) => largest(x, p.dims, p.keepdim),
  reshape: (p, x) => ({ shape: p.shape, data: x.data }),
  expand: (p, x) => make(p.shape, (_, index) => at(x, index)),
  sum_to_size: (p, x) => {
    const data = new Float64Array(sizeOf(p.shape));
    x.data.forEach((v, i) => { data[ravel(fit(unravel(i, x.shape), p.shape), p.shape)] += v; });
    return { shape: p.shape, data };
  },
  to: (p, x) => x,
  clone: (p, x) => x,
  unsqueeze: (p, x) => {
    const shape = [...x.shape];
    shape.splice(p.dim < 0 ? p.dim + x.shape.length + 1 : p.dim, 0, 1);
    return { shape, data: x.data };
  },
  softmax: (p, x) => { const e = exps(x); return map2((a, s) => a / s, e, total(e, [-1], true)); },
  log_softmax: (p, x) => {
    const m = largest(x, [-1], true), s = total(exps(x), [-1], true);
    return map2((a, b, c) => a - b - Math.log(c), x, m, s);
  },
  logsumexp: (p, x) =>
    map2((m, s) => m + Math.log(s), largest(x, [-1]), total(exps(x), [-1])),
  onehot: (p, y) => make([y.shape[0], p.classes], (_, [i, j]) => +(y.data[i] === j)),
};

function evaluate(formula, env, cache = new Map()) {
  if (cache.has(formula)) return cache.get(formula);
  const value = compute(formula, env, cache);
  cache.set(formula, value);
  return value;
}
function compute(f, env, cache) {
  if ("in" in f) {
    const array = env(f.in);
    if (!array) throw new Unsupported(`${f.in} was not recorded`);
    return array;
  }
  if ("c" in f) return { shape: [], data: Float64Array.of(Number(f.c)) };
  if ("a" in f) return f.a;
  const xs = f.x.map((x) => evaluate(x, env, cache));
  if (f.op === "matmul") return matmul(...xs);
  if (f.op) {
    if (!FUNCTIONS[f.op]) throw new Unsupported(f.op);
    return map2(FUNCTIONS[f.op], ...xs);
  }
  if (!CALLS[f.call]) throw new Unsupported(f.call);
  return CALLS[f.call](f.p, ...xs);
}

// --- one element, with its numbers ---

const show = (v) => (v === 0 ? "0" : Number.isFinite(v) ? String(Number(v.toPrecision(5)))
  : Number.isNaN(v) ? "NaN" : v > 0 ? "inf" : "-inf");
const SIGNS = { eq: ["==", 1], ne: ["!=", 1], lt: ["<", 1], le: ["<=", 1], gt: [">", 1],
  ge: [">=", 1], or: ["or", 2], and: ["and", 3], add: ["+", 5], sub: ["−", 5], mul: ["·", 6],
  div: ["/", 6], pow: ["^", 8] };
const MOST = 8; // terms of a sum that are written out

// Return [text, precedence] of one element of a formula.
function written(f, index, env, cache) {
  const array = evaluate(f, env, cache);
  index = fit(index, array.shape);
  const value = () => { const v = at(array, index); return [show(v), v < 0 ? 4 : 9]; };
  if ("in" in f || "c" in f || "a" in f) return value();
  const wrap = ([text, level], least) => (level >= least ? text : `(${text})`);
  const inner = (x, i) => written(x, i, env, cache);
  if (f.op === "neg") return [`−${wrap(inner(f.x[0], index), 7)}`, 6.5];
  if (f.op === "where") return [`where(${f.x.map((x) => inner(x, index)[0]).join(", ")})`, 9];
  if (f.op === "matmul") {
    const [a, b] = f.x, n = evaluate(a, env, cache).shape[1];
    return terms(n, (k) => `${wrap(inner(a, [index[0], k]), 6)} · ${wrap(inner(b, [k, index[1]]), 6)}`);
  }
  if (SIGNS[f.op]) {
    const [sign, level] = SIGNS[f.op];
    return [`${wrap(inner(f.x[0], index), level)} ${sign} ${wrap(inner(f.x[1], index), level + 0.5)}`, level];
  }
  if (f.op) return [`${f.op}(${f.x.map((x) => inner(x, index)[0]).join(", ")})`, 9];
  const x = f.x[0];
  if (f.call === "mT") return inner(x, [index[1], index[0]]);
  if (f.call === "expand" || f.call === "to" || f.call === "clone") return inner(x, index);
  if (f.call === "sum" || f.call === "mean" || f.call === "sum_to_size") {
    const own = evaluate(x, env, cache).shape, from = [];
    const dims = f.p.dims?.map((d) => (d < 0 ? d + own.length : d));
    for (let i = 0; i < sizeOf(own); i++) {
      const place = unravel(i, own);
      const target = !dims || f.p.keepdim ? place : place.filter((_, k) => !dims.includes(k));
      if (fit(target, array.shape).every((k, j) => k === index[j])) from.push(place);
    }
    const sum = terms(from.length, (k) => wrap(inner(x, from[k]), 5));
    return f.call === "mean" ? [`${from.length > 1 ? `(${sum[0]})` : sum[0]} / ${from.length}`, 6] : sum;
  }
  return value();
}
function terms(n, term) {
  const shown = Array.from({ length: Math.min(n, MOST) }, (_, k) => term(k));
  if (n > MOST) shown.push(`… (${n} terms)`);
  return [n ? shown.join(" + ").replaceAll("+ -", "− ") : "0", n > 1 ? 5 : 6];
}
