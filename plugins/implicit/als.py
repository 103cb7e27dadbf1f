"""`implicit.als`: what `recommend.als` does, by the package `implicit`."""

import implicit.cpu.als
import numpy as np
import pyarrow as pa
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix
from stagewright import Cancelled, Error

from reasons import most_alike, names, text
from tables import PERSONAL, Identifiers, is_personal

# The package looks into /proc/self, which is closed to a plugin, to warn of a BLAS with several threads. It has one, as
# plugin.py says.
implicit.cpu.als.check_blas_config = lambda: None

#: Columns of the output besides those of users and products.
OTHERS = ("rank", "score", "reason")


def als(inputs, params, context):
    user, product = params["user"], params["product"]
    check(user, product)
    users = Identifiers(inputs, ["purchases"] + (["users"] if "users" in inputs else []), user)
    products = Identifiers(inputs, ["purchases"], product)
    texts = names(inputs, products, product, params["name"])
    bought = counts(inputs, users, products, params, context)
    targets = wanted(inputs, users, bought, context)
    if len(targets) == 0:
        return {"table": table(inputs, users, products, params, [], [], [], [], [])}
    model = fitted(bought, params, context)
    vectors = unit(model.item_factors)
    rows, listed, ranks, scores, reasons = [], [], [], [], []
    for target, (found, score) in zip(targets, recommended(model, bought, targets, params)):
        own = bought.indices[bought.indptr[target] : bought.indptr[target + 1]]
        rows.append(np.full(len(found), target))
        listed.append(found)
        ranks.append(np.arange(1, len(found) + 1))
        scores.append(score)
        reasons.extend(text(other, texts) for other in most_alike(vectors, found, own))
    lists = [np.concatenate(parts) for parts in (rows, listed, ranks, scores)]
    return {"table": table(inputs, users, products, params, *lists, reasons)}


def check(user, product):
    """The columns of the output have different names."""
    for name in (user, product):
        if name in OTHERS:
            raise Error(
                f"`{name}` is the name of another column of the output", help="rename the column first, with `clean.rename`"
            )
    if user == product:
        raise Error(f"`{product}` is the user column, too", help="name the column that holds the products in `product`")


def counts(inputs, users, products, params, context):
    """How often each user bought each product."""
    rows = pa.table({"user": users.codes(inputs, "purchases"), "product": products.codes(inputs, "purchases")})
    whole = rows.drop_null()
    if len(whole) < len(rows):
        context.log(
            f"{len(rows) - len(whole)} of {len(rows)} purchases are left out: a value is missing in one of"
            f" `{params['user']}`, `{params['product']}`",
            "warning",
        )
    ones = np.ones(len(whole), dtype=np.float32)
    matrix = csr_matrix(
        (ones, (whole["user"].to_numpy(), whole["product"].to_numpy())), shape=(len(users), len(products))
    )
    matrix.sum_duplicates()
    return matrix


def wanted(inputs, users, bought, context):
    """The codes of those who get a list, ascending."""
    if "users" in inputs:
        codes = np.unique(users.codes(inputs, "users").drop_null().to_numpy())
    else:
        codes = np.arange(len(users))
    targets = codes[np.diff(bought.indptr)[codes] > 0]
    if len(targets) < len(codes):
        context.log(
            f"{len(codes) - len(targets)} of {len(codes)} users get no recommendations: they have no purchases to go by",
            "warning",
        )
    return targets


def fitted(bought, params, context):
    """The model. The package takes the entries of the matrix as confidences, where ours are 1 + alpha × count."""
    confidences = bought.copy()
    confidences.data = np.float32(1.0) + np.float32(params["alpha"]) * confidences.data
    model = implicit.cpu.als.AlternatingLeastSquares(
        factors=params["factors"],
        regularization=params["regularization"],
        alpha=1.0,
        iterations=params["iterations"],
        random_state=context.seed,
        num_threads=0,
    )
    model.cg_steps = params["cg_steps"]

    def improved(iteration, _elapsed, _loss):
        context.progress(iteration + 1, params["iterations"])
        if context.cancelled:
            raise Cancelled

    try:
        model.fit(confidences, show_progress=False, callback=improved)
    except ModelFitError:
        raise Error(
            "the factorisation diverged", help="choose a smaller `alpha` or a larger `regularization`"
        ) from None
    return model


def recommended(model, bought, targets, params):
    """The products and scores of each target's list, best first; of equal scores the smaller product first."""
    found, scores = model.recommend(
        targets,
        bought[targets],
        N=min(params["n"], bought.shape[1]),
        filter_already_liked_items=params["exclude_purchased"],
    )
    # Where too few products are left, the package fills the list with those it was to leave out.
    lowest = np.finfo(scores.dtype).min
    for listed, score in zip(found, scores):
        listed, score = listed[score > lowest], score[score > lowest]
        order = np.lexsort((listed, -score))
        yield listed[order], score[order]


def unit(vectors):
    """The vectors at length 1; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def table(inputs, users, products, params, rows, listed, ranks, scores, reasons):
    """The output."""
    user, product = params["user"], params["product"]
    out = pa.table(
        {
            user: users.column(rows),
            product: products.column(listed),
            "rank": pa.array(ranks, pa.int64()),
            "score": pa.array(scores, pa.float64()),
            "reason": pa.array(reasons, pa.large_string()),
        }
    )
    named = [("purchases", product), ("products", product), ("products", params["name"])]
    if any(is_personal(inputs, port, name) for port, name in named):
        place = out.schema.get_field_index("reason")
        field = out.schema.field(place).with_metadata({PERSONAL: b"true"})
        out = out.cast(out.schema.set(place, field))
    return out
