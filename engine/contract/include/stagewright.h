/*
 * stagewright.h - how a dynamic library gives stage types to Stagewright.
 *
 * A plugin is a dynamic library that exports one symbol, `stagewright_plugin_v1`. It returns a table of functions:
 * what the plugin offers (a manifest in JSON), and create, run and destroy for a stage. While one of them runs it may
 * call back through `struct sw_host`: take inputs, put outputs, log, report progress, ask whether the run was
 * cancelled. Tables cross by the Arrow C stream interface without being copied; everything else is bytes.
 *
 * This header is plain C99 and needs nothing but the C standard library. It is versioned by itself:
 *
 *   - The major version is part of the name of the entry symbol, so that a host can tell before it runs any code of
 *     the plugin whether they fit. It changes when something here changes its meaning.
 *   - The minor version counts additions. Members are only ever added at the end of `struct sw_host` and `struct
 *     sw_plugin`; `struct_size` is the size that the side which made the structure knew. Read a member that was added
 *     after 1.0 only if `struct_size` covers it: SW_HAS(host, member).
 *
 * History: 1.0 - the first.
 *
 * Rules of the boundary
 *
 *   - Text is UTF-8. `const char *` ends with a zero byte; a pointer with a length need not.
 *   - What is passed to a function is borrowed until that function returns, unless it says otherwise. What a function
 *     is given by the host is borrowed until the plugin's own function (`create`, `plan`, `run`) returns.
 *   - A function that returns `int32_t` gives 0 for success. Any other value is a failure: call `host->fail` before.
 *   - Nothing may be thrown across: no C++ exception, no panic, no longjmp. In C++, catch `std::exception` and `...`
 *     in every function that the host calls, and give them to `host->fail`.
 *   - A stage is used by one thread at a time, not always by the same. Different stages of a plugin may run at once in
 *     one process. `log`, `progress` and `cancelled` may be called from any thread until the plugin's function
 *     returns, everything else from the thread that called it.
 *   - Threads that a stage starts must have ended when `run` returns, or wait idle for the next.
 *   - Equal inputs, parameters and seed must give equal outputs: no clock, no environment, no randomness of its own.
 *   - Standard output and standard error are captured and shown where the stage fails. Write what a person should
 *     know with `log`.
 *   - The library is never unloaded.
 */
#ifndef STAGEWRIGHT_H
#define STAGEWRIGHT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SW_ABI_MAJOR 1
#define SW_ABI_MINOR 0

/* Whether a structure of the other side has a member. */
#define SW_HAS(pointer, member) \
    ((pointer)->struct_size >= \
     (size_t)((const char *)&(pointer)->member - (const char *)(pointer)) + sizeof((pointer)->member))

/* The Arrow C data interface, as https://arrow.apache.org/docs/format/CDataInterface.html has it. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif /* ARROW_C_DATA_INTERFACE */

/* The Arrow C stream interface, as https://arrow.apache.org/docs/format/CStreamInterface.html has it. */
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif /* ARROW_C_STREAM_INTERFACE */

/* Whose an error is, and so what a person can do about it. */
enum sw_error_kind {
    SW_ERROR_DATA = 1,        /* the data or the parameters: running again gives the same error */
    SW_ERROR_ENVIRONMENT = 2, /* the machine, a file or a service: running again may help, so `retries:` applies */
    SW_ERROR_CANCELLED = 3,   /* the stage noticed that the run was cancelled */
    SW_ERROR_BUG = 4          /* the plugin broke a promise of its own */
};

enum sw_log_level {
    SW_LOG_DEBUG = 0,
    SW_LOG_INFO = 1,
    SW_LOG_WARNING = 2 /* kept with the outputs and shown again when they come from the cache: no personal data */
};

/* What `get_table` and `get_json` say about an input. */
enum sw_input {
    SW_INPUT_NONE = 0,  /* nothing is connected to this optional input */
    SW_INPUT_THERE = 1, /* it was given out */
    SW_INPUT_FAILED = -1 /* there is no such input, or it is of another kind: return a failure, the host knows why */
};

/* What the host offers to the plugin while one of the plugin's functions runs. */
struct sw_host {
    size_t struct_size;
    void *context; /* the host's own */

    /* Says why the function is about to fail. `message` is one sentence without a full stop that names values between
     * backticks: "column `age` is text, a number is needed". `location` is a place in the data or, from `create`, the
     * path of the parameter that is to blame ("where", "columns/0"); `help` says what to do. Both may be NULL. */
    void (*fail)(const struct sw_host *, int32_t kind, const char *message, const char *location, const char *help);

    /* Tells a person something. */
    void (*log)(const struct sw_host *, int32_t level, const char *message);

    /* How much is done and of how much; a `total` of 0 stands for an amount that is not known. */
    void (*progress)(const struct sw_host *, uint64_t done, uint64_t total);

    /* Whether the stage should end now: ask at least every second, and fail with SW_ERROR_CANCELLED. */
    int32_t (*cancelled)(const struct sw_host *);

    /* What follows is there during `run` only; elsewhere the strings are empty and every function fails. */

    /* The seed of every random draw. The stage type must be `seeded` in the manifest. */
    uint64_t seed;

    /* Gives out the table at an input: a stream of record batches, each a struct array whose children are the columns.
     * The plugin owns the stream and everything from it, and releases them before `run` returns, except what it passes
     * on in an output. The values must not be written to. Text columns are of format "U" (64-bit offsets), or "vu" (views, which cost nothing to make)
     * where the manifest says `string_views`. A personal column has "stagewright.personal" in its metadata. */
    int32_t (*get_table)(const struct sw_host *, const char *port, struct ArrowArrayStream *out);

    /* Sets a table output. The host takes the stream over (and sets its `release` to NULL) and reads it before it
     * returns. Columns that bear the name of a personal input column are personal; mark others in their metadata. Not
     * stored can be: nested, dictionary-encoded, decimal, half-precision and interval columns. */
    int32_t (*put_table)(const struct sw_host *, const char *port, struct ArrowArrayStream *table);

    /* What is no table at an input, as bytes: metrics, a model or a figure as JSON; files as one line of JSON,
     * [{"name":"a.csv","bytes":12},...], and after the line feed the bytes of the files one after the other. */
    int32_t (*get_json)(const struct sw_host *, const char *port, const char **text, size_t *length);

    /* Sets an output that is no table, in the same form. The bytes are copied. A file's name must not lead out of a
     * folder: no slash, backslash, colon or control character, no dot in front, 255 bytes at most. */
    int32_t (*put_json)(const struct sw_host *, const char *port, const char *text, size_t length);

    /* The path of a file that a parameter named under `sources` in the manifest means; NULL from `index` on where there
     * are no more. The host digests these files before and after. */
    const char *(*source)(const struct sw_host *, const char *param, size_t index);

    /* The path of a folder of the stage's own: made by the first call, empty, removed after `run`. NULL where the
     * system has no room for it. */
    const char *(*scratch)(const struct sw_host *);

    /* The value of a secret that the stage declares, by the name in `${secret:NAME}`; NULL where there is none. It must
     * not get into outputs, logs or errors. */
    const char *(*secret)(const struct sw_host *, const char *name);
};

/* What a plugin offers. It must stay valid for ever. */
struct sw_plugin {
    size_t struct_size;

    uint32_t abi_minor;   /* SW_ABI_MINOR of the header that it was built with */
    uint32_t needs_minor; /* the least minor version of a host that it can do with */

    /* The manifest, as JSON: see docs/plugins.md. The text must stay valid for ever. */
    const char *(*manifest)(void);

    /* Makes a stage of a type of the manifest. `params` is the JSON of its parameters, which the JSON Schema of the
     * manifest has accepted, with every default of the schema filled in. */
    int32_t (*create)(const struct sw_host *, const char *stage_type, const char *params, void **stage);

    /* Takes the inputs and puts every output. */
    int32_t (*run)(const struct sw_host *, void *stage);

    /* Frees a stage. */
    void (*destroy)(void *stage);

    /* What there is to know about a stage before it runs, as JSON; may be NULL, and is called only for stage types with
     * `"plans": true` in the manifest, whose stages answer with more than the manifest can say. `question` and answer
     * are described in docs/plugins.md. The answer must stay valid until the stage is destroyed or asked again. */
    int32_t (*plan)(const struct sw_host *, void *stage, const char *question, const char **answer);
};

#if defined(_WIN32)
#define SW_EXPORT __declspec(dllexport)
#else
#define SW_EXPORT __attribute__((visibility("default")))
#endif

/* The entry symbol: the one thing that a plugin exports. It is called once. It must do nothing but return. */
SW_EXPORT const struct sw_plugin *stagewright_plugin_v1(uint32_t host_minor);

#ifdef __cplusplus
}
#endif

#endif /* STAGEWRIGHT_H */
