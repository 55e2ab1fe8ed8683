"""Comparison of networks under one budget (TensorFlow, not loaded by importing the package alone)."""
