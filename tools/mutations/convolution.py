"""Ways to break convolutions: direct, through im2col, as dots, their gradients."""

from mutations.mutation import Mutation

MUTATIONS = [
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
    Mutation(
        "direct forward: stride phases of taps mixed up",
        "padded.inc",
        "right % s->stride_width;",
        "down % s->stride_width;",
    ),
    Mutation(
        "direct: kernel rows left out that see the image",
        "correlate.inc",
        "next.first != seen.first || ",
        "",
    ),
    Mutation(
        "direct input gradient: kernel rows left out at the wrong end",
        "conv_direct.inc",
        ".reach = (first - second)",
        ".reach = (second - first)",
    ),
    Mutation("direct forward: bias not added", "correlate.inc", "c->bias[channel] : 0", "0 : 0"),
    Mutation(
        "direct forward: the end of a long row left out",
        "correlate.inc",
        "load(from + c->width - VL) + bias",
        "load(from) + bias",
    ),
    Mutation("direct with lanes: bias not added", "pixels.inc", "sum[p][v] + bias[v]", "sum[p][v]"),
    Mutation(
        "direct with lanes: a row's zeros counted as its neighbour's",
        "correlate.inc",
        "kernel_rows(c, top + i, count), bias",
        "kernel_rows(c, top, count), bias",
    ),
    Mutation(
        "direct with lanes: rows that are apart turned around together",
        "correlate.inc",
        "return row_step == width ? min_size",
        "return true ? min_size",
    ),
    Mutation(
        "direct: zeros around the image not written",
        "conv_direct.inc",
        "row_taps(s, &plan.input, plan.at);\n    memset(plan.padded, 0,",
        "row_taps(s, &plan.input, plan.at);\n    memset(plan.padded, 1,",
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
        "im2col in place: bias of the wrong channel",
        "conv_im2col.inc",
        "+= plan->bias[m];",
        "+= plan->bias[m - channel];",
    ),
    Mutation(
        "im2col input gradient: a single tap's rows not skipped",
        "conv_im2col.inc",
        "columns + h / s->stride_height * s->out_width",
        "columns + h * s->out_width",
    ),
    Mutation(
        "rows spread by a stride: what is left counted in cells",
        "strides.inc",
        "ceil_div(cells, 2) - k)}",
        "cells / 2 - k)}",
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
        "im2col forward: bias of the wrong channel", "conv_im2col.inc", "plan->bias[channel + m]", "plan->bias[channel]"
    ),
    Mutation(
        "1x1 convolution in place: the last pixels left out",
        "conv_im2col.inc",
        "if (plan->pixels % VL)",
        "if (plan->pixels % VL > VL)",
    ),
    Mutation(
        "im2col: column outside the image not zero",
        "im2col.inc",
        "for (int64_t j = j0; j < first; j++)\n            *to++ = 0;",
        "for (int64_t j = j0; j < first; j++)\n            *to++ = 1;",
    ),
    Mutation("col2im: overlapping cells overwritten", "im2col.inc", "*to += columns[", "*to = columns["),
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
    Mutation(
        "weight gradient in place: always the first image",
        "conv_weight.inc",
        "plan->in_place ? plan->x + n *",
        "plan->in_place ? plan->x + 0 *",
    ),
    Mutation(
        "weight gradient by dots: a group of images forgotten",
        "conv_weight_dots.inc",
        "for (int64_t group = 0; group",
        "for (int64_t group = 1; group",
    ),
    Mutation(
        "weight gradient by dots: only the last image of a group",
        "conv_weight_dots.inc",
        "rows.fresh = n == group;",
        "rows.fresh = true;",
    ),
    Mutation("dots: the end of a row left out", "dots.inc", "if (q < s->width)", "if (q + 1 < s->width)"),
    Mutation(
        "transpose: an interleave takes the wrong half",
        "transpose.inc",
        "next[2 * i + 1] = interleave_high",
        "next[2 * i + 1] = interleave_low",
    ),
    Mutation(
        "strides: odd cells taken for even ones",
        "strides.inc",
        "next[i + S / 2] = odd_lanes(",
        "next[i + S / 2] = even_lanes(",
    ),
    Mutation(
        "strides: phases joined in the wrong order",
        "strides.inc",
        "next[2 * i + 1] = interleave_high(part[i], part[i + S / 2]);",
        "next[2 * i + 1] = interleave_high(part[i + S / 2], part[i]);",
    ),
    Mutation(
        "strides: one cell too many joined",
        "strides.inc",
        "store_up_to(to + i * VL, part[i], cells - i * VL);",
        "store_up_to(to + i * VL, part[i], cells - i * VL + 1);",
    ),
    Mutation(
        "convolution: a stride past the map not cut",
        "shape.c",
        "    *stride = min_size(*stride, max_size(2, padded - extent + 1));\n",
        "",
    ),
    Mutation(
        "direct: images padded out of all proportion",
        "shape.c",
        "return padded / 64 <= cells ||",
        "return cells > 0 ||",
    ),
]
