"""From datasets to conversations: sources, mixtures, the feature cache and the ledger.

The modules are imported one by one, because only `config` is light:

    config    what a recipe says about a dataset
    sources   `build(config, base)` → a `Source`: `len(source)`, `source[i]` → Conversation
    mixture   which record of which dataset the n-th draw is
    features  the features of frozen encoders, on disk
    ledger    the account of every record that was refused or shortened
"""
