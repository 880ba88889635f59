#include "api/guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/text.h"

static const char *const our_hosts[] = {"127.0.0.1", "localhost", "[::1]"};
static const char scheme[] = "http://";

static size_t our_host_bytes(const char *host) {
    for (size_t i = 0; i < sizeof our_hosts / sizeof our_hosts[0]; i++) {
        size_t bytes = strlen(our_hosts[i]);
        if (strncasecmp(host, our_hosts[i], bytes) == 0 && (host[bytes] == '\0' || host[bytes] == ':'))
            return bytes;
    }
    return 0;
}

int guard_host_is_ours(const char *host, int port) {
    size_t bytes = our_host_bytes(host);
    char wanted[16];
    if (bytes == 0)
        return 0;
    snprintf(wanted, sizeof wanted, ":%d", port);
    return host[bytes] == '\0' || strcmp(host + bytes, wanted) == 0;
}

int guard_origin_is_ours(const char *origin, int port) {
    return strncasecmp(origin, scheme, sizeof scheme - 1) == 0 && guard_host_is_ours(origin + sizeof scheme - 1, port);
}

int guard_origin_is_host(const char *origin, const char *host) {
    return strncasecmp(origin, scheme, sizeof scheme - 1) == 0 && strcasecmp(origin + sizeof scheme - 1, host) == 0;
}

int guard_parse_listen(const char *listen, int *ret_family, int *ret_port) {
    size_t bytes = our_host_bytes(listen);
    uint64_t port = 0;
    if (bytes == 0 || listen[bytes] != ':' || text_to_u64(listen + bytes + 1, &port) != 0 || port > 65535)
        return -1;
    *ret_family = listen[0] == '[' ? AF_INET6 : AF_INET;
    *ret_port = (int)port;
    return 0;
}
