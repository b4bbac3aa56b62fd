// Networks from one number to one number, with SiLU between the layers, and their gradients.
import { sigmoid } from "./mathematics.js";
import { uniformAt } from "./random.js";

/** Weights uniform on ±1/√inputs, as torch.nn.Linear. `parameters` holds weights and biases of each layer, one after the other. */
export function newNetwork(sizes, seed, stream) {
  const layers = [];
  let offset = 0;
  for (let i = 0; i + 1 < sizes.length; i += 1) {
    const [inputs, outputs] = [sizes[i], sizes[i + 1]];
    layers.push({ inputs, outputs, weights: offset, biases: offset + inputs * outputs, bound: 1 / Math.sqrt(inputs) });
    offset += (inputs + 1) * outputs;
  }
  const parameters = new Float64Array(offset);
  for (const layer of layers) {
    const end = layer.biases + layer.outputs;
    for (let i = layer.weights; i < end; i += 1) parameters[i] = layer.bound * (2 * uniformAt(seed, stream, i) - 1);
  }
  return { layers, parameters };
}

/** Outputs for the inputs xs. `tape` receives what `backward` needs. */
export function forward({ layers, parameters, residual = false }, xs, tape = null) {
  const m = xs.length;
  let activations = Float64Array.from(xs);
  layers.forEach((layer, number) => {
    const sums = new Float64Array(m * layer.outputs);
    for (let row = 0; row < m; row += 1) {
      for (let j = 0; j < layer.outputs; j += 1) {
        let total = parameters[layer.biases + j];
        const weights = layer.weights + j * layer.inputs;
        for (let i = 0; i < layer.inputs; i += 1) total += parameters[weights + i] * activations[row * layer.inputs + i];
        sums[row * layer.outputs + j] = total;
      }
    }
    if (tape) tape.push({ inputs: activations, sums });
    activations = number + 1 < layers.length ? sums.map((l) => l * sigmoid(l)) : sums;
  });
  return Array.from(activations, (value, row) => (residual ? value + xs[row] : value));
}

/** Adds the gradient by the parameters to `gradient`, and returns the gradient by the inputs. `slopes` is that by the outputs. */
export function backward({ layers, parameters }, tape, slopes, gradient) {
  const m = slopes.length;
  let deltas = Float64Array.from(slopes);
  for (let number = layers.length - 1; number >= 0; number -= 1) {
    const layer = layers[number];
    const { inputs } = tape[number];
    const passed = new Float64Array(m * layer.inputs);
    for (let row = 0; row < m; row += 1) {
      for (let j = 0; j < layer.outputs; j += 1) {
        const delta = deltas[row * layer.outputs + j];
        const weights = layer.weights + j * layer.inputs;
        if (gradient) gradient[layer.biases + j] += delta;
        for (let i = 0; i < layer.inputs; i += 1) {
          if (gradient) gradient[weights + i] += delta * inputs[row * layer.inputs + i];
          passed[row * layer.inputs + i] += delta * parameters[weights + i];
        }
      }
    }
    if (number > 0) {
      const { sums } = tape[number - 1];
      for (let i = 0; i < passed.length; i += 1) {
        const s = sigmoid(sums[i]);
        passed[i] *= s * (1 + sums[i] * (1 - s));
      }
    }
    deltas = passed;
  }
  return Array.from(deltas);
}

/** D: two hidden layers. The first layer is three times as large, so that D bends within a few units of x. */
export function newDiscriminator(width, seed, stream) {
  const network = newNetwork([1, width, width, 1], seed, stream);
  for (let i = 0; i < 2 * width; i += 1) network.parameters[i] *= 3;
  return network;
}

/** G: z + start + a network with two hidden layers that begins near 0, so p_g begins as the prior; or the line G(z) = std z + mean. */
export function newGenerator(kind, width, start, seed, stream) {
  if (kind === "line") {
    const line = newNetwork([1, 1], seed, stream);
    line.parameters.set([1, start]);
    return line;
  }
  const network = { ...newNetwork([1, width, width, 1], seed, stream), residual: true };
  const last = network.layers[network.layers.length - 1];
  for (let i = 0; i < last.inputs; i += 1) network.parameters[last.weights + i] *= 0.1;
  network.parameters[last.biases] += start - forward(network, [0])[0];
  return network;
}
