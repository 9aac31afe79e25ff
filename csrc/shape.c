/* shape.c: output sizes of convolution and pooling, and what makes a shape acceptable. The only place that computes
 * them: Python asks here too. */
#include "fastcnn.h"
#include "shape.h"

/* Generous enough for any array that exists, small enough that sums of a few such numbers cannot overflow. */
static const int64_t LARGEST = INT64_MAX / 16;

/* FC_OK, or `too_small` for a value below `lowest`, or FC_OVERFLOW for one above LARGEST. */
static fc_status within(const int64_t *values, int count, int64_t lowest, fc_status too_small)
{
    for (int i = 0; i < count; i++) {
        if (values[i] < lowest)
            return too_small;
        if (values[i] > LARGEST)
            return FC_OVERFLOW;
    }
    return FC_OK;
}

/* Whether so many elements can be addressed, with room for what drivers multiply sizes by before they carve scratch
 * memory: 8 bytes an element, up to 1024 workers, tiles, phases, rounding up to whole vectors. */
static bool product_fits(const int64_t *factors, int count)
{
    int64_t product = (int64_t)8 << 16;
    for (int i = 0; i < count; i++)
        if (!multiply_checked(&product, factors[i]))
            return false;
    return true;
}

/* How often a window of `extent` cells, moved by `stride`, fits `size` cells with `padding` on both sides. A stride
 * that leads out of them at once becomes the smallest that does, so that no kernel works for, or multiplies, one that
 * is larger than its arrays; but not 1, which is a way of its own. */
static fc_status positions(int64_t size, int64_t extent, int64_t padding, int64_t *stride, int64_t *count)
{
    const int64_t padded = size + 2 * padding;
    if (extent > padded)
        return FC_KERNEL_TOO_LARGE;
    *count = (padded - extent) / *stride + 1;
    *stride = min_size(*stride, max_size(2, padded - extent + 1));
    return FC_OK;
}

static fc_status dilated_extent(int64_t kernel, int64_t dilation, int64_t *extent)
{
    *extent = kernel - 1;
    if (!multiply_checked(extent, dilation) || *extent >= LARGEST)
        return FC_OVERFLOW;
    *extent += 1;
    return FC_OK;
}

fc_status fc_conv_shape_check(fc_conv_shape *s)
{
    const int64_t sizes[] = {s->channels, s->height, s->width, s->out_channels, s->kernel_height, s->kernel_width};
    const int64_t steps[] = {s->stride_height, s->stride_width, s->dilation_height, s->dilation_width};
    const int64_t paddings[] = {s->padding_height, s->padding_width};
    int64_t extent_height, extent_width;
    fc_status status;
    if ((status = within(sizes, 6, 1, FC_BAD_SIZE)) || (status = within(&s->batch, 1, 0, FC_BAD_SIZE)) ||
        (status = within(steps, 4, 1, FC_BAD_STRIDE)) || (status = within(paddings, 2, 0, FC_BAD_PADDING)))
        return status;
    if ((status = dilated_extent(s->kernel_height, s->dilation_height, &extent_height)) ||
        (status = dilated_extent(s->kernel_width, s->dilation_width, &extent_width)) ||
        (status = positions(s->height, extent_height, s->padding_height, &s->stride_height, &s->out_height)) ||
        (status = positions(s->width, extent_width, s->padding_width, &s->stride_width, &s->out_width)))
        return status;
    const int64_t batch = max_size(s->batch, 1);
    const int64_t padded_height = s->height + 2 * s->padding_height, padded_width = s->width + 2 * s->padding_width;
    const int64_t input[] = {batch, s->channels, padded_height, padded_width};
    const int64_t weight[] = {s->out_channels, s->channels, s->kernel_height, s->kernel_width};
    const int64_t output[] = {batch, s->out_channels, s->out_height, s->out_width};
    const int64_t gradient[] = {batch, s->out_channels, padded_height, padded_width}; /* as dx reads it */
    const int64_t columns[] = {s->channels, s->kernel_height, s->kernel_width, s->out_height, s->out_width};
    const bool fits = product_fits(input, 4) && product_fits(weight, 4) && product_fits(output, 4) &&
                      product_fits(gradient, 4) && product_fits(columns, 5);
    return fits ? FC_OK : FC_OVERFLOW;
}

fc_status fc_pool_shape_check(fc_pool_shape *s, bool argmax)
{
    const int64_t sizes[] = {s->height, s->width, s->kernel_height, s->kernel_width};
    const int64_t steps[] = {s->stride_height, s->stride_width};
    const int64_t paddings[] = {s->padding_height, s->padding_width};
    fc_status status;
    if ((status = within(sizes, 4, 1, FC_BAD_SIZE)) || (status = within(&s->planes, 1, 0, FC_BAD_SIZE)) ||
        (status = within(steps, 2, 1, FC_BAD_STRIDE)) || (status = within(paddings, 2, 0, FC_BAD_PADDING)))
        return status;
    if (s->padding_height > s->kernel_height / 2 || s->padding_width > s->kernel_width / 2)
        return FC_BAD_PADDING;
    if (argmax && (s->kernel_height > 255 || s->kernel_width > 255 || s->kernel_height * s->kernel_width > 255))
        return FC_WINDOW_TOO_LARGE;
    if ((status = positions(s->height, s->kernel_height, s->padding_height, &s->stride_height, &s->out_height)) ||
        (status = positions(s->width, s->kernel_width, s->padding_width, &s->stride_width, &s->out_width)))
        return status;
    const int64_t input[] = {max_size(s->planes, 1), s->height, s->width};
    const int64_t output[] = {max_size(s->planes, 1), s->out_height, s->out_width};
    return product_fits(input, 3) && product_fits(output, 3) ? FC_OK : FC_OVERFLOW;
}

/* Up to 64 times as large as what is there: filters dilated by 36 over maps of 8x8 need 50. */
bool fc_direct_fits(const fc_conv_shape *s)
{
    const int64_t padded = (s->height + 2 * s->padding_height) * (s->width + 2 * s->padding_width);
    const int64_t cells = s->height * s->width + s->out_height * s->out_width;
    return padded / 64 <= cells || padded <= ((int64_t)1 << 20) / max_size(s->channels, s->out_channels);
}

bool fc_winograd_fits(const fc_conv_shape *s)
{
    return (s->kernel_height == 3 || s->kernel_height == 5) && s->kernel_width == s->kernel_height &&
           s->stride_height == 1 && s->stride_width == 1 && s->dilation_height == 1 && s->dilation_width == 1 &&
           s->padding_height < s->kernel_height && s->padding_width < s->kernel_width;
}

#define LARGEST_POOL 3
#define LARGEST_FILTER 7
#define LARGEST_MAP ((int64_t)1 << 24) /* numbers of a padded image, so that lists may count them in 32 bits */

bool fc_conv_pool_fits(const fc_conv_shape *s, int64_t pool)
{
    const int64_t rows = s->height + 2 * s->padding_height, columns = s->width + 2 * s->padding_width;
    return s->stride_height == 1 && s->stride_width == 1 && s->dilation_height == 1 && s->dilation_width == 1 &&
           pool >= 1 && pool <= LARGEST_POOL && s->out_height >= pool && s->out_width >= pool &&
           s->kernel_height <= LARGEST_FILTER && s->kernel_width <= LARGEST_FILTER &&
           rows <= LARGEST_MAP / columns && rows * columns <= LARGEST_MAP / (s->channels + 64) &&
           s->out_channels <= LARGEST_MAP / (64 * LARGEST_FILTER * LARGEST_FILTER);
}
