// A plugin in C++ that throws: past the boundary, or caught before it, as the header asks.
#include "stagewright.h"

#include <cstring>
#include <new>
#include <stdexcept>

namespace {

struct Stage {
    bool caught;
};

const char *manifest() {
    return "{\"name\":\"throws\",\"version\":\"1.0.0\",\"stages\":[{"
           "\"name\":\"throws.stage\",\"summary\":\"Throw an exception.\","
           "\"ports\":[{\"name\":\"metrics\",\"direction\":\"output\",\"kind\":\"metrics\"}],"
           "\"params\":{\"type\":\"object\",\"properties\":{\"caught\":{\"type\":\"boolean\"}},"
           "\"required\":[\"caught\"]}}]}";
}

int32_t create(const sw_host *host, const char *, const char *params, void **stage) {
    *stage = new (std::nothrow) Stage{std::strstr(params, "true") != nullptr};
    if (*stage) return 0;
    host->fail(host, SW_ERROR_ENVIRONMENT, "there is no memory", nullptr, nullptr);
    return 1;
}

void destroy(void *stage) { delete static_cast<Stage *>(stage); }

void work() { throw std::runtime_error("the row is from the future"); }

int32_t run(const sw_host *host, void *stage) {
    if (!static_cast<Stage *>(stage)->caught) work();
    try {
        work();
    } catch (const std::exception &error) {
        host->fail(host, SW_ERROR_DATA, error.what(), nullptr, "look at where it comes from");
    } catch (...) {
        host->fail(host, SW_ERROR_BUG, "something was thrown that is no exception", nullptr, nullptr);
    }
    return 1;
}

}  // namespace

const sw_plugin *stagewright_plugin_v1(uint32_t) {
    static const sw_plugin plugin = {sizeof plugin, SW_ABI_MINOR, 0, manifest, create, run, destroy, nullptr};
    return &plugin;
}
