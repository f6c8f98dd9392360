"""Fitted models: how one is built, trained, scored and stored."""
