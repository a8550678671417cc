"""The recipes by name. A new one belongs here when it was run and its score is known."""

from collections.abc import Mapping

from phosphene.recipes.settings import (
    BaseSettings,
    ClipSettings,
    DataSettings,
    DiffusionSettings,
    Recipe,
    SamplingSettings,
    TrainingSettings,
    TransformerSettings,
    UNetSettings,
)
from phosphene.recipes.tasks import EditingTask

FLOW = Recipe(
    name="flow",
    summary="rectified flow: the recipe that learns fastest",
    score="digits: 97.8% read as asked after 80 s on two cores, 100% at guidance 1.5 (phosphene demo)",
)

DDPM = Recipe(
    name="ddpm",
    summary="Ho 2020 word for word: 1000 linear steps, the noise predicted, mean squared error, ancestral",
    score="digits: 98% read as asked after 90 s on two cores (phosphene demo --recipe ddpm)",
    network=UNetSettings(scale_shift=False, dropout=0.1),
    diffusion=DiffusionSettings(
        schedule="linear", prediction="eps", density="uniform", weight="uniform", strata=False
    ),
    training=TrainingSettings(
        optimizer="adamw", learning_rate=2e-4, weight_decay=0.0, beta2=0.999, warmup=5000, decay=0.0
    ),
    sampling=SamplingSettings(solver="ddpm_large", steps=1000, threshold="clip"),
)

EDM = Recipe(
    name="edm",
    summary="Karras 2022: preconditioned network, log-normal noise, Heun; augmentations that do not leak",
    data=DataSettings(augment=0.12),
    network=UNetSettings(dropout=0.1),
    diffusion=DiffusionSettings(
        schedule="edm",
        prediction="edm",
        density="log_normal",
        density_mean=-1.2,
        density_std=1.2,
        weight="edm",
    ),
    training=TrainingSettings(optimizer="adamw", weight_decay=0.0, beta2=0.999, decay=0.0),
    sampling=SamplingSettings(solver="heun", steps=18, grid="karras"),
)

COSINE_V = Recipe(
    name="v",
    summary="cosine schedule, v predicted, min-SNR weights",
    diffusion=DiffusionSettings(schedule="cosine", prediction="v", density="uniform", weight="min_snr"),
)

TRANSFORMER = Recipe(
    name="transformer",
    summary="a diffusion transformer that predicts the picture, its loss taken in velocity (JiT)",
    network=TransformerSettings(),
    diffusion=DiffusionSettings(prediction="x0", density_mean=0.8, density_std=0.8, weight="velocity"),
)

TEXT = Recipe(
    name="text",
    summary="text to image: rectified flow that hears captions through a frozen language model (MiniLM)",
    data=DataSettings(text="minilm"),
    sampling=SamplingSettings(guidance=3.0),
)

EDIT = Recipe(
    name="edit",
    summary="editing by instruction (InstructPix2Pix), of data of pairs",
    data=DataSettings(text="minilm", pairs=True),
    diffusion=DiffusionSettings(drop=0.05),
    sampling=SamplingSettings(guidance=7.5, image_guidance=1.5),
    task=EditingTask(),
)

FINE_TUNE = Recipe(
    name="fine-tune",
    summary="all weights of a model that exists, further: train DATA --from MODEL",
    data=DataSettings(held_out=0.0),
    training=TrainingSettings(
        optimizer="adamw", learning_rate=1e-4, weight_decay=0.0, batch=32, warmup=50, images=20_000
    ),
)

LORA = Recipe(
    name="lora",
    summary="a low-rank change of a model that exists, from a handful of pictures: adapt MODEL PICTURES",
    score="digits: 16 pictures of ink on paper turn all ten classes after 300 steps (one busy core, 155 s)",
    data=DataSettings(held_out=0.0),
    training=TrainingSettings(
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.0,
        batch=16,
        warmup=20,
        budget=180.0,
        ema=(0.1,),
    ),
    base=BaseSettings(rank=8),
)

CLIP = Recipe(
    name="clip",
    summary="a CLIP (SigLIP loss) that scores, ranks, guides and finds pictures by what is said of them",
    data=DataSettings(text="minilm"),
    network=ClipSettings(),
)

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (FLOW, DDPM, EDM, COSINE_V, TRANSFORMER, TEXT, CLIP, EDIT, FINE_TUNE, LORA)
}
