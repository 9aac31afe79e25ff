"""Ways to break each kernel, for mutate_kernels.py: a list per subject."""

from mutations import convolution, elements, pooling, products, stages, winograd

MUTATIONS = [
    *convolution.MUTATIONS,
    *winograd.MUTATIONS,
    *stages.MUTATIONS,
    *pooling.MUTATIONS,
    *products.MUTATIONS,
    *elements.MUTATIONS,
]
