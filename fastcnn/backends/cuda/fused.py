def _none(*a, **k):
    raise NotImplementedError


conv2d_relu_avg_pool2d = conv2d_relu_avg_pool2d_algorithm = conv2d_relu_avg_pool2d_backward = _none
conv2d_relu_max_pool2d = conv2d_relu_max_pool2d_algorithm = conv2d_relu_max_pool2d_backward = _none
