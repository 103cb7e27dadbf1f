"""The ten best of 29,000 products for each of 100,000 users with numpy, given their vectors: the yardstick of top10.rs.

python top10.py [USERS PRODUCTS]
"""

import sys
import time

import numpy as np

users, products = (int(size) for size in sys.argv[1:3]) if len(sys.argv) > 2 else (100_000, 29_000)
rng = np.random.default_rng(7)

for width in (2, 64):
    of_users = rng.normal(size=(users, width))
    of_products = rng.normal(size=(products, width))
    began = time.perf_counter()
    best = np.empty((users, 10), dtype=np.int64)
    for start in range(0, users, 1000):
        scores = of_users[start : start + 1000] @ of_products.T
        ten = np.argpartition(scores, -10, axis=1)[:, -10:]
        order = np.argsort(-np.take_along_axis(scores, ten, axis=1), axis=1)
        best[start : start + 1000] = np.take_along_axis(ten, order, axis=1)
    print(f"{users} x {products}, {width} numbers each: {time.perf_counter() - began:.2f} s")
