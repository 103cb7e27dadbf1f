"""What the plugin says of its stage type: the parameters of `recommend.als`, with their names, defaults and limits."""

SUMMARY = "Recommend by matrix factorisation of who bought what (the Python package `implicit`)."

DETAILS = (
    "Takes what `recommend.als` takes and gives what that gives, so that a variant can swap one for the other: users and "
    "products become vectors of `factors` numbers whose dot product is the score. What was bought in r rows has confidence "
    "1 + `alpha` × r, everything else 1: the package is given that number, for its own `alpha` means confidence `alpha` × "
    "r. It works in float32, starts from numbers between 0 and 0.01, and improves vectors by conjugate gradients. Equal "
    "inputs and seeds give equal bytes with the same versions of the packages on the same kind of processor. Users without "
    "purchases get nothing. Rows without a user or a product are left out, with a warning."
)

EXAMPLE = """\
inputs: { purchases: train }
with: { n: 10, factors: 64, regularization: 0.1, alpha: 1.0, iterations: 15 }
"""

PORTS = [
    {
        "name": "purchases",
        "direction": "input",
        "kind": "table",
        "doc": "One row per purchase: the user and product columns.",
        "example": {
            "user_id": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6],
            "product_id": [10, 11, 10, 12, 11, 12, 20, 21, 20, 22, 21, 22],
        },
    },
    {
        "name": "users",
        "direction": "input",
        "kind": "table",
        "optional": True,
        "doc": "Who gets recommendations: a table with the user column. Every user of `purchases` where it is left out.",
    },
    {
        "name": "products",
        "direction": "input",
        "kind": "table",
        "optional": True,
        "doc": "The products' names, for the reasons: a table with the product and name columns.",
        "example": {"product_id": [10, 11, 20], "name": ["Bread", "Butter", "Tea"]},
    },
    {
        "name": "table",
        "direction": "output",
        "kind": "table",
        "doc": "One row per user and recommended product, sorted by user, then rank: the user and product columns as in "
        "`purchases`, `rank` (int64, from 1), `score` (float64): the dot product of the vectors; and `reason` (text): the "
        "user's product whose vector is most alike. Equal scores rank by product, ascending.",
    },
]


def _integer(doc, default, maximum=None):
    limit = {} if maximum is None else {"maximum": maximum}
    return {"type": "integer", "description": doc, "default": default, "minimum": 1, **limit}


def _text(doc, default):
    return {"type": "string", "description": doc, "default": default}


PARAMS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "n": _integer("How many products to recommend to each user, at most.", 10),
        "factors": _integer("The length of the vectors.", 64, 1024),
        "regularization": {
            "type": "number",
            "description": "What keeps the vectors short, above 0.",
            "default": 0.1,
            "exclusiveMinimum": 0,
        },
        "alpha": {
            "type": "number",
            "description": "How much confidence a purchase adds, 0 or more.",
            "default": 1.0,
            "minimum": 0,
        },
        "iterations": _integer("How often users and products are improved.", 15),
        "cg_steps": _integer("How many steps of conjugate gradients improve a vector.", 3),
        "exclude_purchased": {
            "type": "boolean",
            "description": "Whether to leave out what a user has already bought.",
            "default": False,
        },
        "user": _text("The column that tells users apart (integers or text).", "user_id"),
        "product": _text("The column that tells products apart (integers or text).", "product_id"),
        "name": _text("The column of the input `products` with their names (text).", "name"),
    },
}

ALS = {
    "name": "implicit.als",
    "summary": SUMMARY,
    "details": DETAILS,
    "ports": PORTS,
    "params": PARAMS,
    "example": EXAMPLE,
    "seeded": True,
}

MANIFEST = {"name": "implicit", "version": "1.0.0", "stages": [ALS]}
