"""Models from elsewhere: losses written in JAX and in PyTorch, opaque training steps, and a monitor of training.

Nothing here imports a framework until it is asked for one.
"""
