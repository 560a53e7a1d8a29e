"""A round's recipe: a template in the recipe language, and the recipe that it becomes for a roster. Without torch.

Rules:

1. ``base`` is the round's base: it is the ``base_model``, may stand among the models, and gives the tokenizer if any
   model does.
2. ``contributions/DOMAIN`` stands for the roster's contributions of that domain, ``contributions`` for all that no such
   entry covers. Each gets the entry's parameters and, as ``id``, its own id: random masks follow the contribution,
   wherever it stands. Nothing else of this or another machine is named.
3. The base comes first if it is listed, then the contributions in ascending order of id, whichever entry covers them.
   So the order in which a roster is given means nothing, and a roster without one contribution becomes the recipe
   without its entry.
4. The round gives the seed.
5. A contribution that no entry covers is an error. An entry may cover none.
"""

from node.recipes.roster import Member, expand
from node.recipes.template import DEFAULT_TEMPLATE, Template, check_template

__all__ = ["DEFAULT_TEMPLATE", "Member", "Template", "check_template", "expand"]
