"""Private keys, public keys, signed notes and trust data: who may say what."""
