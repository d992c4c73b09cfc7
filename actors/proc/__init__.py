"""Operating-system processes: starting them, noticing their end, checking their health, their ports. No actor."""
