#include "conform.h"

int main(void) {
    struct conform target = {.ops = &store_sqlite_ops, .is_durable = 1, .is_failing = 0};
    return conform_run(&target);
}
