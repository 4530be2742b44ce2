"""What a run leaves on disk: its folder, journal, checkpoints and provenance, and the tables read from them."""
