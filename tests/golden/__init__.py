"""The bytes of everything that travels, kept: what one version of the code has said, every later one understands.

`messages.json` has for each tag its examples, one for each shape that it has had, the oldest first; `letters.json` one
letter of each kind; `clients.json` the frames between clients and the gateway.
"""
