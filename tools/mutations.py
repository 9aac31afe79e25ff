"""Ways to break each kernel, for mutate_kernels.py: in a file of csrc/, one piece of text for another."""

from typing import NamedTuple


class Mutation(NamedTuple):
    what: str
    file: str
    old: str
    new: str


MUTATIONS = [
    Mutation(
        "stage of few terms: the last filter not kept",
        "conv_pool_few.inc",
        "(size_t)(s->out_channels * plan.terms) * sizeof(real)",
        "(size_t)((s->out_channels - 1) * plan.terms) * sizeof(real)",
    ),
    Mutation(
        "threads: nobody takes the first task",
        "parallel.c",
        "atomic_store(&job.next, 0);",
        "atomic_store(&job.next, 1);",
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
        "transpose: an interleave takes the wrong half",
        "transpose.inc",
        "next[2 * i + 1] = interleave_high",
        "next[2 * i + 1] = interleave_low",
    ),
    Mutation(
        "padded image: height's padding used for width",
        "padded.inc",
        ".top = s->padding_height, .left = s->padding_width,\n        .stride_height",
        ".top = s->padding_height, .left = s->padding_height,\n        .stride_height",
    ),
    Mutation(
        "padded image: zeros not written",
        "padded.inc",
        "    memset(dst, 0, (size_t)padded_size(p) * sizeof(real));\n",
        "",
    ),
    Mutation("direct forward: bias not added", "conv_direct.inc", "to[j] = from[j] + bias;", "to[j] = from[j];"),
    Mutation(
        "direct forward: stride phases of taps mixed up",
        "padded.inc",
        "right % s->stride_width;",
        "down % s->stride_width;",
    ),
    Mutation(
        "direct input gradient: every tap takes the weights of the first row",
        "conv_direct.inc",
        ".weight = r * s->kernel_width + t,",
        ".weight = t,",
    ),
    Mutation(
        "direct input gradient: kernel not flipped",
        "conv_direct.inc",
        "w0 + s->padding_width - t * s->dilation_width;",
        "w0 + t * s->dilation_width;",
    ),
    Mutation(
        "weight gradient: a group of images forgotten",
        "conv_weight.inc",
        "for (int64_t group = 1; group",
        "for (int64_t group = 2; group",
    ),
    Mutation(
        "weight gradient: sums overwritten instead of added",
        "conv_weight.inc",
        "store(to, load(to) + total[k][v]);",
        "store(to, total[k][v]);",
    ),
    Mutation(
        "weight gradient: a later part of the batch reads the first",
        "conv_weight.inc",
        "plan->first + image, image);",
        "image, image);",
    ),
    Mutation("dots: the end of a row left out", "dots.inc", "if (q < s->width)", "if (q + 1 < s->width)"),
    Mutation(
        "weight gradient by dots: a group of images forgotten",
        "conv_weight_dots.inc",
        "for (int64_t group = 0; group",
        "for (int64_t group = 1; group",
    ),
    Mutation(
        "im2col in place: bias of the wrong channel",
        "conv_im2col.inc",
        "plan->bias[panel * TILE_M + m]",
        "plan->bias[m]",
    ),
    Mutation(
        "im2col input gradient: weights not turned",
        "conv_im2col.inc",
        "plan->weight[k * plan->shape->out_channels + panel * TILE_M + m]",
        "plan->weight[k + panel * TILE_M + m]",
    ),
    Mutation(
        "columns of the input gradient: neighbours of a row not cut off",
        "conv_im2col.inc",
        "(lane < (real_bits)end)",
        "(lane <= (real_bits)end)",
    ),
    Mutation(
        "matmul: a vector between strips left out",
        "matmul.inc",
        "* strip / ceil_div(n, TILE_WIDTH) * VL",
        "* strip / ceil_div(n, TILE_WIDTH) * VL + (strip == 1)",
    ),
    Mutation(
        "im2col forward: bias of the wrong channel", "conv_im2col.inc", "plan->bias[channel + m]", "plan->bias[channel]"
    ),
    Mutation(
        "im2col: column outside the image not zero",
        "im2col.inc",
        "for (int64_t j = j0; j < first; j++)\n            *to++ = 0;",
        "for (int64_t j = j0; j < first; j++)\n            *to++ = 1;",
    ),
    Mutation("col2im: overlapping cells overwritten", "im2col.inc", "*to += columns[", "*to = columns["),
    Mutation(
        "matmul: blocks of the inner size not added up", "matmul.inc", "(k0 > 0 ? c[m * s->n + j] : 0) + tile", "tile"
    ),
    Mutation(
        "matmul: rows past the last whole panel skipped",
        "multiply.inc",
        "return ceil_div(rows, TILE_M); }",
        "return max_size(1, rows / TILE_M); }",
    ),
    Mutation("max-pool: the last of equal values wins", "max_pool.inc", "= (value > *best) |", "= (value >= *best) |"),
    Mutation("max-pool: NaN loses", "max_pool.inc", " | ((value != value) & (*best == *best))", ""),
    Mutation(
        "max-pool: only the first row of a window",
        "max_pool.inc",
        "row < rows; row++, from +=",
        "row < 1; row++, from +=",
    ),
    Mutation(
        "max-pool: winners of a lane mixed up",
        "max_pool.inc",
        "(int)(8 * (o % REAL_BYTES))",
        "(int)(4 * (o % REAL_BYTES))",
    ),
    Mutation(
        "max-pool backward: overlapping windows overwritten", "max_pool.inc", "[winner]] += dy[o]", "[winner]] = dy[o]"
    ),
    Mutation("max-pool backward: argmax outside the window followed", "max_pool.inc", "fine &= winner < count;", ""),
    Mutation(
        "max-pool backward: argmax outside the plane followed",
        "max_pool.inc",
        "            fine = false;",
        "            fine &= true;",
    ),
    Mutation(
        "pooling 2x2: odd last column not cleared",
        "avg_pool.inc",
        "dx[row * s->width + s->width - 1] = 0;",
        "dx[row * s->width + s->width - 1] += 0;",
    ),
    Mutation(
        "pooling: tiles of cells lack their first windows",
        "pool.inc",
        "past / stride + 1, last)",
        "past / stride + 2, last)",
    ),
    Mutation(
        "pooling: lanes of narrow tiles taken from the first row",
        "pool.inc",
        "from + (area->top + at / columns) * width",
        "from + area->top * width",
    ),
    Mutation(
        "average-pool: padding counts when it should not", "avg_pool.inc", "return count_padding ?", "return true ?"
    ),
    Mutation(
        "average-pool: cells of a window left out",
        "avg_pool.inc",
        "column = 1; column < columns;",
        "column = 2; column < columns;",
    ),
    Mutation(
        "average-pool: last row of each large window left out",
        "avg_pool.inc",
        "row = rows.inside.top + 1; row < rows.inside.bottom;",
        "row = rows.inside.top + 1; row < rows.inside.bottom - 1;",
    ),
    Mutation(
        "pooling: padding moves no window",
        "pool.inc",
        "j * s->stride_width - s->padding_width",
        "j * s->stride_width",
    ),
    Mutation("average-pool 2x2: a cell taken twice", "avg_pool.inc", "(c0 + c1) + (c2 + c3)", "(c0 + c1) + (c2 + c2)"),
    Mutation(
        "average-pool backward: a window too many holds a cell",
        "pool.inc",
        "before.first * stride + kernel <= row",
        "before.first * stride + kernel < row",
    ),
    Mutation(
        "average-pool backward: overlapping columns overwritten",
        "avg_pool.inc",
        "line[column] += share;",
        "line[column] = share;",
    ),
    Mutation(
        "average-pool backward: overlapping rows overwritten",
        "avg_pool.inc",
        "dx[row * s->width + column] += line[column];",
        "dx[row * s->width + column] = line[column];",
    ),
    Mutation(
        "average-pool 2x2 backward: second row gets nothing",
        "avg_pool.inc",
        "store_pairs(cells + s->width, count, share, share);",
        "store_pairs(cells + s->width, count, 0 * share, 0 * share);",
    ),
    Mutation("average-pool: windows as small as max-pool's", "shape.c", "if (argmax && (", "if ((argmax || true) && ("),
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
    Mutation("exp: the lower part of ln 2 forgotten", "exp.inc", " - whole * splat(EXP_LN2_LOW);", ";"),
    Mutation("exp: 2^n overflows", "exp.inc", "vec_bits half = n >> 1;", "vec_bits half = n & 0;"),
    Mutation("tanh backward: digits cancel", "pointwise.inc", "(1 - y) * (1 + y)", "1 - y * y"),
    Mutation("add: subtracts", "pointwise.inc", "EACH(add, x, y, x + y)", "EACH(add, x, y, x - y)"),
    Mutation("concat: parts written over each other's rows", "copy.inc", "row * c->to_pitch", "row * c->width"),
    Mutation("concat backward: parts read without gaps", "copy.inc", "row * c->from_pitch", "row * c->width"),
    Mutation("concat: a task begins at the head of a row", "copy.inc", "column = i % c->width;", "column = 0;"),
    Mutation(
        "fused backward: gradient of ReLU left out",
        "../fastcnn/backends/cpu/fused.py",
        "_core.relu_backward(dy, y)",
        "dy",
    ),
    Mutation("dropout: scaled by 1/p, Gorgonia's bug", "pointwise.inc", "(real)(1 / (1 - p))", "(real)(1 / p)"),
    Mutation(
        "dropout: second key unused", "random.h", "mix32(mix32(low_index ^ k0) + k1)", "mix32(mix32(low_index ^ k0))"
    ),
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
    Mutation(
        "channel sum: tail of a plane left out",
        "sums.inc",
        "sum_lanes(lanes + load_first(plane + i, c->plane - i))",
        "sum_lanes(lanes)",
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
    Mutation(
        "softmax: maximum of the first class only",
        "softmax.inc",
        "most = blend((next > most) | (next != next), next, most);",
        "most = load_logits(x, classes);",
    ),
    Mutation("log_softmax backward: sum left out", "softmax.inc", " - exp_of(load_first(y + j, count)) * sum,", ","),
    Mutation("softmax: lanes behind the row count", "softmax.inc", ", splat(-(real)INFINITY));", ", splat(0));"),
    Mutation("cross-entropy backward: targets taken to sum to 1", "softmax.inc", "dx[j] / sum * mass", "dx[j] / sum"),
    Mutation(
        "conv_pool: a pixel of the window reads its neighbour",
        "conv_pool.inc",
        "(window * P + b) * channels;",
        "(window * P) * channels;",
    ),
    Mutation("conv_pool: bias left out", "conv_pool.inc", " + load(bias + v * VL);", ";"),
    Mutation(
        "conv_pool: dropout of every image by the index in it",
        "conv_pool.inc",
        "drop_written(plan->dropout, to, to + channels * windows, plan->y);",
        "drop_written(plan->dropout, 0, channels * windows, plan->y + to);",
    ),
    Mutation("conv_pool: ReLU left out", "conv_pool.inc", "blend(value <= 0, (vec){0}, value)", "value"),
    Mutation(
        "conv_pool: padding of the height used for the width",
        "conv_pool.inc",
        "* pitch + s->padding_width * channels;",
        "* pitch + s->padding_height * channels;",
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
        "for (int64_t n = 0; n < s->batch; n++)\n        sum +=",
        "for (int64_t n = 1; n < s->batch; n++)\n        sum +=",
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
        "active windows: those that ReLU closed count",
        "active.inc",
        "blend(maximum <= 0, (vec){0}, load_first(dy, count) * scale)",
        "load_first(dy, count) * scale",
    ),
    Mutation(
        "active windows: not scaled as dropout did",
        "active.inc",
        "load_first(dy, count) * scale",
        "load_first(dy, count)",
    ),
    Mutation(
        "active windows: winners outside their windows pass",
        "active.inc",
        "*outside |= winner >= (real_bits)cells;",
        "*outside |= winner > (real_bits)cells;",
    ),
    Mutation(
        "active windows: the winner taken for the first",
        "active.inc",
        "at += (winner == (real_bits)p) &",
        "at += (winner == (real_bits)0) &",
    ),
    Mutation(
        "Winograd: a row of the input transform", "winograd_transform.inc", "t[2] = even_p - odd_p;", "t[2] = even_p;"
    ),
    Mutation(
        "Winograd: a point of the output transform", "winograd_transform.inc", "P3 * difference + Q3 * t3", "P3 * t3"
    ),
    Mutation(
        "Winograd: a filter is not turned", "winograd_transform.inc", "turn ? 8 - (r * 3 + s)", "turn ? r * 3 + s"
    ),
    Mutation("Winograd: bias left out", "winograd_transform.inc", "y[j] + bias", "y[j]"),
    Mutation(
        "Winograd: the last block of channels left out",
        "winograd.inc",
        "c0 < channels; c0 += VL, pixels",
        "c0 + VL < channels; c0 += VL, pixels",
    ),
    Mutation(
        "Winograd: strips of an image start one row late",
        "winograd.inc",
        "(h + s->padding_height - top) * plan->row",
        "(h + s->padding_height - top + (top > 0)) * plan->row",
    ),
    Mutation(
        "Winograd: the size of the batch chooses the tile",
        "winograd.inc",
        "3 * channels * vectors / 4);",
        "3 * channels * vectors / (4 * (double)s->batch));",
    ),
    Mutation(
        "Winograd: ReLU makes NaN 0",
        "winograd_output.inc",
        "dead = best <= 0;",
        "dead = ~(best > 0);",
    ),
    Mutation(
        "Winograd: a window's second row forgotten",
        "winograd_output.inc",
        "for (int p = 1; p < P * P; p++)",
        "for (int p = 1; p < P; p++)",
    ),
    Mutation(
        "conv_pool, few channels: a dead window's winner stays",
        "conv_pool_few.inc",
        "winner = ~dead & winner;",
        "",
    ),
    Mutation(
        "conv_pool, few channels: the cells of a row come from the row before",
        "conv_pool_few.inc",
        "(i * plan->pool + u) * plan->padded_row",
        "(i * plan->pool + u - (i > 0)) * plan->padded_row",
    ),
    Mutation("conv_pool, few channels: bias left out", "conv_pool_few.inc", "splat(plan->bias ?", "splat(0 ?"),
    Mutation(
        "Winograd: dropout of one channel only",
        "winograd_output.inc",
        "drop_written(plan->dropout, at, at + length, plan->y);",
        "drop_written(plan->dropout, at, at + windows, plan->y);",
    ),
    Mutation(
        "conv_pool weight gradient: last entry of a list left out",
        "conv_pool_weight.inc",
        "e < list->length; e++",
        "e < list->length - 1; e++",
    ),
    Mutation(
        "conv_pool weight gradient: a group of images forgotten",
        "conv_pool_weight.inc",
        "for (int64_t group = 1; group < plan->groups; group++)\n            add_vectors(sum",
        "for (int64_t group = 2; group < plan->groups; group++)\n            add_vectors(sum",
    ),
    Mutation(
        "conv_pool weight gradient of one channel: lanes behind the last window count",
        "conv_pool_one.inc",
        "            memset(view + plan->windows, 0, VL * sizeof(real));\n",
        "",
    ),
    Mutation(
        "conv_pool weight gradient of one channel: the winner's row left out",
        "conv_pool_one.inc",
        "blend(row == a,",
        "blend(row != row,",
    ),
    Mutation(
        "conv_pool input gradient: only the last output channel of a window counts",
        "conv_pool_input.inc",
        "mark[p] |=",
        "mark[p] =",
    ),
    Mutation(
        "conv_pool input gradient: columns shared with the next window dropped",
        "conv_pool_input.inc",
        "column < S - 1 ? sum[row][column + P][v] : (vec){0}",
        "(vec){0}",
    ),
    Mutation(
        "conv_pool input gradient: patches overwrite each other",
        "active.inc",
        "store(to, load(to) + value);",
        "store(to, value);",
    ),
    Mutation(
        "conv_pool input gradient: filter row one off",
        "conv_pool_input.inc",
        "whole ? 0 : q - a;",
        "whole ? 0 : q + 1 - a;",
    ),
    Mutation("average stage: dead pixels are active", "active_mean.inc", "~dead & (1 << p)", "~(dead & 0) & (1 << p)"),
    Mutation("average stage: ReLU makes NaN 0", "active_mean.inc", "dead = pixel[p] <= 0;", "dead = ~(pixel[p] > 0);"),
    Mutation(
        "average stage: a window's second row forgotten",
        "active_mean.inc",
        "+ (kept[2] + kept[3])",
        "+ (kept[0] + kept[1])",
    ),
    Mutation(
        "average stage backward: both rows of a window take the bits of the first",
        "active_mean.inc",
        "left_pixel = row % 2 * 2;",
        "left_pixel = 0;",
    ),
    Mutation(
        "average stage backward: the sum of a plane without right pixels",
        "active_mean.inc",
        "sum += left + right;",
        "sum += left;",
    ),
    Mutation(
        "average stage, few channels: lanes behind the last window count",
        "conv_avg_pool.inc",
        "(size_t)(few->plane - few->windows) * sizeof(real)",
        "0",
    ),
    Mutation(
        "average stage, few channels: bias once for every run of terms",
        "conv_avg_pool.inc",
        "(few->terms + (t > 0)) * VL",
        "few->terms * VL",
    ),
    Mutation(
        "average stage, few channels: a group of images forgotten",
        "conv_avg_pool.inc",
        "vec total = {0};\n        for (int64_t group = 0;",
        "vec total = {0};\n        for (int64_t group = 1;",
    ),
    Mutation(
        "average stage backward: what no window reads keeps its gradient",
        "conv_avg_pool.inc",
        "    memset(to, 0, (size_t)(to_height * to_width) * sizeof(real));\n",
        "",
    ),
    Mutation(
        "average stage backward: padding of the copy exchanged",
        "conv_avg_pool.inc",
        "-s->padding_height, -s->padding_width",
        "-s->padding_width, -s->padding_height",
    ),
    Mutation(
        "average stage by Winograd: a window's second row forgotten",
        "winograd_output.inc",
        "load(window + row),",
        "load(window),",
    ),
    Mutation(
        "average stage, output channels as lanes: the maximum instead",
        "conv_pool.inc",
        "row = plan->average ?",
        "row = plan->average && 0 ?",
    ),
    Mutation(
        "average stage, few channels: the maximum instead",
        "conv_pool_few.inc",
        "if (plan->average)",
        "if (plan->average && 0)",
    ),
]
