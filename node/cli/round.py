"""``umm round``: everything about rounds but contributing and pulling."""

from node.cli.verbs import Verbs

command = Verbs(
    "round",
    "node.cli.rounds",
    {
        "Look": {
            "list": "The rounds that this node follows.",
            "show": "All about one round.",
            "watch": "See a round happen.",
        },
        "Take part": {
            "can-join": "Would you be admitted, and if not, why.",
            "join": "Follow a round from now on.",
            "leave": "Follow it no longer.",
            "withdraw": "Take a contribution back.",
        },
        "Lead": {
            "create": "Open a round.",
            "revise": "Merge anew without what was withdrawn.",
        },
    },
    help="Open rounds, look at them, take part in them. A round is named by its id or the beginning of it.",
)
