"""What several benchmarks share; tests share some of it, too."""
