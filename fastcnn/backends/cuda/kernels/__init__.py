"""The GPU kernels, a file per subject, in the language of `fastcnn.backends.cuda.language`."""
