"""The training (TensorFlow, but for recipe and epoch_log). It imports nothing by itself."""
