// The explorer: joint trajectories of one seed, drawn up to a training step. Its data, colours
// included, come from transience.report.explorer, in the script element #explorer-data.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("explorer-data").textContent);
  const box = byId("explorer");
  const svg = box.querySelector("svg");
  const tip = byId("explorer-tip");
  const variant = byId("variant"); // of the whole page; none where there is one only
  const [seed, xAxis, yAxis, from, slider] =
    ["seed", "x", "y", "from", "step"].map((name) => byId(`explorer-${name}`));
  const hidden = new Set(); // values of M that the legend has switched off
  const REACH = 28; // pixels between the pointer and the point it means
  const STEP = new Intl.NumberFormat("en-GB");
  const BEGINNINGS = [0, 0.01, 0.1, 0.3, 0.6]; // of training, from which on it is shown
  let plane, steps, chosen, place;

  // Small tools

  function element(parent, name, attributes = {}, text = "") {
    const made = parent.namespaceURI === svg.namespaceURI
      ? document.createElementNS(svg.namespaceURI, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return parent.appendChild(made);
  }

  function fill(select, entries, value) {
    select.replaceChildren();
    for (const [key, text] of entries) element(select, "option", { value: key }, text);
    if (entries.some(([key]) => String(key) === String(value))) select.value = value;
  }

  const distinct = (values) => [...new Set(values)];
  const visible = () => plane.runs.filter((run) => !hidden.has(run.m));
  const now = () => steps[Number(slider.value)];
  const upTo = (run, step) => run.steps.filter((each) => each <= step).length;
  const first = (run) => { // checkpoint from which on a run is shown
    const found = run.steps.findIndex((each) => each >= Number(from.value));
    return found < 0 ? run.steps.length : found;
  };
  const isShown = (run) => upTo(run, now()) > first(run);
  const point = (run, i) => run.at.map((component) => component[i]);
  const loss = (value) => (value === null ? "–" : value.toPrecision(4));

  function ticks(low, high, most) {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const gap = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough);
    const first = Math.ceil(low / gap);
    return Array.from({ length: Math.floor(high / gap) - first + 1 }, (_, i) =>
      Number(((first + i) * gap).toPrecision(12)));
  }

  // What is shown

  function choosePlane() {
    const found = data.planes.filter((each) => !variant || each.variant === variant.value);
    fill(seed, found.map((each) => [each.seed, each.seed]), seed.value);
    plane = found.find((each) => String(each.seed) === seed.value);
    const components = plane.explained.map((part, i) =>
      [i, part === null ? `PC${i + 1}` : `PC${i + 1} (${(100 * part).toFixed(1)} %)`]);
    fill(xAxis, components, xAxis.value || 0);
    fill(yAxis, components, yAxis.value || Math.min(1, components.length - 1));
    const before = steps && now();
    const all = distinct(plane.runs.flatMap((run) => run.steps)).sort((a, b) => a - b);
    const last = all[all.length - 1];
    const begins = distinct(BEGINNINGS.map((part) => all.find((step) => step >= part * last)));
    fill(from, begins.map((step) => [step, step ? `step ${STEP.format(step)}` : "the start"]), from.value);
    steps = all.filter((step) => step >= Number(from.value));
    slider.max = steps.length - 1;
    const kept = before === undefined ? steps : steps.filter((step) => step <= before);
    slider.value = Math.max(0, kept.length - 1);
    drawLegend();
    draw();
  }

  function drawLegend() {
    const legend = byId("explorer-legend");
    legend.replaceChildren();
    for (const run of plane.runs) {
      const button = element(legend, "button",
        { type: "button", "aria-pressed": !hidden.has(run.m), "aria-label": `M = ${run.m}` });
      const look = `border-top: 3px ${run.infinite ? "dashed" : "solid"} ${run.colour}`;
      element(button, "span", { class: "swatch", style: look });
      button.append(run.m);
      button.addEventListener("click", () => {
        if (!hidden.delete(run.m)) hidden.add(run.m);
        button.setAttribute("aria-pressed", !hidden.has(run.m));
        draw();
      });
    }
  }

  // Drawing

  function scales(width, height) {
    const axis = (component, from, to) => {
      const values = visible().flatMap((run) =>
        [...run.at[component].slice(first(run)), run.dmmse[component]])
        .concat(plane.ridge[component]).filter((value) => Number.isFinite(value));
      if (!values.length) values.push(0);
      const [least, greatest] = [Math.min(...values), Math.max(...values)];
      const margin = 0.06 * (greatest - least) || 1;
      const [low, high] = [least - margin, greatest + margin];
      const at = (value) => from + ((value - low) / (high - low)) * (to - from);
      return Object.assign(at, { low, high });
    };
    return [axis(xAxis.value, 52, width - 10), axis(yAxis.value, height - 44, 10)];
  }

  function drawAxes(x, y, width, height) {
    for (const value of ticks(x.low, x.high, width / 80)) {
      element(svg, "line", { class: "grid", x1: x(value), x2: x(value), y1: 10, y2: height - 44 });
      element(svg, "text", { x: x(value), y: height - 27, "text-anchor": "middle" }, value);
    }
    for (const value of ticks(y.low, y.high, height / 60)) {
      element(svg, "line", { class: "grid", x1: 52, x2: width - 10, y1: y(value), y2: y(value) });
      element(svg, "text", { x: 46, y: y(value) + 4, "text-anchor": "end" }, value);
    }
    const [across, up] = [xAxis, yAxis].map((select) => select.selectedOptions[0].text);
    element(svg, "text", { class: "x-label", x: (width + 42) / 2, y: height - 6,
      "text-anchor": "middle" }, across);
    element(svg, "text", { class: "y-label", "text-anchor": "middle",
      transform: `translate(14 ${(height - 34) / 2}) rotate(-90)` }, up);
  }

  const CORNERS = {
    diamond: [[0, -1], [1, 0], [0, 1], [-1, 0]],
    square: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
    star: Array.from({ length: 10 }, (_, i) => {
      const [radius, angle] = [i % 2 ? 0.45 : 1, (i * Math.PI) / 5];
      return [radius * Math.sin(angle), -radius * Math.cos(angle)];
    }),
  };

  function mark(shape, size, [px, py], look) {
    if (!Number.isFinite(px + py)) return;
    if (shape === "circle") {
      element(svg, "circle", { class: shape, cx: px, cy: py, r: size, ...look });
      return;
    }
    const points = CORNERS[shape].map(([dx, dy]) => `${px + size * dx},${py + size * dy}`);
    element(svg, "polygon", { class: shape, points: points.join(" "), ...look });
  }

  function drawRun(run) {
    const begin = first(run);
    const drawn = (coordinates) => Array.from({ length: Math.max(0, upTo(run, now()) - begin) },
      (_, i) => place(coordinates.map((component) => component[begin + i])))
      .filter(([px, py]) => Number.isFinite(px + py))
      .map((pair) => pair.map((pixels) => pixels.toFixed(1)));
    const points = drawn(run.at);
    if (!points.length) return;
    const line = { fill: "none", stroke: run.colour };
    const dashes = run.infinite ? { "stroke-dasharray": "5 3" } : {};
    element(svg, "path", { class: "path", d: `M${drawn(run.line || run.at).join("L")}`,
      ...line, ...dashes });
    element(svg, "path", { class: "dots", d: points.map((p) => `M${p}h0`).join(""), ...line });
  }

  function drawMarks(run) {
    const solid = { fill: run.colour, stroke: "#fff" };
    if (run.dmmse.length) mark("diamond", 7, place(run.dmmse), solid);
    const last = upTo(run, now()) - 1;
    const critical = run.steps.indexOf(run.tCrit);
    if (critical >= first(run) && critical <= last) {
      mark("circle", 5, place(point(run, critical)), { fill: "#fff", stroke: run.colour });
    }
    if (!isShown(run)) return;
    const ended = last === run.steps.length - 1;
    mark(ended ? "star" : "circle", ended ? 10 : 6, place(point(run, last)), solid);
  }

  function draw() {
    const width = Math.max(280, box.clientWidth);
    const height = Math.round(Math.min(560, Math.max(320, 0.62 * width)));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    const [x, y] = scales(width, height);
    place = (at) => [[x, xAxis], [y, yAxis]].map(([scale, select]) =>
      (at[select.value] === null ? NaN : scale(at[select.value])));
    drawAxes(x, y, width, height);
    if (plane.explained[0] === null) {
      element(svg, "text", { x: width / 2, y: height / 2, "text-anchor": "middle" },
        "all checkpoints are equal");
    }
    visible().forEach(drawRun);
    mark("square", 7, place(plane.ridge), { fill: "none", stroke: data.ridge });
    visible().forEach(drawMarks);
    byId("explorer-now").textContent = `step ${STEP.format(now())}`;
    slider.setAttribute("aria-valuetext", `step ${STEP.format(now())}`);
    choose(null);
  }

  // Reading a point: pointer, tap, or arrow keys

  function choose(checkpoint) {
    chosen = checkpoint;
    svg.querySelector(".ring")?.remove();
    tip.hidden = !chosen;
    if (!chosen) return;
    const { run, i } = chosen;
    const [px, py] = place(point(run, i)).map((pixels) => (Number.isFinite(pixels) ? pixels : 0));
    element(svg, "circle", { class: "ring", cx: px, cy: py, r: 8 });
    const critical = run.steps[i] === run.tCrit ? ", t_crit: its least OOD loss" : "";
    tip.replaceChildren();
    element(tip, "strong", {}, `M = ${run.m}, seed ${plane.seed}`);
    for (const line of [`step ${STEP.format(run.steps[i])}${critical}`,
      `loss on its own tasks ${loss(run.own[i])}`, `OOD loss ${loss(run.ood[i])}`,
      ...(run.infinite ? [] : [`distance to dMMSE ${loss(run.toDmmse[i])}`]),
      `distance to ridge ${loss(run.toRidge[i])}`]) {
      element(tip, "span", {}, line);
    }
    const below = py + 16 + tip.offsetHeight < box.clientHeight;
    const right = px + 14 + tip.offsetWidth < box.clientWidth;
    tip.style.left = `${Math.max(0, right ? px + 14 : px - 14 - tip.offsetWidth)}px`;
    tip.style.top = `${below ? py + 16 : py - 16 - tip.offsetHeight}px`;
  }

  function nearest(event) {
    const frame = svg.getBoundingClientRect();
    const [left, top] = [event.clientX - frame.left, event.clientY - frame.top];
    let best = null;
    for (const run of visible()) {
      for (let i = upTo(run, now()) - 1; i >= first(run); i -= 1) {
        const [px, py] = place(point(run, i));
        const away = Math.hypot(px - left, py - top);
        if (away < (best ? best.away : REACH)) best = { run, i, away };
      }
    }
    return best;
  }

  function moved(key) {
    const runs = visible().filter(isShown);
    if (!runs.length) return null;
    const run = chosen ? chosen.run : runs[0];
    const last = (of) => upTo(of, now()) - 1;
    const i = chosen ? chosen.i : last(run);
    const beside = (by) => runs[(runs.indexOf(run) + by + runs.length) % runs.length];
    const there = (other) =>
      ({ run: other, i: Math.max(first(other), upTo(other, run.steps[i]) - 1) });
    return {
      ArrowLeft: () => ({ run, i: Math.max(first(run), i - 1) }),
      ArrowRight: () => ({ run, i: Math.min(last(run), i + 1) }),
      ArrowUp: () => there(beside(1)),
      ArrowDown: () => there(beside(-1)),
      Home: () => ({ run, i: first(run) }),
      End: () => ({ run, i: last(run) }),
    }[key]();
  }

  svg.addEventListener("pointermove", (event) => choose(nearest(event)));
  svg.addEventListener("pointerdown", (event) => choose(nearest(event)));
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && choose(null));
  svg.addEventListener("focus", () => svg.matches(":focus-visible") && choose(moved("End")));
  svg.addEventListener("blur", () => choose(null));
  svg.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose(null);
    if (!/^(Arrow|Home$|End$)/.test(event.key)) return;
    event.preventDefault();
    choose(moved(event.key));
  });
  slider.addEventListener("input", draw);
  for (const select of [xAxis, yAxis]) select.addEventListener("change", draw);
  for (const select of [variant, seed, from]) select?.addEventListener("change", choosePlane);
  window.addEventListener("resize", draw);

  byId("explorer-missing").hidden = true;
  byId("explorer-all").hidden = false;
  choosePlane();
})();
