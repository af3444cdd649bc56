"""A task's MuJoCo model without the parts that are only visible."""

from __future__ import annotations

import mujoco


def without_visual_meshes(path: str) -> mujoco.MjModel:
    """Return the model of an XML file without its nameless meshes that nothing can touch.

    The arm's shells are most of a model: MuJoCo prepares 130,000 boxes around their triangles, and clears a flag of
    each in every forward pass. Bodies have explicit masses, so the physics does not change; pictures do.
    """
    spec = mujoco.MjSpec.from_file(path)
    for geom in list(spec.geoms):
        if geom.type == mujoco.mjtGeom.mjGEOM_MESH and not (geom.name or geom.contype or geom.conaffinity):
            geom.delete()
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            mesh.delete()
    return spec.compile()
