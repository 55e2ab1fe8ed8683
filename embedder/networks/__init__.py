"""Networks (TensorFlow): backbones, heads, weights. Importing the package alone does not load TensorFlow."""
