"""Ways to break convolution by Winograd's method."""

from mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "Winograd: the size of the batch chooses the tile",
        "winograd_choice.inc",
        "3 * channels * vectors / 4);",
        "3 * channels * vectors / (4 * (double)s->batch));",
    ),
    Mutation(
        "Winograd: strips of an image start one row late",
        "winograd_source.inc",
        "(h + source->top - top) * source->row",
        "(h + source->top - top + (top > 0)) * source->row",
    ),
    Mutation(
        "Winograd: a row of the input transform",
        "winograd_transform.inc",
        "2 * pair + 1] = odd - even;",
        "2 * pair + 1] = odd;",
    ),
    Mutation(
        "Winograd: a point of the output transform",
        "winograd_transform.inc",
        "difference = plus - minus;",
        "difference = plus;",
    ),
    Mutation(
        "Winograd: oblong tiles stand as far apart across as down",
        "winograd_source.inc",
        "step = source->m_across * pixel;",
        "step = source->m * pixel;",
    ),
    Mutation("Winograd: bias left out", "winograd_transform.inc", "line[j] + bias", "line[j]"),
    Mutation(
        "Winograd: tiles of the input gradient don't overlap",
        "winograd_transform.inc",
        "store(at, load(at) + line[j]);",
        "store(at, line[j]);",
    ),
    Mutation("Winograd: a filter is not turned", "winograd.inc", "plan->turn ? -VL : VL;", "VL;"),
    Mutation(
        "Winograd: only the last tiles count for the weight gradient",
        "winograd.inc",
        "store(to, load(to) + sum[c][v]);",
        "store(to, sum[c][v]);",
    ),
    Mutation(
        "Winograd: the last block of channels left out",
        "winograd.inc",
        "c0 < channels; c0 += VL, pixels",
        "c0 + VL < channels; c0 += VL, pixels",
    ),
    Mutation(
        "Winograd: the input gradient's padding is not cut off",
        "winograd_output.inc",
        "map + (i + s->padding_height) * row",
        "map + i * row",
    ),
    Mutation(
        "Winograd: a window's second row forgotten",
        "winograd_output.inc",
        "load(map + p / P * row + (j * P + p % P) * VL)",
        "load(map + (j * P + p % P) * VL)",
    ),
    Mutation(
        "Winograd: dropout of one channel only",
        "winograd_output.inc",
        "to + run * plane + length, plan->y);",
        "to + run * plane + windows, plan->y);",
    ),
    Mutation(
        "average stage by Winograd: the maximum instead",
        "winograd_output.inc",
        "store(results, average ?",
        "store(results, average && 0 ?",
    ),
    Mutation(
        "Winograd: the weight gradient leaves a group out",
        "winograd_weight.inc",
        "for (int64_t group = 1; group < plan->groups; group++)",
        "for (int64_t group = 2; group < plan->groups; group++)",
    ),
    Mutation(
        "Winograd: the weight gradient reads the first panel's dy",
        "winograd_weight.inc",
        "plan->dy + o0 * s->out_height * s->out_width,",
        "plan->dy,",
    ),
]
