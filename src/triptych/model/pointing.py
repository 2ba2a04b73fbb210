"""What a composed model needs to point by embedding: which tokens stand for regions, and what becomes of them.

answer:    … dog [SEG]     the state that predicts [SEG] ─► decoders ─► box, mask
question:  in [REGION]?    the picture's features under the region ─► embedding in the place of [REGION]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from triptych.conversation import NORMALISED, Region
from triptych.decoders.asked import AskedRegions
from triptych.decoders.build import build_asked, build_decoder
from triptych.decoders.config import ASKED, EmbeddingRegionsConfig
from triptych.decoders.regions import RegionDecoder
from triptych.decoders.targets import Targets, coverage, seen, targets
from triptych.encoders.image_encoder import ImageEncoder
from triptych.language.backbone import LanguageModel


class RegionPanel(nn.Module):
    """The decoders of answered regions and the embedding of asked ones.

    Args:
        decoder: Boxes and masks of hidden states.
        asked: Embeddings of regions in questions; None where there are none.
        encoder: Whose features the decoders look at; its weights are not this module's.
        answer: Id of the token in answers.
        question: Id of the token in questions; None where there is none.
    """

    def __init__(
        self,
        decoder: RegionDecoder,
        asked: AskedRegions | None,
        encoder: ImageEncoder,
        answer: int,
        question: int | None,
    ) -> None:
        super().__init__()
        self.decoder, self.asked = decoder, asked
        self.preparation = encoder.preparation
        self.answer, self.question = answer, question

    @classmethod
    def build(cls, config: EmbeddingRegionsConfig, encoder: ImageEncoder, language: LanguageModel) -> RegionPanel:
        """For a language model that knows the tokens already, without the weights that the recipe names.

        Raises:
            RecipeError: The parts do not go together.
        """
        spread = (
            float(language.embedding.weight.detach().float().std()) if not language.embedding.weight.is_meta else 1.0
        )
        tokenizer = language.tokenizer
        known = tokenizer.convert_tokens_to_ids if tokenizer is not None else lambda _: 0  # a plan reads no text
        answer, question = int(known(config.token)), int(known(ASKED)) if config.questions else None
        decoder = build_decoder(config, language.dim, encoder)
        asked = build_asked(config, language.dim, spread)
        return cls(decoder, asked, encoder, answer, question)

    def embed(self, picture: Tensor, owner: Sequence[int], regions: Sequence[Region]) -> Tensor:
        """Embeddings `[K, D]` of regions in questions, in the pictures `[N, C, h, w]` that `owner` names."""
        assert self.asked is not None
        device = picture.device
        covered = [torch.from_numpy(coverage(region, self.preparation, self.decoder.grid)) for region in regions]
        corners = torch.tensor([seen(region, self.preparation).to(NORMALISED).box for region in regions])
        embedded: Tensor = self.asked(
            picture, torch.tensor(owner, device=device), torch.stack(covered).to(device), corners.to(device)
        )
        return embedded

    def targets(self, regions: Sequence[Region]) -> Targets:
        """What the decoders should answer."""
        return targets(regions, self.preparation, self.decoder.mask_size)
