"""What decides: state and `now` in, what to do out. No clock, thread, socket, source of chance or Pykka."""
