//! The table of a worker's settings.

tidemark_process::settings! {
    STORE, "store", "TIDEMARK_STORE", "URL", None,
        "where state is kept: file:///folder or s3://bucket/prefix";
    TASK_QUEUE, "task_queue", "TIDEMARK_TASK_QUEUE", "NAME", Some("tidemark"),
        "the task queue that it polls; the same for every role";
    MAX_ACTIVITIES, "max_activities", "TIDEMARK_MAX_ACTIVITIES", "COUNT", Some("16"),
        "steps at once in this process";
    MEMORY_BUDGET, "memory_budget", "TIDEMARK_MEMORY_BUDGET", "SIZE", Some("128 MiB"),
        "about how much memory comparisons may hold";
    SPILL_FOLDER, "spill_folder", "TIDEMARK_SPILL_FOLDER", "PATH", None,
        "a folder of the local disk for what does not fit into memory; the system's temporary folder if left out";
    GRACE_PERIOD, "grace_period", "TIDEMARK_GRACE_PERIOD", "DURATION", Some("30s"),
        "after SIGTERM, how long steps may take to reach their next durable page or batch";
    OPS_ADDRESS, "ops_address", "TIDEMARK_OPS_ADDRESS", "HOST:PORT", None,
        "where /healthz and /metrics are served; nowhere if left out";
    LOG, "log", "TIDEMARK_LOG", "FILTER", Some("info"),
        "which log lines are written: a level, or a filter such as `info,tidemark_engine=debug`";
    LOG_FORMAT, "log_format", "TIDEMARK_LOG_FORMAT", "text|json", Some("text"),
        "how log lines are written";
    HEARTBEAT_TIMEOUT, "heartbeat_timeout", "TIDEMARK_HEARTBEAT_TIMEOUT", "DURATION", Some("20s"),
        "when a step without a sign of life counts as lost; the same for every role";
    HEARTBEAT_INTERVAL, "heartbeat_interval", "TIDEMARK_HEARTBEAT_INTERVAL", "DURATION", Some("4s"),
        "between two signs of life of a step";
    HEARTBEAT_PATIENCE, "heartbeat_patience", "TIDEMARK_HEARTBEAT_PATIENCE", "DURATION", Some("15s"),
        "nothing is written any more so long after the last sign of life that was answered; shorter than the timeout";
    LOOK_MAX_AGE, "look_max_age", "TIDEMARK_LOOK_MAX_AGE", "DURATION", Some("5s"),
        "a batch is sent only on a look at the commit log that is no older";
    SUPERSEDED_WAIT, "superseded_wait", "TIDEMARK_SUPERSEDED_WAIT", "DURATION", Some("5s"),
        "how long a run waits for the sender of a run that it supersedes; never less than any worker's look_max_age";
}
