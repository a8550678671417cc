"""What a run took: time, energy, money. Energy and money are estimates, and say what they assume.

    energy = power x time,     cost = energy x price of a kWh + hours x price of an hour

Power: as given; or as RAPL counts it on this machine while the model is asked; or a usual value of the
device.
"""

import time
from pathlib import Path
from typing import NamedTuple

RAPL = Path("/sys/class/powercap")
USUAL = {"cpu": 65.0, "cuda": 400.0}
"""Watts under load: of a processor of a desktop, and of a large GPU with what feeds it."""


class Prices(NamedTuple):
    """watts: of the machine under load, None to find out. kwh: price of a kilowatt-hour; hour: of the
    machine's hour; currency: a word for both."""

    watts: float | None = None
    kwh: float = 0.30
    hour: float = 0.0
    currency: str = "EUR"


class Power(NamedTuple):
    """Watts, and how they are known."""

    watts: float
    why: str


class Cost(NamedTuple):
    """Hours, kilowatt-hours, money; and the assumptions in words."""

    hours: float
    kwh: float
    money: float
    words: str


def cost(seconds: float, power: Power, prices: Prices) -> Cost:
    """Of so many seconds."""
    hours = seconds / 3600
    kwh = hours * power.watts / 1000
    words = (
        f"assumes {power.watts:.0f} W ({power.why}), {prices.kwh:g} {prices.currency} a kWh "
        f"and {prices.hour:g} {prices.currency} an hour of the machine; "
        "--watts, --price-kwh and --price-hour change them"
    )
    return Cost(hours, kwh, kwh * prices.kwh + hours * prices.hour, words)


def counters(root: Path = RAPL) -> tuple[Path, ...]:
    """The energy counters of whole processors that may be read."""
    readable = []
    for place in sorted(root.glob("*-rapl:[0-9]")):
        try:
            (place / "energy_uj").read_text()
        except OSError:
            continue
        readable.append(place)
    return tuple(readable)


class Meter:
    """Counts energy from when it is made until it is asked."""

    def __init__(self, root: Path = RAPL) -> None:
        self.places = counters(root)
        self.begun, self.counted = time.perf_counter(), self._joules()

    def watts(self) -> float | None:
        """The mean power since; None where nothing can be read or a counter has begun anew."""
        spent, joules = time.perf_counter() - self.begun, self._joules()
        if not self.places or spent <= 0 or joules <= self.counted:
            return None
        return (joules - self.counted) / spent

    def _joules(self) -> float:
        return sum(int((place / "energy_uj").read_text()) for place in self.places) / 1e6


def power(prices: Prices, device: str, measured: float | None) -> Power:
    """What is assumed of a machine: as given, as measured, or usual."""
    if prices.watts is not None:
        return Power(prices.watts, "as given")
    if measured is not None:
        return Power(measured, "by RAPL on this machine, while the pictures of this report were made")
    return Power(USUAL.get(device, USUAL["cpu"]), f"a usual value of a {device} under load")
