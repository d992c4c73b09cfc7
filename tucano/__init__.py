"""Tucano: runs your services on a few machines, or one."""
