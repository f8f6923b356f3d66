"""What a run tells while it trains: console, record on disk, curves, pictures, MLflow."""
