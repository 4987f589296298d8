"""Training: what a step computes, the loop around it, and what is logged and kept."""
