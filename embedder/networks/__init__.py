"""Networks (TensorFlow): backbones, heads, weights. It imports nothing by itself."""
