"""The encoder and the predictor, in pure PyTorch."""
