"""What the terminal shows of records: pictures as blocks, texts as tokens."""
