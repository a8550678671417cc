#!/bin/sh
# The README's pictures of what models that come with phosphene do, made by the commands that stand beside them:
# `make pictures`. Needs the extra `text`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

phosphene sample faces --prompt "A cartoon smiling person with curly red hair and round glasses." -n 8 --out smiling
phosphene sample shapes --prompt "a red circle left of a blue star" -n 8 --out circle
phosphene sample emoji -n 8 --prompt "detective: medium-light skin tone" --prompt "man guard: dark skin tone" \
    --prompt "man health worker: medium-light skin tone" --prompt "merman: dark skin tone" --out emoji
phosphene grid faces --prompt "a {smiling,sad} person with {red,black} hair" --seed 5 --out grid
phosphene interpolate faces --seeds 0,7 -n 8 --prompt "a person with blonde hair" \
    --prompt "a person with a beard" --out between
phosphene edit faces --image smiling/seed0-000000.png --prompt "A cartoon person with a black bun and closed eyes." \
    --strength 0.9 -n 4 --out edited
phosphene edit shapes-editing --image "$here/scene.png" -n 3 --prompt "make the circle blue" \
    --prompt "move the red circle to the bottom left corner" --prompt "remove the cross" --out told
phosphene edit faces-editing --image smiling/seed0-000000.png -n 3 --prompt "make the hair pink" \
    --prompt "put sunglasses on the person" --prompt "give the person a moustache" --out instructed
phosphene inpaint faces-inpainting --image smiling/seed0-000001.png --mask "$here/mask.png" -n 4 --out whole
phosphene inpaint faces --image smiling/seed0-000000.png --mask "$here/mask.png" \
    --prompt "A cartoon person wearing sunglasses." -n 4 --out inpainted
phosphene restore faces --image smiling/seed0-000000.png --what colouring -n 4 --out coloured
phosphene upscale superres --image "$here/small.png" --out larger
phosphene inpaint photos-inpainting --image "$here/photo.png" --mask "$here/photo-mask.png" --crop 16 -n 4 --out mended
python - "$here/photo.png" <<'SPOILT'
import sys

import numpy as np
from PIL import Image, ImageFilter

photo = Image.open(sys.argv[1]).convert("RGB")
noise = np.random.default_rng(0).normal(0, 38, (photo.height, photo.width, 3))
Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8)).save("noisy.png")
photo.filter(ImageFilter.GaussianBlur(1.5)).save("blurred.png")
photo.convert("L").save("grey.png")
SPOILT
phosphene restore photos-denoising --image noisy.png --out cleaned
phosphene restore photos-deblurring --image blurred.png --out sharpened
phosphene restore photos-colouring --image grey.png -n 3 --out tinted
phosphene cascade faces faces-to-128 faces-to-256 --out both
phosphene sample both --prompt "a person with blonde hair and round glasses" -n 2 --out cascade
phosphene data shapes --count 400 --seed 1 --out scenes --quiet
phosphene search scenes/train "a green star" --clip shapes-clip -n 8 --out "$here/found.png.new"
mv "$here/found.png.new" "$here/found.png"

# A handful of pictures of the user's own, with captions.
phosphene sample faces -n 16 --prompt "A cartoon person." --seed 9 --out plain
mkdir sepia
python - <<'SEPIA'
from pathlib import Path
from PIL import Image, ImageOps

for path in Path("plain").glob("seed*.png"):
    grey = ImageOps.grayscale(Image.open(path))
    ImageOps.colorize(grey, "#2b1608", "#fff1d8", "#a9743f").save(Path("sepia") / path.name)
    (Path("sepia") / path.name).with_suffix(".txt").write_text("A sepia portrait of a person.")
SEPIA
phosphene adapt faces sepia --out old --budget 2m
phosphene sample faces --adapter old -n 8 --prompt "A sepia portrait of a person with glasses." --out adapted

for name in smiling circle emoji grid between edited told instructed whole inpainted mended cleaned sharpened tinted coloured larger cascade adapted
do
    cp "$name/sheet.png" "$here/$name.png"
done
