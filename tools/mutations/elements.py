"""Ways to break what is done to each element, optimizers and losses included, and the pieces that all kernels share."""

from mutations.mutation import Mutation

MUTATIONS = [
    Mutation("active lists: upper half of an AVX2 vector read from the lower", "vec.h", "+ 0x4444)", "+ 0x0000)"),
    Mutation(
        "few elements: all copied to the first",
        "vec.h",
        "from = (const char *)from +",
        "from = (const char *)from + 0 *",
    ),
    Mutation(
        "winners: bytes of an AVX2 vector moved",
        "vec.h",
        "_mm_packus_epi16(halves, halves)",
        "_mm_packus_epi16(halves, halves) << 32",
    ),
    Mutation("dropout: nothing dropped without masked operations", "vec.h", "bits &= -(real_bits)kept;", "(void)kept;"),
    Mutation(
        "tanh: NaN becomes the least number", "exp.inc", "larger(splat(EXP_LEAST), x)", "larger(x, splat(EXP_LEAST))"
    ),
    Mutation("exp: the lower part of ln 2 forgotten", "exp.inc", " - whole * splat(EXP_LN2_LOW);", ";"),
    Mutation("exp: 2^n overflows", "exp.inc", "vec_bits half = n >> 1;", "vec_bits half = n & 0;"),
    Mutation(
        "relu: NaN becomes 0", "pointwise.inc", "EACH(relu, x, _, x <= 0 ? 0 : x)", "EACH(relu, x, _, x > 0 ? x : 0)"
    ),
    Mutation("relu backward: passes everything", "pointwise.inc", "dy, y, y <= 0 ? 0 : dy)", "dy, y, dy)"),
    Mutation("leaky_relu: slope above zero", "pointwise.inc", "x * (x > 0 ? 1 : slope)", "x * (x < 0 ? 1 : slope)"),
    Mutation(
        "leaky_relu backward: gradient at 0 is 1",
        "pointwise.inc",
        "dy * (x > 0 ? 1 : slope)",
        "dy * (x >= 0 ? 1 : slope)",
    ),
    Mutation("sigmoid: of |x|", "pointwise.inc", "blend(x >= 0, splat(1), e) / (1 + e)", "1 / (1 + e)"),
    Mutation(
        "sigmoid: exp overflows",
        "pointwise.inc",
        "const vec e = exp_of(minus_absolute(x));\n    return blend(x >= 0, splat(1), e) / (1 + e);",
        "const vec e = exp_of(x);\n    return e / (1 + e);",
    ),
    Mutation("sigmoid backward: a factor left out", "pointwise.inc", "dy * (y * (1 - y))", "dy * (1 - y)"),
    Mutation(
        "tanh: digits cancel", "pointwise.inc", "expm1_of(2 * minus_absolute(x));", "exp_of(2 * minus_absolute(x)) - 1;"
    ),
    Mutation("tanh backward: digits cancel", "pointwise.inc", "(1 - y) * (1 + y)", "1 - y * y"),
    Mutation("add: subtracts", "pointwise.inc", "EACH(add, x, y, x + y)", "EACH(add, x, y, x - y)"),
    Mutation("dropout: scaled by 1/p, Gorgonia's bug", "pointwise.inc", "(real)(1 / (1 - p))", "(real)(1 / p)"),
    Mutation(
        "softmax: maximum of the first class only",
        "softmax.inc",
        "most = blend((next > most) | (next != next), next, most);",
        "most = load_logits(x, classes);",
    ),
    Mutation("log_softmax backward: sum left out", "softmax.inc", " - exp_of(load_first(y + j, count)) * sum,", ","),
    Mutation("softmax: lanes behind the row count", "softmax.inc", ", splat(-(real)INFINITY));", ", splat(0));"),
    Mutation("cross-entropy backward: targets taken to sum to 1", "softmax.inc", "dx[j] / sum * mass", "dx[j] / sum"),
    Mutation("sgd: climbs", "optimizer.inc", "data[i] += grad[i] * -lr;", "data[i] += grad[i] * lr;"),
    Mutation(
        "momentum: velocity never slows", "optimizer.inc", "momentum * velocity[i] + grad[i];", "velocity[i] + grad[i];"
    ),
    Mutation(
        "momentum: Nesterov ignored",
        "optimizer.inc",
        "(c->nesterov ? grad[i] + momentum * velocity[i] : velocity[i])",
        "velocity[i]",
    ),
    Mutation(
        "rmsprop: eps outside the root",
        "optimizer.inc",
        "MATH(sqrt)(average[i] + eps)",
        "(MATH(sqrt)(average[i]) + eps)",
    ),
    Mutation(
        "adam: eps inside the root",
        "optimizer.inc",
        "(MATH(sqrt)(second[i]) * root + eps)",
        "MATH(sqrt)(second[i] * root * root + eps)",
    ),
    Mutation("adam: first moment not corrected", "optimizer.inc", "lr / (1 - pow(beta1, (double)step))", "lr"),
    Mutation("adam: second moment not corrected", "optimizer.inc", "1 / sqrt(1 - pow(beta2, (double)step))", "1"),
    Mutation(
        "adam: weight decay without the learning rate", "optimizer.inc", "1 - lr * weight_decay", "1 - weight_decay"
    ),
    Mutation("adjust: nothing clipped from below", "optimizer.inc", "(below < -limit ? -limit : below)", "below"),
    Mutation(
        "adjust: NaN clipped", "optimizer.inc", "scaled > limit ? limit : scaled", "scaled <= limit ? scaled : limit"
    ),
    Mutation("adjust: a weight of 0 has a sign", "optimizer.inc", "data[i] < 0 ? -1 : 0;", "-1;"),
    Mutation("adjust: penalty of l2 left out", "optimizer.inc", "+ l2 * data[i];", ";"),
    Mutation("concat: parts written over each other's rows", "copy.inc", "row * c->to_pitch", "row * c->width"),
    Mutation("concat backward: parts read without gaps", "copy.inc", "row * c->from_pitch", "row * c->width"),
    Mutation("images: picked by their place in the batch", "look_up.inc", "c->which[row] : row)", "row : row)"),
    Mutation("images: a task begins at the head of one", "look_up.inc", "column = i % c->width;", "column = 0;"),
    Mutation("concat: a task begins at the head of a row", "copy.inc", "column = i % c->width;", "column = 0;"),
    Mutation(
        "dropout: second key unused", "random.h", "mix32(mix32(low_index ^ k0) + k1)", "mix32(mix32(low_index ^ k0))"
    ),
    Mutation(
        "threads: nobody takes the first task",
        "parallel.c",
        "atomic_store(&job.next, 0);",
        "atomic_store(&job.next, 1);",
    ),
    Mutation(
        "dropout: the upper half of an element's number ignored",
        "random.h",
        "return (uint32_t)(index >> 32) * 0x9e3779b9u;",
        "return 0 * (uint32_t)(index >> 32);",
    ),
    Mutation("denormals: operands not flushed", "parallel.c", "flushing = 0x8040u;", "flushing = 0x8000u;"),
    Mutation("denormals: results not flushed", "parallel.c", "flushing = 0x8040u;", "flushing = 0x0040u;"),
    Mutation(
        "threads: helpers round as they did before",
        "parallel.c",
        "set_float_state(job.floats | flushing);",
        "set_float_state(before | flushing);",
    ),
    Mutation("forks: helpers that are not there", "parallel.c", "helpers = kept = 0;", "kept = 0;"),
    Mutation("signals: an update stopped halfway", "parallel.c", "if (whole || !looks", "if ((whole && 0) || !looks"),
    Mutation("signals: nobody stops", "parallel.c", "    return signals.stop;\n", "    return false;\n"),
    Mutation(
        "long sums: one chain",
        "sums.inc",
        "level == SUM_LEVELS - 1 || (index + 1) % SUM_RUN",
        "true || (index + 1) % SUM_RUN",
    ),
]
