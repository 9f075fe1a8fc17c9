"""Make the light Franka Panda that vjepa_sim ships, from the one that pybullet_data brings.

    python sim/scripts/make_panda.py

Each link's visual mesh (100,000 faces in all) is split by colour and simplified by vertex
clustering with quadric error (Lindstrom 2000): the vertices in one grid cell become the one
point closest to all the planes that met there. Collision meshes become convex hulls, the
fingers two boxes each: a flat pad and the part that carries it. The fingers get coloured
sleeves, for the eye only, because black ones hardly change the picture when they close.
The arm keeps a tenth of its mass: the real one carries its own weight, so that the torque
limits of the motors are about what it pushes with.
"""

import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pybullet_data
from scipy.spatial import ConvexHull

from vjepa_sim.meshes import Mesh, write_obj

SOURCE = Path(pybullet_data.getDataPath()) / "franka_panda"
TARGET = Path(__file__).resolve().parents[1] / "vjepa_sim" / "assets" / "panda"

# Grid cell per link in metres: small parts near the gripper fill the picture, the base does not.
CELLS = {
    "link0": 0.012,
    "link1": 0.020,
    "link2": 0.020,
    "link3": 0.018,
    "link4": 0.018,
    "link5": 0.018,
    "link6": 0.015,
    "link7": 0.008,
    "hand": 0.010,
    "finger": 0.006,
}
COLLISION_ONLY = ("link0", "link7")  # pybullet_data has no visual mesh for these
CREASE = np.radians(45)  # edges sharper than this stay sharp in the shading

# The source's materials come down to these; its other colours are specks of a millimetre.
COLOURS = {
    "white": (0.93, 0.94, 0.95),
    "dark": (0.23, 0.24, 0.26),
    "blue": (0.04, 0.44, 0.68),
}
CARRIED = 0.1  # share of the arm's mass that its motors feel
SLEEVE = (0.98, 0.42, 0.04)


@dataclass(frozen=True)
class Shape:
    """A mesh without normals."""

    vertices: np.ndarray  # [V, 3] metres
    faces: np.ndarray  # [F, 3] indices


def read_by_colour(path: Path) -> dict[str, Shape]:
    """The parts of an OBJ file, one mesh per colour of ours."""
    materials = path.with_suffix(".mtl")
    diffuse = _read_diffuse(materials) if materials.exists() else {}
    vertices: list[list[float]] = []
    faces: dict[str, list[list[int]]] = {}
    colour = "white"
    for line in path.read_text().splitlines():
        match line.split():
            case ["v", *xyz]:
                vertices.append([float(value) for value in xyz[:3]])
            case ["usemtl", name]:
                colour = _nearest_colour(diffuse.get(name, np.ones(3)))
            case ["f", *corners]:
                indices = [int(corner.split("/")[0]) - 1 for corner in corners]
                fan = pairwise(indices[1:])
                faces.setdefault(colour, []).extend([indices[0], b, c] for b, c in fan)
    return {
        colour: _without_unused(np.array(vertices), np.array(corners))
        for colour, corners in faces.items()
    }


def _read_diffuse(path: Path) -> dict[str, np.ndarray]:
    diffuse: dict[str, np.ndarray] = {}
    for line in path.read_text().splitlines():
        match line.split():
            case ["newmtl", name]:
                current = name
            case ["Kd", *rgb]:
                diffuse[current] = np.array(rgb, float)
    return diffuse


def _nearest_colour(rgb: np.ndarray) -> str:
    return min(COLOURS, key=lambda name: np.abs(rgb - COLOURS[name]).sum())


def _without_unused(vertices: np.ndarray, faces: np.ndarray) -> Shape:
    used, renumbered = np.unique(faces, return_inverse=True)
    return Shape(vertices[used], renumbered.reshape(-1, 3))


def simplify(mesh: Shape, cell: float) -> Shape:
    """One vertex per occupied grid cell, placed where the quadric error is least."""
    grid = np.floor((mesh.vertices - mesh.vertices.min(0)) / cell + 0.5).astype(int)
    _, cluster = np.unique(grid, axis=0, return_inverse=True)
    cluster = cluster.ravel()
    count = cluster.max() + 1

    # Every face adds its plane n·x = d, weighted by area, to the clusters of its corners.
    corners = mesh.vertices[mesh.faces]  # [F, 3, 3]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1, keepdims=True)
    normal = cross / np.maximum(area, 1e-12)
    distance = (normal * corners[:, 0]).sum(1, keepdims=True)
    A, b = np.zeros((count, 3, 3)), np.zeros((count, 3))
    for corner in range(3):
        index = cluster[mesh.faces[:, corner]]
        np.add.at(A, index, area[:, :, None] * normal[:, :, None] * normal[:, None, :])
        np.add.at(b, index, area * distance * normal)

    centre = np.stack([np.bincount(cluster, mesh.vertices[:, i], count) for i in range(3)], 1)
    centre /= np.bincount(cluster, minlength=count)[:, None]
    # Flat or straight neighbourhoods leave directions open: those stay at the centre.
    solve = np.linalg.pinv(A, rcond=0.05, hermitian=True)
    step = np.einsum("cij,cj->ci", solve, b - np.einsum("cij,cj->ci", A, centre))
    step *= np.minimum(1, cell / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-12))

    faces = cluster[mesh.faces]
    distinct = (
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    )
    faces = faces[distinct]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return _without_unused(centre + step, faces[np.sort(first)])


def shaded(shape: Shape) -> Mesh:
    """With normals that are smooth over the surface and broken at creases."""
    corners = shape.vertices[shape.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-12)
    around: list[list[int]] = [[] for _ in shape.vertices]
    for face, indices in enumerate(shape.faces):
        for index in indices:
            around[index].append(face)
    normals = np.empty((len(shape.faces), 3, 3))
    for face, indices in enumerate(shape.faces):
        for corner, index in enumerate(indices):
            neighbours = np.array(around[index])
            smooth = neighbours[unit[neighbours] @ unit[face] > np.cos(CREASE)]
            total = cross[smooth].sum(0) if len(smooth) else cross[face]
            normals[face, corner] = total / max(np.linalg.norm(total), 1e-12)
    # Corners that share point and normal become one vertex.
    points = np.concatenate((np.round(corners, 4), np.round(normals, 2)), -1).reshape(-1, 6)
    table, index = np.unique(points, axis=0, return_inverse=True)
    return Mesh(table[:, :3], index.reshape(-1, 3), table[:, 3:])


def convex_hull(vertices: np.ndarray) -> Shape:
    hull = ConvexHull(vertices)
    faces = hull.simplices.copy()
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = (cross * hull.equations[:, :3]).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return _without_unused(vertices, faces)


# --- the robot description -----------------------------------------------------------------


def write_urdf(visuals: dict[str, dict[str, Shape]]) -> None:
    tree = ET.parse(SOURCE / "panda.urdf")
    root = tree.getroot()
    for link in root.findall("link"):
        name = link.get("name", "").removeprefix("panda_")
        source = "finger" if name.endswith("finger") else name
        if name.startswith("link"):
            mass = link.find("inertial/mass")
            mass.set("value", f"{CARRIED * float(mass.get('value')):g}")
        turn = "3.14159265359" if name == "rightfinger" else "0"
        for old in (*link.findall("visual"), *link.findall("collision")):
            link.remove(old)
        for colour in visuals.get(source, {}):
            visual = _shape(link, "visual", "0 0 0", turn, f"{source}_{colour}.obj")
            _paint(visual, colour, COLOURS[colour])
        if source == "finger":
            side = 1 if turn == "0" else -1
            sleeve = _box(link, "visual", (0, 0.0078 * side, 0.0335), (0.0220, 0.0168, 0.0410))
            _paint(sleeve, "sleeve", SLEEVE)
            _box(link, "collision", (0, 0.0065 * side, 0.0450), (0.0178, 0.0130, 0.0178))
            _box(link, "collision", (0, 0.0175 * side, 0.0180), (0.0200, 0.0150, 0.0360))
        elif source in visuals:
            _shape(link, "collision", "0 0 0", "0", f"{source}_hull.obj")
    for unused in root.iter("joint"):
        for entry in unused.findall("safety_controller") + unused.findall("mimic"):
            unused.remove(entry)
    ET.indent(tree)
    tree.write(TARGET / "panda.urdf", encoding="unicode", xml_declaration=True)


def _shape(link: ET.Element, kind: str, xyz: str, yaw: str, filename: str) -> ET.Element:
    shape = ET.SubElement(link, kind)
    ET.SubElement(shape, "origin", rpy=f"0 0 {yaw}", xyz=xyz)
    ET.SubElement(ET.SubElement(shape, "geometry"), "mesh", filename=filename)
    return shape


def _box(link: ET.Element, kind: str, centre: tuple, size: tuple) -> ET.Element:
    shape = ET.SubElement(link, kind)
    ET.SubElement(shape, "origin", rpy="0 0 0", xyz=" ".join(f"{value:g}" for value in centre))
    dimensions = " ".join(f"{value:g}" for value in size)
    ET.SubElement(ET.SubElement(shape, "geometry"), "box", size=dimensions)
    return shape


def _paint(visual: ET.Element, name: str, rgb: tuple) -> None:
    material = ET.SubElement(visual, "material", name=name)
    ET.SubElement(material, "color", rgba=" ".join(f"{value:g}" for value in (*rgb, 1)))


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    visuals: dict[str, dict[str, Shape]] = {}
    for link, cell in CELLS.items():
        folder = "collision" if link in COLLISION_ONLY else "visual"
        parts = read_by_colour(SOURCE / "meshes" / folder / f"{link}.obj")
        simple = {colour: simplify(part, cell) for colour, part in parts.items()}
        visuals[link] = {colour: part for colour, part in simple.items() if len(part.faces)}

    for link, parts in visuals.items():
        for colour, part in parts.items():
            write_obj(TARGET / f"{link}_{colour}.obj", shaded(part))
        faces = {colour: len(part.faces) for colour, part in parts.items()}
        print(f"{link:8} {faces}")
        if link != "finger":
            hull = convex_hull(np.concatenate([part.vertices for part in parts.values()]))
            write_obj(TARGET / f"{link}_hull.obj", shaded(hull))
    write_urdf(visuals)
    shutil.copy(SOURCE / "LICENSE.txt", TARGET / "LICENSE")
    total = sum(len(part.faces) for parts in visuals.values() for part in parts.values())
    size = sum(path.stat().st_size for path in TARGET.iterdir())
    print(f"{total} faces, {size / 1024:.0f} KiB in {TARGET.name}/")


if __name__ == "__main__":
    main()
