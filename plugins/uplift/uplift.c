/*
 * uplift: what a treatment adds to an outcome, segment by segment. A plugin in plain C.
 *
 *     cc -std=c99 -O2 -fPIC -shared -fvisibility=hidden -I ../../engine/contract/include -o uplift.so uplift.c -lm
 */
#include <stagewright.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MANIFEST[] =
    "{\"name\":\"uplift\",\"version\":\"1.0.0\",\"stages\":[{"
    "\"name\":\"uplift.segments\","
    "\"summary\":\"What a treatment adds to an outcome, segment by segment: treated against control.\","
    "\"details\":\"The mean outcome of the treated and of the control users of each segment, their difference, and the "
    "standard error of the difference for unequal variances (Welch 1947). Rows in which one of the three columns is "
    "null are left out. A segment without users on one of the sides has no uplift (null); one with fewer than two has "
    "no standard error.\","
    "\"ports\":["
    "{\"name\":\"table\",\"direction\":\"input\",\"kind\":\"table\",\"doc\":\"One row per user: segment, treatment and "
    "outcome.\"},"
    "{\"name\":\"table\",\"direction\":\"output\",\"kind\":\"table\",\"doc\":\"One row per segment, sorted by name: "
    "`segment`, `treated` and `control` (users), `treated_mean`, `control_mean`, `uplift`, `standard_error`.\"},"
    "{\"name\":\"metrics\",\"direction\":\"output\",\"kind\":\"metrics\",\"doc\":\"`uplift`: the segments' uplifts, "
    "weighted by their users; `users`, `segments`.\"}],"
    "\"params\":{\"type\":\"object\",\"properties\":{"
    "\"segment\":{\"type\":\"string\",\"description\":\"The column that names the segment: text.\"},"
    "\"treated\":{\"type\":\"string\",\"default\":\"treated\",\"description\":\"The column that says who was treated: "
    "boolean.\"},"
    "\"outcome\":{\"type\":\"string\",\"description\":\"The column of the outcome: an integer, a number or a boolean.\"}"
    "},\"required\":[\"segment\",\"outcome\"],\"additionalProperties\":false},"
    "\"example\":\"inputs: { table: customers }\\nwith: { segment: country, treated: mailed, outcome: spent }\","
    "\"personal\":{\"table\":[\"segment\"]}}]}";

/* ---- a stage: its three parameters ---- */

struct stage {
    char *segment, *treated, *outcome;
};

/* The text of a parameter in the JSON that the host writes: one object, no blanks, no nested values here. */
static char *parameter(const char *json, const char *name) {
    char key[32];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *start = strstr(json, key);
    if (!start) return NULL;
    start += strlen(key);
    char *text = malloc(strlen(start) + 1);
    size_t length = 0;
    for (; text && *start && *start != '"'; start++) {
        if (*start == '\\') {
            start++;
            if (*start != '"' && *start != '\\' && *start != '/') {
                free(text); /* A line break or the like: no name of a column. */
                return NULL;
            }
        }
        text[length++] = *start;
    }
    if (text) text[length] = 0;
    return text;
}

static void destroy(void *pointer) {
    struct stage *stage = pointer;
    free(stage->segment);
    free(stage->treated);
    free(stage->outcome);
    free(stage);
}

static int32_t create(const struct sw_host *host, const char *type, const char *params, void **out) {
    (void)type; /* There is one. */
    struct stage *stage = calloc(1, sizeof *stage);
    if (!stage) {
        host->fail(host, SW_ERROR_ENVIRONMENT, "out of memory", NULL, NULL);
        return 1;
    }
    stage->segment = parameter(params, "segment");
    stage->treated = parameter(params, "treated");
    stage->outcome = parameter(params, "outcome");
    if (!stage->segment || !stage->treated || !stage->outcome) {
        host->fail(host, SW_ERROR_DATA, "a parameter is no name of a column", NULL, NULL);
        destroy(stage);
        return 1;
    }
    *out = stage;
    return 0;
}

/* ---- counting ---- */

struct side {
    int64_t users;
    double sum, mean, squares; /* squares: of the distances from the mean */
};

struct segment {
    char *name;
    struct side side[2]; /* control, treated */
};

struct segments {
    int personal; /* whether their names are personal data */
    struct segment *items;
    size_t count, room, *slots, n_slots; /* slots: a hash table of places in items, plus one; 0 is free */
};

static uint64_t hash(const char *text, size_t length) { /* FNV-1a */
    uint64_t value = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) value = (value ^ (unsigned char)text[i]) * 1099511628211u;
    return value;
}

static int grow(struct segments *segments) {
    size_t n_slots = segments->n_slots ? segments->n_slots * 2 : 64;
    size_t *slots = calloc(n_slots, sizeof *slots);
    struct segment *items = realloc(segments->items, n_slots / 2 * sizeof *items);
    if (items) segments->items = items;
    if (!slots || !items) {
        free(slots);
        return 0;
    }
    for (size_t i = 0; i < segments->count; i++) {
        size_t slot = hash(items[i].name, strlen(items[i].name)) & (n_slots - 1);
        while (slots[slot]) slot = (slot + 1) & (n_slots - 1);
        slots[slot] = i + 1;
    }
    free(segments->slots);
    segments->slots = slots;
    segments->n_slots = n_slots;
    segments->room = n_slots / 2;
    return 1;
}

/* The segment of this name, made if need be; NULL when memory is out. */
static struct segment *find(struct segments *segments, const char *name, size_t length) {
    if (segments->count == segments->room && !grow(segments)) return NULL;
    size_t slot = hash(name, length) & (segments->n_slots - 1);
    for (; segments->slots[slot]; slot = (slot + 1) & (segments->n_slots - 1)) {
        struct segment *segment = &segments->items[segments->slots[slot] - 1];
        if (strlen(segment->name) == length && !memcmp(segment->name, name, length)) return segment;
    }
    char *copy = malloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, name, length);
    copy[length] = 0;
    struct segment made = {copy, {{0, 0, 0, 0}, {0, 0, 0, 0}}};
    segments->items[segments->count] = made;
    segments->slots[slot] = ++segments->count;
    return &segments->items[segments->count - 1];
}

static void add(struct side *side, double value) { /* Welford 1962 */
    side->users++;
    double distance = value - side->mean;
    side->mean += distance / (double)side->users;
    side->squares += distance * (value - side->mean);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct segment *)a)->name, ((const struct segment *)b)->name);
}

static void free_segments(struct segments *segments) {
    for (size_t i = 0; i < segments->count; i++) free(segments->items[i].name);
    free(segments->items);
    free(segments->slots);
}

/* ---- reading the table ---- */

static int bit(const void *bits, int64_t index) { return ((const uint8_t *)bits)[index / 8] >> (index % 8) & 1; }

static int is_null(const struct ArrowArray *column, int64_t row) {
    return column->null_count != 0 && column->buffers[0] && !bit(column->buffers[0], column->offset + row);
}

static double number(const struct ArrowArray *column, char format, int64_t row) {
    row += column->offset;
    switch (format) {
    case 'b': return bit(column->buffers[1], row);
    case 'c': return ((const int8_t *)column->buffers[1])[row];
    case 's': return ((const int16_t *)column->buffers[1])[row];
    case 'i': return ((const int32_t *)column->buffers[1])[row];
    case 'l': return (double)((const int64_t *)column->buffers[1])[row];
    case 'f': return ((const float *)column->buffers[1])[row];
    default: return ((const double *)column->buffers[1])[row];
    }
}

static int32_t read_int(const char **at) {
    int32_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return value;
}

/* Whether the host marks a column as personal: metadata is a count, and lengths before keys and values. */
static int is_personal(const struct ArrowSchema *column) {
    static const char mark[] = "stagewright.personal";
    const char *at = column->metadata;
    if (!at) return 0;
    for (int32_t left = read_int(&at); left > 0; left--) {
        int32_t length = read_int(&at);
        if (length == (int32_t)strlen(mark) && !memcmp(at, mark, strlen(mark))) return 1;
        at += length;
        length = read_int(&at);
        at += length;
    }
    return 0;
}

/* The place of a column whose format is one of `formats`; -1 after having said what is wrong. */
static int64_t place(const struct sw_host *host, const struct ArrowSchema *schema, const char *name,
                     const char *formats, const char *wanted) {
    char message[512];
    for (int64_t i = 0; i < schema->n_children; i++) {
        const struct ArrowSchema *column = schema->children[i];
        if (strcmp(column->name, name)) continue;
        if (strlen(column->format) == 1 && strchr(formats, column->format[0])) return i;
        snprintf(message, sizeof message, "column `%s` is of another type, %s is needed", name, wanted);
        host->fail(host, SW_ERROR_DATA, message, NULL, "`clean.cast` changes the type of a column");
        return -1;
    }
    snprintf(message, sizeof message, "there is no column `%s`", name);
    host->fail(host, SW_ERROR_DATA, message, NULL, NULL);
    return -1;
}

static int count_batch(const struct sw_host *host, const struct ArrowArray *batch, const int64_t *places,
                       char outcome_format, struct segments *segments) {
    const struct ArrowArray *names = batch->children[places[0]], *treated = batch->children[places[1]],
                            *outcome = batch->children[places[2]];
    const int64_t *ends = names->buffers[1];
    const char *text = names->buffers[2];
    for (int64_t i = 0; i < batch->length; i++) {
        int64_t row = batch->offset + i;
        if (is_null(names, row) || is_null(treated, row) || is_null(outcome, row)) continue;
        int64_t start = ends[names->offset + row], end = ends[names->offset + row + 1];
        struct segment *segment = find(segments, text ? text + start : "", (size_t)(end - start));
        double value = number(outcome, outcome_format, row);
        if (!segment) {
            host->fail(host, SW_ERROR_ENVIRONMENT, "out of memory", NULL, NULL);
            return 1;
        }
        if (!isfinite(value)) {
            host->fail(host, SW_ERROR_DATA, "the outcome is not a finite number in every row", NULL, NULL);
            return 1;
        }
        add(&segment->side[bit(treated->buffers[1], treated->offset + row)], value);
    }
    return 0;
}

static int count(const struct sw_host *host, const struct stage *stage, struct ArrowArrayStream *stream,
                 struct segments *segments) {
    struct ArrowSchema schema;
    if (stream->get_schema(stream, &schema)) {
        host->fail(host, SW_ERROR_BUG, "the input has no schema", NULL, NULL);
        return 1;
    }
    int64_t places[3] = {
        place(host, &schema, stage->segment, "U", "text"), 0, 0};
    int failed = places[0] < 0
        || (places[1] = place(host, &schema, stage->treated, "b", "a boolean")) < 0
        || (places[2] = place(host, &schema, stage->outcome, "bcsilfg", "a number or a boolean")) < 0;
    segments->personal = !failed && is_personal(schema.children[places[0]]);
    char outcome_format = failed ? 0 : schema.children[places[2]]->format[0];
    while (!failed) {
        struct ArrowArray batch;
        if (host->cancelled(host)) {
            host->fail(host, SW_ERROR_CANCELLED, "the run was cancelled", NULL, NULL);
            failed = 1;
        } else if (stream->get_next(stream, &batch)) {
            host->fail(host, SW_ERROR_BUG, "the input cannot be read", NULL, NULL);
            failed = 1;
        } else if (!batch.release) {
            break;
        } else {
            failed = count_batch(host, &batch, places, outcome_format, segments);
            batch.release(&batch);
        }
    }
    schema.release(&schema);
    return failed;
}

/* ---- writing the table ---- */

enum { SEGMENT, TREATED, CONTROL, TREATED_MEAN, CONTROL_MEAN, UPLIFT, STANDARD_ERROR, COLUMNS };

static const char *const NAMES[COLUMNS] = {"segment", "treated", "control", "treated_mean", "control_mean", "uplift",
                                           "standard_error"};
static const char *const FORMATS[COLUMNS] = {"U", "l", "l", "g", "g", "g", "g"};

/* Everything that the table is made of, in one piece of memory that the last array frees. */
struct result {
    int64_t rows;
    int taken;    /* whether the one batch was given out */
    int personal; /* whether the names of the segments are personal data */
    int64_t *ends, *counts[2];
    double *numbers[4];
    uint8_t *valid[4];
    char *text;
};

static void free_result(struct result *result) {
    if (!result) return;
    free(result->ends);
    free(result->counts[0]);
    free(result->counts[1]);
    for (int i = 0; i < 4; i++) free(result->numbers[i]), free(result->valid[i]);
    free(result->text);
    free(result);
}

static void free_schema(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i] && schema->children[i]->release) schema->children[i]->release(schema->children[i]);
        free(schema->children[i]);
    }
    free(schema->children);
    schema->release = NULL;
}

static void free_array(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i] && array->children[i]->release) array->children[i]->release(array->children[i]);
        free(array->children[i]);
    }
    free(array->children);
    free(array->buffers);
    free_result(array->private_data);
    array->release = NULL;
}

/* The metadata that marks a column as personal. */
static const char *personal_mark(void) {
    static const char key[] = "stagewright.personal", value[] = "true";
    static char mark[3 * sizeof(int32_t) + sizeof key + sizeof value];
    const int32_t numbers[] = {1, sizeof key - 1, sizeof value - 1};
    char *at = mark;
    memcpy(at, &numbers[0], 2 * sizeof(int32_t));
    memcpy(at += 2 * sizeof(int32_t), key, sizeof key - 1);
    memcpy(at += sizeof key - 1, &numbers[2], sizeof(int32_t));
    memcpy(at + sizeof(int32_t), value, sizeof value - 1);
    return mark;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    const struct result *result = stream->private_data;
    memset(out, 0, sizeof *out);
    out->format = "+s";
    out->name = "";
    out->release = free_schema;
    out->children = calloc(COLUMNS, sizeof *out->children);
    if (!out->children) return 12;
    out->n_children = COLUMNS;
    for (int i = 0; i < COLUMNS; i++) {
        struct ArrowSchema *column = out->children[i] = calloc(1, sizeof *column);
        if (!column) {
            out->release(out);
            return 12;
        }
        column->format = FORMATS[i];
        column->name = NAMES[i];
        column->flags = ARROW_FLAG_NULLABLE;
        column->release = free_schema;
        if (i == SEGMENT && result->personal) column->metadata = personal_mark();
    }
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    struct result *result = stream->private_data;
    memset(out, 0, sizeof *out);
    if (result->taken) return 0;
    out->release = free_array;
    out->length = result->rows;
    out->n_buffers = 1;
    out->buffers = calloc(1, sizeof *out->buffers);
    out->children = calloc(COLUMNS, sizeof *out->children);
    if (!out->buffers || !out->children) {
        out->release(out);
        return 12;
    }
    out->n_children = COLUMNS;
    for (int i = 0; i < COLUMNS; i++) {
        struct ArrowArray *column = out->children[i] = calloc(1, sizeof *column);
        if (!column || !(column->buffers = calloc(3, sizeof *column->buffers))) {
            out->release(out);
            return 12;
        }
        column->release = free_array;
        column->length = result->rows;
        column->n_buffers = i == SEGMENT ? 3 : 2;
        if (i == SEGMENT) {
            column->buffers[1] = result->ends;
            column->buffers[2] = result->text;
        } else if (i < TREATED_MEAN) {
            column->buffers[1] = result->counts[i - TREATED];
        } else {
            column->null_count = -1;
            column->buffers[0] = result->valid[i - TREATED_MEAN];
            column->buffers[1] = result->numbers[i - TREATED_MEAN];
        }
    }
    /* The values belong to the batch from here on. */
    struct result *rest = calloc(1, sizeof *rest);
    if (!rest) {
        out->release(out);
        return 12;
    }
    rest->taken = 1;
    rest->personal = result->personal;
    stream->private_data = rest;
    out->private_data = result;
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return "out of memory";
}

static void free_stream(struct ArrowArrayStream *stream) {
    free_result(stream->private_data);
    stream->release = NULL;
}

static double variance_of_mean(const struct side *side) {
    return side->squares / (double)(side->users - 1) / (double)side->users;
}

static void set(struct result *result, int column, int64_t row, double value) {
    result->numbers[column][row] = value;
    result->valid[column][row / 8] |= (uint8_t)(1u << (row % 8));
}

static struct result *result_of(const struct segments *segments) {
    size_t rows = segments->count, length = 0;
    for (size_t i = 0; i < rows; i++) length += strlen(segments->items[i].name);
    struct result *result = calloc(1, sizeof *result);
    if (!result) return NULL;
    result->rows = (int64_t)rows;
    result->personal = segments->personal;
    int whole = (result->ends = calloc(rows + 1, sizeof *result->ends)) && (result->text = malloc(length + 1));
    for (int i = 0; i < 2; i++) whole = whole && (result->counts[i] = calloc(rows + 1, sizeof(int64_t)));
    for (int i = 0; i < 4; i++) {
        whole = whole && (result->numbers[i] = calloc(rows + 1, sizeof(double)));
        whole = whole && (result->valid[i] = calloc(rows / 8 + 1, 1));
    }
    if (!whole) {
        free_result(result);
        return NULL;
    }
    for (size_t i = 0; i < rows; i++) {
        const struct segment *segment = &segments->items[i];
        const struct side *control = &segment->side[0], *treated = &segment->side[1];
        int64_t row = (int64_t)i, name = (int64_t)strlen(segment->name);
        memcpy(result->text + result->ends[i], segment->name, (size_t)name);
        result->ends[i + 1] = result->ends[i] + name;
        result->counts[0][i] = treated->users;
        result->counts[1][i] = control->users;
        if (treated->users) set(result, 0, row, treated->mean);
        if (control->users) set(result, 1, row, control->mean);
        if (treated->users && control->users) set(result, 2, row, treated->mean - control->mean);
        if (treated->users > 1 && control->users > 1)
            set(result, 3, row, sqrt(variance_of_mean(treated) + variance_of_mean(control)));
    }
    return result;
}

static int put_metrics(const struct sw_host *host, const struct segments *segments) {
    double sum = 0, users = 0, compared = 0;
    for (size_t i = 0; i < segments->count; i++) {
        const struct side *control = &segments->items[i].side[0], *treated = &segments->items[i].side[1];
        double here = (double)(control->users + treated->users);
        users += here;
        if (!control->users || !treated->users) continue;
        compared += here;
        sum += here * (treated->mean - control->mean);
    }
    char uplift[32] = "null", text[512];
    if (compared > 0) snprintf(uplift, sizeof uplift, "%.17g", sum / compared);
    int length = snprintf(text, sizeof text,
                          "{\"unit\":null,\"units\":null,\"units_digest\":null,\"values\":{"
                          "\"segments\":{\"value\":%zu,\"goal\":\"describe\"},"
                          "\"uplift\":{\"value\":%s,\"goal\":\"maximize\"},"
                          "\"users\":{\"value\":%.17g,\"goal\":\"describe\"}}}",
                          segments->count, uplift, users);
    return host->put_json(host, "metrics", text, (size_t)length);
}

static int32_t run(const struct sw_host *host, void *stage) {
    struct ArrowArrayStream stream;
    if (host->get_table(host, "table", &stream) != SW_INPUT_THERE) return 1;
    struct segments segments = {0, NULL, 0, 0, NULL, 0};
    int failed = count(host, stage, &stream, &segments);
    stream.release(&stream);
    if (!failed) {
        if (segments.count) qsort(segments.items, segments.count, sizeof *segments.items, by_name);
        struct result *result = result_of(&segments);
        struct ArrowArrayStream out = {get_schema, get_next, get_last_error, free_stream, result};
        if (!result) {
            host->fail(host, SW_ERROR_ENVIRONMENT, "out of memory", NULL, NULL);
            failed = 1;
        } else {
            failed = host->put_table(host, "table", &out) || put_metrics(host, &segments);
        }
    }
    free_segments(&segments);
    return failed;
}

static const char *manifest(void) { return MANIFEST; }

const struct sw_plugin *stagewright_plugin_v1(uint32_t host_minor) {
    static const struct sw_plugin plugin = {
        sizeof plugin, SW_ABI_MINOR, 0, manifest, create, run, destroy, NULL,
    };
    (void)host_minor;
    return &plugin;
}
