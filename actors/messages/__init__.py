"""What may be said: each module here holds one component's messages, and is named after it.

A message is a frozen `msgspec.Struct` tagged `owner.Name/1`. Commands are verbs, events are past tense, notes to
oneself end in `Due` or `Done`. A new field comes last and has a default; any other change is a new tag.
"""
