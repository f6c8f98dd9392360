"""A plain VAE in PyTorch, as a peer of the suite features."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from .data import Floats

BATCH, LEARNING_RATE = 128, 1e-3
EPOCHS, PATIENCE, WATCHED = 200, 20, 0.1  # the longest training, and early stopping


class TorchVAE(nn.Module):
    """VAE with one hidden layer on each side.

    Parameters
    ----------
    width : int
        Number of features.
    latent_dim : int
        Number of latent dimensions.
    hidden : int
        Width of the hidden layers.
    pixels : bool
        Whether features lie between 0 and 1 and are scored as Bernoulli. Otherwise they are
        Gaussian, each with a standard deviation that is learned.
    """

    def __init__(self, width: int, latent_dim: int, hidden: int, pixels: bool) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, hidden), nn.ReLU())
        self.heads = nn.Linear(hidden, 2 * latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, width)
        )
        self.log_sigma = nn.Parameter(torch.zeros(width))
        self.pixels = pixels

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """Return minus the ELBO in nats, the mean over rows, up to a constant."""
        mu, logvar = self.heads(self.encoder(x)).chunk(2, dim=1)
        decoded = self.decoder(mu + torch.randn_like(mu) * (logvar / 2).exp())
        if self.pixels:
            likelihood = -nn.functional.binary_cross_entropy_with_logits(
                decoded, x, reduction="none"
            )
        else:
            likelihood = -(((x - decoded) / self.log_sigma.exp()) ** 2) / 2 - self.log_sigma
        kl = (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1) / 2
        return (kl - likelihood.sum(dim=1)).mean()

    def encode(self, rows: Floats) -> Floats:
        """Return the means of the posteriors."""
        with torch.no_grad():
            found = self.heads(self.encoder(torch.as_tensor(rows, dtype=torch.float32)))
        codes: Floats = found.chunk(2, dim=1)[0].double().numpy()
        return codes


def trained(rows: Floats, latent_dim: int, hidden: int, pixels: bool, seed: int) -> TorchVAE:
    """Return a VAE after early stopping on a tenth of the rows, which no label chooses."""
    torch.manual_seed(seed)
    shuffled = torch.as_tensor(
        np.random.default_rng(seed).permutation(rows, axis=0), dtype=torch.float32
    )
    watched, train = shuffled.split([n := round(WATCHED * len(rows)), len(rows) - n])
    vae = TorchVAE(rows.shape[1], latent_dim, hidden, pixels)
    optimizer = torch.optim.Adam(vae.parameters(), lr=LEARNING_RATE)
    best, weights, waited = float("inf"), copy.deepcopy(vae.state_dict()), 0
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(train)).split(BATCH):
            optimizer.zero_grad()
            vae.loss(train[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = float(vae.loss(watched))
        waited += 1
        if loss < best:
            best, weights, waited = loss, copy.deepcopy(vae.state_dict()), 0
        if waited == PATIENCE:
            break
    vae.load_state_dict(weights)
    return vae
