//! The table of the gateway's settings.

tidemark_process::settings! {
    STORE, "store", "TIDEMARK_STORE", "URL", None,
        "where state is kept: file:///folder or s3://bucket/prefix";
    LISTEN, "listen", "TIDEMARK_GATEWAY_LISTEN", "HOST:PORT", Some("127.0.0.1:8620"),
        "where /v1 is served; without TLS, put a proxy with it in front of other machines";
    OPS_ADDRESS, "ops_address", "TIDEMARK_OPS_ADDRESS", "HOST:PORT", None,
        "where /healthz and /metrics are served; nowhere if left out";
    MAX_REQUESTS, "max_requests", "TIDEMARK_MAX_REQUESTS", "COUNT", Some("256"),
        "requests at once; one more is answered with 503";
    REQUEST_TIMEOUT, "request_timeout", "TIDEMARK_REQUEST_TIMEOUT", "DURATION", Some("5s"),
        "how long a request may take; it is answered with 503 then";
    GRACE_PERIOD, "grace_period", "TIDEMARK_GRACE_PERIOD", "DURATION", Some("30s"),
        "after SIGTERM, how long requests under way may take";
    LOG, "log", "TIDEMARK_LOG", "FILTER", Some("info"),
        "which log lines are written: a level, or a filter such as `info,tidemark_engine=debug`";
    LOG_FORMAT, "log_format", "TIDEMARK_LOG_FORMAT", "text|json", Some("text"),
        "how log lines are written";
}
