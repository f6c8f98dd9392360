"""Fitted models: their construction, training, scores and files."""
