"""The line protocol of Stagewright: a plugin in Python is a program that calls `serve`.

    import stagewright

    def head(inputs, params, context):
        return {"table": inputs["table"].slice(0, params["rows"])}

    stagewright.serve(MANIFEST, {"mine.head": head})

A function takes its inputs by port (tables as `pyarrow.Table`, everything else as what its JSON says), its parameters
with defaults filled in, and a `Context`. It returns its outputs by port: for a table a `pyarrow.Table`, a data frame of
pandas or polars, or whatever else has `__arrow_c_stream__`; for metrics numbers by name, each a number, None, or
`{"value": …, "goal": "maximize" | "minimize" | "describe"}`; for models and figures what their JSON says. It raises
`Error` for what a person should know; any other exception is a bug of the plugin. docs/executables.md has the protocol.
"""

import json
import math
import os
import queue
import sys
import threading
import traceback

VERSION = 1
# Frames of these files are left out of tracebacks.
HIDDEN = {os.path.abspath(__file__)}


class Error(Exception):
    """What a person should know: `kind` is "data" (running again gives the same) or "environment" (it may help)."""

    def __init__(self, message, *, kind="data", location=None, help=None):
        super().__init__(message)
        self.kind, self.message, self.location, self.help = kind, message, location, help


class Cancelled(Exception):
    """The run was cancelled."""


class Context:
    """What a stage may use besides its inputs and parameters."""

    def __init__(self, talk, request):
        self._talk = talk
        self._run = request["run"]
        self._seed = request["seed"]
        #: A folder of this execution's own.
        self.scratch = request["scratch"]
        #: The files that the stage declares as sources, by parameter.
        self.sources = request.get("sources", {})
        #: The secrets that the stage declares, by name.
        self.secrets = request.get("secrets", {})

    @property
    def seed(self):
        """The seed of every random draw."""
        if self._seed is None:
            raise Error("the stage has no seed", help="write `seed: ${params.seed}` into its `with:`")
        return self._seed

    def log(self, message, level="info"):
        """Tells something: "debug", "info", or "warning", which is kept with the outputs. No personal data."""
        self._talk.say({"type": "log", "level": level, "message": str(message)})

    def progress(self, done, total=0):
        """Says how far the work has come."""
        self._talk.say({"type": "progress", "done": int(done), "total": int(total)})

    @property
    def cancelled(self):
        """Whether the stage is to stop: return or raise `Cancelled` then."""
        return self._talk.cancelled == self._run


class _Talk:
    def __init__(self):
        # Only this module knows the connection: what is printed goes to standard error, and is shown if the stage fails.
        self.requests = queue.Queue()
        self.cancelled = None
        self._in = os.fdopen(os.dup(0), "r", encoding="utf-8")
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self._turn = threading.Lock()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._in:
            message = json.loads(line)
            if message["type"] == "cancel":
                self.cancelled = message["run"]
            else:
                self.requests.put(message)
        self.requests.put(None)

    def say(self, message):
        line = json.dumps(message, ensure_ascii=False, allow_nan=False)
        with self._turn:
            self._out.write(line + "\n")
            self._out.flush()


def serve(manifest, stages):
    """Serves Stagewright until it closes the connection. `stages` has a function for each stage type."""
    talk = _Talk()
    while (request := talk.requests.get()) is not None:
        kind = request["type"]
        if kind == "hello":
            if VERSION in request["versions"]:
                talk.say({"type": "hello", "version": VERSION, "manifest": manifest})
            else:
                talk.say(_error(Error(f"it speaks version {VERSION} of the line protocol", kind="bug")))
        elif kind == "run":
            try:
                _run(stages[request["stage"]], request, Context(talk, request))
                answer = {"type": "done"}
            except BaseException as error:
                answer = _error(error)
            talk.say(answer)


def _run(stage, request, context):
    inputs = {port: _read(port, given) for port, given in request["inputs"].items()}
    outputs = stage(inputs, request["params"], context)
    wanted = request["outputs"]
    names = ", ".join(f"`{name}`" for name in wanted)
    if not isinstance(outputs, dict):
        raise Error(
            f"the function returned {_a(outputs)}, and not its outputs by name",
            help=f"return a dict of {names}",
        )
    for port in wanted:
        if port not in outputs:
            got = ", ".join(f"`{name}`" for name in outputs) or "nothing"
            raise Error(f"the function returned no output `{port}`", help=f"it returned {got}; return a dict of {names}")
    for port in outputs:
        if port not in wanted:
            raise Error(f"the function returned an output `{port}` that is not declared", help=f"there are {names}")
    for port, where in wanted.items():
        _write(port, where["kind"], where["path"], outputs[port])


def _arrow():
    try:
        import pyarrow
    except ImportError as error:
        raise Error(
            f"the Python at `{sys.executable}` has no pyarrow: {error}",
            kind="environment",
            help=f"install it: `{sys.executable} -m pip install pyarrow`",
        ) from None
    return pyarrow


def _read(port, given):
    if given["kind"] != "table":
        with open(given["path"], encoding="utf-8") as file:
            return json.load(file)
    pa = _arrow()
    with pa.memory_map(given["path"]) as source:
        return pa.ipc.open_file(source).read_all()


def _write(port, kind, path, value):
    if kind == "table":
        pa = _arrow()
        table = _table(pa, port, value)
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return
    if kind == "metrics":
        value = _metrics(port, value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Error(f"output `{port}` is no JSON: {error}") from None
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _table(pa, port, value):
    """The value as a table of types that can be stored."""
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    elif type(value).__module__.split(".")[0] == "pandas":
        value = pa.Table.from_pandas(value, preserve_index=False)
    elif not isinstance(value, pa.Table) and hasattr(value, "__arrow_c_stream__"):
        value = pa.table(value)
    if not isinstance(value, pa.Table):
        raise Error(
            f"output `{port}` must be a table, this is {_a(value)}",
            help="return a `pyarrow.Table`, such as `pyarrow.table({'id': [1, 2]})`, or a data frame",
        )
    fields = []
    for field in value.schema:
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_timestamp(kind):
            kind = pa.timestamp("us", kind.tz)
        elif pa.types.is_duration(kind):
            kind = pa.duration("us")
        elif pa.types.is_time(kind):
            kind = pa.time64("us")
        elif pa.types.is_date64(kind):
            kind = pa.date32()
        fields.append(field.with_type(kind))
    return value.cast(pa.schema(fields), safe=False)


def _metrics(port, value):
    if not isinstance(value, dict):
        raise Error(f"output `{port}` must be numbers by name, this is {_a(value)}", help="return a dict")
    if isinstance(value.get("values"), dict):
        return value
    values = {}
    for name, said in value.items():
        goal = "describe"
        if isinstance(said, dict):
            goal, said = said.get("goal", goal), said.get("value")
        if said is not None:
            try:
                said = float(said)
            except (TypeError, ValueError):
                raise Error(f"metric `{name}` of output `{port}` must be a number, this is {_a(said)}") from None
            if not math.isfinite(said):
                raise Error(f"metric `{name}` of output `{port}` is {said}", help="what is not defined is None")
        values[name] = {"value": said, "goal": goal}
    return {"unit": None, "units": None, "units_digest": None, "values": values}


def _a(value):
    return "None" if value is None else f"a `{type(value).__name__}`"


def _error(error):
    """An exception as a message: what happened, where, and the way there without the frames of this module."""
    if isinstance(error, Error):
        return {
            "type": "error",
            "kind": error.kind,
            "message": error.message,
            "location": error.location,
            "help": error.help,
        }
    if isinstance(error, Cancelled):
        return {"type": "error", "kind": "cancelled", "message": "the run was cancelled", "location": None, "help": None}
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _shown(frame.filename)]
    own = [frame for frame in frames if not _of_others(frame.filename)] or frames
    location = f"{_short(own[-1].filename)}:{own[-1].lineno}" if own else None
    if isinstance(error, SyntaxError) and error.filename:
        location, text = f"{_short(error.filename)}:{error.lineno}", f"{type(error).__name__}: {error.msg}"
    lines = []
    for frame in frames:
        lines.append(f"{_short(frame.filename)}:{frame.lineno}, in {frame.name}")
        if frame.line:
            lines.append(f"    {frame.line}")
    return {
        "type": "error",
        "kind": getattr(error, "stagewright_kind", "bug"),
        "message": text.splitlines()[-1] if text else type(error).__name__,
        "location": location,
        "help": "the way there:\n" + "\n".join(lines) if lines else None,
    }


def _shown(filename):
    return os.path.abspath(filename) not in HIDDEN and not filename.startswith("<frozen")


def _of_others(filename):
    """Whether a file belongs to Python or to a package."""
    return filename.startswith((sys.prefix, sys.base_prefix)) or "-packages/" in filename


def _short(filename):
    """The path below the folder of packages, or else the name of the file."""
    for folder in ("site-packages", "dist-packages"):
        _, found, rest = filename.partition(f"/{folder}/")
        if found:
            return rest
    return os.path.basename(filename)
