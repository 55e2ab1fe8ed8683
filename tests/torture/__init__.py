"""Kills, contention and random sequences."""
