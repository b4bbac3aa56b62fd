// The experiments that are computed exactly, at once.
import * as e from "./experiments.js";
import { choice, newLab, rates, short, slider } from "./lab.js";
import { LOG_2, range, sigmoid, softplus } from "./mathematics.js";
import { OBJECTIVES } from "./objectives.js";
import { RULES } from "./rules.js";

const nats = (value) => (Number.isFinite(value) ? `${short(value)} nats` : short(value));
const between = (from, to, n) => range(n, (i) => from + ((to - from) * i) / (n - 1));
const nearest = (xs, x) => Math.min(xs.length - 1, Math.max(0, Math.round((x - xs[0]) / (xs[1] - xs[0]))));

function optimumLab() {
  newLab("optimum", {
    controls: [slider("mean", "Mean of p_g", [-4, 4, 0.1], 0.5), slider("std", "Width of p_g", [0.3, 3, 0.1], 1), slider("x", "Point x", [-4, 4, 0.1], -1.5)],
    charts: ["p_data, p_g and D*", "a log y + b log(1 − y) at the point x"],
    draw({ mean, std, x }) {
      const result = e.optimum(e.BIMODAL, mean, std);
      const at = nearest(result.x, x);
      const [a, b, best] = [result.pData[at], result.pG[at], result.dStar[at]];
      const ys = between(0.002, 0.998, 300);
      const values = ys.map((y) => e.pointwiseValue(a, b, y));
      const top = Math.max(...values);
      return {
        charts: [
          { x: [-5, 5], y: [0, 1.1], xLabel: "x", marks: [{ x, text: "x" }], series: [
            { name: "p_data", color: "data", xs: result.x, ys: result.pData, dash: "2 4" }, { name: "p_g", color: "model", xs: result.x, ys: result.pG },
            { name: "D*", color: "optimal", xs: result.x, ys: result.dStar.map((d, i) => (result.pData[i] + result.pG[i] > 1e-4 ? d : NaN)), dash: "7 4" }] },
          { x: [0, 1], y: [Math.min(-0.1, 4 * top - 0.2), 0], xLabel: "y, a value of D(x)", yLabel: "nats per unit of x", marks: [{ x: best, text: "a / (a + b)" }], series: [{ name: "a log y + b log(1 − y)", color: "d", xs: ys, ys: values }] },
        ],
        numbers: [["a = p_data(x)", short(a)], ["b = p_g(x)", short(b)], ["D*(x) = a / (a + b)", short(best)], ["max over D of V", nats(result.value)], ["−log 4 + 2 JSD", nats(e.EQUILIBRIUM + 2 * result.jsd)], ["JSD", nats(result.jsd)]],
        result,
      };
    },
  });
}

function klLab() {
  newLab("divergence", {
    controls: [slider("mean", "Mean of p_g", [-4, 4, 0.1], -1.5), slider("std", "Width of p_g", [0.3, 3, 0.1], 0.6)],
    charts: ["Densities", "Cost at each x, nats per unit of x"],
    draw({ mean, std }) {
      const result = e.optimum(e.BIMODAL, mean, std);
      return {
        charts: [
          { x: [-5, 5], y: [0, 0.9], xLabel: "x", series: [{ name: "p_data", color: "data", xs: result.x, ys: result.pData, dash: "2 4" }, { name: "p_g", color: "model", xs: result.x, ys: result.pG }] },
          { x: [-5, 5], y: [-0.6, 2.4], xLabel: "x", series: [
            { name: "p_data log(p_data / p_g)", color: "d", xs: result.x, ys: result.costs }, { name: "p_g log(p_g / p_data)", color: "optimal", xs: result.x, ys: result.reverseCosts, dash: "7 4" }] },
        ],
        numbers: [["KL(p_data ‖ p_g)", nats(result.kl)], ["KL(p_g ‖ p_data)", nats(result.reverseKl)], ["JSD", nats(result.jsd)]],
        result,
      };
    },
  });
}

function candidatesLab() {
  const means = [3, 1.5, 0.5];
  const ts = between(0, 2, 81);
  const colors = ["d", "model", "optimal"];
  newLab("candidates", {
    controls: [slider("t", "How far D goes: 0 is ½, 1 is D*", [0, 2, 0.05], 1)],
    charts: ["V of three generators"],
    draw({ t }) {
      const curves = e.candidateValues(means, ts);
      const now = e.candidateValues(means, [t]).map(([value]) => value);
      return {
        charts: [{ x: [0, 2], y: [-2, 0], xLabel: "t: the logit of D is t times the logit of D*", yLabel: "V, nats", marks: [{ x: t, text: `t = ${short(t)}` }, { y: e.EQUILIBRIUM, text: "−log 4" }],
          series: means.map((mean, i) => ({ name: `G${i + 1}: N(${mean}, 1)`, color: colors[i], xs: ts, ys: curves[i], dash: ["none", "7 3", "2 3"][i] })) }],
        numbers: now.map((value, i) => [`V(D, G${i + 1})`, nats(value)]),
        result: { curves, now },
      };
    },
  });
}

function convexityLab() {
  const ts = between(0, 1, 51);
  newLab("convexity", {
    controls: [slider("far", "Distance of the two ends", [1, 8, 0.5], 6), slider("t", "t", [0, 1, 0.02], 0.5)],
    charts: ["max over D of V, as (V + log 4) / 2 = JSD"],
    draw({ far, t }) {
      const { mixed, shifted } = e.segments(far, ts);
      const now = e.segments(far, [t]);
      const chord = ts.map((s) => s * mixed[mixed.length - 1]);
      return {
        charts: [{ x: [0, 1], y: [0, 0.8], xLabel: "t", yLabel: "JSD to N(0, 1), nats", marks: [{ x: t, text: "t" }], series: [
          { name: "mixture (1 − t) N(0, 1) + t N(far, 1)", color: "model", xs: ts, ys: mixed }, { name: "shift N(far t, 1)", color: "optimal", xs: ts, ys: shifted, dash: "7 4" }, { name: "chord", color: "quiet", xs: ts, ys: chord, dash: "2 3" }] }],
        numbers: [["mixture", nats(now.mixed[0])], ["shift", nats(now.shifted[0])], ["chord", nats(t * mixed[mixed.length - 1])]],
        result: { mixed, shifted },
      };
    },
  });
}

function descentLab() {
  newLab("descent", {
    controls: [slider("step", "Steps", [0, 30, 1], 2), slider("eta", "Size of a step, η", [0.05, 1, 0.05], 1)],
    charts: ["p_g after the steps", "The divergence over the steps"],
    draw({ step, eta }) {
      const result = e.descent(eta, 30);
      return {
        charts: [
          { x: [-6, 5], y: [0, 0.45], xLabel: "x", series: [{ name: "p_data", color: "data", xs: result.x, ys: result.pData, dash: "2 4" }, { name: "p_g", color: "model", xs: result.x, ys: result.densities[step] }] },
          { x: [0, 30], y: [1e-13, 1], logY: true, xLabel: "step", yLabel: "JSD, nats", marks: [{ x: step }], series: [{ name: "JSD", color: "model", xs: range(31), ys: result.divergences }] },
        ],
        numbers: [["JSD", nats(result.divergences[step])]],
        result: { density: result.densities[step], divergences: result.divergences },
      };
    },
  });
}

function supportsLab() {
  newLab("supports", {
    controls: [slider("theta", "Distance of the supports, θ", [0, 4, 0.25], 1.5), slider("sharpness", "Slope of D's logit", [0, 20, 0.5], 4), slider("x", "Point x", [-1.9, 5.9, 0.1], 0.5)],
    charts: ["Two uniform densities, and a D between them", "Divergences over θ"],
    draw({ theta, sharpness, x }) {
      const result = e.supports(theta);
      const d = result.x.map((each) => sigmoid(-sharpness * (each - (theta + 1) / 2)));
      const pulls = e.pullBetweenSupports(theta, sharpness);
      const at = nearest(result.x, x);
      const [real, fake] = [result.pData[at] > 0, result.pG[at] > 0];
      const thetas = between(0, 4, 17);
      const curves = thetas.map((each) => e.supports(each));
      const answer = real && fake ? "p_data / (p_data + p_g)" : real ? "1" : fake ? "0" : "any value";
      return {
        charts: [
          { x: [-2, 6], y: [0, 1.15], xLabel: "x", marks: [{ x, text: "x" }], series: [
            { name: "p_data", color: "data", xs: result.x, ys: result.pData, dash: "2 4" }, { name: "p_g", color: "model", xs: result.x, ys: result.pG }, { name: "D", color: "d", xs: result.x, ys: d }] },
          { x: [0, 4], y: [0, 2], xLabel: "θ", yLabel: "nats; Wasserstein: units of x", marks: [{ x: theta }, { y: LOG_2, text: "log 2" }], series: [
            { name: "JSD", color: "model", xs: thetas, ys: curves.map((each) => each.jsd) }, { name: "Wasserstein-1", color: "other", xs: thetas, ys: curves.map((each) => each.wasserstein), dash: "7 4" }] },
        ],
        numbers: [["at x", `p_data ${real ? "> 0" : "= 0"}, p_g ${fake ? "> 0" : "= 0"}: D* = ${answer}`], ["JSD", nats(result.jsd)], ["KL(p_data ‖ p_g)", nats(result.kl)], ["KL(p_g ‖ p_data)", nats(result.reverseKl)],
          ["Wasserstein-1", short(result.wasserstein)], ["pull on θ, minimax", short(pulls.minimax)], ["pull on θ, non-saturating", short(pulls["non-saturating"])]],
        result: { ...result, pulls },
      };
    },
  });
}

function lossesLab() {
  const logits = between(-8, 8, 161);
  const distances = between(0.25, 9, 36);
  const names = ["minimax", "non-saturating"];
  newLab("losses", {
    controls: [slider("logit", "Logit of D(G(z))", [-8, 8, 0.1], -4), slider("distance", "Distance of p_g", [0.25, 9, 0.25], 4)],
    charts: ["The losses over the logit", "The pull on the mean of G, with D = D*"],
    draw({ logit, distance }) {
      const curves = Object.fromEntries(names.map((name) => [name, distances.map((each) => e.pull(each, name))]));
      const style = { minimax: ["d", "5 3"], "non-saturating": ["optimal", "none"] };
      const loss = { minimax: (l) => -softplus(l), "non-saturating": (l) => softplus(-l) };
      return {
        charts: [
          { x: [-8, 8], y: [-8, 8], xLabel: "logit of D(G(z))", yLabel: "nats", marks: [{ x: logit }], series: names.map((name) => ({ name, color: style[name][0], dash: style[name][1], xs: logits, ys: logits.map(loss[name]) })) },
          { x: [0, 9], y: [1e-5, 20], logY: true, xLabel: "distance of p_g = N(−distance, 1) from p_data = N(0, 1)", marks: [{ x: distance }], series: names.map((name) => ({ name, color: style[name][0], dash: style[name][1], xs: distances, ys: curves[name] })) },
        ],
        numbers: [["D(G(z))", short(sigmoid(logit))], ["slope by the logit, minimax", short(-sigmoid(logit))], ["slope by the logit, non-saturating", short(-sigmoid(-logit))],
          ["slope by D, minimax", short(-1 / sigmoid(-logit))], ["slope by D, non-saturating", short(-1 / sigmoid(logit))], ...names.map((name) => [`pull, ${name}`, short(e.pull(distance, name))])],
        result: { curves, pulls: Object.fromEntries(names.map((name) => [name, e.pull(distance, name)])) },
      };
    },
  });
}

function diracLab() {
  newLab("dirac", {
    controls: [choice("objective", "Loss", Object.keys(OBJECTIVES)), choice("penalty", "Penalty", ["none", "R1", "R2", "WGAN-GP"]), choice("rule", "Learning rule", Object.keys(RULES)), rates("rate", "Learning rate", [-3, -0.25], -1), slider("at", "Iterations", [0, 500, 5], 300)],
    charts: ["The path of (θ, ψ)", "θ and ψ over the iterations"],
    draw({ at, ...settings }) {
      const path = e.dirac({ ...settings, iterations: at });
      const [theta, psi] = [path.map(([value]) => value), path.map(([, value]) => value)];
      const largest = Math.min(50, Math.max(1.2, ...theta.map(Math.abs), ...psi.map(Math.abs)) * 1.1);
      return {
        charts: [
          { x: [-largest, largest], y: [-largest, largest], xLabel: "θ, the point of G", yLabel: "ψ, the slope of D", marks: [{ x: 0 }, { y: 0 }], series: [
            { name: "path", color: "d", xs: theta, ys: psi }, { name: "now", color: "model", xs: theta.slice(-1), ys: psi.slice(-1), points: true }, { name: "equilibrium", color: "optimal", xs: [0], ys: [0], points: true }] },
          { x: [0, Math.max(10, at)], y: [-largest, largest], xLabel: "iteration", series: [{ name: "θ", color: "model", xs: range(at + 1), ys: theta }, { name: "ψ", color: "d", xs: range(at + 1), ys: psi, dash: "5 3" }] },
        ],
        numbers: [["θ", short(theta[at])], ["ψ", short(psi[at])], ["distance from the equilibrium", short(Math.hypot(theta[at], psi[at]))]],
        result: { theta, psi },
      };
    },
  });
}

function orderLab() {
  const as = between(0.01, 0.99, 99);
  newLab("order", {
    controls: [slider("q", "q = p_g(A)", [0, 1, 0.05], 1), slider("a", "D(A)", [0.05, 0.95, 0.05], 0.35), slider("b", "D(B)", [0.05, 0.95, 0.05], 0.65)],
    charts: ["G moves first: max over D of V", "D moves first: min over G of V, with D(B) fixed"],
    draw({ q, a, b }) {
      const qs = between(0, 1, 101);
      const [answerD, answerG] = [e.bestD(q), e.bestG(a, b)];
      return {
        charts: [
          { x: [0, 1], y: [-2.2, -0.6], xLabel: "q = p_g(A)", yLabel: "nats", marks: [{ x: q }, { y: e.EQUILIBRIUM, text: "−log 4" }], series: [{ name: "max over D of V", color: "d", xs: qs, ys: qs.map((each) => e.bestD(each).value) }] },
          { x: [0, 1], y: [-4, -0.6], xLabel: "D(A)", yLabel: "nats", marks: [{ x: a }, { y: e.EQUILIBRIUM, text: "−log 4" }], series: [{ name: "min over G of V", color: "model", xs: as, ys: as.map((each) => e.bestG(each, b).value) }] },
        ],
        numbers: [["V now", nats(e.twoPointValue(q, a, b))], ["D's best answer to q", `D(A) = ${short(answerD.a)}, D(B) = ${short(answerD.b)}`], ["V then", nats(answerD.value)], ["G's best answer to D", a === b ? "any q" : `q = ${answerG.q}: all mass at ${answerG.q ? "A" : "B"}`], ["V then ", nats(answerG.value)]],
        result: { value: e.twoPointValue(q, a, b), bestD: answerD, bestG: answerG },
      };
    },
  });
}

function neuronLab() {
  newLab("neuron", {
    controls: [slider("logit", "Logit at the start", [-4, 8, 0.25], 4), slider("rate", "Learning rate", [0.05, 1, 0.05], 0.15), slider("epochs", "Epochs", [10, 500, 10], 300)],
    charts: ["Slope of the cost by the logit; the target is 0", "The output over the epochs"],
    draw({ logit, rate, epochs }) {
      const result = e.neuron(logit, rate, epochs);
      const ls = between(-8, 8, 161);
      return {
        charts: [
          { x: [-8, 8], y: [0, 1.05], xLabel: "logit", marks: [{ x: logit }], series: [{ name: "quadratic, y · y(1 − y)", color: "d", xs: ls, ys: ls.map((l) => sigmoid(l) ** 2 * sigmoid(-l)), dash: "5 3" }, { name: "cross-entropy, y", color: "optimal", xs: ls, ys: ls.map(sigmoid) }] },
          { x: [0, epochs], y: [0, 1.05], xLabel: "epoch", yLabel: "output y", series: [{ name: "quadratic", color: "d", xs: range(epochs + 1), ys: result.quadratic, dash: "5 3" }, { name: "cross-entropy", color: "optimal", xs: range(epochs + 1), ys: result.crossEntropy }] },
        ],
        numbers: [["output at the end, quadratic", short(result.quadratic[epochs])], ["output at the end, cross-entropy", short(result.crossEntropy[epochs])]],
        result,
      };
    },
  });
}

function fitsLab() {
  const names = Object.keys(e.FIT_DIVERGENCES);
  const shown = (name) => name.replace("||", "‖").replace(" - ", " − ");
  const style = [["d", "5 3"], ["model", "none"], ["optimal", "8 3 2 3"], ["other", "2 2"]];
  newLab("fits", {
    controls: [slider("separation", "Separation of the modes", [0.5, 6, 0.25], 4)],
    charts: ["The best Gaussian for each divergence"],
    draw({ separation }) {
      const fits = Object.fromEntries(names.map((name) => [name, e.fit(name, separation)]));
      const xs = between(-7, 7, 281);
      const density = ({ mean, std }) => xs.map((x) => Math.exp(-0.5 * ((x - mean) / std) ** 2) / std / Math.sqrt(2 * Math.PI));
      const { weights, means, stds } = e.fitData(separation);
      const data = weights.map((w, i) => density({ mean: means[i], std: stds[i] }).map((p) => w * p)).reduce((a, b) => a.map((p, i) => p + b[i]));
      return {
        charts: [{ x: [-7, 7], y: [0, 0.62], xLabel: "x", series: [{ name: "p_data", color: "data", xs, ys: data, dash: "2 4", fill: true }, ...names.map((name, i) => ({ name: shown(name), color: style[i][0], dash: style[i][1], xs, ys: density(fits[name]) }))] }],
        numbers: names.map((name) => [shown(name), `mean ${short(fits[name].mean)}, width ${short(fits[name].std)}`]),
        result: fits,
      };
    },
  });
}

export function exactLabs() {
  for (const make of [neuronLab, optimumLab, candidatesLab, convexityLab, descentLab, klLab, fitsLab, supportsLab, lossesLab, orderLab, diracLab]) make();
}
