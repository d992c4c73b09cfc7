"""The balancer as the world meets it: other parsers, published attacks, other people's clients, hostile ones."""
