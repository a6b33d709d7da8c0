"""All places. What is listed first is what most people have."""

from __future__ import annotations

from tests.places import docker, here, machine, namespace, nested, pod, user
from tests.places.place import Place

PLACES: tuple[Place, ...] = (
    *here.PLACES, *user.PLACES, *namespace.PLACES, *pod.PLACES, *docker.PLACES, *nested.PLACES, *machine.PLACES,
)  # fmt: skip
BY_NAME = {place.name: place for place in PLACES}
