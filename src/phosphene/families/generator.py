"""A trained model that can be asked for pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from phosphene import files
from phosphene.families import guided, questions, ranked
from phosphene.families.adapting import Adapters, parsed
from phosphene.families.around import PLAIN, Around
from phosphene.families.asked import Asked
from phosphene.families.axes import Axis
from phosphene.families.between import Strip, interpolate
from phosphene.families.cells import Ask, Cells, grid, refuse_knobs
from phosphene.families.clip import Clip
from phosphene.families.editing import editing
from phosphene.families.further import larger
from phosphene.families.like import read as read_like
from phosphene.families.making import asking
from phosphene.families.opened import Given
from phosphene.families.options import BATCH, Options, given, numbered
from phosphene.families.place import BEST
from phosphene.families.questions import Question
from phosphene.families.ready import Ready
from phosphene.families.rows import Labels, Texts, each, listed
from phosphene.families.sampled import Sampled
from phosphene.families.shown import finishing
from phosphene.store import cascade
from phosphene.tasks.request import Label, Request


@dataclass(frozen=True)
class Generator(Ready):
    """A model that is ready, and the questions that it can be asked."""

    def sample(
        self,
        n: int | None = None,
        *,
        label: Labels = None,
        prompt: Texts = None,
        negative: Texts = None,
        like: Path | str | None = None,
        around: Around = PLAIN,
        clip: Clip | Path | str | None = None,
        clip_strength: float | None = None,
        best_of: int | None = None,
        ranker: Clip | Path | str | None = None,
        scorer: Clip | Path | str | None = None,
        **how: Unpack[Options],
    ) -> Sampled:
        """n pictures, a Sequence of Pillow images; `.values` is the tensor, (n, c, h, w) in [-1, 1].

        label: one for all, or one a picture: a class's name or index, None for any. prompt: what pictures
        should show, in words, and negative: what guidance leads away from instead of from no prompt; each
        one for all, or one a picture.
        like: a PNG made by phosphene, whose settings come first of all.
        around: what goes around the sampler, see `phosphene.families.around`; solver and steps are then those
        that suit it, unless given.
        clip: leads pictures towards their prompts, by clip_strength, whether or not the model itself hears
        them; see `phosphene.families.guided`.
        best_of, ranker: so many candidates a picture, of which that CLIP keeps the one most like its prompt.
        scorer: another CLIP, that says how alike the kept ones are; see `phosphene.families.ranked`.
        how: see `phosphene.families.options.Options`.

        Raises ValueError, naming the field, for a value that does not exist or does not fit the model.
        """
        how, asked, remade = given(how), self.defaults, None
        if like is not None:
            made, asked = read_like(Path(like), self.model, self.folder, self.beyond)
            label = made.label if label is None else label
            prompt = made.prompt if prompt is None else prompt
            negative = made.negative if negative is None else negative
            if "weaker" not in how and made.weaker is not None:
                remade = made.weaker_model
                how["weaker"] = made.weaker
            how.setdefault("seed", made.seed)
            how.setdefault("first", made.picture)
            clip, clip_strength = made.clip_again(clip, clip_strength, str(self.device))
            prompt = made.clip_prompt if prompt is None and clip is not None else prompt
        n = (1 if like is not None else 16) if n is None else n
        _, numbers = numbered(n, how)
        texts = each("prompt", prompt, n)
        ranking = ranked.ranking(best_of, ranker, scorer, texts, str(self.device), self.folder)
        # What only a CLIP understands is not said to the model.
        heard = texts if self.hears or (clip is None and ranking is None) else [None] * n
        wishes = list(zip(each("label", label, n), heard, each("negative", negative, n), strict=True))
        if ranking is not None:
            wishes, numbers = ranking.each(wishes), ranking.numbers(numbers)
            how["first"] = numbers[0]
            if isinstance(scales := how.get("guidance"), Sequence):
                how["guidance"] = ranking.each(each("guidance", scales, n))
        if clip is not None:
            said = texts if ranking is None else ranking.each(texts)
            around = guided.guided(clip, clip_strength, numbers, said, around, str(self.device))
        elif clip_strength is not None:
            raise ValueError(f"clip_strength {clip_strength}: of a CLIP that guides; give clip too")
        requests = [Request(one, words, away) for one, words, away in wishes]
        making = asking(self, requests, around, asked, how)
        if remade is not None and making.weaker is not None and making.weaker.fingerprint != remade:
            raise ValueError(f"like {like}: made with another weaker model than {making.weaker.named} is now")
        made = self.onwards(making.all(), requests, how)
        made = made if ranking is None else ranking.kept(made, texts)
        return made if heard is texts else ranked.said_to_clip(made, texts)

    @property
    def hears(self) -> bool:
        """Whether the model was trained with captions."""
        return self.model.header.text is not None

    def inpaint(
        self,
        image: Given,
        mask: Given,
        *,
        n: int = 1,
        label: Labels = None,
        prompt: Texts = None,
        negative: Texts = None,
        method: str | None = None,
        crop: int | None = None,
        **how: Unpack[Options],
    ) -> Sampled:
        """n pictures that are this one but where the mask is white, which is made anew.

        image, mask: files or Pillow pictures of one size, any. Elsewhere the pictures stay what they were,
        exactly. crop: the model sees so many pixels around the white alone, by default the largest square.
        method: mmps, pigdm or repaint of a model that was not trained for inpainting (`families.restoring`).
        how: see `families.options.Options`.
        """
        self._refuse_cascade("inpaint")
        question = questions.inpainting(self, image, mask, method, crop)
        return self._answer(question, n, label, prompt, negative, how)

    def upscale(
        self,
        image: Given,
        *,
        factor: int | None = None,
        n: int = 1,
        label: Labels = None,
        prompt: Texts = None,
        negative: Texts = None,
        method: str | None = None,
        augmentation: float | None = None,
        overlap: int | None = None,
        **how: Unpack[Options],
    ) -> Sampled:
        """n pictures `factor` times as large as this one, which shrink to it.

        By a model that was trained for super-resolution, of any size: larger ones in tiles that share
        `overlap` pixels, `batch` of them a call. augmentation: noise laid on the picture before it is shown,
        a share from 0; more invents more. By another model the picture must be its size / factor, and method
        is mmps, pigdm or repaint.
        """
        self._refuse_cascade("upscale")
        question = questions.upscaling(self, image, factor, method, augmentation, overlap, how.get("batch"))
        return self._answer(question, n, label, prompt, negative, how)

    def restore(
        self,
        image: Given,
        *,
        what: str | None = None,
        strength: float | None = None,
        n: int = 1,
        label: Labels = None,
        prompt: Texts = None,
        negative: Texts = None,
        method: str | None = None,
        overlap: int | None = None,
        **how: Unpack[Options],
    ) -> Sampled:
        """n pictures that this one could be of.

        what: colouring, deblurring or denoising; a model that was trained for one does that, of pictures of
        any size, in tiles that share `overlap` pixels. Colours are made with the shorter side at the model's
        size, and laid on the picture's own light. Another model takes the middle square at its size; strength
        is the blur in pixels (1) or the noise's deviation (0.2), and method is mmps, pigdm or repaint.
        """
        self._refuse_cascade("restore")
        question = questions.restoring(self, image, what, method, strength, overlap, how.get("batch"))
        return self._answer(question, n, label, prompt, negative, how)

    def edit(
        self,
        image: Given,
        *,
        n: int = 1,
        label: Labels = None,
        prompt: Texts = None,
        negative: Texts = None,
        strength: float | None = None,
        **how: Unpack[Options],
    ) -> Sampled:
        """n pictures that are this one, cut to the model's square, changed.

        By a model that was trained for editing, prompt is an instruction ("make the circle blue"), guidance
        says how closely it is followed and image_guidance how much stays. By another one, prompt and label
        say what the whole picture should show, and strength how much of it may change: the share of noise
        that is laid on it, above 0 to 1 (0.5); as many of the solver's steps are taken as lie below.
        """
        self._refuse_cascade("edit")
        question = editing(self, image, strength, prompt)
        return self._answer(question, n, label, prompt, negative, how)

    def _answer(
        self, question: Question, n: int, label: Labels, prompt: Texts, negative: Texts, how: Options
    ) -> Sampled:
        numbered(n, given(how))
        wishes = zip(
            each("label", label, n), each("prompt", prompt, n), each("negative", negative, n), strict=True
        )
        requests = [Request(*wish, shown=question.shown) for wish in wishes]
        made = self.make(requests, question.around, **how)
        return made if question.placed is None else question.placed.put_back(made)

    def make(
        self, requests: Sequence[Request], around: Around | None = None, **how: Unpack[Options]
    ) -> Sampled:
        """A picture for each request, whatever is asked; what suits the model's task goes around sampling.

        Raises ValueError as `sample` does.
        """
        how = given(how)
        made = asking(self, requests, around or finishing(self), self.defaults, how).all()
        return self.onwards(made, requests, how)

    def interpolate(
        self,
        n: int = 17,
        *,
        seeds: Sequence[int] = (),
        prompt: str | Sequence[str] = (),
        label: Label | Sequence[Label] = (),
        negative: str | None = None,
        **how: Unpack[Options],
    ) -> Strip:
        """n pictures on the way through two or more seeds, prompts or labels, their ends included.

        seeds: picture `first` of each; prompt, label: one for all, or one a place. All that are several
        change together. `.sheet()` of the result is a labelled strip, `.save(folder)` writes it, a film and
        the frames. negative, how: as in `sample`. `phosphene.families.between` says what lies between.

        Raises ValueError as `sample` does, and for a way of one place.
        """
        self._refuse_cascade("interpolate")
        return interpolate(self, n, seeds, listed(prompt), listed(label), negative, given(how))

    def grid(
        self,
        x: tuple[str, Sequence[Any]] | None = None,
        y: tuple[str, Sequence[Any]] | None = None,
        z: tuple[str, Sequence[Any]] | None = None,
        *,
        prompt: str | None = None,
        label: Label | None = None,
        negative: str | None = None,
        image: Given | None = None,
        strength: float | None = None,
        clip: Path | str | None = None,
        clip_strength: float | None = None,
        best_of: int | None = None,
        ranker: Path | str | None = None,
        scorer: Path | str | None = None,
        **how: Unpack[Options],
    ) -> Cells:
        """A picture for each combination of the values of one to three knobs, as a labelled sheet.

        x, y, z: a knob of `sample`, or run, ema, precision or adapter, and its values, ("steps", [5, 10]).
        prompt: may hold alternatives, "a {red,blue} circle": each pair of braces is a further axis, so that
        a caption is changed under one seed. image: what each cell is made from, as `edit` does; strength and
        image_guidance are knobs then, those of a CLIP are not. All others: what cells share.
        Each cell is the very picture of `sample(1, ...)`, or `edit(image, ...)`, with its settings.

        Raises ValueError as these do, and for a knob that does not exist.
        """
        axes = [Axis(axis[0], tuple(axis[1])) for axis in (x, y, z) if axis is not None]
        fixed = {"label": label, "negative": negative, "strength": strength, "clip": clip, "ranker": ranker}
        fixed |= {"clip_strength": clip_strength, "best_of": best_of, "scorer": scorer}
        fixed = {name: value for name, value in fixed.items() if value is not None}
        refuse_knobs({axis.knob for axis in axes} | fixed.keys() | given(how).keys(), image is not None)

        def ask(loading: Mapping[str, Any]) -> Ask:
            model = self._with(loading)
            return model.sample if image is None else partial(model.edit, image)

        return grid(ask, axes, prompt, fixed, given(how))

    def _with(self, loading: Mapping[str, Any]) -> "Generator":
        """Another model, average, precision or adapter on the same device."""
        if not loading:
            return self
        own = self.root if isinstance(self, Cascade) else self.folder
        place, precision = loading.get("run", own), loading.get("precision", self.wanted)
        ema, adapters = self.model.ema, {one.place: one.weight for one in self.model.adapters}
        if "run" in loading:
            ema, adapters = None, {}
        if "adapter" in loading:
            adapters = parsed([loading["adapter"]])
        ema = loading.get("ema", ema)
        return load(place, str(self.device), ema, precision, text=self.text, adapters=adapters)

    @property
    def beyond(self) -> list[Mapping[str, Any]]:
        """Further stages, and how they are asked: there are none."""
        return []

    def _refuse_cascade(self, what: str) -> None:
        if self.beyond:
            raise ValueError(
                f"{what}: this is a cascade, which does that with its base alone; ask {self.folder}, and "
                "upscale what you like"
            )

    def onwards(self, made: Sampled, requests: Sequence[Request], how: Options) -> Sampled:
        """What is made of pictures that were asked for: nothing more."""
        return made


@dataclass(frozen=True)
class Cascade(Generator):
    """A base, which is asked, and further stages that make its pictures larger (`store.cascade`).

    root: the cascade's folder. The options of a question are the base's; the cascade says how further stages
    are asked.
    """

    root: Path = Path()
    further: tuple[Generator, ...] = ()
    stages: tuple[cascade.Stage, ...] = ()

    @property
    def defaults(self) -> Asked:
        """How the base is asked."""
        return self.of_recipe(self.stages[0].sampling)

    @property
    def beyond(self) -> list[Mapping[str, Any]]:
        """Further stages, and how they are asked."""
        return [
            {"model": stage.model.fingerprint, **said.model_dump(mode="json")}
            for stage, said in zip(self.further, self.stages[1:], strict=True)
        ]

    def onwards(self, made: Sampled, requests: Sequence[Request], how: Options) -> Sampled:
        """Through all stages. An index of a class is one of the base's: it goes on as a name."""
        named = [replace(request, label=self.task.named(request.label)) for request in requests]
        stages = list(zip(self.further, self.stages[1:], strict=True))
        more = {"run": str(self.root), "stages": self.beyond}
        settings = tuple({**said, **more} for said in made.settings)
        return replace(larger(made, named, stages, how.get("batch") or BATCH), settings=settings)


def load(
    place: Path | str,
    device: str = "auto",
    ema: float | None = None,
    precision: str = "auto",
    best: bool = False,
    text: Path | str | None = None,
    adapters: Adapters | None = None,
) -> Generator:
    """The generator of a run or model folder, or of diffusers' folder of a UNet2DModel or its pipeline; of a
    run of `phosphene.adapt`, its model with the adapter.

    ema: the length of an average of the weights; None takes the one that was trained to be shipped.
    precision: of products and convolutions, auto, fp32, bf16 or fp16; sums and solvers are float32 always.
    best: of a run, the model that measured best in training instead of the last one.
    text: where the text encoder is now that the model was trained with, if it has moved.
    adapters: of the model, each with how much of it, {"runs/ink": 1, "runs/snow": 0.5}; they add up. One that
    was learned on other weights of the same shape is warned of.
    Raises ValueError for what is not one, or is damaged, and for a length that it does not hold.
    """
    if (root := cascade.find(place)) is not None:
        if ema is not None or best or adapters:
            raise ValueError(
                f"{root}: of a cascade's stages one set of weights; leave ema, best, adapters out"
            )
        stages = cascade.read(root).stages
        base, *further = (
            Generator.load(folder, device, None, precision, text=text)
            for folder in cascade.folders(root, len(stages))
        )
        own = (base.model, base.folder, base.device, base.wanted, base.text)
        return Cascade(*own, root=root, further=tuple(further), stages=stages)
    return Generator.load(place, device, ema, precision, best, text, adapters)


def fresh_folder(generator: Generator, made: Sampled) -> Path:
    """A folder for samples beside the model that does not exist yet: samples/seed-0, seed-0-2, ..."""
    if isinstance(generator, Cascade):
        home = generator.root
    else:
        home = generator.folder.parent if generator.folder.name in ("model", BEST) else Path()
    return files.fresh(home / "samples" / f"seed-{made.settings[0]['seed']}")
