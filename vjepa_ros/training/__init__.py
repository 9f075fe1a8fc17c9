"""Training: masked pretraining of the encoder, action-conditioned training of the predictor."""
