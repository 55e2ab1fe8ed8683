"""Training (TensorFlow, except recipe and epoch_log). Importing the package alone does not load TensorFlow."""
