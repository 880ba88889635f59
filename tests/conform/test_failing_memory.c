#include "conform.h"

int main(void) {
    struct conform target = {.ops = &store_memory_ops, .is_durable = 0, .is_failing = 1};
    return conform_run(&target);
}
