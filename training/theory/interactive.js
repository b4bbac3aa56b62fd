// Draws the recorded iterations of the experiments.
const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const FRAME_MILLISECONDS = 80;

/** Creates an SVG element. */
function shape(tag, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

/** A linear map from an interval to pixels. */
const scale = (from, to, start, end) => (value) => start + ((value - from) / (to - from)) * (end - start);

const pathOf = (xs, ys) => xs.map((x, i) => `${i ? "L" : "M"}${x.toFixed(1)} ${ys[i].toFixed(1)}`).join("");

const curve = (xs, ys, color, dash = "none") => shape("path", { d: pathOf(xs, ys), fill: "none", stroke: `var(--${color})`, "stroke-width": 2, "stroke-dasharray": dash });

/** Connects a slider and a button that plays the slider. `draw` receives the position. */
function player(name, count, draw) {
  const slider = find(`${name}-at`);
  const play = find(`${name}-play`);
  let timer = null;
  slider.max = count - 1;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; play.setAttribute("aria-pressed", "false"); };
  slider.addEventListener("input", () => draw(Number(slider.value)));
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (Number(slider.value) === count - 1) slider.value = 0;
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      draw(Number(slider.value));
      if (Number(slider.value) === count - 1) stop();
    }, FRAME_MILLISECONDS);
  });
  draw(0);
}

function figure1() {
  const { x, p_data: real, z, snapshots } = data.figure1;
  const column = scale(x[0], x[x.length - 1], 40, 790);
  const row = scale(0, 1.05, 300, 10);
  const columns = x.map(column);
  const hasMass = (snapshot) => x.map((_, i) => real[i] + snapshot.p_g[i] > 0.005);
  const draw = (at) => {
    const snapshot = snapshots[at];
    const mass = hasMass(snapshot);
    const inMass = (values) => values.filter((_, i) => mass[i]);
    const arrows = snapshot.arrows.map((value, i) => shape("line", { x1: column(z[i]), y1: 410, x2: column(value), y2: 325, stroke: "var(--model)", "stroke-opacity": 0.6 }));
    find("figure1").replaceChildren(
      ...[0, 0.5, 1].flatMap((level) => [shape("line", { x1: 40, x2: 790, y1: row(level), y2: row(level), stroke: "var(--line)" }), shape("text", { x: 8, y: row(level) + 4 }, String(level))]),
      curve(columns, real.map(row), "data", "2 4"), curve(columns, snapshot.p_g.map(row), "model"),
      curve(inMass(columns), inMass(snapshot.d_star).map(row), "optimal", "7 4"), curve(columns, snapshot.d.map(row), "d"),
      ...arrows, shape("text", { x: 8, y: 330 }, "x"), shape("text", { x: 8, y: 414 }, "z"));
    find("figure1-numbers").textContent = `iteration ${snapshot.iteration} · JSD(p_data, p_g) = ${snapshot.jsd.toFixed(3)} nats · (V + log 4) / 2 = ${snapshot.estimate.toFixed(3)} nats · distance of D from D* = ${snapshot.distance.toFixed(3)}`;
  };
  player("figure1", snapshots.length, draw);
}

function dirac() {
  const choose = (id, key) => find(id).append(...[...new Set(data.dirac.map((each) => each[key]))].map((value) => new Option(value, value)));
  choose("dirac-objective", "objective");
  choose("dirac-penalty", "penalty");
  const column = scale(0, data.dirac[0].theta.length - 1, 350, 790);
  const draw = (at) => {
    const path = data.dirac.find((each) => each.objective === find("dirac-objective").value && each.penalty === find("dirac-penalty").value);
    const largest = Math.max(0.5, ...path.theta.map(Math.abs), ...path.psi.map(Math.abs));
    const [left, below] = [scale(-largest, largest, 20, 320), scale(-largest, largest, 400, 20)];
    const [theta, psi] = [path.theta.slice(0, at + 1), path.psi.slice(0, at + 1)];
    find("dirac").replaceChildren(
      shape("line", { x1: 20, x2: 320, y1: below(0), y2: below(0), stroke: "var(--line)" }), shape("line", { x1: left(0), x2: left(0), y1: 20, y2: 400, stroke: "var(--line)" }),
      shape("text", { x: 308, y: below(0) - 6 }, "θ"), shape("text", { x: left(0) + 6, y: 30 }, "ψ"),
      shape("line", { x1: 350, x2: 790, y1: below(0), y2: below(0), stroke: "var(--line)" }), shape("text", { x: 720, y: 412 }, "iteration"),
      curve(theta.map(left), psi.map(below), "d"), shape("circle", { cx: left(theta[at]), cy: below(psi[at]), r: 6, fill: "var(--model)" }),
      curve(theta.map((_, i) => column(i)), theta.map(below), "model"), curve(psi.map((_, i) => column(i)), psi.map(below), "d"));
    find("dirac-numbers").textContent = `iteration ${at} · θ = ${theta[at].toFixed(3)} (G) · ψ = ${psi[at].toFixed(3)} (D) · ${path.converges ? "converges to θ = 0" : "does not converge"}`;
  };
  for (const id of ["dirac-objective", "dirac-penalty"]) find(id).addEventListener("change", () => draw(Number(find("dirac-at").value)));
  player("dirac", data.dirac[0].theta.length, draw);
}

figure1();
dirac();
