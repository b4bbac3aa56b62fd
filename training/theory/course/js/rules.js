// The learning rules: gradient descent, momentum, Adam and RMSProp, with the formulas of torch.optim.

export const RULES = {
  sgd: () => () => (parameters, gradient, rate) => parameters.forEach((_, i) => { parameters[i] -= rate * gradient[i]; }),
  momentum: (momentum = 0.9) => (size) => {
    const velocity = new Float64Array(size);
    return (parameters, gradient, rate) => {
      for (let i = 0; i < size; i += 1) {
        velocity[i] = momentum * velocity[i] + gradient[i];
        parameters[i] -= rate * velocity[i];
      }
    };
  },
  adam: (beta1 = 0.5, beta2 = 0.999, epsilon = 1e-8) => (size) => {
    const [first, second] = [new Float64Array(size), new Float64Array(size)];
    let updates = 0;
    return (parameters, gradient, rate) => {
      updates += 1;
      const root = Math.sqrt(1 - beta2 ** updates);
      for (let i = 0; i < size; i += 1) {
        first[i] += (1 - beta1) * (gradient[i] - first[i]);
        second[i] = beta2 * second[i] + (1 - beta2) * gradient[i] * gradient[i];
        parameters[i] -= (rate / (1 - beta1 ** updates)) * (first[i] / (Math.sqrt(second[i]) / root + epsilon));
      }
    };
  },
  rmsprop: (alpha = 0.99, epsilon = 1e-8) => (size) => {
    const squares = new Float64Array(size);
    return (parameters, gradient, rate) => {
      for (let i = 0; i < size; i += 1) {
        squares[i] = alpha * squares[i] + (1 - alpha) * gradient[i] * gradient[i];
        parameters[i] -= (rate * gradient[i]) / (Math.sqrt(squares[i]) + epsilon);
      }
    };
  },
};
