"""What a run is: its settings, its state, and its checkpoints on disk."""
