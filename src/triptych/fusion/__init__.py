"""How adapted media meet the language model. The modules are imported one by one, because `config` is light:

config        what a recipe says: `splice`, `cross_attend`, `prompt`
limits        what they ask of a language model, as far as numbers tell
fusion        the contract, and `splice`
memory        the media of a batch of rows, and which token sees which
cross_attend  gated cross-attention blocks in front of decoder layers (Flamingo)
prompt        learned prompts in the attention of decoder layers, gated from zero (LLaMA-Adapter, and V2 with `tuning`, `early`)
layers        the decoder layers of any causal language model, found by their structure
build         from a config to its module
"""
