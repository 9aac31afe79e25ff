"""Ways to break pooling."""

from mutations.mutation import Mutation

MUTATIONS = [
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
        "pooling: padding moves no window",
        "pool.inc",
        "j * s->stride_width - s->padding_width",
        "j * s->stride_width",
    ),
    Mutation(
        "average-pool backward: a window too many holds a cell",
        "pool.inc",
        "before.first * stride + kernel <= row",
        "before.first * stride + kernel < row",
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
        "max-pool backward: overlapping windows overwritten",
        "max_pool.inc",
        "o]]] += dy[p * output + o];",
        "o]]] = dy[p * output + o];",
    ),
    Mutation(
        "max-pool backward: argmax outside the window followed",
        "max_pool.inc",
        "bool fine = are_between(argmax, planes * output, 0, s->kernel_height * s->kernel_width);",
        "bool fine = true;",
    ),
    Mutation(
        "max-pool backward: argmax outside the plane followed",
        "max_pool.inc",
        "fine &= column >= 0 && column < s->width;",
        "fine &= column < s->width;",
    ),
    Mutation("max-pool backward 2x2: argmax outside the window followed", "max_pool.inc", "any < 4", "any < 256"),
    Mutation(
        "max-pool 2x2: lower cells challenge in the wrong order",
        "max_pool.inc",
        "challenge(&upper[0], &winner, lower[0], 2);",
        "challenge(&upper[0], &winner, lower[0], 3);",
    ),
    Mutation(
        "average-pooling 2x2: odd last column not cleared",
        "avg_pool.inc",
        "join_vectors(2, same, width,",
        "join_vectors(2, same, 2 * count,",
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
    Mutation("average-pool 2x2: a cell taken twice", "avg_pool.inc", "(lower[0] + lower[1])", "(lower[0] + lower[0])"),
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
        "same[SPLIT_MOST] = {share, share};",
        "same[SPLIT_MOST] = {0 * share, 0 * share};",
    ),
    Mutation("average-pool: windows as small as max-pool's", "shape.c", "if (argmax && (", "if ((argmax || true) && ("),
    Mutation(
        "max-pool backward: argmax one column past the right edge followed",
        "max_pool.inc",
        "fine &= column >= 0 && column < s->width;",
        "fine &= column >= 0 && column <= s->width;",
    ),
    Mutation(
        "max-pool backward: argmax one row below the map followed",
        "max_pool.inc",
        "(w.inside.bottom - w.row) * s->kernel_width);",
        "(w.inside.bottom - w.row + 1) * s->kernel_width);",
    ),
    Mutation(
        "pooling: padding over half the window's width taken",
        "shape.c",
        "s->padding_width > s->kernel_width / 2",
        "s->padding_width > s->kernel_width",
    ),
    Mutation(
        "pooling: padding over half the window's height taken",
        "shape.c",
        "s->padding_height > s->kernel_height / 2",
        "s->padding_height > s->kernel_height",
    ),
]
