"""A document as skua-bench --json writes it, with figures made up: for tests of what is made of such documents.

Entry: document. Its fields are described in docs/benchmark-output.md.
"""
import math
import random

COMPARED = ("rps", "p50_us", "p99_us", "p999_us", "cpu_user_us", "cpu_us")


def result(test, server, rounds, us, has_cpu=True):
    """What report_json.c writes of a server in a test; latencies are spread around `us`."""
    dice = random.Random(f"{test} {server}")
    figures = {"rps": 1e8 / us, "mean_us": us, "min_us": us / 2, "p50_us": us, "p75_us": us * 1.1, "p90_us": us * 1.2,
               "p95_us": us * 1.3, "p99_us": us * 1.6, "p999_us": us * 3, "p9999_us": us * 5, "max_us": us * 8,
               "cpu_user_us": 1.5 if has_cpu else None, "cpu_sys_us": 2.5 if has_cpu else None,
               "cpu_us": 4.0 if has_cpu else None}
    histogram = [[round(us * 1.01 ** step, 3), max(1, int(1e5 * math.exp(-step / 20)))] for step in range(-40, 200)]
    series = [{"round": number, "second": second, "seconds": 1, "requests": 1000, "failures": 0, "p50_us": us,
               "p99_us": us * dice.uniform(1.4, 1.8), "max_us": us * 8}
              for number in range(1, rounds + 1) for second in range(3)]
    return {"test": test, "server": server, "requests": 1000, "failures": 0, **figures,
            "rounds": [{"round": number, "seconds": 3.0, **figures} for number in range(1, rounds + 1)], "commands": [],
            "histogram": histogram, "series": series}


def document(tests=("GET", "SET"), servers=("skua", "redis"), rounds=3, has_cpu=True, **more):
    interval = {"low": 0.8, "high": 0.95} if rounds >= 3 else {"low": None, "high": None}
    ratio = {"ratio": 0.87, "trust": "rough", "rounds": rounds, **interval}
    return {
        "format": "skua-bench-1", "version": "0.1.0", "started": "2026-01-02T03:04:05Z", "machine": "AMD EPYC 9R14 96-Core Processor, 2 cores, Linux 6.12.40+deb13-cloud-amd64 x86_64",
        "interrupted": False,
        "settings": {
            "clients": 50, "pipeline": 1, "rounds": rounds, "duration_s": 3.0, "requests": 0, "rate": 0, "seed": 123456,
            "keys": 1000, "value_size": "512", "verify": False, "command_line": "skua-bench"},
        "method": {"confidence": 0.95, "rounds_min": 3, "rounds_good": 5},
        "servers": [{"name": name, "address": "127.0.0.1:1", "software": name, "version": "1", "pid": None} for name in servers],
        "tests": [{"name": name, "id": name, "definition": "", "commands": []} for name in tests],
        "results": [result(test, server, rounds, 100 * (1 + place), has_cpu)
                    for test in tests for place, server in enumerate(servers)],
        "comparisons": [{"test": test, "server": server, "baseline": servers[1],
                         "ratios": {metric: ratio if has_cpu or "cpu" not in metric else None for metric in COMPARED}}
                        for test in tests for server in servers if len(servers) > 1 and server != servers[1]],
        **more}
