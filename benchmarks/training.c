/* The article's program in C, each operation rounded on its own. See shared/kernel.py. */

static double absolute(double value) { return value < 0 ? -value : value; }

void train_pair(const double *rows, long count, double *weights, double lr, double c) {
    double w0 = weights[0], w1 = weights[1];
    for (long row = 0; row < count; row++) {
        double x0 = rows[2 * row], x1 = rows[2 * row + 1];
        double label = x0 + x1;
        double z = x0 * w0 + x1 * w1;
        double d = label - z;
        double g = -2.0 * d;
        w0 -= (x0 * g + c * w0) * lr;
        w1 -= (x1 * g + c * w1) * lr;
    }
    weights[0] = w0, weights[1] = w1;
}

/* As train_pair, with the kernel's trick: -2 goes to the inputs, off the chain of dependencies. */
void train_pair_folded(const double *rows, long count, double *weights, double lr, double c) {
    double w0 = weights[0], w1 = weights[1];
    for (long row = 0; row < count; row++) {
        double x0 = rows[2 * row], x1 = rows[2 * row + 1];
        double d = (x0 + x1) - (x0 * w0 + x1 * w1);
        w0 -= (-2.0 * x0 * d + c * w0) * lr;
        w1 -= (-2.0 * x1 * d + c * w1) * lr;
    }
    weights[0] = w0, weights[1] = w1;
}

void train_many(const double *restrict rows, long count, double *restrict weights, double lr,
                double c, long inputs) {
    for (long row = 0; row < count; row++) {
        const double *x = rows + row * inputs;
        double label = x[0], z = x[0] * weights[0];
        for (long i = 1; i < inputs; i++) {
            label += x[i];
            z += x[i] * weights[i];
        }
        double g = -2.0 * (label - z);
        for (long i = 0; i < inputs; i++) weights[i] -= (x[i] * g + c * weights[i]) * lr;
    }
}

long test_pair(const double *rows, long count, const double *weights, double margin,
               double *cost) {
    long correct = 0;
    double total = 0.0;
    for (long row = 0; row < count; row++) {
        double x0 = rows[2 * row], x1 = rows[2 * row + 1];
        double label = x0 + x1;
        double error = label - (x0 * weights[0] + x1 * weights[1]);
        correct += absolute(error) <= absolute(label) * (margin / 100.0);
        total += error * error;
    }
    *cost = total / count;
    return correct;
}

/* David Bau's seedrandom; `key` is one to 256 bytes. A state of bytes is a fifth slower here. */
void seedrandom(const unsigned char *key, long length, double *out, long count, double factor,
                double offset) {
    long s[256], i = 0, j = 0, t;
    for (long k = 0; k < 256; k++) s[k] = k;
    for (long k = 0; k < 256; k++) {
        t = s[k];
        s[k] = s[j = (j + t + key[k % length]) & 255];
        s[j] = t;
    }
    j = 0;
#define NEXT \
    (i = (i + 1) & 255, t = s[i], j = (j + t) & 255, s[i] = s[j], s[j] = t, s[(s[i] + t) & 255])
    for (long k = 0; k < 256; k++) (void)NEXT;
    for (long k = 0; k < count; k++) {
        unsigned long six = 0, x = 0;
        for (int byte = 0; byte < 6; byte++) six = six << 8 | NEXT;
        double n = six, d = 0x1p48;
        while (n < 0x1p52) {
            n = (n + x) * 256, d *= 256;
            x = NEXT;
        }
        while (n >= 0x1p53) n /= 2, d /= 2, x >>= 1;
        out[k] = (n + x) / d * factor + offset;
    }
}
