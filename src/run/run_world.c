#include "run/run_world.h"

void run_printed_init(struct run_printed *printed) {
    *printed = (struct run_printed){.is_too_large = 0};
}

void run_printed_fini(struct run_printed *printed) {
    buf_fini(&printed->datum);
    buf_fini(&printed->tail);
}
