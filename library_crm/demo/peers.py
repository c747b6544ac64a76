"""Other libraries, all of them invented, for the demo library to be compared with."""

import random

_BEGINNINGS = (
    "Alder Brook Cedar Dun Elm Fern Glen Hazel Iron Juniper Larch Maple".split()
)
_ENDINGS = "ford mere ton wick bridge".split()
_REGIONS = ("North Bank", "South Bank", "Delta")
#: How many libraries serve how many people.
_SIZES = (
    (26, 1_200, 4_900),
    (14, 5_000, 9_900),
    (12, 10_000, 19_900),
    (8, 20_000, 90_000),
)
# Of a year, for each person: about how much, and by how much libraries differ.
_PER_PERSON = {
    "measure:visits": (12.0, 0.3),
    "measure:loans": (6.5, 0.4),
    "measure:attendances": (0.4, 0.5),
    "measure:cost": (24.0, 0.3),
    "measure:active_users": (0.09, 0.3),
}
# What one library in twelve does not report.
_GAPS = 12


def make_peers(seed, growth):
    """Values as ``formats.peers.Peers`` gives them.

    :param int seed: the same one makes the same libraries
    :param float growth: by which factor more is done than in the first year
    """
    chance = random.Random(seed)
    names = [f"{start}{end}" for start in _BEGINNINGS for end in _ENDINGS]
    chance.shuffle(names)
    sizes = [
        chance.randint(fewest, most)
        for number, fewest, most in _SIZES
        for __ in range(number)
    ]
    return [
        {
            "ref": f"R{place:03}",
            "name": f"{name} Library (invented)",
            "region": chance.choice(_REGIONS),
            "population": population,
            "figures": {
                figure: round(amount * population)
                for figure, (mean, spread) in _PER_PERSON.items()
                if (amount := growth * mean * chance.lognormvariate(0, spread))
                and chance.randrange(_GAPS)
            },
        }
        for place, (name, population) in enumerate(zip(names, sizes, strict=True), 1)
    ]
