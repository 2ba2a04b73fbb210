"""From conversations to rows of embeddings. The modules are imported one by one, because `config` is light:

config  what a recipe says about sequences
plan    Conversation → Layout: ids, labels, media spans
pack    layouts side by side → Batch
splice  adapted features into the places that were planned for them
"""
