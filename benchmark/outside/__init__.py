"""Code from outside dsbench: found and hashed without running it, trusted only if its user named it, run from those bytes."""
