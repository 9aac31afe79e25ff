"""What computes: `cpu`, the C kernels; `reference`, their oracle in plain NumPy."""
