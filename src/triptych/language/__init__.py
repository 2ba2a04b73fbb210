"""The language model: any Hugging Face causal LM, its chat template, LoRA."""
