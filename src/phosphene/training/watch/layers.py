"""Layers that a gradient no longer reaches, and units that no longer answer.

Residual branches begin at zero and what lies behind them learns only when they have grown: nothing is said
before the warm-up is over and LOOKS looks (of probe.EVERY steps) agree, nor where the learning rate is too
low for that.
"""

from phosphene.training.watch.finding import Said
from phosphene.training.watch.history import History, middle
from phosphene.training.watch.observation import About
from phosphene.training.watch.probe import EVERY, FAINT, MANY
from phosphene.training.watch.rate import too_low

LOOKS = 4
GONE = 1e-4  # of its usual norm: losses fall by tens or hundreds in a run, and gradients with their root


def vanishing(history: History, about: About) -> Said | None:
    """Matrices whose gradient is below AdamW's eps, or a gradient that is as good as gone."""
    lost = _always(history, about, "vanished") if about.captions else []
    usual, now = middle(b.gradient for b in history.blocks), middle(s.gradient for s in history.last(8))
    gone = len(history.blocks) > 1 and now <= GONE * usual
    if not (lost or gone) or too_low(history, about):
        return None
    if lost:
        what = f"no gradient above {FAINT:g} reaches {_names(lost)} of {history.layers[-1].matrices} matrices"
    else:
        what = f"the norm of the gradient fell from {usual:.3g} to {now:.3g}"
    return Said(
        what,
        "look for saturated or detached layers there; if the recipe is your own: residual branches, "
        "norms and --set training.weight_decay=0",
    )


def dead_units(history: History, about: About) -> Said | None:
    """Layers a tenth or more of whose units have no gradient."""
    dead = _always(history, about, "dead")
    if not dead:
        return None
    return Said(
        f"at least {MANY:.0%} of the units in {_names(dead)} get no gradient any more",
        "try a lower --set training.learning_rate, or an activation that is not flat (silu)",
    )


def _always(history: History, about: About, field: str) -> list[str]:
    """The names that stood in all of the last looks."""
    looks = list(history.layers)[-LOOKS:]
    if len(looks) < LOOKS or history.step < about.warmup + LOOKS * EVERY:
        return []
    first, *others = (getattr(look, field) for look in looks)
    return [name for name in first if all(name in other for other in others)]


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
