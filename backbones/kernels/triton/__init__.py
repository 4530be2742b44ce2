"""The kernels in Triton's language. Importing a module of this package needs Triton; its callers import it on first use."""
