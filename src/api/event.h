/* How an event is written, in lists and in streams. */
#ifndef HF_API_EVENT_H
#define HF_API_EVENT_H

#include "base/json.h"
#include "holdfast.h"

void event_write(struct json_writer *json, const struct hf_event *event);

#endif
