//! The table of the monitor's settings.

tidemark_process::settings! {
    STORE, "store", "TIDEMARK_STORE", "URL", None,
        "where state is kept: file:///folder or s3://bucket/prefix";
    TASK_QUEUE, "task_queue", "TIDEMARK_TASK_QUEUE", "NAME", Some("tidemark"),
        "the task queue that workers poll; the same for every role";
    HEARTBEAT_TIMEOUT, "heartbeat_timeout", "TIDEMARK_HEARTBEAT_TIMEOUT", "DURATION", Some("20s"),
        "when a step without a sign of life counts as lost; the same for every role";
    PASS_EVERY, "pass_every", "TIDEMARK_PASS_EVERY", "DURATION", Some("20s"),
        "between the begins of two passes; a minute at most";
    LOOKS_PER_SECOND, "looks_per_second", "TIDEMARK_LOOKS_PER_SECOND", "COUNT", Some("20"),
        "connections that it looks at in a second, on the average; each look is two requests to Temporal";
    CLOCK_SKEW, "clock_skew", "TIDEMARK_CLOCK_SKEW", "DURATION", Some("2m"),
        "how far the clocks of sources, Temporal and the monitor may be apart: so long after its deadline a connection is called late";
    REMIND_EVERY, "remind_every", "TIDEMARK_REMIND_EVERY", "DURATION", Some("24h"),
        "the pace of reminders while trouble stays open";
    DEAD_MAN, "dead_man", "TIDEMARK_DEAD_MAN", "env:NAME|file:PATH", None,
        "a reference to the address that is asked for after each complete pass, so that somebody notices when that ends; nobody if left out";
    WEB_UI, "web_ui", "TIDEMARK_WEB_UI", "URL", None,
        "where Temporal's Web UI is, for links in notices";
    OPS_ADDRESS, "ops_address", "TIDEMARK_OPS_ADDRESS", "HOST:PORT", None,
        "where /healthz and /metrics are served; nowhere if left out";
    LOG, "log", "TIDEMARK_LOG", "FILTER", Some("info"),
        "which log lines are written: a level, or a filter such as `info,tidemark_monitor=debug`";
    LOG_FORMAT, "log_format", "TIDEMARK_LOG_FORMAT", "text|json", Some("text"),
        "how log lines are written";
}
