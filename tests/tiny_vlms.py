"""Vision-language checkpoints of transformers in miniature: random weights, a tiny tokenizer, the class's own processor.

Each builder gives a model and its processor; `write` saves them as any checkpoint is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t
from tokenizers.processors import TemplateProcessing

import tiny_world
from parity.tiny.systems import LLAMA, TOWER

SIDE, PATCH = 32, 8
Pair = tuple[Any, Any]

IMAGE = "<image>"


def words(*special: str, template: str | None = None, bos: str | None = None, **named: str) -> Any:
    """The tiny tokenizer with further special tokens; `named` ones become attributes (`image_token=…`)."""
    made = t.PreTrainedTokenizerFast(
        tokenizer_object=tiny_world.tokenizer().backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        bos_token=bos,
        extra_special_tokens=named or None,
    )
    made.add_special_tokens({"additional_special_tokens": list(special)} if special else {})
    made.chat_template = template
    return made


def framed(tokenizer: Any) -> Any:
    """The tokenizer as BERT's: a token before and a token behind each text."""
    first, last = ids(tokenizer, "<s>", "<|im_end|>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A <|im_end|>", special_tokens=[("<s>", first), ("<|im_end|>", last)]
    )
    return tokenizer


def template(picture: str = IMAGE, begin: str = "") -> str:
    """A chat template that reads content in parts and writes `picture` for each picture."""
    return (
        begin + "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
        "{% if part['type'] == 'image' %}" + picture + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


TEXT_ONLY = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A template of a language model: content is a text."""


def text(kind: str, tokenizer: Any, **changes: Any) -> dict[str, Any]:
    """A tiny language model's configuration."""
    values = {key: value for key, value in LLAMA.items() if key != "tie_word_embeddings"}
    own = {"model_type": kind, "vocab_size": len(tokenizer) + 8, "max_position_embeddings": 2048}
    return values | own | {"head_dim": 8, "initializer_range": 0.1} | changes


def tower(kind: str = "clip_vision_model", **changes: Any) -> dict[str, Any]:
    """A tiny vision model's configuration."""
    return TOWER | {"model_type": kind, "intermediate_size": 32, "num_hidden_layers": 2} | changes


VISION = {key: value for key, value in tower().items() if key != "model_type"}
"""Of classes that bring a vision model of their own."""

SQUARE = {"height": SIDE, "width": SIDE}
CELLS = (SIDE // PATCH) ** 2


def image_processor(name: str, **values: Any) -> Any:
    """An image processor by its class's name; transformers takes the torchvision or the Pillow one, as it can."""
    kind = getattr(t, name, None)
    try:
        return kind(**values)
    except ImportError:
        return getattr(t, f"{name}Pil")(**values)


def clip_images(**values: Any) -> Any:
    return image_processor("CLIPImageProcessor", **({"size": {"shortest_edge": SIDE}, "crop_size": SQUARE} | values))


def ids(tokenizer: Any, *tokens: str) -> list[int]:
    return [int(tokenizer.convert_tokens_to_ids(token)) for token in tokens]


def _llava(model: str = "Llava", kind: str = "llama", **changes: Any) -> Pair:
    tokenizer = words(IMAGE)
    config = getattr(t, f"{model}Config")(
        vision_config=tower(),
        text_config=text(kind, tokenizer),
        image_token_index=ids(tokenizer, IMAGE)[0],
        image_token_id=ids(tokenizer, IMAGE)[0],
        **changes,
    )
    processor = t.LlavaProcessor(
        clip_images(), tokenizer, patch_size=PATCH, vision_feature_select_strategy="default", image_token=IMAGE,
        num_additional_image_tokens=1, chat_template=template(),
    )  # fmt: skip
    return getattr(t, f"{model}ForConditionalGeneration")(config), processor


def llava() -> Pair:
    return _llava(vision_feature_layer=-1)


def llava_tokenizer_template() -> Pair:
    model, processor = llava()
    processor.chat_template, processor.tokenizer.chat_template = None, TEXT_ONLY
    return model, processor


def llava_no_template() -> Pair:
    model, processor = llava()
    processor.chat_template = None
    return model, processor


def vipllava() -> Pair:
    return _llava("VipLlava", vision_feature_layers=[-2, -1])


def llava_next() -> Pair:
    tokenizer = words(IMAGE)
    grid = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE]]
    config = t.LlavaNextConfig(
        vision_config=tower(), text_config=text("mistral", tokenizer), image_token_index=ids(tokenizer, IMAGE)[0],
        image_grid_pinpoints=grid, vision_feature_layer=-1,
    )  # fmt: skip
    images = image_processor(
        "LlavaNextImageProcessor", size={"shortest_edge": SIDE}, crop_size=SQUARE, image_grid_pinpoints=grid
    )
    processor = t.LlavaNextProcessor(
        images, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default", image_token=IMAGE,
        num_additional_image_tokens=1, chat_template=template(),
    )  # fmt: skip
    return t.LlavaNextForConditionalGeneration(config), processor


def llava_onevision() -> Pair:
    tokenizer = words(IMAGE, "<video>")
    grid = [[SIDE, SIDE], [SIDE, 2 * SIDE], [2 * SIDE, SIDE]]
    image, video = ids(tokenizer, IMAGE, "<video>")
    config = t.LlavaOnevisionConfig(
        vision_config=tower("siglip_vision_model", vision_use_head=False), text_config=text("qwen2", tokenizer),
        image_token_index=image, video_token_index=video, image_grid_pinpoints=grid, vision_aspect_ratio="anyres_max_9",
    )  # fmt: skip
    images = image_processor("LlavaOnevisionImageProcessor", size=SQUARE, image_grid_pinpoints=grid)
    processor = t.LlavaOnevisionProcessor(
        images, tokenizer, t.LlavaOnevisionVideoProcessor(size=SQUARE), num_image_tokens=CELLS,
        vision_feature_select_strategy="full", chat_template=template(), vision_aspect_ratio="anyres_max_9",
    )  # fmt: skip
    return t.LlavaOnevisionForConditionalGeneration(config), processor


def _qformer(name: str, kind: str, language: dict[str, Any], tokenizer: Any, **changes: Any) -> Any:
    qformer = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "encoder_hidden_size": 16, "cross_attention_frequency": 1, "vocab_size": len(tokenizer),
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.1,
    }  # fmt: skip
    config = getattr(t, f"{name}Config")(
        vision_config=tower(f"{kind}_vision_model"), qformer_config=qformer, text_config=language, num_query_tokens=4,
        image_token_index=ids(tokenizer, IMAGE)[0], **changes,
    )  # fmt: skip
    return getattr(t, f"{name}ForConditionalGeneration")(config)


def _opt(tokenizer: Any) -> dict[str, Any]:
    return {
        "model_type": "opt", "vocab_size": len(tokenizer), "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "word_embed_proj_dim": 32, "max_position_embeddings": 512, "init_std": 0.1,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip


def _t5(tokenizer: Any) -> dict[str, Any]:
    return {
        "model_type": "t5", "vocab_size": len(tokenizer), "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2,
        "num_heads": 4, "initializer_factor": 2.0, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
        "is_encoder_decoder": True,
    }  # fmt: skip


def _blip2(language: Callable[[Any], dict[str, Any]]) -> Pair:
    tokenizer = words(IMAGE)
    images = image_processor("BlipImageProcessor", size=SQUARE)
    return (
        _qformer("Blip2", "blip_2", language(tokenizer), tokenizer),
        t.Blip2Processor(images, tokenizer, num_query_tokens=4),
    )


def blip2_opt() -> Pair:
    return _blip2(_opt)


def blip2_t5() -> Pair:
    return _blip2(_t5)


def _instructblip(language: Callable[[Any], dict[str, Any]]) -> Pair:
    tokenizer = words(IMAGE)
    images = image_processor("BlipImageProcessor", size=SQUARE)
    processor = t.InstructBlipProcessor(images, tokenizer, words(IMAGE), num_query_tokens=4)
    return _qformer("InstructBlip", "instructblip", language(tokenizer), tokenizer), processor


def instructblip_llama() -> Pair:
    return _instructblip(lambda tokenizer: text("llama", tokenizer))


def instructblip_t5() -> Pair:
    return _instructblip(_t5)


def paligemma() -> Pair:
    tokenizer = words(IMAGE, bos="<s>")
    config = t.PaliGemmaConfig(
        vision_config=tower("siglip_vision_model", projection_dim=32, vision_use_head=False),
        text_config=text("gemma", tokenizer, vocab_size=len(tokenizer) + 2000), image_token_index=ids(tokenizer, IMAGE)[0],
        projection_dim=32, hidden_size=32,
    )  # fmt: skip
    images = image_processor("SiglipImageProcessor", size=SQUARE)
    images.image_seq_length = CELLS
    processor = t.PaliGemmaProcessor(images, tokenizer)
    return t.PaliGemmaForConditionalGeneration(config), processor


def gemma3() -> Pair:
    tokenizer = words(
        bos="<s>", boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>"
    )
    image, begin, end = ids(tokenizer, "<image_soft_token>", "<start_of_image>", "<end_of_image>")
    config = t.Gemma3Config(
        vision_config=tower("siglip_vision_model", vision_use_head=False), text_config=text("gemma3_text", tokenizer),
        image_token_id=image, boi_token_id=begin, eoi_token_id=end, mm_tokens_per_image=4,
    )  # fmt: skip
    images = image_processor("Gemma3ImageProcessor", size=SQUARE)
    processor = t.Gemma3Processor(
        images, tokenizer, image_seq_length=4, chat_template=template("<start_of_image>", "{{ bos_token }}")
    )
    return t.Gemma3ForConditionalGeneration(config), processor


VISION_PAD = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def _qwen(name: str, kind: str, vision: dict[str, Any], *, rope: dict[str, Any], size: int) -> Pair:
    tokenizer = words(*VISION_PAD)
    start, end, image, video = ids(tokenizer, *VISION_PAD)
    config = getattr(t, f"{name}Config")(
        vision_config=vision,
        text_config=text(f"{kind}_text", tokenizer, hidden_size=64, head_dim=16, **rope),
        image_token_id=image, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    bounds = {"shortest_edge": 16 * size * size, "longest_edge": 64 * size * size}
    images = image_processor("Qwen2VLImageProcessor", size=bounds, patch_size=size, merge_size=2)
    videos_kind = "Qwen3VLVideoProcessor" if name == "Qwen3VL" else "Qwen2VLVideoProcessor"
    processor_kind = {"Qwen2VL": "Qwen2VLProcessor", "Qwen2_5_VL": "Qwen2_5_VLProcessor", "Qwen3VL": "Qwen3VLProcessor"}
    processor = getattr(t, processor_kind[name])(
        image_processor=images, tokenizer=tokenizer, video_processor=getattr(t, videos_kind)(patch_size=size),
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    return getattr(t, f"{name}ForConditionalGeneration")(config), processor


_MROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}}


def qwen2_vl() -> Pair:
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 8, "mlp_ratio": 2}
    return _qwen("Qwen2VL", "qwen2_vl", vision, rope=_MROPE, size=8)


def qwen2_5_vl() -> Pair:
    vision = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": 64, "num_heads": 2, "patch_size": 8, "intermediate_size": 48,
        "window_size": 32, "fullatt_block_indexes": [1],
    }  # fmt: skip
    return _qwen("Qwen2_5_VL", "qwen2_5_vl", vision, rope=_MROPE, size=8)


def qwen3_vl() -> Pair:
    vision = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": 64, "num_heads": 2, "patch_size": 8, "intermediate_size": 48,
        "deepstack_visual_indexes": [0], "num_position_embeddings": 64,
    }  # fmt: skip
    return _qwen("Qwen3VL", "qwen3_vl", vision, rope=_MROPE, size=8)


def internvl() -> Pair:
    tokenizer = words(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>"
    )
    config = t.InternVLConfig(
        vision_config=tower("internvl_vision", image_size=[SIDE, SIDE], patch_size=[PATCH, PATCH]),
        text_config=text("qwen2", tokenizer), image_token_id=ids(tokenizer, "<IMG_CONTEXT>")[0], image_seq_length=4,
    )  # fmt: skip
    images = image_processor("GotOcr2ImageProcessor", size=SQUARE, crop_to_patches=True, max_patches=2)
    processor = t.InternVLProcessor(
        images, tokenizer, t.InternVLVideoProcessor(size=SQUARE), image_seq_length=4,
        chat_template=template("<IMG_CONTEXT>\n"),
    )  # fmt: skip
    return t.InternVLForConditionalGeneration(config), processor


_IDEFICS = ("<fake_token_around_image>", IMAGE, "<end_of_utterance>", "<global-img>")


def _idefics3(name: str, kind: str) -> Pair:
    rows = [f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)]
    tokenizer = words(
        *rows, "<end_of_utterance>", fake_image_token="<fake_token_around_image>", image_token=IMAGE,
        global_image_token="<global-img>",
    )  # fmt: skip
    config = getattr(t, f"{name}Config")(
        vision_config=tower(f"{kind}_vision"), text_config=text("llama", tokenizer), scale_factor=2,
        image_token_id=ids(tokenizer, IMAGE)[0],
    )  # fmt: skip
    images = image_processor(
        f"{name}ImageProcessor", size={"longest_edge": 2 * SIDE}, max_image_size={"longest_edge": SIDE}
    )
    values: dict[str, Any] = {"image_seq_len": 4, "chat_template": template()}
    if name == "SmolVLM":
        values["video_processor"] = t.SmolVLMVideoProcessor(
            size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}
        )
    processor = getattr(t, f"{name}Processor")(images, tokenizer, **values)
    return getattr(t, f"{name}ForConditionalGeneration")(config), processor


def idefics3() -> Pair:
    return _idefics3("Idefics3", "idefics3")


def smolvlm() -> Pair:
    return _idefics3("SmolVLM", "smolvlm")


def idefics2() -> Pair:
    tokenizer = words("<fake_token_around_image>", IMAGE, "<end_of_utterance>")
    perceiver = {
        "hidden_size": 32, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2,
        "resampler_head_dim": 8, "num_key_value_heads": 1,
    }  # fmt: skip
    config = t.Idefics2Config(
        vision_config=tower("idefics2_vision"), perceiver_config=perceiver, text_config=text("mistral", tokenizer),
        image_token_id=ids(tokenizer, IMAGE)[0],
    )  # fmt: skip
    images = image_processor(
        "Idefics2ImageProcessor", size={"longest_edge": SIDE, "shortest_edge": SIDE // 2}, do_image_splitting=False
    )
    processor = t.Idefics2Processor(images, tokenizer, image_seq_len=4, chat_template=template())
    return t.Idefics2ForConditionalGeneration(config), processor


_PIXTRAL = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")


def _pixtral(tokenizer: Any, **values: Any) -> Any:
    images = image_processor("PixtralImageProcessor", size={"longest_edge": SIDE}, patch_size=PATCH)
    return t.PixtralProcessor(
        images, tokenizer, patch_size=PATCH, image_token="[IMG]", image_break_token="[IMG_BREAK]",
        image_end_token="[IMG_END]", chat_template=template("[IMG]"), **values,
    )  # fmt: skip


def pixtral() -> Pair:
    tokenizer = words(*_PIXTRAL)
    config = t.LlavaConfig(
        vision_config=tower("pixtral", head_dim=8), text_config=text("mistral", tokenizer), vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_token_index=ids(tokenizer, "[IMG]")[0],
    )  # fmt: skip
    return t.LlavaForConditionalGeneration(config), _pixtral(tokenizer)


def mistral3() -> Pair:
    tokenizer = words(*_PIXTRAL)
    config = t.Mistral3Config(
        vision_config=tower("pixtral", head_dim=8), text_config=text("mistral", tokenizer),
        image_token_index=ids(tokenizer, "[IMG]")[0], spatial_merge_size=2,
    )  # fmt: skip
    return t.Mistral3ForConditionalGeneration(config), _pixtral(tokenizer, spatial_merge_size=2)


def florence2() -> Pair:
    tokenizer = words(image_token=IMAGE, bos="<s>")
    bart = {
        "model_type": "bart", "vocab_size": len(tokenizer), "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
        "init_std": 0.3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
        "forced_eos_token_id": None,
    }  # fmt: skip
    vision = {
        "embed_dim": [8, 16, 32, 32], "depths": [1, 1, 1, 1], "num_heads": [2, 2, 2, 2], "num_groups": [2, 2, 2, 2],
        "projection_dim": 32, "window_size": 4,
    }  # fmt: skip
    config = t.Florence2Config(
        vision_config=vision, text_config=bart, image_token_id=ids(tokenizer, IMAGE)[0], is_encoder_decoder=True
    )
    images = clip_images(size=SQUARE, do_center_crop=False)
    images.image_seq_length = 2
    return t.Florence2ForConditionalGeneration(config), t.Florence2Processor(
        images, tokenizer, num_additional_image_tokens=1
    )


def kosmos2() -> Pair:
    specials = [IMAGE, "</image>", "<phrase>", "</phrase>", "<object>", "</object>", "<grounding>",
                "</delimiter_of_multi_objects/>"]  # fmt: skip
    tokenizer = words(*specials, *[f"<patch_index_{i:04}>" for i in range(16)], bos="<s>")
    tokenizer.padding_side = "left"
    language = {
        "vocab_size": len(tokenizer) + 8, "embed_dim": 32, "layers": 2, "ffn_dim": 48, "attention_heads": 4,
        "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 7, "eos_token_id": 2, "init_std": 0.2,
    }  # fmt: skip
    config = t.Kosmos2Config(vision_config=VISION, text_config=language, latent_query_num=64)
    processor = t.Kosmos2Processor(clip_images(), tokenizer, num_patch_index_tokens=16)
    return t.Kosmos2ForConditionalGeneration(config), processor


def git() -> Pair:
    tokenizer = words(bos="<s>")
    config = t.GitConfig(
        vision_config=VISION, vocab_size=len(tokenizer),
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=512,
        initializer_range=0.2, pad_token_id=0, bos_token_id=7, eos_token_id=2,
    )  # fmt: skip
    return t.GitForCausalLM(config), t.GitProcessor(clip_images(), tokenizer)


def blip() -> Pair:
    tokenizer = framed(words(bos="<s>"))
    language = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "encoder_hidden_size": 16, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 512, "initializer_range": 0.2,
        "bos_token_id": 7, "pad_token_id": 0, "eos_token_id": 2, "sep_token_id": 2, "projection_dim": 16,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    config = t.BlipConfig(vision_config=VISION, text_config=language, projection_dim=16)
    return t.BlipForConditionalGeneration(config), t.BlipProcessor(
        image_processor("BlipImageProcessor", size=SQUARE), tokenizer
    )


def _vq(**changes: Any) -> dict[str, Any]:
    values = {
        "embed_dim": 8, "num_embeddings": 16, "latent_channels": 8, "resolution": SIDE, "in_channels": 3,
        "base_channels": 32, "channel_multiplier": [1, 2], "num_res_blocks": 1, "attn_resolutions": None,
    }  # fmt: skip
    return values | changes


def chameleon() -> Pair:
    codes = [f"IMGIMG{''.join('ABCDEFGHIJ'[int(d)] for d in str(i))}Z" for i in range(16)]
    tokenizer = words(
        *codes, image_token=IMAGE, boi_token="<racm3:break>", eoi_token="<eoss>", sep_token="<reserved08706>"
    )
    config = t.ChameleonConfig(
        **{k: v for k, v in text("chameleon", tokenizer).items() if k not in ("model_type", "head_dim")},
        vq_config=_vq(), vocabulary_map=tokenizer.get_vocab(),
    )  # fmt: skip
    config.vocabulary_map[IMAGE] = ids(tokenizer, IMAGE)[0]
    images = image_processor("ChameleonImageProcessor", size={"shortest_edge": SIDE}, crop_size=SQUARE)
    processor = t.ChameleonProcessor(images, tokenizer, image_seq_length=(SIDE // 2) ** 2)
    return t.ChameleonForConditionalGeneration(config), processor


def aya_vision() -> Pair:
    specials = [
        "<|START_OF_IMG|>",
        "<|END_OF_IMG|>",
        "<|IMG_PATCH|>",
        "<|IMG_LINE_BREAK|>",
        "TILE",
        "TILE_GLOBAL",
        IMAGE,
    ]
    tokenizer = words(*specials)
    config = t.AyaVisionConfig(
        vision_config=tower("siglip_vision_model", vision_use_head=False), text_config=text("cohere2", tokenizer),
        image_token_index=ids(tokenizer, "<|IMG_PATCH|>")[0], downsample_factor=2, vision_feature_select_strategy="full",
        adapter_layer_norm_eps=1e-6,
    )  # fmt: skip
    images = image_processor("GotOcr2ImageProcessor", size=SQUARE, crop_to_patches=False)
    processor = t.AyaVisionProcessor(
        images, tokenizer, patch_size=PATCH, img_size=SIDE, downsample_factor=2, chat_template=template()
    )
    return t.AyaVisionForConditionalGeneration(config), processor


def cohere2_vision() -> Pair:
    tokenizer = words(
        boi_token="<|START_OF_IMG|>", eoi_token="<|END_OF_IMG|>", image_token="<|IMG_PATCH|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )  # fmt: skip
    config = t.Cohere2VisionConfig(
        vision_config=tower("siglip_vision_model", vision_use_head=False), text_config=text("cohere2", tokenizer),
        image_token_id=ids(tokenizer, "<|IMG_PATCH|>")[0], downsample_factor=2, alignment_intermediate_size=32,
    )  # fmt: skip
    images = image_processor(
        "Cohere2VisionImageProcessor", size=SQUARE, patch_size=2, downsample_factor=2, crop_to_patches=False
    )
    processor = t.Cohere2VisionProcessor(images, tokenizer, chat_template=template("<|IMG_PATCH|>"))
    return t.Cohere2VisionForConditionalGeneration(config), processor


_OVIS = ("<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")


def ovis2() -> Pair:
    tokenizer = words(*_OVIS, image_token=IMAGE)
    vision = tower(
        "ovis2_vision_model", num_visual_indicator_tokens=5, vocab_size=64, hidden_stride=2, tokenize_function="softmax"
    )
    config = t.Ovis2Config(
        vision_config=vision, text_config=text("qwen2", tokenizer), image_token_id=ids(tokenizer, "<IMG_ATOM>")[0],
        visual_indicator_token_ids=ids(tokenizer, *_OVIS[1:]), hidden_size=32,
        vocab_size=len(tokenizer) + 8,
    )  # fmt: skip
    images = image_processor("Ovis2ImageProcessor", size=SQUARE, crop_to_patches=False)
    processor = t.Ovis2Processor(images, tokenizer, image_token=IMAGE, image_seq_length=4, chat_template=template())
    return t.Ovis2ForConditionalGeneration(config), processor


def janus() -> Pair:
    tokenizer = words(image_token="<image_placeholder>", boi_token="<begin_of_image>", eoi_token="<end_of_image>")
    image = ids(tokenizer, "<image_placeholder>")[0]
    vision = tower("janus_vision_model", projection_dim=32, mlp_ratio=2.0, depth=2, num_image_tokens=CELLS)
    config = t.JanusConfig(
        vision_config=vision, text_config=text("llama", tokenizer), image_token_id=image,
        vq_config={**_vq(), "projection_dim": 32, "image_token_embed_dim": 32, "num_patches": 4},
    )  # fmt: skip
    images = image_processor("JanusImageProcessor", size=SQUARE, min_size=SIDE // 2)
    processor = t.JanusProcessor(
        images, tokenizer, chat_template=template("<image_placeholder>\n"), use_default_system_prompt=False
    )
    processor.num_image_tokens = CELLS
    return t.JanusForConditionalGeneration(config), processor


def llama4() -> Pair:
    tokens = (
        "<|image|>",
        "<|image_start|>",
        "<|image_end|>",
        "<|patch|>",
        "<|tile_x_separator|>",
        "<|tile_y_separator|>",
    )
    tokenizer = words(*tokens)
    vision = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
        "vision_output_dim": 32, "image_size": SIDE, "patch_size": PATCH, "projector_input_dim": 32,
        "projector_output_dim": 32, "pixel_shuffle_ratio": 0.5, "rope_theta": 10000,
    }  # fmt: skip
    language = text(
        "llama4_text",
        tokenizer,
        num_local_experts=2,
        intermediate_size_mlp=48,
        interleave_moe_layer_step=1,
        no_rope_layers=[1, 0],
    )
    config = t.Llama4Config(
        vision_config=vision, text_config=language, image_token_index=ids(tokenizer, "<|patch|>")[0],
        boi_token_index=ids(tokenizer, "<|image_start|>")[0], eoi_token_index=ids(tokenizer, "<|image_end|>")[0],
    )  # fmt: skip
    images = image_processor("Llama4ImageProcessor", size=SQUARE, max_patches=1)
    processor = t.Llama4Processor(
        images, tokenizer, patch_size=PATCH, pixel_shuffle_ratio=0.5, chat_template=template("<|image|>")
    )
    return t.Llama4ForConditionalGeneration(config), processor


def mllama() -> Pair:
    tokenizer = words("<|image|>", bos="<s>")
    vision = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_global_layers": 1, "attention_heads": 2,
        "image_size": SIDE, "patch_size": PATCH, "max_num_tiles": 2, "intermediate_layers_indices": [0],
        "vision_output_dim": 32, "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]], "initializer_range": 0.1,
    }  # fmt: skip
    language = text(
        "mllama_text_model",
        tokenizer,
        num_hidden_layers=3,
        cross_attention_layers=[1],
        pad_token_id=0,
        bos_token_id=7,
        eos_token_id=2,
    )
    language["vocab_size"] = len(tokenizer)
    config = t.MllamaConfig(
        vision_config=vision, text_config=language, image_token_index=ids(tokenizer, "<|image|>")[0]
    )
    images = image_processor("MllamaImageProcessor", size=SQUARE, max_image_tiles=2)
    processor = t.MllamaProcessor(images, tokenizer, chat_template=template("<|image|>", "{{ bos_token }}"))
    model = t.MllamaForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        if name.endswith(("gate", "attn_gate", "mlp_gate")):  # closed in a fresh model, which would see nothing
            torch.nn.init.ones_(parameter)
    return model, processor


def glm4v() -> Pair:
    tokens = (
        "<|begin_of_image|>",
        "<|end_of_image|>",
        "<|image|>",
        "<|begin_of_video|>",
        "<|end_of_video|>",
        "<|video|>",
    )
    tokenizer = words(*tokens, image_token="<|image|>", video_token="<|video|>")
    begin, end, image, begin_video, end_video, video = ids(tokenizer, *tokens)
    vision = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 48, "num_heads": 2, "patch_size": 8,
        "image_size": SIDE, "spatial_merge_size": 2, "temporal_patch_size": 2,
    }  # fmt: skip
    config = t.Glm4vConfig(
        vision_config=vision,
        text_config=text(
            "glm4v_text", tokenizer, hidden_size=64, head_dim=16,
            rope_parameters={"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
        ),
        image_token_id=image, video_token_id=video, image_start_token_id=begin, image_end_token_id=end,
        video_start_token_id=begin_video, video_end_token_id=end_video,
    )  # fmt: skip
    size = {"shortest_edge": 2 * 16 * 64, "longest_edge": 2 * 64 * 64}
    processor = t.Glm4vProcessor(
        image_processor("Glm4vImageProcessor", size=size, patch_size=8), tokenizer,
        t.Glm4vVideoProcessor(size=size, patch_size=8),
        chat_template=template("<|begin_of_image|><|image|><|end_of_image|>"),
    )  # fmt: skip
    return t.Glm4vForConditionalGeneration(config), processor


def lfm2_vl() -> Pair:
    tokenizer = words(
        image_token=IMAGE, image_start_token="<|image_start|>", image_end_token="<|image_end|>",
        image_thumbnail_token="<|img_thumbnail|>",
    )  # fmt: skip
    language = text(
        "lfm2", tokenizer, layer_types=["conv", "full_attention"], block_ff_dim=48, block_auto_adjust_ff_dim=False
    )
    vision = tower("siglip2_vision_model", num_patches=64, vision_use_head=False)
    vision.pop("image_size")
    config = t.Lfm2VlConfig(
        vision_config=vision, text_config=language, image_token_id=ids(tokenizer, IMAGE)[0], downsample_factor=2,
        projector_hidden_size=32,
    )  # fmt: skip
    images = image_processor(
        "Lfm2VlImageProcessor", downsample_factor=2, do_image_splitting=False, min_image_tokens=4, max_image_tokens=16,
        encoder_patch_size=PATCH, max_num_patches=64, tile_size=SIDE,
    )  # fmt: skip
    processor = t.Lfm2VlProcessor(images, tokenizer, chat_template=template())
    return t.Lfm2VlForConditionalGeneration(config), processor


def deepseek_vl() -> Pair:
    tokenizer = words(image_token="<image_placeholder>")
    config = t.DeepseekVLConfig(
        vision_config=tower("siglip_vision_model", vision_use_head=False), text_config=text("llama", tokenizer),
        image_token_id=ids(tokenizer, "<image_placeholder>")[0],
    )  # fmt: skip
    images = image_processor("DeepseekVLImageProcessor", size=SQUARE, min_size=8)
    processor = t.DeepseekVLProcessor(
        images, tokenizer, num_image_tokens=CELLS, chat_template=template("<image_placeholder>")
    )
    return t.DeepseekVLForConditionalGeneration(config), processor


def aria() -> Pair:
    tokenizer = words(image_token="<|img|>")
    language = text("aria_text", tokenizer, moe_num_experts=2, moe_topk=1, moe_num_shared_experts=1, pad_token_id=0)
    config = t.AriaConfig(
        vision_config=tower("idefics3_vision", image_size=980, patch_size=196), text_config=language, image_token_index=ids(tokenizer, "<|img|>")[0],
        projector_patch_to_query_dict={25: 4}, vision_feature_layer=-1,
    )  # fmt: skip
    images = image_processor("AriaImageProcessor", max_image_size=980, min_image_size=336)
    processor = t.AriaProcessor(images, tokenizer, chat_template=template("<|img|>"), size_conversion={980: 4})
    return t.AriaForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], Pair]] = {
    made.__name__: made
    for made in (
        llava, llava_tokenizer_template, llava_no_template, vipllava, llava_next, llava_onevision, blip2_opt, blip2_t5,
        instructblip_llama, instructblip_t5, paligemma, gemma3, qwen2_vl, qwen2_5_vl, qwen3_vl, internvl, idefics2,
        idefics3, smolvlm, pixtral, mistral3, florence2, kosmos2, git, blip, chameleon, aya_vision, cohere2_vision,
        ovis2, janus, llama4, mllama, glm4v, lfm2_vl, deepseek_vl, aria,
    )
}  # fmt: skip


def write(name: str, folder: Path) -> Path:
    """Build one and save it: random weights so large that the picture changes the answer."""
    torch.manual_seed(0)
    model, processor = BUILDERS[name]()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
