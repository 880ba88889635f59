"""Load and memory of this machine, one row each time: the sample's python source."""
import os


def fetch_data():
    memory = {}
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            name, value = line.split(":", 1)
            memory[name] = int(value.split()[0])
    load_1, load_5, load_15 = os.getloadavg()
    total, free = memory["MemTotal"], memory["MemAvailable"]
    return {
        "load_1": round(load_1, 2),
        "load_5": round(load_5, 2),
        "load_15": round(load_15, 2),
        "memory_total_kb": total,
        "memory_available_kb": free,
        "memory_used_percent": round(100 * (total - free) / total, 1),
    }
