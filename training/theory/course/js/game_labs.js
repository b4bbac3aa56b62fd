// The experiments that train: the game on the line, a likelihood fit beside a GAN fit, and comparisons of settings.
import { GAME_GRID, divergence, iterate, likelihoodFit, look, newGame, twoModes } from "./game.js";
import { fitData } from "./experiments.js";
import { choice, labs, newLab, rates, short, slider } from "./lab.js";
import { logNormal, priorQuantiles } from "./mathematics.js";
import { forward } from "./networks.js";
import { OBJECTIVES } from "./objectives.js";
import { RULES } from "./rules.js";

const FRAME_MILLISECONDS = 14;
const SIZES = [0, 3, 5, 10, 20, 50, 100, 500];
const ARROWS = 25;

const commonControls = () => [
  choice("objective", "Loss", Object.keys(OBJECTIVES)),
  choice("rule", "Learning rule", Object.keys(RULES), "adam"),
  rates("rateD", "Learning rate of D", [-4, 0], -2),
  rates("rateG", "Learning rate of G", [-4, 0], -2.75),
  slider("k", "k, updates of D", [1, 10, 1], 5),
  slider("j", "Updates of G", [1, 20, 1], 1),
  choice("prior", "Prior of z", ["normal", "uniform"]),
  slider("n", "Number of data", [0, SIZES.length - 1, 1], 0, { map: (v) => SIZES[v], show: (n) => (n ? String(n) : "no limit") }),
  slider("iterations", "Iterations", [10, 1000, 10], 600),
  slider("seed", "Seed", [1, 20, 1], 1),
];

/** Runs in slices between the frames of the browser: Run, Stop, and a restart after a change. */
function trainer({ begin, step, show }) {
  const stop = (lab) => { cancelAnimationFrame(lab.timer); lab.timer = null; lab.runButton.textContent = "Run"; };
  const end = (lab) => { stop(lab); show(lab); lab.say(`Finished: ${lab.shown.numbers.map(([key, value]) => `${key} ${value}`).join(", ")}.`); };
  const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const turn = (lab) => {
    const until = performance.now() + FRAME_MILLISECONDS;
    let more = true;
    while (more && performance.now() < until) more = step(lab);
    if (!more) { end(lab); return; }
    if (!quiet) show(lab);
    lab.timer = requestAnimationFrame(() => turn(lab));
  };
  return {
    prepare(lab) {
      lab.start = () => { stop(lab); lab.hasRun = true; begin(lab); lab.runButton.textContent = "Stop"; lab.say("Running."); turn(lab); };
      lab.finish = () => { stop(lab); lab.hasRun = true; begin(lab); while (step(lab)); end(lab); };
      lab.runButton = lab.button("Run", () => (lab.timer ? (end(lab), lab.say("Stopped.")) : lab.start()));
    },
    changed(lab) {
      stop(lab);
      begin(lab);
      show(lab);
      lab.say("Predict first, then press Run.");
    },
  };
}

function density(look, extra = []) {
  const hasMass = look.pData.map((p, i) => p + look.pG[i] > 0.005);
  return {
    x: [-6, 6], y: [0, 1.1], xLabel: "x; below: where G moves equally probable z",
    series: [
      { name: "p_data", color: "data", xs: GAME_GRID.x, ys: look.pData, dash: "2 4" },
      { name: "p_g", color: "model", xs: GAME_GRID.x, ys: look.pG },
      { name: "D*", color: "optimal", xs: GAME_GRID.x, ys: look.dStar.map((d, i) => (hasMass[i] ? d : NaN)), dash: "7 4" },
      { name: "D", color: "d", xs: GAME_GRID.x, ys: look.d },
      ...extra,
    ],
    marks: [{ y: 0.5 }],
  };
}

const estimatesJsd = (lab) => OBJECTIVES[lab.game.settings.objective].estimatesJsd;

function history(lab) {
  const { jsds, total } = lab;
  return {
    x: [0, total], y: [-0.05, 0.75], xLabel: "iteration", yLabel: "nats", marks: [{ y: Math.LN2, text: "log 2" }],
    series: [
      { name: "JSD", color: "model", xs: jsds.map(([i]) => i), ys: jsds.map(([, value]) => value) },
      ...(estimatesJsd(lab) ? [{ name: "(V + log 4) / 2 of D", color: "d", xs: jsds.map(([i]) => i), ys: jsds.map(([, , value]) => Math.max(-1, value)), dash: "5 3" }] : []),
    ],
  };
}

/** A lab with one game. `place` gives data and start from the settings. */
function playedGame(name, controls, place, overlay) {
  const train = trainer({
    begin(lab) {
      const settings = lab.settings();
      lab.total = settings.iterations;
      lab.game = newGame({ ...settings, ...place(settings) });
      lab.jsds = [];
    },
    step(lab) {
      if (lab.game.iteration % Math.ceil(lab.total / 60) === 0) record(lab);
      if (lab.game.iteration >= lab.total) return false;
      iterate(lab.game);
      if (lab.game.iteration < lab.total) return true;
      record(lab);
      return false;
    },
    show(lab) {
      const now = look(lab.game);
      const extra = overlay ? overlay(lab.game.settings) : { series: [], numbers: [] };
      if (lab.jsds.length === 0) record(lab);
      const arrows = forward(lab.game.g, priorQuantiles(lab.game.settings.prior, ARROWS)).map((x, i) => [x, priorQuantiles(lab.game.settings.prior, ARROWS)[i]]);
      lab.show({
        charts: [{ ...density(now, extra.series), lines: arrows }, history(lab)],
        numbers: [["iteration", String(now.iteration)], ["JSD", `${short(now.jsd)} nats`], ...(estimatesJsd(lab) ? [["(V + log 4) / 2", `${short(now.estimate)} nats`]] : []), ["mean of p_g", short(now.mean)], ["width of p_g", short(now.std)], ...extra.numbers],
        result: { ...now, ...extra.result },
      });
    },
  });
  const record = (lab) => {
    const now = look(lab.game);
    lab.jsds.push([now.iteration, now.jsd, now.estimate]);
  };
  return newLab(name, { controls, charts: ["Densities and D", "The divergence over the training"], run: train });
}

export function gameLabs() {
  playedGame(
    "game",
    [slider("distance", "Distance of p_g from p_data", [0, 9, 0.5], 3), ...commonControls()],
    ({ distance }) => ({ data: twoModes(distance), start: -distance / 2, generator: "network" }),
  );
  playedGame(
    "likelihood",
    [slider("separation", "Separation of the modes", [0.5, 6, 0.25], 4), ...commonControls().filter(({ name }) => !["j", "prior"].includes(name)).map((each) => (each.name === "rateG" ? { ...each, value: -2 } : each))],
    ({ separation }) => ({ data: fitData(separation), start: -1, generator: "line", prior: "normal", j: 1 }),
    (settings) => {
      const best = likelihoodFit(settings);
      return {
        series: [{ name: "maximum likelihood", color: "other", xs: GAME_GRID.x, ys: GAME_GRID.x.map(logNormal(best.mean, best.std)).map(Math.exp), dash: "9 3" }],
        numbers: [["likelihood: mean", short(best.mean)], ["likelihood: width", short(best.std)]],
        result: { likelihood: best },
      };
    },
  );
  compareLab();
}

const VARIED = {
  "k, updates of D": ["k", [1, 2, 5, 10]],
  "learning rule": ["rule", Object.keys(RULES)],
  "learning rate of G": ["rateG", [0.0003, 0.001, 0.003, 0.01]],
  "learning rate of D": ["rateD", [0.001, 0.003, 0.01, 0.03]],
  loss: ["objective", Object.keys(OBJECTIVES)],
  prior: ["prior", ["normal", "uniform"]],
  "updates of G": ["j", [1, 3, 10, 20]],
  "number of data": ["n", [0, 100, 20, 5]],
  distance: ["distance", [1, 3, 6, 8]],
};
/** Rates that suit each rule, so that the comparison is of rules and not of wrong rates. */
export const SUITED_RATES = { sgd: { rateD: 0.3, rateG: 0.05 }, momentum: { rateD: 0.05, rateG: 0.005 }, adam: { rateD: 0.01, rateG: 0.002 }, rmsprop: { rateD: 0.01, rateG: 0.001 } };
const COLORS = ["d", "model", "optimal", "other", "data", "quiet"];

/** Runs the game with each value of one setting; the other settings are those of the game above. */
function compareLab() {
  const settingsOf = (lab) => {
    const { varied, iterations } = lab.settings();
    const base = labs.game.settings();
    const [key, values] = VARIED[varied];
    return values.map((value) => {
      const settings = { ...base, [key]: value, ...(key === "rule" ? SUITED_RATES[value] : {}), iterations };
      return { label: key === "n" && !value ? "no limit" : String(value), settings: { ...settings, data: twoModes(settings.distance), start: -settings.distance / 2, generator: "network" } };
    });
  };
  const train = trainer({
    begin(lab) {
      lab.runs = settingsOf(lab).map(({ label, settings }) => ({ label, game: newGame(settings), jsds: [] }));
      lab.total = lab.settings().iterations;
      lab.every = Math.ceil(lab.total / 40);
    },
    step(lab) {
      const run = lab.runs.find(({ game }) => game.iteration < lab.total);
      if (!run) return false;
      if (run.jsds.length === 0) run.jsds.push([0, divergence(run.game)]);
      iterate(run.game);
      if (run.game.iteration % lab.every === 0 || run.game.iteration === lab.total) run.jsds.push([run.game.iteration, divergence(run.game)]);
      return true;
    },
    show(lab) {
      lab.show({
        charts: [{
          x: [0, lab.total], y: [0, 0.75], xLabel: "iteration", yLabel: "JSD, nats", marks: [{ y: Math.LN2, text: "log 2" }],
          series: lab.runs.map(({ label, jsds }, i) => ({ name: label, color: COLORS[i], xs: jsds.map(([at]) => at), ys: jsds.map(([, value]) => value), dash: ["none", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"][i] })),
        }],
        numbers: lab.runs.map(({ label, jsds }) => [label, jsds.length ? `JSD ${short(jsds[jsds.length - 1][1])}` : "not run yet"]),
        result: Object.fromEntries(lab.runs.map(({ label, jsds }) => [label, jsds])),
      });
    },
  });
  newLab("compare", { controls: [choice("varied", "Compare", Object.keys(VARIED)), slider("iterations", "Iterations", [10, 600, 10], 400)], charts: ["The divergence with each value"], run: train });
}
