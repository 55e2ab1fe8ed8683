"""Adapts a network to many products of one picture each. Imports TensorFlow (extra `train`)."""
