"""Statistics and tables over recorded runs; reads records, never trains, never imports torch."""
