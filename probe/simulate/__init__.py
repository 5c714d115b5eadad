"""A cluster made of nothing: for the demo, drills and load. The only room that sends heartbeats."""
