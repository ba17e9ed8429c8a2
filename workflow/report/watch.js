// The page of a watch: an overview, small plots of each training, and one in detail. It loads itself
// anew, and keeps the chosen training (in its address), where it was scrolled to, and the axis.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const linear = byId("linear");
  const SHORT = { learning: "learn", general: "gen.", leaving: "leave", specialised: "spec." };
  const COUNT = new Intl.NumberFormat("en");

  function kept(name, value) {
    try {
      if (value === undefined) return sessionStorage.getItem(`watch ${data.title} ${name}`);
      sessionStorage.setItem(`watch ${data.title} ${name}`, value);
    } catch { /* a browser that keeps nothing of files */ }
    return null;
  }

  function element(parent, tag, attributes = {}, text = "") {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(text);
    parent.append(made);
    return made;
  }

  // Words

  const age = (seconds) => (seconds < 90 ? `${Math.round(seconds)} s`
    : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`);
  const sinceWritten = () => Math.max(0, Date.now() / 1000 - data.written);
  const word = (run) => (run.wrong ? "unreadable" : run.life);
  const address = (run) => `#${encodeURIComponent(run.name)}`;

  function badges(parent, run) {
    if (run.phase) element(parent, "span", { class: `badge ${run.phase}` }, run.phase);
    parent.append(" ");
    element(parent, "span", { class: `badge life ${run.wrong ? "wrong" : run.life}` }, word(run));
  }

  function facts(parent, run) {
    const said = [];
    if (run.step !== null) {
      said.push(`step ${COUNT.format(run.step)}${run.last ? ` of ${COUNT.format(run.last)}` : ""}`);
    }
    if (run.left) said.push(`${run.left} left`);
    if (run.rate !== null) said.push(`learning rate ${run.rate}`);
    parent.append(said.join(" · "));
    if (run.silent !== null) {
      parent.append(said.length ? " · " : "");
      element(parent, "span", { class: "silent", "data-silent": run.silent });
    }
  }

  // Plots: an SVG as text, in units of pixels at its smallest

  const known = (value) => value !== null && value !== undefined;

  function ticks(low, high, log) {
    if (log) {
      const all = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
        for (const factor of [1, 2, 5]) all.push(factor * 10 ** power);
      }
      const inside = all.filter((value) => value >= low && value <= high);
      const tens = inside.filter((value) => Number.isInteger(Math.log10(value).toFixed(6) * 1));
      return inside.length > 6 && tens.length > 1 ? tens : inside;
    }
    const rough = (high - low) / 4 || 1;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * unit).find((one) => one >= rough);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) {
      found.push(Number(value.toPrecision(6)));
    }
    return found;
  }

  function scale(low, high, from, to, log) {
    const by = log ? Math.log : (value) => value;
    const [least, most] = [by(low), by(high)];
    return (value) => from + ((by(value) - least) / (most - least || 1)) * (to - from);
  }

  function extent(values, log, fixed) {
    const use = values.filter((value) => known(value) && (!log || value > 0));
    let [low, high] = use.length ? [Math.min(...use), Math.max(...use)] : [1, 2];
    if (fixed) [low, high] = [Math.min(low, fixed[0]), Math.max(high, fixed[1])];
    const margin = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
    return log ? [low / 1.08, high * 1.08] : [low - margin, high + margin];
  }

  const compact = (value) => (Math.abs(value) >= 1e4 || (value && Math.abs(value) < 1e-3)
    ? value.toExponential(0).replace("e+", "e") : String(Number(value.toPrecision(3))));
  const brief = (step) => (step >= 1e6 ? `${compact(step / 1e6)}M`
    : step >= 1000 ? `${compact(step / 1000)}k` : String(step));

  function svg(run, plot, width, height) {
    const { curves } = run;
    const steps = (key) => (key.length === 2 && key[0] === "t" && curves.t ? curves.t : curves.l) || [];
    const lines = plot.curves.filter(([key]) => curves[key]?.some(known));
    const constants = plot.constants.filter(([key]) => known(curves[key]));
    if (!lines.length) return `<svg viewBox="0 0 ${width} ${height}"><text x="${width / 2}"
      y="${height / 2}" text-anchor="middle">${run.step === null ? "not begun" : run.m === "∞" ? "none for M = ∞" : "none yet"}</text></svg>`;
    const [log, byLog] = [plot.log, !linear.checked];
    const last = run.last || Math.max(...lines.map(([key]) => steps(key).at(-1) || 1), 2);
    const begin = Math.min(...lines.map(([key]) => steps(key).find((step) => step > 0) || last));
    const first = byLog ? Math.max(begin, 10 ** Math.floor(Math.log10(last / 1000))) : 0;
    const box = { left: 38, right: width - 6, top: 4, bottom: height - 15 };
    const [low, high] = extent([...lines.flatMap(([key]) => curves[key]
      .filter((_, i) => steps(key)[i] >= first)), ...constants.map(([key]) => curves[key])], log, plot.range);
    const x = scale(first, last, box.left, box.right, byLog);
    const y = scale(low, high, box.bottom, box.top, log);
    const parts = [];
    let at = Infinity;
    for (const value of ticks(low, high, log)) {
      const place = y(value).toFixed(1);
      parts.push(`<path class="axis" d="M${box.left} ${place}H${box.right}"/>`);
      if (at - place < 13) continue;
      at = place;
      parts.push(`<text x="${box.left - 4}" y="${+place + 4}" text-anchor="end">${compact(value)}</text>`);
    }
    for (const [value, anchor] of [[first, "start"], [last, "end"]]) {
      parts.push(`<text x="${x(value).toFixed(1)}" y="${height - 3}" text-anchor="${anchor}">${brief(value)}</text>`);
    }
    for (const [phase, from, to] of run.bands) {
      const edges = [from, to].map((step) => x(Math.min(last, Math.max(first, step))).toFixed(1));
      parts.push(`<path class="band ${phase}" d="M${edges[0]} ${box.bottom}H${edges[1]}"/>`);
    }
    for (const [key, , colour] of constants) {
      parts.push(`<path class="constant ${colour}" d="M${box.left} ${y(curves[key]).toFixed(1)}H${box.right}"/>`);
    }
    for (const [key, , colour] of [...lines].reverse()) {
      const found = steps(key);
      let pen = "M", path = "";
      curves[key].forEach((value, i) => {
        if (!known(value) || found[i] < first || (log && value <= 0)) return;
        path += `${pen}${x(found[i]).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = "L";
      });
      if (path && !path.includes("L")) path += "h2";
      parts.push(`<path class="${colour}" d="${path}"/>`);
    }
    const shown = lines.map(([, name]) => name).join(", ");
    return `<svg viewBox="0 0 ${width} ${height}" role="img"><title></title>${parts.join("")}</svg>`
      .replace("<title></title>", `<title>${escaped(`${plot.title}: ${shown}`)}</title>`);
  }

  const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

  function keys(parent, plot, run) {
    const shown = [...plot.curves.map((one) => [...one, ""]),
      ...plot.constants.map((one) => [...one, "constant"])];
    for (const [key, name, colour, dashes] of shown) {
      if (!name || (run && !known(run.curves[key]))) continue;
      const entry = element(parent, "span", { class: "key" });
      element(entry, "i", { class: `${colour} ${dashes}` });
      named(entry, name);
    }
  }

  // q_M with its index below the line
  function named(parent, text) {
    text.split(/_(M|∞|1)/).forEach((part, i) => {
      if (i % 2) element(parent, "sub", {}, part);
      else parent.append(part);
    });
  }

  // The parts of the page

  function overview() {
    const columns = [...new Set(data.runs.map((run) => run.m))];
    if (!data.runs.length || columns.includes("")) return;
    const table = element(byId("overview"), "table", { class: "overview" });
    const head = element(element(table, "thead"), "tr");
    element(head, "td", {}, "M =");
    for (const m of columns) element(head, "th", { scope: "col" }, m);
    const body = element(table, "tbody");
    const groups = Map.groupBy ? Map.groupBy(data.runs, (run) => `${run.variant} ${run.seed}`)
      : data.runs.reduce((all, run) => all.set(`${run.variant} ${run.seed}`,
        [...(all.get(`${run.variant} ${run.seed}`) || []), run]), new Map());
    const several = new Set(data.runs.map((run) => run.variant)).size > 1;
    for (const group of groups.values()) {
      const row = element(body, "tr");
      const { variant, seed } = group[0];
      element(row, "th", { scope: "row" }, `${several ? `${variant}, ` : ""}seed ${seed}`);
      for (const m of columns) {
        const cell = element(row, "td");
        const run = group.find((one) => one.m === m);
        if (!run) continue;
        const bad = run.wrong || ["killed", "diverged", "failed", "stalled"].includes(run.life);
        const text = bad || !run.phase ? word(run) : SHORT[run.phase];
        element(cell, "a", { href: address(run), title: `${run.title}: ${run.phase} ${word(run)}`,
          class: `${bad ? "wrong" : run.phase || run.life} ${run.life === "running" ? "" : "over"}` }, text);
      }
    }
    byId("overview").hidden = false;
  }

  function grid() {
    const parent = byId("runs");
    parent.replaceChildren();
    const box = element(parent, "div", { class: "runs" });
    for (const run of data.runs) {
      const card = element(box, "a", { class: "run", href: address(run), "data-run": run.name });
      element(card, "b", {}, run.title);
      badges(card, run);
      facts(element(card, "span", { class: "note" }), run);
      const small = element(card, "div", { class: "small" });
      for (const plot of data.layouts[run.layout].filter((one) => one.small)) {
        const figure = element(small, "figure", { class: "plot" });
        figure.innerHTML = svg(run, plot, 150, 92);
        named(element(figure, "figcaption"), plot.title.replace(/ \(.\)/g, ""));
      }
    }
    byId("all").hidden = false;
  }

  function detail() {
    const box = byId("detail");
    let name = "";
    try { name = decodeURIComponent(location.hash.slice(1)); } catch { /* not ours */ }
    const run = data.runs.find((one) => one.name === name);
    box.hidden = !run;
    box.replaceChildren();
    for (const card of document.querySelectorAll(".run")) {
      card.setAttribute("aria-current", card.dataset.run === name);
    }
    if (!run) return;
    const bar = element(box, "div", { class: "bar" });
    badges(element(bar, "h2", {}, run.title), run);
    const close = element(bar, "button", { type: "button" }, "Close");
    close.addEventListener("click", () => { location.hash = ""; });
    element(box, "p", { class: "result" }, run.advice);
    facts(element(box, "p", { class: "note" }), run);
    const plots = element(box, "div", { class: "plots" });
    for (const plot of data.layouts[run.layout]) {
      if (!plot.curves.some(([key]) => run.curves[key]?.some(known))) continue;
      const figure = element(plots, "figure", { class: "plot" });
      const caption = element(figure, "figcaption");
      named(element(caption, "strong"), plot.unit ? `${plot.title} (${plot.unit})` : plot.title);
      keys(caption, plot, run);
      figure.insertAdjacentHTML("beforeend", svg(run, plot, 480, 200));
    }
    ages();
  }

  function ages() {
    const since = sinceWritten();
    byId("age").textContent = `, ${age(since)} ago`;
    byId("stale").hidden = !data.live || since < Math.max(60, 5 * data.every);
    for (const span of document.querySelectorAll("[data-silent]")) {
      span.textContent = `last sign of life ${age(Number(span.dataset.silent) + since)} ago`;
    }
  }

  function draw() {
    grid();
    detail();
    ages();
  }

  linear.checked = kept("linear") === "true";
  linear.addEventListener("change", () => { kept("linear", linear.checked); draw(); });
  addEventListener("hashchange", () => { detail(); if (location.hash.length > 1) byId("detail").scrollIntoView(); });
  overview();
  const heads = data.layouts.map((plots) => plots[0]).filter((plot) => plot.curves.length);
  const same = new Set(heads.map((plot) => JSON.stringify(plot.curves))).size === 1;
  if (same) keys(byId("legend"), heads[0]); // else each training has its own, in detail
  draw();
  history.scrollRestoration = "manual";
  scrollTo(0, Number(kept("scroll") || 0));
  addEventListener("pagehide", () => kept("scroll", scrollY));
  setInterval(ages, 1000);
  if (data.live) {
    let due = Date.now() + 1000 * data.every;
    setInterval(() => {
      if (document.hidden || Date.now() < due) return;
      due = Date.now() + 1000 * data.every;
      kept("scroll", scrollY);
      location.reload();
    }, 500);
  }
})();
