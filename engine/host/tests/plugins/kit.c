/* A plugin for the host's tests: stage types that pass on what they are given, and one that misbehaves. */
#define _GNU_SOURCE
#include <stagewright.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a table with every kind of column, made by hand ---- */

struct column {
    const char *name, *format;
    const void *buffers[3];
    int64_t n_buffers, offset, nulls;
};

struct table {
    int64_t rows, columns, batches;
    struct column *column;
    int64_t length; /* what the batch says, right or wrong */
};

static void free_schema(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
        free(schema->children[i]);
    }
    free(schema->children);
    schema->release = NULL;
}

static void free_array(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
        free(array->children[i]);
    }
    free(array->children);
    free(array->buffers);
    array->release = NULL;
}

static int table_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    struct table *table = stream->private_data;
    memset(out, 0, sizeof *out);
    out->format = "+s";
    out->name = "";
    out->n_children = table->columns;
    out->children = calloc(table->columns + 1, sizeof *out->children);
    out->release = free_schema;
    for (int64_t i = 0; i < table->columns; i++) {
        struct ArrowSchema *child = calloc(1, sizeof *child);
        child->format = table->column[i].format;
        child->name = table->column[i].name;
        child->flags = ARROW_FLAG_NULLABLE;
        child->release = free_schema;
        out->children[i] = child;
    }
    return 0;
}

static int table_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    struct table *table = stream->private_data;
    memset(out, 0, sizeof *out);
    if (table->batches-- <= 0) return 0;
    out->length = table->length;
    out->n_buffers = 1;
    out->buffers = calloc(1, sizeof *out->buffers);
    out->n_children = table->columns;
    out->children = calloc(table->columns + 1, sizeof *out->children);
    out->release = free_array;
    for (int64_t i = 0; i < table->columns; i++) {
        struct column *column = &table->column[i];
        struct ArrowArray *child = calloc(1, sizeof *child);
        child->length = table->rows;
        child->null_count = column->nulls;
        child->offset = column->offset;
        child->n_buffers = column->n_buffers;
        child->buffers = calloc(3, sizeof *child->buffers);
        memcpy(child->buffers, column->buffers, sizeof column->buffers);
        child->release = free_array;
        out->children[i] = child;
    }
    return 0;
}

static const char *table_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return "the stream of the test failed";
}

static int no_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    (void)stream, (void)out;
    return 5;
}

static void free_table(struct ArrowArrayStream *stream) {
    struct table *table = stream->private_data;
    free(table->column);
    free(table);
    stream->release = NULL;
}

static struct ArrowArrayStream stream_of(const struct column *column, int64_t columns, int64_t rows, int64_t batches) {
    struct table *table = calloc(1, sizeof *table);
    table->rows = table->length = rows;
    table->columns = columns;
    table->batches = batches;
    table->column = calloc(columns + 1, sizeof *column);
    if (columns) memcpy(table->column, column, columns * sizeof *column);
    struct ArrowArrayStream stream = {table_schema, table_next, table_error, free_table, table};
    return stream;
}

/* Three rows: with an offset into the values, 32-bit offsets into a text, nulls that were not counted, bits. */
static struct ArrowArrayStream made(int64_t batches) {
    static const int64_t ids[] = {99, 1, 2, 3};
    static const int32_t ends[] = {0, 3, 3, 8};
    static const double scores[] = {0.5, 7, -2};
    static const uint8_t some = 5, flags = 6;
    struct column columns[] = {
        {"id", "l", {NULL, ids}, 2, 1, 0},
        {"name", "u", {NULL, ends, "AdaG\xc3\xbcnt"}, 3, 0, 0},
        {"score", "g", {&some, scores}, 2, 0, -1},
        {"flag", "b", {NULL, &flags}, 2, 0, 0},
    };
    return stream_of(columns, 4, 3, batches);
}

/* ---- stages ---- */

struct stage {
    char type[64];
    char *params;
};

static int has(const struct stage *stage, const char *text) { return strstr(stage->params, text) != NULL; }

static int pass_json(const struct sw_host *host, const char *port) {
    const char *text;
    size_t length;
    switch (host->get_json(host, port, &text, &length)) {
    case SW_INPUT_THERE: return host->put_json(host, port, text, length);
    case SW_INPUT_NONE: host->fail(host, SW_ERROR_DATA, "nothing is connected", port, "connect it"); return 1;
    default: return 1;
    }
}

static int metrics(const struct sw_host *host, const char *values) {
    char text[4096];
    int length = snprintf(text, sizeof text, "{\"unit\":null,\"units\":null,\"units_digest\":null,\"values\":{%s}}", values);
    return host->put_json(host, "metrics", text, (size_t)length);
}

static int value(char *text, size_t room, const char *name, double number) {
    return snprintf(text, room, "%s\"%s\":{\"value\":%.17g,\"goal\":\"describe\"}", text[0] ? "" : "", name, number);
}

/* What this process may do, as numbers: 1 for yes. */
static int look_around(const struct sw_host *host) {
    char text[3000] = "", path[4096];
    size_t used = 0;
    extern char **environ;
    int variables = 0;
    for (char **variable = environ; *variable; variable++) variables += strncmp(*variable, "TMPDIR=", 7) != 0;
    const char *scratch = host->scratch(host);
    snprintf(path, sizeof path, "%s/file", scratch);
    FILE *file = fopen(path, "w");
    int writes = file != NULL;
    if (file) fclose(file);
    const char *source = host->source(host, "path", 0);
    int reads = 0;
    if (source && (file = fopen(source, "r"))) reads = 1, fclose(file);
    int others = (file = fopen("/etc/passwd", "r")) != NULL;
    if (file) fclose(file);
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int denied = connect(socket_, (struct sockaddr *)&address, sizeof address) != 0 && errno == EACCES;
    close(socket_);
    const char *secret = host->secret(host, "TOKEN");
    struct { const char *name; double number; } found[] = {
        {"environment", variables}, {"scratch", writes}, {"source", reads}, {"others", others}, {"network", !denied},
        {"secret", secret && strcmp(secret, "s3cret") == 0}, {"seed", (double)host->seed},
        {"more_sources", host->source(host, "path", 1) != NULL}, {"stdin", getchar() != EOF},
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        if (i) text[used++] = ',';
        text[used] = 0;
        used += (size_t)value(text + used, sizeof text - used, found[i].name, found[i].number);
    }
    return metrics(host, text);
}

static int deep(volatile char *above, int depth) {
    volatile char here[4096];
    here[0] = above ? above[0] : 1;
    return depth == -1 ? 0 : deep(here, depth + 1) + here[0];
}

static void *crash_later(void *nothing) {
    usleep(30000);
    *(volatile int *)nothing = 1;
    return NULL;
}

static int misbehave(const struct sw_host *host, const struct stage *stage) {
    struct ArrowArrayStream table = made(1);
    struct table *inside = table.private_data;
    if (has(stage, "\"segfault\"")) {
        fprintf(stderr, "about to write where nothing is\n");
        *(volatile int *)8 = 1;
    }
    if (has(stage, "\"abort\"")) abort();
    if (has(stage, "\"exit\"")) exit(3);
    if (has(stage, "\"loop\"")) for (;;) usleep(1000);
    if (has(stage, "\"stack\"")) return deep(NULL, 0);
    if (has(stage, "\"memory\"")) for (;;) memset(malloc(1 << 22), 1, 1 << 22);
    if (has(stage, "\"kill\"")) kill(getpid(), SIGKILL);
    if (has(stage, "\"nothing\"")) return table.release(&table), 0;
    if (has(stage, "\"silent\"")) return table.release(&table), 7;
    if (has(stage, "\"closes\"")) {
        for (int file = 0; file < 256; file++) close(file);
    }
    if (has(stage, "\"divide\"")) raise(SIGFPE);
    if (has(stage, "\"thread\"")) {
        pthread_t thread;
        pthread_create(&thread, NULL, crash_later, NULL);
    }
    if (has(stage, "\"child\"") && fork() == 0) for (;;) pause();
    if (has(stage, "\"noise\"")) {
        for (int line = 0; line < 20000; line++) printf("{\"Ran\":{\"Ok\":null}} noise %d\n", line);
        fflush(stdout);
    }
    if (has(stage, "\"negative\"")) inside->length = -4;
    if (has(stage, "\"longer\"")) inside->length = 1000;
    if (has(stage, "\"not_text\"")) inside->column[1].buffers[2] = "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8";
    if (has(stage, "\"no_values\"")) inside->column[0].buffers[1] = NULL;
    if (has(stage, "\"same_name\"")) inside->column[1].name = "id";
    if (has(stage, "\"no_name\"")) inside->column[1].name = NULL;
    if (has(stage, "\"list\"")) inside->column[0].format = "+l";
    if (has(stage, "\"format\"")) inside->column[0].format = "?";
    if (has(stage, "\"buffers\"")) inside->column[0].n_buffers = 7;
    if (has(stage, "\"stream\"")) table.get_next = no_next;
    if (has(stage, "\"released\"")) table.release(&table);
    if (has(stage, "\"no_get_next\"")) table.get_next = NULL;
    if (has(stage, "\"unknown_port\"")) return host->put_table(host, "tabel", &table);
    if (has(stage, "\"as_json\"")) return table.release(&table), host->put_json(host, "table", "{}", 2);
    if (has(stage, "\"null_port\"")) return host->put_table(host, NULL, &table);
    int code = host->put_table(host, "table", &table);
    if (has(stage, "\"twice\"")) table = made(1), code = host->put_table(host, "table", &table);
    return code;
}

static const char *manifest(void) {
    return "{\"name\":\"kit\",\"version\":\"1.2.3\",\"stages\":["
           "{\"name\":\"kit.echo\",\"summary\":\"Pass a table on.\",\"string_views\":true,\"ports\":["
           "{\"name\":\"table\",\"direction\":\"input\",\"kind\":\"table\",\"optional\":true},"
           "{\"name\":\"table\",\"direction\":\"output\",\"kind\":\"table\"}]},"
           "{\"name\":\"kit.offsets\",\"summary\":\"Pass a table on, its texts with offsets.\",\"ports\":["
           "{\"name\":\"table\",\"direction\":\"input\",\"kind\":\"table\"},"
           "{\"name\":\"table\",\"direction\":\"output\",\"kind\":\"table\"}],\"personal\":{\"table\":[\"name\"]}},"
           "{\"name\":\"kit.json\",\"summary\":\"Pass JSON on.\",\"ports\":["
           "{\"name\":\"metrics\",\"direction\":\"input\",\"kind\":\"metrics\"},"
           "{\"name\":\"model\",\"direction\":\"input\",\"kind\":\"model\"},"
           "{\"name\":\"figure\",\"direction\":\"input\",\"kind\":\"figure\"},"
           "{\"name\":\"metrics\",\"direction\":\"output\",\"kind\":\"metrics\"},"
           "{\"name\":\"model\",\"direction\":\"output\",\"kind\":\"model\"},"
           "{\"name\":\"figure\",\"direction\":\"output\",\"kind\":\"figure\"}]},"
           "{\"name\":\"kit.files\",\"summary\":\"Pass files on.\",\"ports\":["
           "{\"name\":\"files\",\"direction\":\"input\",\"kind\":\"files\"},"
           "{\"name\":\"files\",\"direction\":\"output\",\"kind\":\"files\"}]},"
           "{\"name\":\"kit.make\",\"summary\":\"Make a table.\",\"ports\":["
           "{\"name\":\"table\",\"direction\":\"output\",\"kind\":\"table\"}],"
           "\"params\":{\"type\":\"object\",\"properties\":{\"batches\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":3,"
           "\"default\":1}},\"additionalProperties\":false}},"
           "{\"name\":\"kit.look\",\"summary\":\"Look around.\",\"seeded\":true,\"ports\":["
           "{\"name\":\"metrics\",\"direction\":\"output\",\"kind\":\"metrics\"}],"
           "\"params\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"token\":{\"type\":\"string\"}},"
           "\"additionalProperties\":false},\"sources\":[{\"param\":\"path\"}],\"secrets\":[{\"param\":\"token\"}]},"
           "{\"name\":\"kit.wait\",\"summary\":\"Wait until cancelled.\",\"ports\":["
           "{\"name\":\"table\",\"direction\":\"output\",\"kind\":\"table\"}]},"
           "{\"name\":\"kit.bad\",\"summary\":\"Misbehave.\",\"ports\":["
           "{\"name\":\"table\",\"direction\":\"output\",\"kind\":\"table\"}],"
           "\"params\":{\"type\":\"object\",\"properties\":{\"how\":{\"type\":\"string\"}},\"required\":[\"how\"],"
           "\"additionalProperties\":false}}]}";
}

static int32_t create(const struct sw_host *host, const char *type, const char *params, void **out) {
    if (strstr(params, "\"refuse\"")) {
        host->fail(host, SW_ERROR_DATA, "`how` is not a way to go", "how", "choose another");
        return 1;
    }
    struct stage *stage = calloc(1, sizeof *stage);
    snprintf(stage->type, sizeof stage->type, "%s", type);
    stage->params = strdup(params);
    *out = stage;
    return 0;
}

static int32_t run(const struct sw_host *host, void *pointer) {
    struct stage *stage = pointer;
    struct ArrowArrayStream table;
    const char *type = stage->type + strlen("kit.");
    if (!strcmp(type, "echo") || !strcmp(type, "offsets")) {
        switch (host->get_table(host, "table", &table)) {
        case SW_INPUT_THERE: break;
        case SW_INPUT_NONE: table = stream_of(NULL, 0, 0, 0); break;
        default: return 1;
        }
        host->log(host, SW_LOG_INFO, "passing on");
        host->progress(host, 1, 1);
        return host->put_table(host, "table", &table);
    }
    if (!strcmp(type, "json")) return pass_json(host, "metrics") || pass_json(host, "model") || pass_json(host, "figure");
    if (!strcmp(type, "files")) return pass_json(host, "files");
    if (!strcmp(type, "make")) {
        char *batches = strstr(stage->params, "\"batches\":");
        table = made(batches ? atoi(batches + strlen("\"batches\":")) : 9);
        host->log(host, SW_LOG_WARNING, "made by hand");
        return host->put_table(host, "table", &table);
    }
    if (!strcmp(type, "look")) return look_around(host);
    if (!strcmp(type, "wait")) {
        while (!host->cancelled(host)) usleep(1000);
        host->fail(host, SW_ERROR_CANCELLED, "was asked to end", NULL, NULL);
        return 1;
    }
    return misbehave(host, stage);
}

static void destroy(void *pointer) {
    struct stage *stage = pointer;
    free(stage->params);
    free(stage);
}

#ifdef CONSTRUCTOR
/* Leaves a trace when code of this library runs. */
__attribute__((constructor)) static void constructor(void) {
    FILE *file = fopen(CONSTRUCTOR, "w");
    if (file) fclose(file);
}
#endif

#ifndef ENTRY
#define ENTRY stagewright_plugin_v1
#endif
#ifndef NEEDS
#define NEEDS 0
#endif

SW_EXPORT const struct sw_plugin *ENTRY(uint32_t host_minor) {
    static const struct sw_plugin plugin = {
        .struct_size = sizeof plugin, .abi_minor = SW_ABI_MINOR, .needs_minor = NEEDS,
        .manifest = manifest, .create = create, .run = run, .destroy = destroy,
    };
    (void)host_minor;
#ifdef LATE_CRASH
    *(volatile int *)8 = 1;
#endif
    return &plugin;
}
