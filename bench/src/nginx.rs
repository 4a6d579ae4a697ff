//! Debian's nginx as a proxy that does what the edge does, as far as it can: keep-alive on both
//! sides, a request id, CORS headers, a rate limit per address, the same access log.

use std::net::SocketAddr;
use std::path::Path;

use crate::child::Process;
use crate::files;

/// Starts nginx with one worker before `upstream`, with its files in `folder`.
pub(crate) async fn start(
    folder: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
) -> anyhow::Result<Process> {
    let configuration = folder.join("nginx.conf");
    std::fs::write(&configuration, configure(folder, address, upstream))?;
    let path = configuration.display().to_string();
    let arguments = ["-c", path.as_str(), "-p", "."];
    let log = folder.join("nginx.out");
    Process::start(Path::new("/usr/sbin/nginx"), &arguments, &[], &log)?
        .listening_on(address)
        .await
}

fn configure(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let folder = folder.display();
    let files = files::limit();
    // With less than a sixteenth of them left it closes connections that have just come. More would
    // cost it memory: it has all of them from the start.
    let connections = files + files / 8;
    // Only root may and must say as whom the worker runs.
    let user = if nix::unistd::Uid::effective().is_root() {
        "user root;"
    } else {
        ""
    };
    format!(
        r#"
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    log_format request escape=json '{{"timestamp":"$time_iso8601","method":"$request_method",'
        '"path":"$uri","status":$status,"size":$body_bytes_sent,"duration":$request_time,'
        '"ip":"$remote_addr","user_agent":"$http_user_agent","request_id":"$request_id",'
        '"upstream":"$upstream_addr"}}';
    access_log {folder}/access.log request;
    limit_req_zone $binary_remote_addr zone=clients:10m rate=1000000r/s;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    upstream app {{
        server {upstream};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    map $http_upgrade $to_upstream {{
        default upgrade;
        "" "";
    }}
    # Bodies of any size pass through memory, as through the edge.
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_read_timeout 300s;
    server {{
        listen {address};
        location / {{
            limit_req zone=clients burst=1000000 nodelay;
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection $to_upstream;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $host;
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            add_header X-Request-Id $request_id;
            add_header Access-Control-Allow-Origin $http_origin;
            add_header Access-Control-Allow-Credentials true;
            add_header Access-Control-Expose-Headers "Content-Range, Preference-Applied";
            add_header Vary Origin;
        }}
    }}
}}
"#
    )
}
