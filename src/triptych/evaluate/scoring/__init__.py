"""What metrics are made of: captions as n-grams, words cut and joined as scripts do it, sums over pictures and their bootstrap."""
