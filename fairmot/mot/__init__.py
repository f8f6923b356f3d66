"""What MOTChallenge lays on disk: rows, sequences, benchmarks; read and written here only."""
