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
phosphene grid faces --prompt "a {smiling,sad} person with {red,black} hair" --seed 5 --out grid
phosphene interpolate faces --seeds 0,7 -n 8 --prompt "a person with blonde hair" \
    --prompt "a person with a beard" --out between
phosphene edit faces --image smiling/seed0-000000.png --prompt "A cartoon person with a black bun and closed eyes." \
    --strength 0.9 -n 4 --out edited
phosphene edit shapes-editing --image "$here/scene.png" -n 3 --prompt "make the red circle blue" \
    --prompt "move the red circle to the bottom left corner" --prompt "remove the yellow cross" --out told
phosphene inpaint faces-inpainting --image smiling/seed0-000001.png --mask "$here/mask.png" -n 4 --out whole
phosphene inpaint faces --image smiling/seed0-000000.png --mask "$here/mask.png" \
    --prompt "A cartoon person wearing sunglasses." -n 4 --out inpainted
phosphene restore faces --image smiling/seed0-000000.png --what colouring -n 4 --out coloured
phosphene upscale superres --image "$here/small.png" --out larger
phosphene cascade faces superres --out both
phosphene sample both --prompt "a person with blonde hair and glasses" -n 2 --out cascade

for name in smiling circle grid between edited told whole inpainted coloured larger cascade; do
    cp "$name/sheet.png" "$here/$name.png"
done
