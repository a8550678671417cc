"""Tiny text encoders with random weights, saved by transformers itself, that speak of coloured shapes."""

from pathlib import Path
from typing import Any

import torch

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = (*SPECIAL, *"a and red blue green circle square star big small the of".split())  # noqa: SIM905
WIDTH, LIMIT = 16, 12


def tokenizer(folder: Path) -> Any:
    """Words are tokens, between [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder)
    return fast


def bert(folder: Path, seed: int = 0) -> Any:
    """The model, which is in the folder then."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(WORDS), intermediate_size=32, max_position_embeddings=LIMIT, **sizes)
    return saved(BertModel(config), folder)


def t5(folder: Path) -> Any:
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(1)
    sizes: dict[str, Any] = {"d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    sizes |= {"vocab_size": len(WORDS), "n_positions": LIMIT}
    config = T5Config(**sizes)
    return saved(T5EncoderModel(config), folder)


def clip(folder: Path) -> Any:
    """The text half of a whole CLIP."""
    return whole_clip(folder).text_model


def whole_clip(folder: Path) -> Any:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(2)
    common = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = common | {"vocab_size": len(WORDS), "max_position_embeddings": LIMIT, "eos_token_id": 3}
    vision = common | {"image_size": 8, "patch_size": 4}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))
    return saved(model, folder)


def siglip(folder: Path) -> Any:
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(3)
    common = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = common | {"vocab_size": len(WORDS), "max_position_embeddings": LIMIT, "pad_token_id": 0}
    text |= {"bos_token_id": 2, "eos_token_id": 3}
    vision = common | {"image_size": 8, "patch_size": 4}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    with torch.no_grad():
        model.logit_scale.fill_(1.5)
        model.logit_bias.fill_(-3.0)
    return saved(model, folder)


def saved(model: Any, folder: Path) -> Any:
    model.eval().save_pretrained(folder)
    tokenizer(folder)
    return model
