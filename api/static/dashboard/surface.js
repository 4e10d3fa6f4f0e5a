// The cost surface of a neuron with two inputs, and where its weights settle.
//
// With e = w - 1 the mean cost over uniform inputs is eᵀMe, M = E[x·xᵀ] = a·I + b·11ᵀ, where
// a = (high - low)²/12 is the variance of an input and b = ((low + high)/2)² its mean squared. Its
// contours are ellipses around e = 0 with axes along (1, -1) and (1, 1). A step's mean gradient is
// 2Me + c·(1 + e): it vanishes at e = -c·(2M + cI)⁻¹·1, which is -c/(2(a + nb) + c) for every weight.
// Normalizing divides all of it by the square of a power of two, and changes none of this.

export class Surface {
  constructor({ dataset, hyperparameters }) {
    const { low, high, input_size: inputs } = dataset;
    this.a = (high - low) ** 2 / 12;
    this.b = ((low + high) / 2) ** 2;
    const unit = hyperparameters.normalize ? powerAbove(Math.max(Math.abs(low), Math.abs(high))) : 1;
    const { kind, strength } = hyperparameters.regularization;
    const c = { published: -strength, l2: strength, none: 0 }[kind];
    const steepest = 2 * (this.a + inputs * this.b) + c;
    const flattest = 2 * this.a + c;
    /** Times a learning rate: the share of its slowest error that the neuron forgets in a step. */
    this.forgetting = (2 * this.a) / unit ** 2;
    /** The distance to 1 at which every weight settles; null where none does. */
    this.settling = flattest > 0 ? -c / steepest : null;
  }

  cost([x, y]) {
    return this.a * (x * x + y * y) + this.b * (x + y) ** 2;
  }

  gradient([x, y]) {
    return [2 * (this.a * x + this.b * (x + y)), 2 * (this.a * y + this.b * (x + y))];
  }

  /** Lengths of the semi-axes of a contour: along (1, -1) and along (1, 1). */
  axes(level) {
    return [Math.sqrt(level / this.a), Math.sqrt(level / (this.a + 2 * this.b))];
  }

  /** The lowest and the highest cost in a rectangle. */
  range([left, right], [low, high]) {
    const corners = [[left, low], [left, high], [right, low], [right, high]];
    const inside = left <= 0 && right >= 0 && low <= 0 && high >= 0;
    const slope = this.b / (this.a + this.b);
    const within = (value, [from, to]) => Math.max(from, Math.min(value, to));
    const edges = [
      ...[left, right].map((x) => [x, within(-slope * x, [low, high])]),
      ...[low, high].map((y) => [within(-slope * y, [left, right]), y]),
    ];
    return [inside ? 0 : Math.min(...edges.map((at) => this.cost(at))), Math.max(...corners.map((at) => this.cost(at)))];
  }

  /** Where a contour meets the line y = from.y + dy, at x = from.x + dx: dx given, both dy. */
  crossings(from, level, dx, axis) {
    const gradient = this.gradient(from);
    const square = this.a + this.b;
    const linear = gradient[1 - axis] + 2 * this.b * dx;
    const rest = gradient[axis] * dx + square * dx * dx - (level - this.cost(from));
    const root = Math.sqrt(linear * linear - 4 * square * rest);
    const half = -(linear + (linear < 0 ? -root : root)) / 2;
    return Number.isNaN(root) ? [] : [half / square, rest / half];
  }
}

const powerAbove = (size) => 2 ** Math.ceil(Math.log2(size));
