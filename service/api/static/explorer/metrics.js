// The metrics on a card: their meaning, their value, and the scores of real data beside it.

// In both tables, the longest name that begins a metric's name counts.
const MEANINGS = {
  "label-accuracy": "Images whose label a classifier recognizes (higher is better)",
  frechet: "Fréchet distance of features to real images (0 is best)",
  kid: "Kernel distance of features to real images (0 is best)",
  precision: "Generated images that look real (1 is best)",
  recall: "Real images that the generator covers (1 is best)",
  density: "Closeness to real images (about 1 for real images)",
  coverage: "Share of real images with a generated neighbor (1 is best)",
  "class-kl": "Divergence of the classes from the data's (0 is best)",
  modes: "Number of modes that the generator hits",
  "mode-kl": "Divergence of the modes from the data's (0 is best)",
  copying: "Chance to be nearer to a training image than a real image is (0.5 for real images, 1 for copies)",
  "copying-cells": "The same where it is most unusual: standard errors above 0.5 in one region of the data",
  "copying-near": "Share of images nearer to a training image than 99% of real images (0.01 for real images)",
  "parzen-log-likelihood": "Mean log-likelihood in nats by a Parzen window (higher is better)",
  "spectrum-difference": "Relative difference of the energy at each spatial frequency (0 is best)",
  "spectrum-high": "Energy at high frequencies: above 0 speckles, below 0 blur",
  patches: "Distance between small patches at each scale (0 is best)",
  "random-conv": "Fréchet distance of features of a random network, which sees fine details (0 is best)",
  "wasserstein-1": "Mean distance that moves one distribution to the other (0 is best)",
  "kolmogorov-smirnov": "Largest difference of the distribution functions (0 is best)",
  "total-variation": "Share of the values that would have to change (0 is best)",
  "correlation-difference": "Mean difference of the correlations (0 is best)",
  "channel-correlation-difference": "Mean difference of the correlations of two channels (0 is best)",
  "autocorrelation-difference": "Mean difference of the autocorrelations (0 is best)",
  "spectrum-difference of": "Relative difference of the power at each frequency (0 is best)",
  "discriminative-score": "How far the accuracy of a classifier of generated and real series is from 1/2 (0 is best)",
  "predictive-score": "Error of a model that learns from generated series to predict real series (smaller is better)",
  "contingency-difference": "Mean total variation of pairs of columns (0 is best)",
  "closest-record": "Chance to be nearer to a training record than real data are (0.5 for real data, 1 for copies)",
  "closest-record-cells": "The same where it is most unusual: standard errors above 0.5 in one region of the data",
  "closest-record-near": "Share nearer to a training record than 99% of real data (0.01 for real data)",
  "closest-record median": "Median distance to the closest training record",
  "nearer-to-training": "Share nearer to training than to held-out rows (0.5 for real data, 1 for copies)",
  "exact-copies": "Share equal to a training row",
  "detection-auc": "How well a classifier tells generated from real data (0.5 is best, 1 is worst)",
  "train-on-generated": "How well a model that learns from generated rows predicts real rows",
  "high-quality-share": "Share within three standard deviations of a mode",
  "mode-width": "Width of a mode over the width in the data (1 is best)",
  "mode-offset": "Distance of a mode's mean from the data's, in standard deviations (0 is best)",
  "mode-share": "Share of the samples in one mode",
  "mode-ks": "Largest difference of the distribution functions in a mode (0 is best)",
  "1-gram-divergence": "Divergence of the frequencies of characters, in bits (0 is best)",
  "2-gram-divergence": "Divergence of the frequencies of pairs of characters, in bits (0 is best)",
  "3-gram-divergence": "Divergence of the frequencies of three characters in a row, in bits (0 is best)",
  "4-gram-divergence": "Divergence of the frequencies of four characters in a row, in bits (0 is best)",
  "real-share": "Share of strings that are in the data",
  "unseen-real-share": "Share of strings that are in held-out data only",
  "distinct-share": "Number of different strings over the number of strings",
  "edit-distance": "Mean number of edits to the closest training string",
  "distinct-values": "Number of different values of a million seeds",
};

// The smallest and the largest possible value, by the beginning of a metric's name; null: no limit. training/evaluation/metric_ranges.py has
// the same table, and a test reads both.
const RANGES = {
  "label-accuracy": [0, 1], "precision": [0, 1], "recall": [0, 1], "coverage": [0, 1], "copying": [0, 1], "copying-near": [0, 1],
  "closest-record": [0, 1], "closest-record-near": [0, 1], "nearer-to-training": [0, 1], "exact-copies": [0, 1],
  "kolmogorov-smirnov": [0, 1], "total-variation": [0, 1], "contingency-difference": [0, 1], "detection-auc": [0, 1],
  "high-quality-share": [0, 1], "mode-share": [0, 1], "mode-ks": [0, 1],
  "frechet": [0, null], "random-conv": [0, null], "class-kl": [0, null], "mode-kl": [0, null], "density": [0, null], "patches": [0, null],
  "spectrum-difference": [0, null], "wasserstein-1": [0, null], "closest-record median": [0, null],
  "mode-width": [0, null], "mode-offset": [0, null], "distinct-values": [0, null],
  "correlation-difference": [0, 2], "channel-correlation-difference": [0, 2], "autocorrelation-difference": [0, 2],
  "discriminative-score": [0, 0.5],
  "predictive-score": [0, null],
  "1-gram-divergence": [0, 1], "2-gram-divergence": [0, 1], "3-gram-divergence": [0, 1], "4-gram-divergence": [0, 1],
  "real-share": [0, 1], "unseen-real-share": [0, 1], "distinct-share": [0, 1],
  "edit-distance": [0, null],
  "modes": [0, null],
  "spectrum-high": [-1, null],
  "train-on-generated": [null, 1],
  "kid": [null, null], "copying-cells": [null, null], "closest-record-cells": [null, null], "parzen-log-likelihood": [null, null]
};

const short = (value, digits) => String(Number(value.toPrecision(digits)));

/** The value of the longest key that begins a metric's name; undefined if there is none. */
function byName(table, metric) {
  const names = Object.keys(table).filter((name) => metric.startsWith(name));
  return names.length ? table[names.reduce((a, b) => (b.length > a.length ? b : a))] : undefined;
}

export const meaning = ({ metric }) => byName(MEANINGS, metric) ?? "";

export const valueText = ({ value, standard_error: error }) => short(value, 4) + (error ? ` ± ${short(error, 2)}` : "");

/** The interval that contains the score of a perfect generator, within the metric's possible values; empty if it was not measured. */
export function intervalText({ metric, interval }) {
  if (!interval) return "";
  const [lowest, highest] = byName(RANGES, metric) ?? [null, null];
  return interval.map((end) => short(Math.min(Math.max(end, lowest ?? -Infinity), highest ?? Infinity), 3)).join(" to ");
}

/** Whether the value differs from the scores of real data. */
export const isOutside = ({ value, interval }) => Boolean(interval) && (value < interval[0] || value > interval[1]);
