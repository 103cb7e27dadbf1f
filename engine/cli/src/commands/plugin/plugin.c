/* A plugin with one stage type, which counts the rows of a table. stagewright.h says what each function is for. */
#include "stagewright.h"

#include <stdio.h>
#include <stdlib.h>

static const char *manifest(void) {
    return "{\"name\":\"PLUGIN_NAME\",\"version\":\"0.1.0\",\"stages\":[{"
           "\"name\":\"PLUGIN_NAME.rows\","
           "\"summary\":\"Count the rows of a table.\","
           "\"ports\":["
           "{\"name\":\"table\",\"direction\":\"input\",\"kind\":\"table\",\"doc\":\"Any table.\"},"
           "{\"name\":\"metrics\",\"direction\":\"output\",\"kind\":\"metrics\",\"doc\":\"`rows`.\"}],"
           "\"example\":\"inputs: { table: users }\"}]}";
}

static int32_t create(const struct sw_host *host, const char *stage_type, const char *params, void **stage) {
    (void)host, (void)stage_type, (void)params; /* One stage type, without parameters: there is nothing to keep. */
    *stage = NULL;
    return 0;
}

static void destroy(void *stage) { (void)stage; }

static int32_t run(const struct sw_host *host, void *stage) {
    (void)stage;
    struct ArrowArrayStream table;
    if (host->get_table(host, "table", &table) != SW_INPUT_THERE) return 1;
    int64_t rows = 0;
    int failed = 0;
    for (;;) {
        struct ArrowArray batch;
        if (host->cancelled(host)) {
            host->fail(host, SW_ERROR_CANCELLED, "the run was cancelled", NULL, NULL);
            failed = 1;
            break;
        }
        if (table.get_next(&table, &batch)) {
            host->fail(host, SW_ERROR_BUG, "the table cannot be read", NULL, NULL);
            failed = 1;
            break;
        }
        if (!batch.release) break; /* The end. */
        rows += batch.length;
        batch.release(&batch);
    }
    table.release(&table);
    if (failed) return 1;
    char text[256];
    int length = snprintf(text, sizeof text,
                          "{\"unit\":null,\"units\":null,\"units_digest\":null,"
                          "\"values\":{\"rows\":{\"value\":%lld,\"goal\":\"describe\"}}}",
                          (long long)rows);
    return host->put_json(host, "metrics", text, (size_t)length);
}

const struct sw_plugin *stagewright_plugin_v1(uint32_t host_minor) {
    static const struct sw_plugin plugin = {sizeof plugin, SW_ABI_MINOR, 0, manifest, create, run, destroy, NULL};
    (void)host_minor;
    return &plugin;
}
