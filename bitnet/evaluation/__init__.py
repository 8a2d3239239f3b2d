"""Measures made with a trained model: today, how a model judges documents (Ask-LLM)."""
