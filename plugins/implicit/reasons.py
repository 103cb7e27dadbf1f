"""Why a product is recommended, in words, and what products are called."""

import numpy as np
import pyarrow as pa
from stagewright import Error

from tables import Identifiers, column, is_text


def names(tables, products, product, name):
    """The text for each product: its name (of several the first in the order of the alphabet), or its identifier."""
    texts = [f"product {value}" for value in products.values.to_pylist()]
    if "products" not in tables:
        return texts
    values = column(tables, "products", name)
    if not is_text(values.type):
        raise Error(
            f"column `{name}` of `products` is {values.type}, text is needed",
            help="name the column with the products' names in `name`",
        )
    # The types must be the same; products that nobody bought need no code.
    Identifiers({port: tables[port].slice(0, 0) for port in ("purchases", "products")}, ["purchases", "products"], product)
    known = pa.table({"code": products.codes(tables, "products"), "name": values}).drop_null()
    first = known.group_by("code").aggregate([("name", "min")])
    for code, text in zip(first["code"].to_pylist(), first["name_min"].to_pylist()):
        texts[code] = text
    return texts


def most_alike(vectors, listed, own):
    """For each of the products `listed`, which of the products `own` is most alike it by the cosine; -1 where there is
    no other."""
    if len(own) == 0:
        return np.full(len(listed), -1)
    cosines = vectors[listed] @ vectors[own].T
    cosines[listed[:, None] == own[None, :]] = -np.inf
    best = cosines.argmax(axis=1)
    return np.where(cosines[np.arange(len(listed)), best] == -np.inf, -1, own[best])


def text(other, texts):
    return "popular" if other < 0 else f"often bought with {texts[other]}"
