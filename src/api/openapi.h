/* The OpenAPI 3.1 document, from the operations table. */
#ifndef HF_API_OPENAPI_H
#define HF_API_OPENAPI_H

#include "base/buf.h"

void openapi_write(struct buf *out);

#endif
