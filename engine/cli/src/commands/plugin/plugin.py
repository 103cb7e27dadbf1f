"""A plugin with one stage type, which counts the rows of a table. stagewright.py says what its functions get."""

import stagewright

MANIFEST = {
    "name": "PLUGIN_NAME",
    "version": "0.1.0",
    "stages": [
        {
            "name": "PLUGIN_NAME.count",
            "summary": "Count the rows of a table.",
            "ports": [
                {"name": "table", "direction": "input", "kind": "table", "doc": "Any table."},
                {"name": "metrics", "direction": "output", "kind": "metrics", "doc": "`rows`."},
            ],
            "example": "inputs: { table: customers }",
        }
    ],
}


def count(inputs, params, context):
    return {"metrics": {"rows": len(inputs["table"])}}


stagewright.serve(MANIFEST, {"PLUGIN_NAME.count": count})
