"""The wire: bytes to values and back; no clock, no socket."""
