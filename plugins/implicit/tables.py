"""Columns of tables, and identifiers in them as small integers."""

import pyarrow as pa
import pyarrow.compute as pc
from stagewright import Error

#: What marks a personal column in the metadata of its field.
PERSONAL = b"stagewright.personal"


def column(tables, port, name):
    """The column of this name in the table at a port."""
    table = tables[port]
    if name not in table.column_names:
        there = ", ".join(f"`{there}`" for there in table.column_names)
        raise Error(f"`{port}` has no column `{name}`", help=f"its columns are {there}")
    return table[name]


def is_text(kind):
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_personal(tables, port, name):
    """Whether a column is there and marked as personal."""
    table = tables.get(port)
    if table is None or name not in table.column_names:
        return False
    return PERSONAL in (table.schema.field(name).metadata or {})


class Identifiers:
    """The distinct identifiers of a column of some tables, ascending: numbers by value, text by its bytes. The code of
    one is its place."""

    def __init__(self, tables, ports, name):
        self.name = name
        kinds = {port: column(tables, port, name).type for port in ports}
        for port, kind in kinds.items():
            if not (is_text(kind) or pa.types.is_integer(kind)):
                raise Error(
                    f"column `{name}` of `{port}` is {kind}, integers or text are needed", help="cast it with `clean.cast`"
                )
        first = kinds[ports[0]]
        #: The type that they came with; 64-bit integers where tables differ.
        self.type = first if all(kind == first for kind in kinds.values()) else pa.int64()
        for port, kind in kinds.items():
            if is_text(kind) != is_text(first):
                raise Error(
                    f"column `{name}` is {first} in `{ports[0]}` and {kind} in `{port}`, the same is needed",
                    help="cast one of them with `clean.cast`",
                )
        chunks = [chunk for port in ports for chunk in self._plain(tables, port).chunks]
        distinct = pc.unique(pa.chunked_array(chunks, pa.large_string() if is_text(first) else pa.int64())).drop_null()
        self.values = distinct.take(pc.sort_indices(distinct))

    def __len__(self):
        return len(self.values)

    def codes(self, tables, port):
        """The code in each row of the table at a port, null where there is none."""
        return pc.index_in(self._plain(tables, port), value_set=self.values).combine_chunks()

    def column(self, codes):
        """The identifiers with these codes, of the type they came with."""
        return self.values.take(pa.array(codes, pa.int64())).cast(self.type)

    def _plain(self, tables, port):
        values = column(tables, port, self.name)
        try:
            return values.cast(pa.large_string() if is_text(values.type) else pa.int64())
        except pa.ArrowInvalid as error:
            raise Error(f"column `{self.name}` of `{port}`: {error}", help="cast it with `clean.cast`") from None
