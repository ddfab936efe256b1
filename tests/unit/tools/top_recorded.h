/* What INFO all answered: recorded from the servers themselves, of which the lines that skua-top does not read are mostly
 * left out. Each recording follows 100 SET, 40 GET that hit and 10 that miss, two errors, and a SELECT. */
#ifndef SKUA_TESTS_TOP_RECORDED_H
#define SKUA_TESTS_TOP_RECORDED_H

/* redis-server 7.0.15 with maxmemory 100mb */
#define REDIS_INFO                                                                                           \
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux 6.18.44-fc-v657 x86_64\r\n"       \
    "multiplexing_api:epoll\r\nrun_id:7567f23ca0042b70cb3553c715f982b4ff165fcb\r\n"                          \
    "server_time_usec:1795246783187147\r\nuptime_in_seconds:0\r\nhz:10\r\nexecutable:/usr/bin/server\r\n"    \
    "io_threads_active:0\r\n\r\n# Clients\r\nconnected_clients:1\r\nmaxclients:10000\r\n"                    \
    "client_recent_max_input_buffer:0\r\nclient_recent_max_output_buffer:0\r\nblocked_clients:0\r\n"         \
    "tracking_clients:0\r\n\r\n# Memory\r\nused_memory:1048224\r\nused_memory_human:1023.66K\r\n"            \
    "used_memory_rss:11874304\r\nused_memory_peak:1048224\r\nused_memory_overhead:881464\r\n"                \
    "used_memory_dataset:166760\r\ntotal_system_memory:25276510208\r\nmaxmemory:104857600\r\n"               \
    "maxmemory_policy:noeviction\r\nallocator_frag_ratio:1.08\r\nmem_fragmentation_ratio:13.55\r\n"          \
    "mem_clients_normal:0\r\nmem_allocator:jemalloc-5.3.0\r\nlazyfree_pending_objects:0\r\n\r\n"             \
    "# Persistence\r\nloading:0\r\nrdb_changes_since_last_save:102\r\nrdb_bgsave_in_progress:0\r\n"          \
    "rdb_last_bgsave_status:ok\r\nrdb_current_bgsave_time_sec:-1\r\naof_enabled:0\r\n"                       \
    "aof_rewrite_in_progress:0\r\naof_last_write_status:ok\r\n\r\n# Stats\r\n"                               \
    "total_connections_received:2\r\ntotal_commands_processed:155\r\ninstantaneous_ops_per_sec:0\r\n"        \
    "total_net_input_bytes:4163\r\ntotal_net_output_bytes:1007\r\ntotal_net_repl_input_bytes:0\r\n"          \
    "total_net_repl_output_bytes:0\r\nrejected_connections:0\r\nexpired_keys:0\r\nevicted_keys:0\r\n"        \
    "keyspace_hits:40\r\nkeyspace_misses:10\r\npubsub_channels:0\r\npubsub_patterns:0\r\n"                   \
    "total_error_replies:3\r\ntotal_reads_processed:159\r\ntotal_writes_processed:157\r\n\r\n"               \
    "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n# CPU\r\nused_cpu_sys:0.009987\r\n"           \
    "used_cpu_user:0.005837\r\nused_cpu_sys_main_thread:0.010443\r\n"                                        \
    "used_cpu_user_main_thread:0.005221\r\n\r\n# Commandstats\r\n"                                           \
    "cmdstat_select:calls=1,usec=1,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n"                   \
    "cmdstat_ping:calls=1,usec=5,usec_per_call=5.00,rejected_calls=0,failed_calls=0\r\n"                     \
    "cmdstat_get:calls=50,usec=11,usec_per_call=0.22,rejected_calls=1,failed_calls=0\r\n"                    \
    "cmdstat_incr:calls=1,usec=38,usec_per_call=38.00,rejected_calls=0,failed_calls=1\r\n"                   \
    "cmdstat_set:calls=102,usec=135,usec_per_call=1.32,rejected_calls=0,failed_calls=0\r\n\r\n"              \
    "# Errorstats\r\nerrorstat_ERR:count=3\r\n\r\n# Latencystats\r\n"                                        \
    "latency_percentiles_usec_select:p50=1.003,p99=1.003,p99.9=1.003\r\n"                                    \
    "latency_percentiles_usec_ping:p50=5.023,p99=5.023,p99.9=5.023\r\n"                                      \
    "latency_percentiles_usec_get:p50=0.001,p99=3.007,p99.9=3.007\r\n"                                       \
    "latency_percentiles_usec_incr:p50=38.143,p99=38.143,p99.9=38.143\r\n"                                   \
    "latency_percentiles_usec_set:p50=1.003,p99=14.015,p99.9=14.015\r\n\r\n# Keyspace\r\n"                   \
    "db0:keys=101,expires=1,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n"

/* skua-server with two I/O threads and maxmemory 100mb */
#define SKUA_INFO                                                                                            \
    "# Server\r\nredis_version:7.2.4\r\nskua_version:0.1.0\r\nredis_mode:standalone\r\n"                     \
    "os:Linux 6.18.44-fc-v657 x86_64\r\nmultiplexing_api:epoll\r\n"                                          \
    "run_id:a80975c5c9fc76812fba8d4db4778d0263ac6a9c\r\nserver_time_usec:1795246783140155\r\n"               \
    "uptime_in_seconds:0\r\nhz:10\r\nexecutable:/usr/bin/server\r\nio_threads_active:1\r\n\r\n"              \
    "# Clients\r\nconnected_clients:1\r\nmaxclients:10000\r\nclient_recent_max_input_buffer:0\r\n"           \
    "client_recent_max_output_buffer:0\r\nblocked_clients:0\r\ntracking_clients:0\r\npubsub_clients:0\r\n"   \
    "\r\n# Memory\r\nused_memory:269056\r\nused_memory_human:262.75K\r\nused_memory_rss:5312512\r\n"         \
    "used_memory_peak:269056\r\nused_memory_overhead:156024\r\nused_memory_dataset:113032\r\n"               \
    "total_system_memory:25276510208\r\nmaxmemory:104857600\r\nmaxmemory_policy:noeviction\r\n"              \
    "allocator_frag_ratio:1.26\r\nmem_fragmentation_ratio:19.75\r\nmem_clients_normal:360\r\n"               \
    "mem_allocator:jemalloc-5.3.0\r\nlazyfree_pending_objects:0\r\n\r\n# Persistence\r\nloading:0\r\n"       \
    "rdb_changes_since_last_save:103\r\nrdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\n"           \
    "rdb_current_bgsave_time_sec:-1\r\naof_enabled:0\r\naof_rewrite_in_progress:0\r\n"                       \
    "aof_last_write_status:ok\r\n\r\n# Stats\r\ntotal_connections_received:2\r\n"                            \
    "total_commands_processed:155\r\ninstantaneous_ops_per_sec:0\r\ntotal_net_input_bytes:4163\r\n"          \
    "total_net_output_bytes:1007\r\ntotal_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\n"       \
    "rejected_connections:0\r\nexpired_keys:0\r\nevicted_keys:0\r\nkeyspace_hits:40\r\n"                     \
    "keyspace_misses:10\r\npubsub_channels:0\r\npubsub_patterns:0\r\ntotal_error_replies:3\r\n"              \
    "total_reads_processed:158\r\ntotal_writes_processed:157\r\n\r\n# Replication\r\nrole:master\r\n"        \
    "connected_slaves:0\r\n\r\n# CPU\r\nused_cpu_sys:0.017558\r\nused_cpu_user:0.000000\r\n"                 \
    "used_cpu_sys_main_thread:0.008724\r\nused_cpu_user_main_thread:0.000000\r\n\r\n# Threads\r\n"           \
    "executor_batches:158\r\nexecutor_busy_usec:422\r\nexecutor_pause_max_usec:61\r\n"                       \
    "executor_pause_max_by:set\r\nio_threads:2\r\n"                                                          \
    "io_thread_1:connections=0,requests=1,bytes_in=14,bytes_out=7,busy_usec=311\r\n"                         \
    "io_thread_2:connections=1,requests=157,bytes_in=4149,bytes_out=1000,busy_usec=6125\r\n\r\n"             \
    "# Commandstats\r\n"                                                                                     \
    "cmdstat_get:calls=50,usec=82,usec_per_call=1.64,rejected_calls=1,failed_calls=0\r\n"                    \
    "cmdstat_incr:calls=1,usec=6,usec_per_call=6.52,rejected_calls=0,failed_calls=1\r\n"                     \
    "cmdstat_ping:calls=1,usec=5,usec_per_call=5.44,rejected_calls=0,failed_calls=0\r\n"                     \
    "cmdstat_select:calls=1,usec=1,usec_per_call=1.58,rejected_calls=0,failed_calls=0\r\n"                   \
    "cmdstat_set:calls=102,usec=326,usec_per_call=3.20,rejected_calls=0,failed_calls=0\r\n\r\n"              \
    "# Errorstats\r\nerrorstat_ERR:count=3\r\n\r\n# Latencystats\r\n"                                        \
    "latency_percentiles_usec_get:p50=1.459,p99=12.288,p99.9=15.974\r\n"                                     \
    "latency_percentiles_usec_incr:p50=6.144,p99=8.151,p99.9=8.188\r\n"                                      \
    "latency_percentiles_usec_ping:p50=6.144,p99=8.151,p99.9=8.188\r\n"                                      \
    "latency_percentiles_usec_select:p50=1.536,p99=2.038,p99.9=2.047\r\n"                                    \
    "latency_percentiles_usec_set:p50=2.009,p99=32.440,p99.9=62.194\r\n\r\n# Keyspace\r\n"                   \
    "db0:keys=101,expires=1,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n\r\n# Blame\r\n"                  \
    "blame_get:calls=50,queue_p50=8.191,queue_p99=45300.000,queue_p999=50024.000,queue_max=50024.000,"       \
    "execute_p50=1.459,execute_p99=12.288,execute_p999=15.974,execute_max=15.974,"                           \
    "reply_p50=5.631,reply_p99=22.703,reply_p999=22.703,reply_max=22.703\r\n"

/* The fields that its documentation names, in the form that Valkey 9 gives them; not a recording */
#define VALKEY_INFO                                                                                          \
    "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.0\r\n"                      \
    "server_mode:standalone\r\nos:Linux 6.1.0-18-amd64 x86_64\r\n"                                           \
    "run_id:0123456789abcdef0123456789abcdef01234567\r\nserver_time_usec:1795246783000000\r\n"               \
    "uptime_in_seconds:94798\r\nio_threads_active:1\r\nlistener0:name=tcp,bind=*,bind=-::*,port=6379\r\n"    \
    "\r\n# Clients\r\nconnected_clients:1\r\nmaxclients:10000\r\nblocked_clients:0\r\n"                      \
    "pubsub_clients:0\r\nwatching_clients:0\r\n\r\n# Memory\r\nused_memory:4757704\r\n"                      \
    "used_memory_rss:13221888\r\nused_memory_peak:4777616\r\nmaxmemory:0\r\n"                                \
    "mem_fragmentation_ratio:2.80\r\n\r\n# Stats\r\ntotal_connections_received:3081\r\n"                     \
    "total_commands_processed:3080\r\nkeyspace_hits:877\r\nkeyspace_misses:98\r\n"                           \
    "eventloop_cycles:710861\r\neventloop_duration_sum:261482066\r\n"                                        \
    "eventloop_duration_cmd_sum:4662723\r\nacl_access_denied_auth:0\r\n\r\n# Replication\r\n"                \
    "role:master\r\nconnected_slaves:0\r\n\r\n# CPU\r\nused_cpu_sys:68.476389\r\n"                           \
    "used_cpu_user:219.408941\r\nused_cpu_sys_main_thread:68.478353\r\n"                                     \
    "used_cpu_user_main_thread:219.404508\r\nused_active_time_main_thread:130.500000\r\n"                    \
    "used_active_time_io_thread_1:20.250000\r\nused_active_time_io_thread_2:10.500000\r\n\r\n"               \
    "# Commandstats\r\n"                                                                                     \
    "cmdstat_get:calls=975,usec=2000,usec_per_call=2.05,rejected_calls=0,failed_calls=0\r\n\r\n"             \
    "# Errorstats\r\nerrorstat_ERR:count=55\r\n\r\n# Keyspace\r\n\r\n"

#endif
