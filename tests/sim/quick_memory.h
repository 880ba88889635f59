/* Memory for SQLite in programs that open a store a hundred thousand times: what is freed is kept by its size and given
 * out again. For one thread. */
#ifndef HF_SIM_QUICK_MEMORY_H
#define HF_SIM_QUICK_MEMORY_H

void quick_memory_take_sqlite(void); /* before SQLite's first use */

#endif
