"""Floor 1b: optimisers as circuits of gradients, array operations and filters."""
