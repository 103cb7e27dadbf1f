"""Runs the function `run` of a script: the program behind `python.script`."""

import importlib.util
import os
import sys

import stagewright

stagewright.HIDDEN.add(os.path.abspath(__file__))


def run(inputs, params, context):
    context._seed = params["seed"]
    path = params["script"]
    # Modules beside the script come before all others, and those beside this program not at all.
    sys.path[0] = os.path.dirname(path)
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        function = getattr(module, "run", None)
        if not callable(function):
            raise stagewright.Error(
                f"`{os.path.basename(path)}` has no function `run`",
                help="define `def run(inputs, params, context):`, which returns a dict of the outputs",
            )
        return function(inputs, params["params"], context)
    except (Exception, SystemExit) as error:
        # A mistake in a script is a mistake in what the workflow names, and no bug of a stage type.
        error.stagewright_kind = "data"
        raise


stagewright.serve(
    {
        "name": "python",
        "version": "1",
        "stages": [
            {
                "name": "python.script",
                "summary": "",
                "ports": [{"name": "outputs", "direction": "output", "kind": "table"}],
            }
        ],
    },
    {"python.script": run},
)
