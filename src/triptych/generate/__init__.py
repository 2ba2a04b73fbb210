"""Generation: answering conversations, in batches or as a stream."""
