"""Networks under one budget (TensorFlow). It imports nothing by itself."""
