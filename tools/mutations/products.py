"""Ways to break matrix products and fully connected layers."""

from mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "dot products: lanes added up from the wrong vector",
        "transpose.inc",
        "block[lane] += block[lane + width];",
        "block[lane] += block[width];",
    ),
    Mutation(
        "multiply: second vector reads the first", "multiply.inc", "sum[m][v] += w * x[v]", "sum[m][v] += w * x[0]"
    ),
    Mutation(
        "multiply: last term of each sum left out",
        "multiply.inc",
        "k < depth; k++) {\n        const real *row",
        "k < depth - 1; k++) {\n        const real *row",
    ),
    Mutation(
        "matmul: rows past the last whole panel skipped",
        "multiply.inc",
        "return ceil_div(rows, TILE_M); }",
        "return max_size(1, rows / TILE_M); }",
    ),
    Mutation(
        "matmul: a vector between strips left out",
        "matmul.inc",
        "* strip / ceil_div(n, TILE_WIDTH) * VL",
        "* strip / ceil_div(n, TILE_WIDTH) * VL + (strip == 1)",
    ),
    Mutation(
        "matmul: blocks of the inner size not added up", "matmul.inc", "(k0 > 0 ? c[m * s->n + j] : 0) + tile", "tile"
    ),
    Mutation("linear: bias left out", "linear.inc", "y[j] += c->bias[column + j];", "y[j] += 0;"),
    Mutation("linear: ReLU left out", "linear.inc", "y[j] = y[j] <= 0 ? 0 : y[j];", "y[j] += 0;"),
    Mutation("linear: dropout by the column", "linear.inc", "low = (uint32_t)i;", "low = (uint32_t)column;"),
    Mutation(
        "linear backward: gradients that ReLU cut count", "linear.inc", "y[o] <= 0 ? 0 : dy[o] * plan", "dy[o] * plan"
    ),
    Mutation(
        "linear backward: bias gradient without the first sample",
        "linear.inc",
        "for (int64_t n = 0; n < s->batch;) {",
        "for (int64_t n = 1; n < s->batch;) {",
    ),
    Mutation(
        "sparse lists: columns of every block counted from the first",
        "sparse.inc",
        "lanes + (real_bits)in_block",
        "lanes + (real_bits)j",
    ),
    Mutation(
        "sparse product: last entry left out",
        "sparse.inc",
        "e = first; e < last;",
        "e = first; e < last - 1;",
    ),
    Mutation(
        "sparse product: blocks overwrite each other",
        "sparse.inc",
        "start[1], columns, c, width, block > 0, true)",
        "start[1], columns, c, width, false, true)",
    ),
    Mutation(
        "channel sum: tail of a plane left out",
        "sums.inc",
        "run += load_first(plane + i, end - i);",
        "(void)0;",
    ),
    Mutation(
        "sum of squares: tail left out",
        "sums.inc",
        "    for (; i < s.last; i++)\n        sum += (double)c->x[i] * (double)c->x[i];\n",
        "",
    ),
    Mutation(
        "sum of squares: first task alone", "sums.inc", "chunk < ceil_div(count, CHUNK);", "chunk < min_size(count, 1);"
    ),
    Mutation(
        "sum of squares: squared in single precision",
        "sums.inc",
        "(double)c->x[i + lane] * (double)c->x[i + lane]",
        "(double)(c->x[i + lane] * c->x[i + lane])",
    ),
]
