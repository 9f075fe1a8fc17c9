#!/usr/bin/env bash
# The recordings that the tests use: four demonstrations, as DROID folders and as bags.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

vjepa-ros episodes collect --task reach --episodes 1 --seed 40 --out "$work/npz/reach"
vjepa-ros episodes collect --task grasp --episodes 2 --seed 61 --out "$work/npz/grasp"
vjepa-ros episodes collect --task pick_place --episodes 1 --seed 42 --out "$work/npz/pick_place"

rm -rf droid bags
vjepa-ros episodes convert "$work/npz" droid --to droid
vjepa-ros episodes convert "$work/npz" bags --to bag --images jpeg
vjepa-ros episodes check droid bags
du -sh droid bags
