"""What was decided and what was done, side by side."""

from steadyrun.model.action import Action


def acts_of(decisions):
    """Return (number of the reading, action, cause) of decisions or `Acted`, of a repeated kill the first."""
    acts = [(d.seq, d.action, d.cause) for d in decisions if d.action is not Action.FINISH]
    killed = [i for i, (_, action, _) in enumerate(acts) if action is Action.KILL]
    return [act for i, act in enumerate(acts) if i not in killed[1:]]
