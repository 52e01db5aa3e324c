"""The attacks in a line each, for --help on machines without PyTorch."""

LINES = {
    "fgsm": "gradient sign, one step (Linf, L2)",
    "pgd": "projected gradient descent with restarts (Linf, L2)",
    "apgd-ce": "PGD that sets its own step size, cross-entropy (Linf, L2)",
    "apgd-dlr": "the same on the difference of logits ratio (Linf, L2)",
    "apgd-t": "the same towards the nearest wrong classes (Linf, L2)",
    "fab-t": "nearest point of linearised boundaries, towards classes (Linf, L2)",
    "square": "random squares, queries scores (Linf, L2)",
    "autoattack": "APGD-CE, APGD-T, FAB-T and Square, one after the other (Linf, L2)",
    "deepfool": "nearest linearised boundary, step by step (L2)",
    "jsma": "the few elements that matter most, by the saliency map (L0)",
    "cw-l2": "Carlini and Wagner, least L2",
    "cw-linf": "Carlini and Wagner, least Linf",
    "ead": "elastic net, least L1",
    "zoo": "Carlini and Wagner by one-code differences, queries scores (L2)",
    "boundary": "a walk along the boundary, queries decisions (L2)",
    "geoda": "the boundary's normal from random probes, queries decisions (L2)",
    "hopskipjump": "gradient estimates at the boundary, queries decisions (L2, Linf)",
    "diva": "fool this integer network and not the float source (Linf)",
}


def listing() -> str:
    """The help's list of attacks."""
    return "\n".join(f"  {name:<12} {line}" for name, line in LINES.items())
