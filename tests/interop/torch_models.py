"""Models as one writes them in PyTorch, small enough for nested derivatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

GENERATOR = torch.Generator().manual_seed(5)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def labels(count: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, count, shape, generator=GENERATOR)


class Block(nn.Module):
    """A layer of a transformer, with a causal mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 6), nn.Linear(6, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.norms[0](x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Transformer(nn.Module):
    """Two layers; the last matrix is the embedding itself."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.blocks = nn.Sequential(Block(4, 2), Block(4, 2))
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.embedding(tokens))).flatten(0, 1)


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.GELU(), nn.AvgPool2d(2),
        nn.Conv2d(2, 3, 2), nn.GELU(approximate="tanh"), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3),
    )  # fmt: skip


class Written(nn.Module):
    """Normalisation written out: PyTorch's own gives wrong derivatives from the third on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.axis = 0 if isinstance(module, nn.BatchNorm1d) else -1
        self.weight, self.bias, self.eps = module.weight, module.bias, module.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        apart = x - x.mean(self.axis, keepdim=True)
        return apart / (apart.pow(2).mean(self.axis, keepdim=True) + self.eps).sqrt() * self.weight + self.bias


def written(module: nn.Module) -> nn.Module:
    """A module with its normalisation written out."""
    for name, child in module.named_children():
        setattr(module, name, Written(child) if isinstance(child, (nn.BatchNorm1d, nn.LayerNorm)) else written(child))
    return module


def models():
    """Name to module, loss, inputs, targets: the same ones at each call."""
    torch.manual_seed(0)
    GENERATOR.manual_seed(5)
    return {
        "mlp": (
            nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)),
            F.cross_entropy,
            normal(7, 4),
            labels(3, 7),
        ),
        "lenet": (lenet(), F.cross_entropy, normal(3, 1, 10, 10), labels(3, 3)),
        "batch norm": (
            nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.SiLU(), nn.Linear(5, 2)),
            F.mse_loss,
            normal(6, 4),
            normal(6, 2),
        ),
        "layer norm": (
            nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Softplus(), nn.Linear(5, 2)),
            F.mse_loss,
            normal(6, 4),
            normal(6, 2),
        ),
        "transformer": (Transformer(), F.cross_entropy, labels(5, 2, 3), labels(5, 6)),
    }
