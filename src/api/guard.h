/* What the Host and Origin headers may say, so that a web page from elsewhere cannot use a daemon on loopback. Pure. */
#ifndef HF_API_GUARD_H
#define HF_API_GUARD_H

#include <stddef.h>

/* "127.0.0.1", "localhost" or "[::1]", with the port or none. */
int guard_host_is_ours(const char *host, int port);
/* "http://" in front of the same. "null" is not. */
int guard_origin_is_ours(const char *origin, int port);
/* Whether the origin is "http://" and exactly this host. */
int guard_origin_is_host(const char *origin, const char *host);

/* "127.0.0.1:7420", "[::1]:0": a loopback address and a port; -1 when it is not one. family: AF_INET or AF_INET6. */
int guard_parse_listen(const char *listen, int *ret_family, int *ret_port);

#endif
