/* Finding a run in what was measured. Entry: bench_session_find. Threads: see result.h. */
#include "bench/result.h"

const struct bench_result *bench_session_find(const struct bench_session *session, unsigned server,
                                              unsigned workload, unsigned round)
{
    for (unsigned i = 0; i < session->result_count; i++) {
        const struct bench_result *result = &session->results[i];
        if (result->server == server && result->workload == workload && result->round == round)
            return result;
    }
    return NULL;
}
